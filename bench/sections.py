"""The sections there are, and what they are called."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench import growth
from bench.core import core
from bench.latency import latency, streams
from bench.memory import PAUSE, memories
from bench.options import Options
from bench.servers import free_ports, module, running
from bench.subjects import Subject, all_served
from bench.tables import Section


class Kind(Struct, frozen=True):
    name: str
    about: str
    measure: Callable[[Options, Path, Sequence[Subject]], Section]


@contextmanager
def provided(*arguments: str) -> Iterator[int]:
    """A provider that runs; its port."""
    (port,) = free_ports(1)
    with running(module("bench.upstream", str(port), *arguments), port):
        yield port


def _core(options: Options, folder: Path, subjects: Sequence[Subject]) -> Section:
    with provided() as port, all_served(folder, subjects, port, every=False) as servers:
        return core(options, folder, servers)


def _latency(options: Options, folder: Path, subjects: Sequence[Subject]) -> Section:
    with provided() as port, all_served(folder, subjects, port, every=False) as servers:
        return latency(options, servers, port)


def _streams(options: Options, folder: Path, subjects: Sequence[Subject]) -> Section:
    with provided("--stamped") as port, all_served(folder, subjects, port, every=False) as servers:
        return streams(options, servers, port)


def _memory(options: Options, folder: Path, subjects: Sequence[Subject]) -> Section:
    with provided("--pause", str(PAUSE)) as port:
        return memories(options, folder, subjects, f"http://127.0.0.1:{port}")


def _growth(measure: Callable[[Options, Path, int], Section]) -> Callable[[Options, Path, Sequence[Subject]], Section]:
    """Of ours alone, whoever else is there."""

    def section(options: Options, folder: Path, _: Sequence[Subject]) -> Section:
        with provided() as port:
            return measure(options, folder, port)

    return section


SECTIONS = (
    Kind("core", "CPU per plain request, per stream and per event; requests a second on one core", _core),
    Kind("latency", "what is added to a plain answer at fixed rates", _latency),
    Kind("streams", "what is added to the first event of a stream, and to each", _streams),
    Kind("memory", "idle, and with streams open", _memory),
    Kind("size", "CPU by size of the request", _growth(growth.by_size)),
    Kind("keys", "by number of teams and keys", _growth(growth.by_keys)),
    Kind("routes", "by number of routes", _growth(growth.by_routes)),
    Kind("rows", "by rows of usage in the database", _growth(growth.by_rows)),
    Kind("workers", "by workers, over Valkey", _growth(growth.by_workers)),
    Kind("replicas", "by replicas, over PostgreSQL and Valkey", _growth(growth.by_replicas)),
)
GROUPS = {
    "growth": ["size", "keys", "routes", "rows", "workers", "replicas"],
    "all": [one.name for one in SECTIONS],
}


def chosen(names: Sequence[str]) -> list[Kind]:
    """By their names, or those of groups. Raises ValueError with what there is."""
    wanted = [name for asked in names for name in GROUPS.get(asked, [asked])]
    known = {one.name: one for one in SECTIONS}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"there is no section {unknown[0]}: there are {', '.join([*known, *GROUPS])}")
    return [known[name] for name in dict.fromkeys(wanted)]
