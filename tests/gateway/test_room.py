"""Places for requests under way, and the line before them."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.room import Room

SOON, LONG = 0.05, 20.0


def run(test: Callable[[Room], Awaitable[None]]) -> None:
    asyncio.run(_with_a_limit(test))


async def _with_a_limit(test: Callable[[Room], Awaitable[None]]) -> None:
    async with asyncio.timeout(LONG):
        await test(Room())


async def started(waiting: Awaitable[bool]) -> "asyncio.Task[bool]":
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    return task


def test_there_are_as_many_places_as_it_says() -> None:
    room = Room()

    assert [room.enter(2) for _ in range(3)] == [True, True, False]
    assert room.taken == 2


def test_a_place_that_becomes_free_goes_to_who_has_waited_longest() -> None:
    async def test(room: Room) -> None:
        room.enter(1)
        first, second = await started(room.wait(9, LONG)), await started(room.wait(9, LONG))
        room.leave(1)

        assert await first
        assert not second.done()
        room.leave(1)
        assert await second
        room.leave(1)
        assert room.taken == 0

    run(test)


def test_the_line_has_an_end() -> None:
    async def test(room: Room) -> None:
        room.enter(1)
        first = await started(room.wait(1, LONG))

        assert not await room.wait(1, LONG)
        room.leave(1)
        assert await first

    run(test)


def test_nobody_waits_for_ever() -> None:
    async def test(room: Room) -> None:
        room.enter(1)

        assert not await room.wait(9, SOON)
        room.leave(1)
        assert room.taken == 0
        assert room.enter(1)

    run(test)


def test_who_goes_away_is_passed_over() -> None:
    async def test(room: Room) -> None:
        room.enter(1)
        gone, next_ = await started(room.wait(9, LONG)), await started(room.wait(9, LONG))
        gone.cancel()
        await asyncio.sleep(0)
        room.leave(1)

        assert await next_
        assert room.taken == 1

    run(test)


def test_who_goes_away_with_a_place_in_hand_gives_it_on() -> None:
    async def test(room: Room) -> None:
        room.enter(1)
        gone, next_ = await started(room.wait(9, LONG)), await started(room.wait(9, LONG))
        room.leave(1)
        gone.cancel()  # before it has run again

        assert await next_
        assert gone.cancelled()
        room.leave(1)
        assert room.taken == 0

    run(test)


def test_with_fewer_places_than_before_nobody_enters_until_enough_have_left() -> None:
    async def test(room: Room) -> None:
        room.enter(2)
        room.enter(2)
        waiting = await started(room.wait(9, LONG))
        room.leave(1)
        await asyncio.sleep(0)
        assert not waiting.done()

        room.leave(1)

        assert await waiting
        assert room.taken == 1

    run(test)
