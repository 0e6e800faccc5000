"""The documentation against the code: what a page lists is what there is, and what it shows works."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import click
import pytest
import yaml
from click.testing import CliRunner
from msgspec import Struct
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from gateway import settings
from gateway.catalog import EquivalentsFile, ExchangeFile, FilingsFile, ModelsFile, shipped
from gateway.cli import main
from gateway.config import load_catalog, parse, read
from gateway.routing.verdicts import VERDICTS
from gateway.settings import Block, Breaker, GatewayFile, TeamFile
from gateway.simulate import ACCOUNTS
from gateway.yaml_file import Document, fill_references, parse_yaml
from providers import simulation
from providers.load import SIMULATED, load, presets
from providers.preset import PLAIN_WORDS, WORDS, Chat, Embeddings, Preset, Simulated, read_presets
from providers.preset_adapter import make_adapter

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")])


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


# ---- markdown ----


class Fence(Struct, frozen=True):
    """A code block: what is between the fences."""

    language: str
    text: str
    line: int


def fences(text: str) -> list[Fence]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [Fence(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in found]


def prose(text: str) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.M | re.S)


def headings(text: str) -> list[tuple[int, str]]:
    return [(len(match[1]), match[2].strip()) for match in re.finditer(r"^(#+) (.+)$", prose(text), re.M)]


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next heading of any level."""
    lines = iter(text.splitlines())
    for line in lines:
        if re.fullmatch(rf"#+ {re.escape(heading)}", line):
            break
    else:
        raise LookupError(f"there is no heading {heading!r}")
    kept: list[str] = []
    fenced = False
    for line in lines:
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"#+ ", line):
            break
        kept.append(line)
    return "\n".join(kept)


