"""The catalog: what is known of models, and which stand in for OpenAI's names. It is shipped; a deployer's rows come on top."""

from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field

from gateway.globs import Globs
from gateway.settings import Block
from providers.base import Model


class Source(Block):
    what: str
    read: date


class Tier(Block):
    up_to: int | None = None
    """Most tokens of prompt that this tier is for."""
    input: str
    """Per million tokens, as are the others."""
    output: str | None = None
    cached: str | None = None


class Price(Block):
    currency: str
    tiers: list[Tier]
    source: str
    as_of: date
    note: str | None = None


class Dimensions(Block):
    default: int
    allowed: list[int] = []
    any: bool = False
    """Any width up to the default."""

    def all(self) -> tuple[int, ...]:
        return tuple(range(1, self.default + 1)) if self.any else tuple(self.allowed)


class ModelRow(Block):
    kind: Literal["chat", "embedding"]
    surfaces: list[str] = []
    context: int = 0
    output: int = 0
    input: list[str] = ["text"]
    tools: bool | None = None
    json_: Literal["none", "object", "schema"] | None = Field(None, alias="json")
    thinking: Literal["none", "switch", "effort", "always"] | None = None
    dimensions: Dimensions | None = None
    batch: int = 0
    endpoint: str = ""
    native_path: str = ""
    retired: date | None = None
    unconfirmed: list[str] = []
    price: Price | None = None
    source: str | None = None
    as_of: date | None = None
    note: str | None = None

    def live(self, today: date) -> bool:
        return self.retired is None or self.retired > today

    def facts(self, model_id: str, tokenizer: str = "") -> Model:
        """What translators and simulators are told of it."""
        return Model(
            model_id,
            kind=self.kind,
            context=self.context,
            output=self.output,
            input=tuple(self.input),
            tools=self.tools,
            json=self.json_ or "",
            thinking=self.thinking or "",
            dimensions=self.dimensions.default if self.dimensions else 0,
            allowed_dimensions=self.dimensions.all() if self.dimensions else (),
            batch=self.batch,
            endpoint=self.endpoint or self.native_path,
            surfaces=tuple(self.surfaces),
            tokenizer=tokenizer,
        )


class ModelsFile(Block):
    """catalog/models/*.yaml"""

    schema_: Literal["banjia/models.v1"] = Field(alias="schema")
    vendor: str
    sources: dict[str, Source] = {}
    tokenizers: dict[str, Literal["cl100k", "o200k", "qwen", "qwen3.5"]] = {}
    """By glob of the model's id, the first that fits: what counts its tokens, where that is known."""
    models: dict[str, ModelRow]

    def tokenizer(self, model_id: str) -> str:
        return next((name for glob, name in self.tokenizers.items() if fnmatchcase(model_id, glob)), "")


def _entry(value: dict[str, Any]) -> dict[str, Any]:
    for name, said in value.items():
        if name == "defaults":
            right, wanted = isinstance(said, dict), "fields and their values"
        elif name == "kind":
            right, wanted = said in ("chat", "embedding"), "chat or embedding"
        else:
            right, wanted = isinstance(said, list) and all(isinstance(one, str) for one in said), "a list of models"
        if not right:
            raise ValueError(f"{name}: expected {wanted}")
    return value


class EquivalentsFile(Block):
    """catalog/equivalents.yaml: OpenAI's name → kind, defaults, and for each vendor the models that stand in for it, the best first."""

    schema_: Literal["banjia/equivalents.v1"] = Field(alias="schema")
    models: dict[str, Annotated[dict[str, Any], AfterValidator(_entry)]]


class Catalog(Struct, frozen=True):
    models: Mapping[str, Mapping[str, Model]]
    """By vendor and id."""
    equivalents: Mapping[str, Mapping[str, tuple[str, ...]]]
    """OpenAI's name or glob → vendor → models."""
    defaults: Globs[Mapping[str, Any]]
    """OpenAI's name or glob → fields that its requests get where the client leaves them out. GPT-4o does not think before it answers; what
    stands in for it should not either, unless it is asked to."""

    def facts(self, vendor: str, model_id: str) -> Model:
        """What is known of the model, if only its name."""
        return self.models.get(vendor, {}).get(model_id) or Model(model_id)


def shipped() -> Path:
    """The folder of what is shipped: in the wheel inside the package, in a checkout beside it."""
    inside = Path(__file__).parent / "_config"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "config"
