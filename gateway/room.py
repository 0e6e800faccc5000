"""How many requests are under way, and the line of those that wait for one to end."""

import asyncio


class Room:
    """Places and a queue, both with a bound. Who waits longest is next."""

    __slots__ = ("_waiting", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self._waiting: dict[asyncio.Future[None], None] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self, most: int) -> bool:
        """Takes a place, if there is one of `most`. Who is given one has to `leave` it."""
        if self.taken >= most:
            return False
        self.taken += 1
        return True

    async def wait(self, most: int, seconds: float) -> bool:
        """Takes a place that becomes free within so many seconds, if fewer than `most` are waiting."""
        if len(self._waiting) >= most:
            return False
        place = asyncio.get_running_loop().create_future()
        self._waiting[place] = None
        try:
            await asyncio.wait((place,), timeout=seconds)
        except asyncio.CancelledError:
            if place.done():
                self._pass_on()
            raise
        finally:
            self._waiting.pop(place, None)
        return place.done()

    def leave(self, most: int) -> None:
        """Gives a place back. With more taken than `most`, as a reload may have it, nobody gets it."""
        if self.taken > most:
            self.taken -= 1
        else:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._waiting:
            place = next(iter(self._waiting))
            del self._waiting[place]
            place.set_result(None)
        else:
            self.taken -= 1