def rows(text: str) -> list[list[str]]:
    """The cells of every table, without its head."""
    tables = re.findall(r"(?:^\|.*\n?)+", prose(text) + "\n", re.M)
    return [_cells(line) for table in tables for line in table.strip().splitlines()[2:]]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def codes(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


# ---- commands ----


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(main, "banjia"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_with_its_help_as_it_is_printed(command: str) -> None:
    told = CliRunner().invoke(main, [*command.split()[1:], "--help"], prog_name="banjia", terminal_width=100).output

    blocks = fences(section(page("docs/commands.md"), f"`{command}`"))

    assert blocks[0].text == told
    assert [block.language for block in blocks[1:3]] == ["sh", "text"], "an example, and what it prints"
    assert command in blocks[1].text


def test_no_command_is_described_that_there_is_not() -> None:
    described = {codes(heading)[0] for level, heading in headings(page("docs/commands.md")) if level == 2 and "`" in heading}

    assert described == set(COMMANDS)


# ---- settings ----

SECTIONS: dict[type[Block], str] = {
    GatewayFile: "gateway.yaml",
    Breaker: "`breaker`",
    settings.Waiver: "`policy.exceptions[]`",
    settings.Moderation: "`moderation`",
    settings.Server: "`server`",
    settings.Admin: "`admin`",
    settings.Account: "`providers.NAME`",
    settings.Defaults: "`defaults`",
    settings.Timeouts: "`timeouts`",
    settings.Retry: "`retry`",
    settings.Route: "`models.NAME`",
    settings.Hop: "`serve[]` and `fallback[]`",
    settings.When: "`when`",
    settings.StreamOptions: "`stream`",
    settings.Credential: "`credentials[]`",
    settings.AccountLimits: "Limits of an account",
    TeamFile: "teams/*.yaml",
    settings.Key: "`keys[]`",
    settings.Policy: "`policy`",
    settings.Storage: "`storage`",
    settings.Files: "`files`",
    settings.Responses: "`responses`",
    settings.TeamResponses: "`responses` of a team",
    settings.State: "`state`",
    settings.Grant: "`grants[]`",
    settings.Limits: "`limits`",
    settings.Budget: "`budget`",
    settings.PerUser: "`per_user`",
}


def blocks_of(model: type[Block], seen: dict[type[Block], None] | None = None) -> dict[type[Block], None]:
    """The model and every block below it."""
    seen = {} if seen is None else seen
    if model in seen:
        return seen
    seen[model] = None
    for field in model.model_fields.values():
        for below in _models(field.annotation, *field.metadata):
            blocks_of(below, seen)
    return seen


def _models(*types: Any) -> Iterator[type[Block]]:
    for kind in types:
        if isinstance(kind, type) and issubclass(kind, Block):
            yield kind
        else:
            yield from _models(*getattr(kind, "__args__", ()))


BLOCKS = blocks_of(TeamFile, blocks_of(GatewayFile))


def table_of(model: type[Block]) -> dict[str, list[str]]:
    return {codes(row[0])[0]: row for row in rows(section(page("docs/configuration.md"), SECTIONS[model]))}


def names(model: type[Block]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", BLOCKS, ids=lambda model: model.__name__)
def test_every_key_has_its_row_and_every_row_its_key(model: type[Block]) -> None:
    assert model in SECTIONS, "docs/configuration.md has no section of it"
    assert set(table_of(model)) == names(model)


@pytest.mark.parametrize("model", BLOCKS, ids=lambda model: model.__name__)
def test_every_default_is_the_one_that_the_row_says(model: type[Block]) -> None:
    table = table_of(model)

    for name, field in model.model_fields.items():
        said = table[field.alias or name][2]
        default = field.get_default(call_default_factory=True)
        if field.is_required():
            assert said == "required", name
        elif default is None or isinstance(default, Block):
            assert said == "–", name
        else:
            value = yaml.safe_load(codes(said)[0])
            assert TypeAdapter(_type(field)).validate_python(value) == default, name


def _type(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


# ---- errors ----


class Told(Struct, frozen=True):
    """An error of the gateway's own, as the code says it."""

    code: str | None
    status: int
    type: str


def refusals() -> set[Told]:
    """What every `Refusal(…)` of the gateway says, and every call of validate.invalid."""
    found: set[Told] = set()
    for path in (
        *map((ROOT / "gateway").joinpath, ("app.py", "connection.py", "accounting/limits.py")),
        *(ROOT / "gateway" / "api").glob("*.py"),
    ):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            given = {word.arg: word.value for word in node.keywords}
            if node.func.id == "Refusal" and isinstance(node.args[0], ast.Constant):
                status = ast.literal_eval(node.args[0])
                kind = ast.literal_eval(given.get("kind", ast.Constant("invalid_request_error")))
                found |= {Told(code, status, kind) for code in _words(given.get("code", ast.Constant(None)))}
            elif node.func.id == "Told":
                status, kind, code = node.args[:3]
                kinds = [kind.value] if isinstance(kind, ast.Constant) else ["requests", "tokens"]  # of the limit that is reached
                found |= {Told(ast.literal_eval(code), ast.literal_eval(status), str(kind)) for kind in kinds}
            elif node.func.id == "invalid":
                found |= {Told(code, 400, "invalid_request_error") for code in _words(node.args[2])}
    return found


def _words(node: ast.expr) -> list[str | None]:
    """The values that an expression may have: a `{…}` in them stands for anything."""
    match node:
        case ast.Constant():
            return [ast.literal_eval(node)]
        case ast.IfExp():
            return [*_words(node.body), *_words(node.orelse)]
        case ast.JoinedStr():
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)]
    return []


def test_every_refusal_of_the_gateway_has_its_row_and_every_row_its_refusal() -> None:
    listed = {
        Told(None if row[0] == "null" else codes(row[0])[0], int(row[1]), codes(row[2])[0])
        for row in rows(section(page("docs/errors.md"), "The gateway's own"))
    }
    known = refusals()
    open_ended = {told for told in known if told.code and "*" in told.code}

    def fits(row: Told, told: Told) -> bool:
        pattern = re.escape(told.code or "").replace(r"\*", r"\w+")
        return bool(row.code and re.fullmatch(pattern, row.code)) and (row.status, row.type) == (told.status, told.type)

    assert known - open_ended - listed == set()
    assert all(any(fits(row, told) for row in listed) for told in open_ended)
    assert {row for row in listed - known if not any(fits(row, told) for told in open_ended)} == set()


def test_every_kind_of_fault_has_the_row_of_its_verdict() -> None:
    table = [row[:7] for row in rows(section(page("docs/errors.md"), "What providers do"))]

    assert table == [
        [f"`{kind}`", str(it.status), f"`{it.type}`", f"`{it.code}`", "yes" if it.again else "no", "yes" if it.next else "no", it.fault]
        for kind, it in VERDICTS.items()
    ]


def test_the_codes_of_the_admin_api_are_those_of_its_page() -> None:
    tree = ast.parse((ROOT / "gateway/api/admin/routes.py").read_text("utf-8"))
    (table,) = (node.value for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "codes")
    assert table is not None

    listed = {int(row[0]): codes(row[1])[0] for row in rows(section(page("docs/errors.md"), "Of the admin API"))}

    assert listed == {400: "invalid_request"} | ast.literal_eval(table)


# ---- YAML ----


class Environment(dict[str, str]):
    """Has a value for every name."""

    def get(self, name: str, default: Any = None) -> Any:
        return f"{name}-0123456789abcdef"


BASE = """
schema: banjia/v1
providers:
  zhipu: {vendor: zhipu, jurisdiction: cn-mainland, api_key: id.secret}
  qianfan: {vendor: baidu, jurisdiction: cn-mainland, api_key: key}
  bailian: {vendor: alibaba, jurisdiction: cn-mainland, api_key: key}
  llama: {vendor: openai_compatible, jurisdiction: on-premises, base_url: "http://127.0.0.1:8000/v1", api_key: ""}
"""
TEAM = "{schema: banjia/team.v1, team: base, keys: [{name: base, key: sk-base}]}"
EXAMPLES = [
    pytest.param(block, id=f"{path.relative_to(ROOT)}:{block.line}")
    for path in PAGES
    for block in fences(path.read_text("utf-8"))
    if block.language == "yaml"
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_yaml_example_loads_as_the_file_that_its_first_line_names(block: Fence) -> None:
    named = re.match(r"# (\S+)", block.text)
    assert named, "its first line is a comment with the file's name"
    document = parse_yaml(block.text, named[1])
    problems = fill_references(document, Environment())
    match named[1].removeprefix("config/").split("/"):
        case [*_, "models", _]:
            parse(ModelsFile, document, problems)
        case [*_, "equivalents.yaml"]:
            parse(EquivalentsFile, document, problems)
        case [*_, "exchange.yaml"]:
            parse(ExchangeFile, document, problems)
        case [*_, "filings", _]:
            parse(FilingsFile, document, problems)
        case [*_, "teams", _]:
            read(parse_yaml(BASE, "base"), [over(TEAM, document)], load_catalog(shipped() / "none", problems), problems, load())
        case ["presets.yaml"]:
            shipped_too = yaml.safe_load(page("providers/presets.yaml"))
            for preset in read_presets({"common": shipped_too["common"], **document.data}).values():
                make_adapter(preset)
        case ["gateway.yaml"]:
            read(over(BASE, document), [parse_yaml(TEAM, "team")], load_catalog(shipped() / "none", problems), problems, load())
        case _:
            pytest.fail(f"nobody knows what {named[1]} is")

    assert problems == []


def over(base: str, document: Document) -> Document:
    """A fragment with what it needs to be a file; a whole file as it is."""
    if "schema" in document.data:
        return document
    whole = parse_yaml(base, document.file).data
    return Document(document.file, whole | document.data, document.lines)


# ---- pages ----

TARGETS = set(re.findall(r"^([a-z]+):.*## ", page("Makefile"), re.M))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_or_a_heading_leads_there(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text("utf-8"))):
        if re.match(r"https?:|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in map(slug, (text for _, text in headings(there.read_text("utf-8")))), target


def slug(heading: str) -> str:
    """The anchor that a heading has on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    said = [*codes(prose(text)), *(line for block in fences(text) if block.language == "sh" for line in block.text.splitlines())]

    assert {match[1] for line in said for match in re.finditer(r"\bmake ([a-z]+)", line)} <= TARGETS


def test_both_readmes_have_the_same_structure() -> None:
    english, chinese = page("README.md"), page("README.zh-CN.md")

    assert [level for level, _ in headings(chinese)] == [level for level, _ in headings(english)]
    assert [(b.language, b.text) for b in fences(chinese)] == [(b.language, b.text) for b in fences(english)]
    assert [sorted(codes("|".join(row))) for row in rows(chinese)] == [sorted(codes("|".join(row))) for row in rows(english)]
    assert [len(row) for row in rows(chinese)] == [len(row) for row in rows(english)]
    assert _links(chinese) - {"README.md"} == _links(english) - {"README.zh-CN.md"}


def _links(text: str) -> set[str]:
    return set(re.findall(r"\]\(([^)\s]+)\)", text))


def test_both_readmes_tell_the_same_numbers() -> None:
    def numbers(text: str) -> list[str]:
        return sorted(re.findall(r"BENCH|\d+(?:\.\d+)*", prose(text)))

    assert numbers(page("README.zh-CN.md")) == numbers(page("README.md"))


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]

    newest = next(text for level, text in headings(page("CHANGELOG.md")) if level == 2 and "Unreleased" not in text)

    assert re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", newest)


# ---- simulators ----


def test_every_simulator_is_listed_with_the_accounts_that_are_there_from_the_start() -> None:
    table = {codes(row[0])[0]: row[1] for row in rows(section(page("docs/simulators.md"), "Accounts"))}

    assert set(table) == set(SIMULATED)
    for vendor, accounts in ACCOUNTS.items():
        for account, secret in accounts.items():
            assert {account, secret} <= set(re.split(r"[ .]", " ".join(codes(table[vendor])))), vendor


def test_every_word_that_a_simulator_obeys_is_explained() -> None:
    listed = {codes(row[0])[0] for row in rows(page("docs/simulators.md"))}

    assert {*simulation.TROUBLES, simulation.UNSAFE_INPUT, simulation.UNSAFE_OUTPUT} <= listed


# ---- presets ----


def test_every_preset_is_listed_with_its_address() -> None:
    listed = {codes(row[0])[0]: row[1] for row in rows(section(page("docs/presets.md"), "Shipped"))}

    assert listed == {name: preset.base_url for name, preset in presets().items()}


def test_every_word_of_presets_is_explained_and_no_other() -> None:
    listed = {re.split(r"[{: ]+", codes(row[0])[0].lstrip("{"))[0] for row in rows(section(page("docs/presets.md"), "Words"))}

    assert listed == {*WORDS, *PLAIN_WORDS}


def test_every_key_of_presets_is_explained_and_no_other() -> None:
    listed = {codes(row[0])[0] for row in rows(section(page("docs/presets.md"), "Keys"))}
    shorthands = {"like", "all_native", "all_dropped"}

    known = {key for block in (Preset, Chat, Embeddings, Simulated) for key in block.__struct_fields__} - {"name"}

    assert listed == known | shorthands
