"""One clock over a whole call."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from gateway.deadline import Deadline, Ticker
from providers.base import Fault

T = TypeVar("T")
FOREVER = 3600.0


def timed(total: float, work: Callable[[Deadline], Awaitable[T]]) -> T:
    """What `work` gives, under a deadline."""

    async def main() -> T:
        deadline = Deadline(total, Ticker(asyncio.get_running_loop()))
        try:
            return await work(deadline)
        finally:
            deadline.close()

    return asyncio.run(main())


async def fault_of(deadline: Deadline) -> Fault | None:
    """Waits until something cancels; the Fault it stands for."""
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        return deadline.expired()
    return None


def test_a_stage_that_passes_is_a_timeout_with_its_settings_name() -> None:
    async def work(deadline: Deadline) -> Fault | None:
        deadline.stage("first_token", 0.1)
        return await fault_of(deadline)

    fault = timed(FOREVER, work)

    assert fault is not None
    assert (fault.kind, fault.message) == ("timeout", "the provider was silent for longer than `timeouts.first_token`, 0.1 s")


def test_the_total_passes_whatever_the_stage() -> None:
    async def work(deadline: Deadline) -> tuple[Fault | None, float]:
        deadline.stage("idle", FOREVER)
        return await fault_of(deadline), deadline.left()

    fault, left = timed(0.1, work)

    assert fault is not None
    assert "timeouts.total" in fault.message
    assert left <= 0


def test_progress_begins_the_stage_anew() -> None:
    async def work(deadline: Deadline) -> int:
        deadline.stage("idle", 0.5)
        for _ in range(8):
            await asyncio.sleep(0.1)
            deadline.progress()
        return 8

    assert timed(FOREVER, work) == 8


def test_after_a_timeout_the_task_goes_on_and_can_be_timed_again() -> None:
    async def work(deadline: Deadline) -> list[Fault | None]:
        deadline.stage("first_token", 0.1)
        first = await fault_of(deadline)
        await asyncio.sleep(0)
        deadline.stage("idle", 0.1)
        return [first, await fault_of(deadline)]

    assert [fault.kind if fault else None for fault in timed(FOREVER, work)] == ["timeout", "timeout"]


def test_somebody_elses_cancellation_is_not_a_timeout() -> None:
    async def work(deadline: Deadline) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            assert deadline.expired() is None
            raise

    with pytest.raises(asyncio.CancelledError):
        timed(FOREVER, work)


def test_a_call_that_is_over_is_left_alone() -> None:
    async def main() -> int:
        ticker = Ticker(asyncio.get_running_loop())
        deadline = Deadline(0.05, ticker)
        deadline.close()
        await asyncio.sleep(0.3)
        return 1

    assert asyncio.run(main()) == 1


def test_a_longer_total_can_be_given_on_the_way() -> None:
    async def work(deadline: Deadline) -> float:
        deadline.stage("idle", FOREVER)
        deadline.extend(FOREVER)
        await asyncio.sleep(0.3)
        return deadline.left()

    assert timed(0.1, work) > 1000


def test_a_deadline_is_made_in_the_task_it_watches() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[BaseException] = loop.create_future()

        def outside() -> None:
            try:
                Deadline(1, Ticker(loop))
            except RuntimeError as exc:
                failed.set_result(exc)

        loop.call_soon(outside)
        assert "watches a task" in str(await failed)

    asyncio.run(main())
