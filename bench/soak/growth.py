"""What may be more after minutes of load than before them."""

from typing import Any

from msgspec import Struct, field

MORE_MEMORY, OF_A_MINUTE, OF_A_FILE = 1.0, 0.05, 0.04
"""MiB that the memory of the second half may be above that of the first; for each minute, in which SQLite's caches fill up to their bounds;
and for each descriptor that was open at its busiest moment beyond the first half's: when the machine halts the gateway, requests pile up,
and what they have needed the allocator keeps."""
MORE = {"blocks": (5_000, 0.1), "objects": (2_000, 0.03)}
"""How many more blocks of memory and objects there may be, and for each request. A statement of the database that is made for the first
time stays, with a hundred or two; a job that runs for the first time has some thousand."""
MORE_FILES = 32
"""Descriptors that may be more: connections to providers are kept for a while."""


class Look(Struct):
    """The gateway while nothing is asked."""

    files: int
    memory: float
    held: dict[str, Any]


class Watch(Struct):
    """The gateway while it is asked: MiB resident and open descriptors, look by look."""

    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def risen(self) -> float:
        """MiB by which the middle of the second half is above that of the first."""
        half = len(self.memory) // 2
        return sorted(self.memory[half:])[half // 2] - sorted(self.memory[:half])[half // 2] if half else 0.0

    def burst(self) -> int:
        """Descriptors that were open at the second half's busiest moment beyond the first's."""
        half = len(self.files) // 2
        return max(0, max(self.files[half:], default=0) - max(self.files[:half], default=0))


def grown(before: Look, after: Look, watch: Watch, minutes: float, requests: int) -> list[str]:
    """What is more than it may be after so many minutes and requests."""
    found = []
    let_pass = MORE_MEMORY + OF_A_MINUTE * minutes + OF_A_FILE * watch.burst()
    if watch.risen() > let_pass:
        found.append(f"memory has grown by {watch.risen():.1f} MiB from one half to the other: {let_pass:.1f} are let pass")
    if after.files > before.files + MORE_FILES:
        found.append(f"{after.files} descriptors are open, {before.files} were before")
    for what, (some, of_a_request) in MORE.items():
        if after.held[what] > before.held[what] + some + of_a_request * requests:
            more = ", ".join(f"{name} +{count}" for name, count in difference(before.held, after.held).items())
            found.append(f"{after.held[what]} {what}, {before.held[what]} before: {more}")
    return found


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """What there is more of, the most first: types of objects, and lines of code if they were traced."""
    found = {name: count - before[of].get(name, 0) for of in ("types", "lines") if of in before for name, count in after[of].items()}
    return {name: more for name, more in sorted(found.items(), key=lambda one: -one[1])[:10] if more > 0}
