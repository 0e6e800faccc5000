"""`make bench`: what the gateway costs, beside the least that any could cost and beside whatever peers are installed."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import structs

from bench import progress
from bench.closed import missing
from bench.options import Options
from bench.sections import GROUPS, SECTIONS, chosen
from bench.servers import Failed, machine
from bench.setup import ON
from bench.subjects import floor, ours, peers
from bench.tables import Section, markdown, text

EPILOG = """\
sections:
{sections}
{groups}

Peers are measured where they are installed, and are no dependency of anything: nginx, the Portkey gateway and LiteLLM's proxy. They are
looked for in PATH, or at BENCH_NGINX, BENCH_PORTKEY (its program, node_modules/.bin/gateway) and BENCH_LITELLM (its program, bin/litellm).

examples:
  make bench
  make bench ARGS="latency memory"
  make bench ARGS="all --markdown" > table.md
  make bench ARGS="core --rounds 9 --only floor --only banjia"
  BENCH_LITELLM=/opt/litellm/bin/litellm make bench ARGS="core --json"
"""


def parser() -> argparse.ArgumentParser:
    sections = "\n".join(f"  {one.name:9} {one.about}" for one in SECTIONS)
    groups = "\n".join(f"  {name:9} {', '.join(of)}" for name, of in GROUPS.items())
    made = argparse.ArgumentParser(
        "make bench", description="What the gateway costs.", epilog=EPILOG.format(sections=sections, groups=groups),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    usual = Options()
    made.add_argument("sections", nargs="*", default=["core"], metavar="SECTION", help="what to measure [core]")
    made.add_argument("--rounds", type=int, default=usual.rounds, help="rounds that everybody is measured in [%(default)s]")
    made.add_argument("--seconds", type=float, default=usual.seconds, help="of one measurement [%(default)s]")
    made.add_argument("--rates", type=numbers, default=usual.rates, metavar="N,N", help="requests a second, for latency [200,1000]")
    made.add_argument("--streams", type=numbers, default=usual.streams, metavar="N,N", help="open at once, for memory [100,1000,2000]")
    made.add_argument("--many", type=int, default=usual.many, help="keys and routes, for growth [%(default)s]")
    made.add_argument("--rows", type=int, default=usual.rows, help="of usage in the database, for growth [%(default)s]")
    made.add_argument("--only", action="append", metavar="NAME", help="measure nobody else: floor, banjia, or a peer; may be given again")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="all that was measured, round by round, as JSON")
    form.add_argument("--markdown", action="store_true", help="tables for a page of documentation")
    return made


def numbers(value: str) -> tuple[int, ...]:
    return tuple(sorted(map(int, value.split(","))))


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    options = Options(**{name: getattr(asked, name) for name in structs.asdict(Options())})
    try:
        sections = chosen(asked.sections)
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 2
    if problem := missing():
        print(problem, file=sys.stderr)
        return 2
    subjects = [one for one in (floor(), ours(), *peers()) if not asked.only or one.name in asked.only]
    found: list[Section] = []
    failed = False
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        for section in sections:
            try:
                found.append(section.measure(options, folder, subjects))
            except Failed as exc:
                failed = True
                progress.over()
                print(f"{section.name}: {exc}", file=sys.stderr)
                continue
            progress.over()
            if not asked.json:
                print((markdown if asked.markdown else text)(found[-1]), end="\n\n", flush=True)
    date = time.strftime("%Y-%m-%d", time.gmtime())
    versions = {one.name: one.version for one in subjects}
    if asked.json:
        about = {"date": date, "machine": machine(), "versions": versions, "options": structs.asdict(options), "on": ON}
        print(json.dumps({**about, "sections": {one.name: one.raw for one in found}}, indent=1))
    else:
        known = ", ".join(f"{name} {number}" for name, number in versions.items())
        print(f"{date}, {machine()}; {known}. It took {(time.monotonic() - began) / 60:.0f} minutes.\n\n{ON}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
