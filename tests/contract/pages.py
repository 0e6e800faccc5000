"""docs/compatibility.md and docs/compatibility/: the tables of fates and of errors as pages. `make docs` writes them."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from gateway.errors_table import ErrorRow, error_rows
from tests.contract.fidelity import ROOT, Row, Surface, spoken
from tests.contract.openai_fields import GONE, LIST, Case, Field, cases, document, fields
from tests.contract.surfaces import surfaces

INDEX = Path("docs/compatibility.md")
FOLDER = Path("docs/compatibility")
MADE = "<!-- Made of the tables by `make docs`; tests/contract/test_pages.py compares it with them. -->"

ASKED = {
    "system": "messages[].role:system", "images": "messages[].content[].image_url", "tools": "tools[].function",
    "tool_choice": "tool_choice", "parallel calls": "parallel_tool_calls", "response_format": "response_format",
    "reasoning_effort": "reasoning_effort", "temperature": "temperature", "stop": "stop", "n": "n", "seed": "seed",
    "logprobs": "logprobs", "logit_bias": "logit_bias", "user": "user",
}  # fmt: skip
"""Columns of the index: what is asked for most."""

WORK = {
    "calls": "the gateway makes as many calls",
    "cut": "the gateway ends the answer there",
    "first_call": "the gateway passes on the first call alone",
    "schema": "the gateway holds the answer to the schema",
    "whole": "the gateway streams it when it is whole",
}
HEADINGS = {
    "chat": "Chat completions",
    "embeddings": "Embeddings",
    "images": "Images",
    "image_edits": "Image edits",
    "speech": "Speech",
    "transcriptions": "Transcriptions",
}
SHORT = 20
"""Characters of a value that is shown as it is."""
MOST_SHOWN = 3
"""Places of a request that a cell names."""


def pages() -> dict[Path, str]:
    """All pages by their path in the repository."""
    vendors = [(vendor, list(told)) for vendor, told in groupby(surfaces(), lambda surface: surface.vendor)]
    alike = dict(_alike(vendors))
    made = {FOLDER / f"{vendor}.md": _page([vendor, *alike[vendor]], told) for vendor, told in vendors if vendor in alike}
    return {INDEX: _index(vendors, alike), **made}


def _alike(vendors: list[tuple[str, list[Surface]]]) -> Iterator[tuple[str, list[str]]]:
    """A vendor for each page, and those whose fields and sources are the same: other addresses of the same vendor."""
    seen: dict[str, list[str]] = {}
    for vendor, told in vendors:
        known = repr([(surface.rows, surface.sources) for surface in told])
        if known in seen:
            seen[known].append(vendor)
        else:
            seen[known] = []
            yield vendor, seen[known]


# ---- the index ----


def _index(vendors: list[tuple[str, list[Surface]]], alike: Mapping[str, list[str]]) -> str:
    rows = [
        [f"[{vendor}](compatibility/{vendor}.md)", surface.name, *(_fates(surface, field) for field in ASKED.values())]
        for vendor, told in vendors
        if vendor in alike
        for surface in told
    ]
    others = [f"- `{vendor}`: also " + ", ".join(f"`{other}`" for other in named) for vendor, named in alike.items() if named]
    newer = [[f"`{case.id}`", _said(case)] for case in cases() if case.same]
    fates = _table(["Provider", "Surface", *ASKED], rows)
    return "\n".join([MADE, HEAD, *fates, "", OTHERS, *others, "", NEWER, *_table(["Field", "Said as"], newer), "", _foot()])


HEAD = """# Compatibility

What becomes of every field of OpenAI's requests for chat completions, embeddings, images, speech and transcriptions at every provider. A
field has one of six fates:

| Fate | Means |
|---|---|
| native | sent as it came |
| renamed | sent in the provider's own words; the same meaning |
| clamped | sent as the nearest value that the provider takes |
| emulated | brought about in another way, by the provider or by the gateway |
| dropped | not sent |
| refused | the request goes to another provider, or gets 400 if there is none |

Every change is told in the header `x-banjia-changes`, but for those marked `unsaid`, which change nothing that was asked for.
`banjia explain` shows the fates of one request, and with `fidelity: strict` a team gets 400 instead of a changed field: see
[errors](errors.md).
"""
OTHERS = """Of a field with several fates, the page of the provider says which value has which. Providers that are offered under other
names too, where the addresses differ and nothing else:
"""
NEWER = """## The same everywhere

Before any provider is asked, the gateway says in today's words what OpenAI has replaced:
"""


def _foot() -> str:
    return f"""The fields, and the requests that show what becomes of them, are listed in
