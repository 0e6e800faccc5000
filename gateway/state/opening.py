"""Which state an address names."""

from urllib.parse import urlsplit

from gateway.state.base import State
from gateway.state.memory import Memory

SHARED = ("valkey", "valkeys", "redis", "rediss", "unix")
"""Schemes; those that end in s are encrypted."""


def state_of(url: str) -> State:
    """Raises ValueError. Nothing is connected yet."""
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return Memory()
    if scheme in SHARED:
        from gateway.state.valkey import Valkey  # its client library is not needed by those who keep all in memory

        return Valkey(url)
    raise ValueError(f"state.url: {url!r} is neither memory:// nor an address such as valkey://127.0.0.1:6379/0")


def shared(url: str) -> bool:
    """Whether several processes may count together there."""
    return urlsplit(url).scheme in SHARED
