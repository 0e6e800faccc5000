"""What a job is. Nothing here knows the engine."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct

T = TypeVar("T")
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Steps(Protocol):
    """The steps of one job."""

    async def do(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Does a step in the event loop that serves, and writes down what came of it, which has to be JSON. A job that goes on after a
        crash takes what is written down instead of doing it again; so a step that was under way at that moment is done twice, and has to
        be one that may be."""


class Job(Struct, frozen=True):
    """What runs under a name. A job does its work in steps, in the same order whenever it is given the same, for that is how it goes on
    after a crash; a job whose steps have changed takes another name."""

    name: str
    run: Callable[[Steps, Any], Awaitable[Any]]
    """Given the steps and what `start` was given, or when it was due by the schedule, as text; returns JSON. Runs in a loop of the engine's
    own: all that belongs to the gateway's is done in steps."""
    every: str = ""
    """When it starts by itself, on one replica of all: minute, hour, day, month and weekday as cron has them, in UTC."""
    at_once: int = 0
    """How many runs of it one replica has under way, apart from those of other jobs. 0: they share the places of all jobs."""


class Run(Struct, frozen=True):
    """One run of a job."""

    id: str
    job: str
    state: State
    result: Any = None
    error: str = ""