[{LIST.name}](../{LIST.relative_to(ROOT)}). Facts from {_list_source()}.
A field that is new in the SDK fails the tests until the list and the table of each provider name it.
"""


def _list_source() -> str:
    told = document()["source"]
    return f"{told['what']}, read {told['read']}"


def _said(case: Case) -> str:
    assert case.same is not None
    return ", ".join(f"`{name}`" for name in case.same if name != "model" and case.same[name] != case.base.get(name))


def _fates(surface: Surface, name: str) -> str:
    rows = [surface.row(case, generation) for generation, case in spoken(surface) if case.field == name]
    told = [row.fate for row in rows if row and not (row.silent and row.fate == "dropped")]
    return "<br>".join(dict.fromkeys(told)) or "-"


# ---- a vendor's page ----


def _page(vendors: list[str], told: list[Surface]) -> str:
    names = ", ".join(f"`{vendor}`" for vendor in vendors)
    lines = [MADE, f"# {vendors[0]}", "", f"What becomes of OpenAI's fields at {names}. [All providers](../compatibility.md)", ""]
    for surface in told:
        lines += [f"## Surface `{surface.name}`", "", *([_sentence(surface.what), ""] if surface.what else [])]
        if len(surface.generations) > 1:
            examples = [
                [f"`{name}`", one.what, f"`{one.model or next(iter(one.models.values()))}`"] for name, one in surface.generations.items()
            ]
            lines += [*_table(["Models", "Which", "For example"], examples), ""]
        for endpoint, heading in HEADINGS.items():
            if endpoint in surface.rows:
                head = ["Field", "Request", "Models", "Fate", "Sent", "Why", "Source"]
                rows = [row for field in fields() if field.endpoint == endpoint for row in _field(surface, field)]
                lines += [f"### {heading}", "", *_table(head, rows), ""]
    lines += _errors(vendors[0])
    sources = {key: source for surface in told for key, source in surface.sources.items()}
    lines += ["## Sources", "", *(f"- `{key}`: {source.what}, read {source.read}" for key, source in sources.items()), ""]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _field(surface: Surface, field: Field) -> Iterator[list[str]]:
    """The lines for a field: one for each fate, with the cases and models that it is for."""
    held: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for generation, case in spoken(surface):
        if case.field == field.name and case.endpoint == field.endpoint:
            row = surface.row(case, generation)
            assert row is not None
            held.setdefault(_cells(row, case), {}).setdefault(case.name, []).append(generation)
    every = {name for told in held.values() for name in told}
    spelt = {case.name: _spelt(case) for case in field.cases}
    for cells, told in held.items():
        for generations, named in _together(told).items():
            shown = "" if set(named) == every else ", ".join(f"`{spelt[name]}`" for name in named)
            models = "" if len(generations) == len(_asked(surface, field)) else ", ".join(f"`{name}`" for name in generations)
            yield [f"`{field.name}`", shown, models, *cells]


def _spelt(case: Case) -> str:
    """A short value as it is, for anything else the name that the list of fields has for it."""
    value = case.body.get(case.field)
    return _value(value) if isinstance(value, bool | int | float | str) and len(str(value)) < SHORT else case.name


def _together(told: Mapping[str, list[str]]) -> dict[tuple[str, ...], list[str]]:
    """The cases by the models they are for."""
    made: dict[tuple[str, ...], list[str]] = {}
    for name, generations in told.items():
        made.setdefault(tuple(generations), []).append(name)
    return made


def _asked(surface: Surface, field: Field) -> list[str]:
    return [name for name, one in surface.generations.items() if one.of(field.endpoint)]


def _cells(row: Row, case: Case) -> tuple[str, ...]:
    why = "; ".join(filter(None, (row.why, row.silent, *(WORK[work] for work in row.work))))
    return (row.fate + (", unsaid" if row.silent else ""), _sent(row, case), why, f"`{row.source}`")


def _sent(row: Row, case: Case) -> str:
    if row.fate == "refused":
        return ""
    told = {**(row.sends or {}), **row.but}
    if row.to is not None and not told:
        return f"`{row.wire or case.field}`: `{_value(row.to)}`"
    if row.wire and not told:
        return f"`{row.wire}`"
    shown = [_place(path, value) for path, value in told.items()]
    return "; ".join(shown[:MOST_SHOWN]) + (" …" if len(shown) > MOST_SHOWN else "")


def _place(path: str, value: Any) -> str:
    if value == GONE:
        return f"without `{path}`"
    return f"`{path}`" + (f": `{_value(value)}`" if path != "url" else f" `{value}`")


def _value(value: Any) -> str:
    if isinstance(value, str) and value.startswith("~"):
        return "… " + value.removeprefix("~Be brief.").strip("*").replace("`", "") + " …"
    if value == "$output":
        return "most of the model"
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)
    text = " ".join(text.split())
    return (text if len(text) <= 40 else text[:39] + "…") or '""'


# ---- errors ----


def _errors(vendor: str) -> list[str]:
    rows = error_rows(vendor)
    if not rows:
        return []
    several = len({row.surface for row in rows}) > 1
    head = [*(["Surface"] if several else []), "Code", "HTTP", "Means", "Kind", "OpenAI's", "Asked again", "Whose", "Source"]
    return ["## Errors", "", *_table(head, [[*([row.surface] if several else []), *_error(row)] for row in rows]), ""]


def _error(row: ErrorRow) -> list[str]:
    again = ("after a fresh credential" if row.renewed else "yes" if row.retryable else "no") + (
        f", after {row.wait:g} s" if row.wait else ""
    )
    answer = f"{row.openai_status} `{row.openai_code}`, {row.openai_class}"
    return [f"`{row.code}`", str(row.status or ""), row.means, row.kind, answer, again, row.fault, row.source]


# ---- Markdown ----


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    return [_line(names), "|" + "---|" * len(names), *map(_line, rows)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Writes the pages, and removes those of vendors that are no more."""
    made = pages()
    (ROOT / FOLDER).mkdir(exist_ok=True)
    for path in (ROOT / FOLDER).glob("*.md"):
        if FOLDER / path.name not in made:
            path.unlink()
    for at, text in made.items():
        (ROOT / at).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
