"""What `state.url` may say."""

import subprocess
import sys

import pytest

from gateway.state.memory import Memory
from gateway.state.opening import shared, state_of


def test_memory_is_one_processes_own() -> None:
    assert isinstance(state_of("memory://"), Memory)
    assert not shared("memory://")


@pytest.mark.parametrize(
    "url", ["valkey://127.0.0.1:6379/0", "valkeys://state.example:6379/1", "redis://127.0.0.1", "rediss://:secret@127.0.0.1"]
)
def test_what_processes_share_is_named_by_its_address(url: str) -> None:
    assert state_of(url).degraded == ""
    assert shared(url)


def test_another_scheme_is_refused_with_what_would_do() -> None:
    with pytest.raises(ValueError, match=r"neither memory:// nor an address such as valkey://"):
        state_of("memcached://127.0.0.1")


def test_the_client_library_is_loaded_only_where_it_is_used() -> None:
    script = "import sys; from gateway.state.opening import state_of; state_of('memory://'); sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
