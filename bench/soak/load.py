"""The clients of a soak: requests at a steady rate, each of which knows what has to come of it."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any

import aiohttp
from msgspec import DecodeError, Struct, field
from msgspec.json import decode

from bench.setup import KEY, MODEL
from bench.soak.faults import FAULTS, NONE, SAYS, SHARE, Fault
from bench.soak.provider import WORDS

WEIGHTS = [one.weight for one in FAULTS]
STREAMS = 0.4
"""Of the requests."""
PATIENCE = 30.0
"""Seconds after which an answer has not come."""
KEPT = 2.0
"""Seconds for which an unused connection is kept: aiohttp takes the one first that has rested longest, and after a burst would keep all."""
LEAVES_AFTER = 0.1
"""Seconds for which the impatient wait: less than the provider takes for them."""
FIRST_EVENTS = 5
"""After so many pieces of a stream some leave."""
MOST_TOLD = 20


class Tally(Struct):
    """What has come of the requests."""

    asked: Counter[str] = field(default_factory=Counter)
    """By fault."""
    answered: Counter[str] = field(default_factory=Counter)
    """Whole and right, by fault."""
    told: Counter[str] = field(default_factory=Counter)
    """Honest errors, by fault."""
    left: set[str] = field(default_factory=set)
    """Request ids of clients that went in the middle of an answer."""
    impatient: set[str] = field(default_factory=set)
    """Those of clients that went before it: perhaps before the gateway had read what they asked."""
    whole: set[str] = field(default_factory=set)
    """Those of answers that came whole."""
    failed: set[str] = field(default_factory=set)
    """Those that had an error."""
    unexplained: list[str] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        if len(self.unexplained) < MOST_TOLD:
            self.unexplained.append(what)


class Wrong(Exception):
    """An answer that is neither right nor an honest error."""


class Error(Exception):
    """An error in OpenAI's words, by its code."""


class Load:
    def __init__(self, url: str, seed: int) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._random = random.Random(seed)
        self.tally = Tally()
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def capacity(self, seconds: float, clients: int = 32) -> float:
        """Requests a second that are answered when there is always one more waiting. Faults are left out."""
        end = monotonic() + seconds
        done = 0

        async def again(session: aiohttp.ClientSession) -> None:
            nonlocal done
            while monotonic() < end:
                await self._one(session, NONE)
                done += 1

        async with self._session() as session:
            await asyncio.gather(*(again(session) for _ in range(clients)))
        return done / seconds

    async def run(self, rate: float, seconds: float) -> None:
        """So many requests a second, whether the ones before are answered or not; over when all are."""
        start = monotonic()
        async with self._session() as session:
            for number in range(int(rate * seconds)):
                due = start + number / rate
                if (wait := due - monotonic()) > 0:
                    await asyncio.sleep(wait)
                fault = self._random.choices(FAULTS, WEIGHTS)[0] if self._random.random() < SHARE else NONE
                task = asyncio.create_task(self._one(session, fault))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            while self._tasks:
                await asyncio.wait(self._tasks)

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        headers = {"authorization": f"Bearer {KEY}"}
        return aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar())

    async def _one(self, session: aiohttp.ClientSession, fault: Fault) -> None:
        self._number += 1
        number, tally = self._number, self.tally
        stream = self._random.random() < STREAMS if fault.stream is None else fault.stream
        known_as = f"soak-{number}"
        body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": f"{SAYS} {fault.name} {number}"}]}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        tally.asked[fault.name] += 1
        try:
            await self._ask(session, fault, body, known_as, f"w{number} " * WORDS)
        except Error as exc:
            tally.failed.add(known_as)
            if str(exc) in fault.codes:
                tally.told[fault.name] += 1
            else:
                tally.wrong(f"{known_as} with the fault {fault.name}: {exc}")
        except Exception as exc:  # whatever it is, it is told
            tally.failed.add(known_as)
            tally.wrong(f"{known_as} with the fault {fault.name}, {'stream' if stream else 'plain'}: {exc!r}")

    async def _ask(self, session: aiohttp.ClientSession, fault: Fault, body: dict[str, Any], known_as: str, text: str) -> None:
        if fault.name == "impatient":
            try:
                async with asyncio.timeout(LEAVES_AFTER), session.post(self._url, json=body, headers={"x-request-id": known_as}) as answer:
                    raise Wrong(f"an answer with {answer.status} that the provider has not given")
            except TimeoutError:
                self.tally.impatient.add(known_as)
                return
        async with session.post(self._url, json=body, headers={"x-request-id": known_as}) as answer:
            if answer.status != 200:
                raise Error(str(decode(await answer.read())["error"]["code"]))
            if fault.leaves:
                for _ in range(FIRST_EVENTS):
                    await answer.content.readany()
                self.tally.left.add(known_as)
                answer.close()
                return
            raw = await answer.read()
        if "stream" in body:
            said_in_events(raw, text)
        else:
            said_at_once(raw, text)
        if fault.codes and not fault.once:
            raise Wrong("an answer that looks whole and cannot be")
        self.tally.whole.add(known_as)
        self.tally.answered[fault.name] += 1


def said_at_once(raw: bytes, text: str) -> None:
    try:
        answer = decode(raw)
    except DecodeError as exc:
        raise Wrong(f"no JSON: {raw[:300]!r}") from exc
    choice = answer["choices"][0]
    if choice["message"]["content"] != text or choice["finish_reason"] != "stop" or answer["usage"]["completion_tokens"] != WORDS:
        raise Wrong(f"another answer: {raw[:300]!r}")


def said_in_events(raw: bytes, text: str) -> None:
    """Raises Error for one that says so itself, and Wrong for one that neither ends nor says why."""
    *events, rest = raw.split(b"\n\n")
    lines = [one.removeprefix(b"data: ") for one in events]
    chunks: Sequence[Any] = [decode(one) for one in lines if one != b"[DONE]"]
    finishes = [choice["finish_reason"] for one in chunks for choice in one.get("choices", ()) if choice.get("finish_reason")]
    errors = [one["error"] for one in chunks if "error" in one]
    if errors:
        if finishes or len(errors) > 1 or "error" not in chunks[-1]:
            raise Wrong(f"a stream that fails and goes on: {raw[-600:]!r}")
        raise Error(str(errors[0]["code"]))
    words = "".join(choice["delta"].get("content") or "" for one in chunks for choice in one["choices"])
    usages = [one["usage"] for one in chunks if one.get("usage")]
    ended = not rest and lines[-1:] == [b"[DONE]"] and lines.count(b"[DONE]") == 1 and finishes == ["stop"]
    if not ended or words != text or len(usages) != 1 or usages[0]["completion_tokens"] != WORDS:
        raise Wrong(f"a stream that is not whole: {raw[-600:]!r}")
