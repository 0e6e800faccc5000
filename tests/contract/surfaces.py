"""Every surface of every vendor with what is declared of it, and its adapter."""

from functools import cache

from providers.base import Adapter, Translator
from providers.load import FOLDERS, load
from tests.contract.fidelity import Surface, declared
from tests.contract.preset_fates import declared_presets


@cache
def surfaces() -> tuple[Surface, ...]:
    """Those of vendors with folders, then the presets."""
    folders = (surface for vendor in FOLDERS for surface in declared(vendor).values())
    return (*folders, *declared_presets())


def adapter(surface: Surface) -> Adapter:
    return load()[surface.vendor][surface.name]


def translator(surface: Surface, endpoint: str) -> Translator:
    return adapter(surface).endpoints[endpoint]
