"""The only registry: which vendors there are, on which surfaces, and who simulates them."""

from collections.abc import Callable, Mapping
from importlib import import_module

from providers.base import Adapter
from providers.simulation import Simulator, World

FOLDERS = ("zhipu", "baidu", "sensetime", "alibaba", "baichuan", "openai_compatible")
"""Vendors that have code of their own, each in a folder of its name with `SURFACES`: its adapters, the default one first."""

SIMULATED = ("zhipu", "baidu", "sensetime", "alibaba", "baichuan")


def load() -> Mapping[str, Mapping[str, Adapter]]:
    """Every adapter, by vendor and surface. A vendor's first surface is its default."""
    return {name: {adapter.surface: adapter for adapter in import_module(f"providers.{name}.adapter").SURFACES} for name in FOLDERS}


def simulator(vendor: str) -> Callable[[World], Simulator]:
    """Who stands for the vendor. Raises KeyError for one that is not simulated."""
    if vendor not in SIMULATED:
        raise KeyError(vendor)
    made: Callable[[World], Simulator] = import_module(f"providers.{vendor}.simulator").SIMULATOR
    return made
