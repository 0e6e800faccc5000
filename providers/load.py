"""The only registry: which vendors there are, on which surfaces, and who simulates them. Reads presets, and does no other I/O."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from providers.base import Adapter
from providers.preset import Preset, read_presets
from providers.preset_adapter import make_adapter
from providers.simulation import Simulator, World

FOLDERS = ("zhipu", "baidu", "sensetime", "alibaba", "baichuan", "qihoo360", "openai", "azure_openai", "openai_compatible")
"""Vendors that have code of their own, each in a folder of its name with `SURFACES`: its adapters, the default one first."""

SIMULATED = ("zhipu", "baidu", "sensetime", "alibaba", "baichuan", "qihoo360", "openai", "azure_openai", "openai_compatible")

PRESETS = Path(__file__).with_name("presets.yaml")


@cache
def load() -> Mapping[str, Mapping[str, Adapter]]:
    """Every adapter that is shipped, by vendor and surface. A vendor's first surface is its default."""
    folders = {name: {adapter.surface: adapter for adapter in import_module(f"providers.{name}.adapter").SURFACES} for name in FOLDERS}
    return {**folders, **_made(presets())}


def load_with(own: Path) -> Mapping[str, Mapping[str, Adapter]]:
    """The same, with a deployer's own presets over them. Raises ValueError that says what is wrong where."""
    return {**load(), **_made(presets(own))}


def _made(found: Mapping[str, Preset]) -> dict[str, Mapping[str, Adapter]]:
    made = (make_adapter(preset) for preset in found.values())
    return {adapter.vendor: {adapter.surface: adapter} for adapter in made}


def simulator(vendor: str) -> Callable[[World], Simulator]:
    """Who stands for the vendor. Raises KeyError for one that is not simulated."""
    if vendor in SIMULATED:
        made: Callable[[World], Simulator] = import_module(f"providers.{vendor}.simulator").SIMULATOR
        return made
    return partial(import_module("providers.preset_simulator").PresetSimulator, presets()[vendor])


def presets(own: Path | None = None) -> Mapping[str, Preset]:
    """By name: those that are shipped, or a file's, which may be `like` those. Raises ValueError that says what is wrong where."""
    document = _read(PRESETS)
    names = document["presets"].keys()
    if own is not None:
        more = _read(own)
        names = more["presets"].keys()
        document = {**document, **more, "presets": {**document["presets"], **more["presets"]}}
    found = {name: preset for name, preset in read_presets(document).items() if name in names}
    if clash := found.keys() & set(FOLDERS):
        raise ValueError(f"preset `{min(clash)}`: there is a folder of this name")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506  # it is a safe loader
    except yaml.YAMLError as exc:
        raise ValueError(f"{path.name}: {exc}") from exc
    if not isinstance(document, dict) or not isinstance(document.get("presets"), dict):
        raise ValueError(f"{path.name}: the file of presets has two keys: common and presets")
    return document


class _Loader(yaml.CSafeLoader):
    """Refuses a key that stands twice in a map."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands here twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
