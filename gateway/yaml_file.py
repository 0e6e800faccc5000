"""YAML as a deployer means it, with the line of every value: no duplicate keys, no surprises of YAML 1.1, no bombs."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

Place = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top."""

MOST_NODES = 200_000
DEEPEST = 100
PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in "map seq str null bool int float merge".split())


class Problem(Struct, frozen=True, order=True):
    """Something wrong in a file, said so that it can be mended."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class ConfigError(Exception):
    """Every problem of a configuration at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Document(Struct):
    """A file's data, and where in the file each value stands."""

    file: str
    data: Any
    lines: dict[Place, int]

    def problem(self, place: Place, message: str) -> Problem:
        """A problem with the value at `place`, or with the nearest thing around it that the file has."""
        at = place
        while at and at not in self.lines:
            at = at[:-1]
        return Problem(self.file, self.lines.get(at, 1), dotted(place), message)


def dotted(place: Place) -> str:
    """`models.gpt-4o.serve[0].use`"""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _Loader(yaml.CSafeLoader):
    """Knows true and false, not yes and no; and numbers, not the sexagesimal ones."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def load_yaml(path: Path) -> Document:
    """Raises ConfigError for what cannot be read or is not YAML."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {reason}")]) from exc
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Document:
    document = Document(file, None, {(): 1})
    loader = _Loader(text)
    try:
        _check_depth(text, file)
        node = loader.get_single_node()
        if node is not None:
            document.data = _Build(document, loader).value(node, ())
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 0
        raise ConfigError([Problem(file, line, "", f"is not YAML: {exc.problem or exc.context}")]) from exc
    except yaml.YAMLError as exc:
        raise ConfigError([Problem(file, 0, "", f"is not YAML: {str(exc).splitlines()[0]}")]) from exc
    finally:
        loader.dispose()
    return document


def _check_depth(text: str, file: str) -> None:
    """libyaml builds trees by recursion, and ends the process with one that is too deep; its events come one by one."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise ConfigError([Problem(file, line, "", "is nested too deeply")])


class _Build:
    """Values out of nodes, noting the line of each."""

    def __init__(self, document: Document, loader: _Loader) -> None:
        self.document = document
        self.loader = loader
        self.nodes = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        if self.nodes > MOST_NODES or len(place) > DEEPEST:
            raise ConfigError([Problem(self.document.file, line, "", "is too large, or refers to itself too often")])
        if node.tag not in PLAIN:
            raise ConfigError([Problem(self.document.file, line, dotted(place), f"the tag {node.tag} is not known here")])
        self.document.lines.setdefault(place, line)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except (ValueError, KeyError) as exc:
            raise ConfigError([Problem(self.document.file, line, dotted(place), "is not a value of the kind it seems to be")]) from exc

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError([Problem(self.document.file, line, dotted(place), "a key is a plain word, not a list or a map")])
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise ConfigError(
                    [Problem(self.document.file, line, dotted(place), "merge keys (<<) are not understood: use an alias whole")]
                )
            key = str(key_node.value)
            if key in made:
                raise ConfigError([Problem(self.document.file, line, dotted((*place, key)), "stands here twice")])
            self.document.lines[(*place, key)] = line
            made[key] = self.value(value_node, (*place, key))
        return made


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


ADDRESS: Place = ("files", "url")
"""Where `file:` says where files are to be, and is no reference to one."""


def fill_references(document: Document, environment: Mapping[str, str] = os.environ) -> list[Problem]:
    """Puts values in place of `${NAME}`, `${NAME:-default}` and `file:/path`, in place; tells of those that have none."""
    filling = _Filling(document, environment)
    document.data = filling.value(document.data, ())
    return filling.problems


class _Filling:
    """The document's values with what they refer to."""

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self.document = document
        self.environment = environment
        self.problems: list[Problem] = []

    def value(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            return {key: self.value(item, (*place, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*place, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if value.startswith("file:") and place != ADDRESS:
            try:
                return Path(value[5:]).read_text("utf-8").strip()
            except (OSError, ValueError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else "its name or its text is not UTF-8"
                self.problems.append(self.document.problem(place, f"the file {value[5:]} cannot be read: {reason}"))
                return value
        return _REFERENCE.sub(lambda found: self.known(found, place), value)

    def known(self, found: re.Match[str], place: Place) -> str:
        name, default = found[1], found[2]
        value = self.environment.get(name) or default
        if value is None:
            problem = f"the environment variable {name} is not set: set it, or write ${{{name}:-default}}"
            self.problems.append(self.document.problem(place, problem))
            return found[0]
        return value
