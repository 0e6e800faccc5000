"""A streamed answer that has begun: its first chunks are in hand, the rest still on the wire. One, or several as the choices of one."""

import asyncio
from contextlib import suppress
from typing import Protocol

from gateway.deadline import Deadline
from gateway.emulation.whole import added, as_chunks
from gateway.upstream import Reply
from providers.base import SHAPELESS as SHAPELESS
from providers.base import Fault, Json, Stream

DONE = b"data: [DONE]"
FAREWELL = 1.0
"""Seconds that a provider which has said `[DONE]` has to end the body, so that its connection can be kept."""
LAST_WORDS = 5.0
"""Seconds that one whose choices have all finished has to tell the usage, and that it is done: some do neither."""


class Begun(Protocol):
    """An answer that is handed on as it comes."""

    first: list[Json]

    async def more(self) -> list[Json] | None:
        """The chunks of the next piece, perhaps none; None at the end. Raises Fault if the answer breaks off or stalls."""
        ...

    def rest(self) -> list[Json]:
        """What the end of the body completes. Raises Fault if the answer has not ended."""
        ...

    def close(self) -> None: ...


class Running:
    """An answer on its way from a provider."""

    __slots__ = ("_deadline", "_last", "_over", "_reply", "_stream", "alone", "first")

    def __init__(self, first: list[Json], stream: Stream, reply: Reply, deadline: Deadline, *, done: bool) -> None:
        self.first = first
        self._stream = stream
        self._reply = reply
        self._deadline = deadline
        self._last: list[Json] | None = None
        self._over = done
        """All is said; only the end of the body is missing."""
        self.alone = True
        """No other answer has the same deadline."""

    async def more(self) -> list[Json] | None:
        if self._over and (not self.alone or getattr(self._stream, "over", False)):
            return None
        try:
            piece = await self._reply.piece()
        except asyncio.CancelledError:
            if self.alone and (fault := self._deadline.expired()):
                return self._whole_in_spite_of(fault)
            raise
        except Fault as fault:
            return self._whole_in_spite_of(fault)
        if not piece:
            return None
        chunks = fed(self._stream, piece)
        if says_done(piece) or getattr(self._stream, "over", False):
            self._over = True
            if self.alone:  # nothing but the end of the body can come now, and some never send it
                self._deadline.stage("idle", FAREWELL)
        elif chunks:  # comments are not progress
            if self.alone and getattr(self._stream, "finished", False):
                self._deadline.soon(LAST_WORDS)
            else:
                self._deadline.progress()
        return chunks

    def _whole_in_spite_of(self, fault: Fault) -> list[Json] | None:
        """An answer that has given its reason to finish is whole, whatever comes of the connection. Raises the fault of another."""
        if getattr(self._stream, "unmarked", False):
            raise fault
        with suppress(Fault):  # raised in an `except`, the two faults would know each other, and wait for the garbage collector
            self._last = ended(self._stream)
            return None
        raise fault

    def rest(self) -> list[Json]:
        return ended(self._stream) if self._last is None else self._last

    def close(self) -> None:
        self._reply.close()


class Told:
    """An answer that came in one piece, told as a stream."""

    __slots__ = ("first",)

    def __init__(self, answer: Json) -> None:
        self.first = as_chunks(answer)

    async def more(self) -> list[Json] | None:
        return None

    def rest(self) -> list[Json]:
        return []

    def close(self) -> None:
        pass


class Together:
    """Several answers to one question, each as a choice: theirs is whichever piece comes next. One that fails fails all."""

    __slots__ = ("_answers", "_deadline", "_ended", "_tasks", "_usages", "first")

    def __init__(self, answers: list[Running], deadline: Deadline) -> None:
        self._answers = answers
        self._deadline = deadline
        self._usages: list[Json | None] = [None] * len(answers)
        self._tasks: dict[asyncio.Task[list[Json] | None], int] = {}
        self._ended: set[int] = set()
        for answer in answers:
            answer.alone = False
        self.first = [chunk for number, answer in enumerate(answers) for chunk in self._as_choice(number, answer.first)]

    async def more(self) -> list[Json] | None:
        waiting = set(self._tasks.values())
        for number, answer in enumerate(self._answers):
            if number not in self._ended and number not in waiting:
                self._tasks[asyncio.create_task(answer.more())] = number
        if not self._tasks:
            return None
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if fault := self._deadline.expired():
                return self._whole_in_spite_of(fault)
            raise
        chunks: list[Json] = []
        for task in done:
            number = self._tasks.pop(task)
            said = task.result()
            if said is None:
                self._ended.add(number)
                said = self._answers[number].rest()
            chunks += self._as_choice(number, said)
        return chunks

    def _whole_in_spite_of(self, fault: Fault) -> list[Json]:
        """As `Running._whole_in_spite_of`, of all that have not ended."""
        last: list[Json] = []
        for number, answer in enumerate(self._answers):
            if number not in self._ended:
                with suppress(Fault):
                    last += self._as_choice(number, answer.rest())
                    self._ended.add(number)
                if number not in self._ended:
                    raise fault
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        return last

    def rest(self) -> list[Json]:
        usage = added(self._usages)
        return [{"choices": [], "usage": usage}] if usage else []

    def close(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()  # it is not what the client is told, and no reason for a warning
            task.cancel()
        for answer in self._answers:
            answer.close()

    def _as_choice(self, number: int, chunks: list[Json]) -> list[Json]:
        """Chunks of answer `number` as of choice `number`. What it used is kept for the sum."""
        for chunk in chunks:
            if usage := chunk.pop("usage", None):
                self._usages[number] = usage
            for choice in chunk.get("choices") or ():
                choice["index"] = number
        return chunks


async def begin(stream: Stream, reply: Reply, deadline: Deadline, idle: float, head: bytes = b"") -> Running:
    """Reads up to the first chunk that says something. Until then the attempt may still fail unseen. Raises Fault.

    `head`: what has been read of the body."""
    first: list[Json] = []
    done = False
    while not any(map(says_something, first)):
        piece, head = head or await reply.piece(), b""
        if not piece:
            first += ended(stream)
            done = True
            break
        first += fed(stream, piece)
        done = says_done(piece) or getattr(stream, "over", False)
    if any(is_odd(choice) for chunk in first for choice in chunk.get("choices") or ()):
        raise Fault("broken", "the provider's answer is of no known form")
    deadline.stage("idle", FAREWELL if done else min(idle, LAST_WORDS) if getattr(stream, "finished", False) else idle)
    return Running(first, stream, reply, deadline, done=done)


def says_done(piece: bytes) -> bool:
    return piece[-20:].rstrip().endswith(DONE)


def fed(stream: Stream, piece: bytes) -> list[Json]:
    """`stream.feed`, where anything that is not of the form it should be is the provider's failure."""
    try:
        return stream.feed(piece)
    except SHAPELESS as exc:
        raise Fault("broken", "the provider's answer is of no known form") from exc


def ended(stream: Stream) -> list[Json]:
    try:
        return stream.end()
    except SHAPELESS as exc:
        raise Fault("broken", "the provider's answer is of no known form") from exc


FORMS = {"content": str, "refusal": str, "tool_calls": list, "function_call": dict}


def is_odd(choice: Json) -> bool:
    """Whether a choice's words are none that could be told: this must be known before anything has been."""
    delta = choice.get("delta") or {}
    return any(name in FORMS and value is not None and value.__class__ is not FORMS[name] for name, value in delta.items())


def says_something(chunk: Json) -> bool:
    """Whether a client could tell that an answer has begun: a word, a call, a reason to finish."""
    return any(
        choice.get("finish_reason") or any(value for name, value in (choice.get("delta") or {}).items() if name != "role")
        for choice in chunk.get("choices") or ()
    )
