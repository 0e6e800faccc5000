"""The loop over hops and attempts, with providers that are small classes with a script."""

import asyncio
import time
from collections.abc import Mapping
from itertools import pairwise

import pytest

from gateway.deadline import Deadline, Ticker
from gateway.routing.attempt import Attempts
from gateway.routing.begun import says_something
from gateway.routing.health import Health
from gateway.routing.plan import Plan
from gateway.routing.trail import Trail
from gateway.settings import Retry, Timeouts
from gateway.snapshot import Account, Hop, Route, digest
from providers.base import Fault, Json, Outgoing
from tests.conftest import KEY, snapshot_of

GOOD = b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'


class Said:
    """A reply that is all there."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.closed = False
        self._body = body

    async def piece(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def read(self, most: int = 1 << 20) -> bytes:
        return self._body

    def close(self) -> None:
        self.closed = True


class Scripted:
    """An upstream that gives what its script says: a Fault to raise, or a reply."""

    def __init__(self, *script: Fault | Said) -> None:
        self.script = list(script)
        self.given: list[Said] = []
        self.forgot: list[str] = []
        self.asked: list[tuple[str, float]] = []

    async def send(self, account: Account, request: Outgoing, connect: float) -> Said:
        self.asked.append((account.name, time.monotonic()))
        said = self.script.pop(0)
        if isinstance(said, Fault):
            raise said
        self.given.append(said)
        return said

    def refused(self, account: Account, reply: object, fault: Fault) -> bool:
        return False

    def forget(self, account: Account) -> None:
        self.forgot.append(account.name)


def reply(status: int = 200, body: bytes = GOOD, **headers: str) -> Said:
    return Said(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def hops(names: str, retry: Retry) -> Plan:
    accounts = {name: {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": "http://127.0.0.1:1/v1"} for name in names}
    snapshot = snapshot_of({"providers": accounts})
    assert digest(KEY) in snapshot.keys
    route = Route("m", "test", retry=retry, timeouts=Timeouts())
    found: tuple[Hop, ...] = tuple(snapshot.hop(account, "x", "chat", route) for account in snapshot.accounts.values())
    return Plan(found)


def tried(upstream: Scripted, names: str = "ab", *, most: int = 2, total: float = 60.0, cap: float = 30.0) -> tuple[Trail, Fault | None]:
    """(the trail, the fault it ended in) of a plain request."""
    trail = Trail(time.perf_counter())
    plan = hops(names, Retry(max=most, retry_after_cap=f"{cap}s"))

    async def main() -> Fault | None:
        deadline = Deadline(total, Ticker(asyncio.get_running_loop()))
        body: Json = {"model": "m", "messages": []}
        try:
            begun = await Attempts(upstream, Health(), deadline, trail, strict=False).stream(plan, body)
            begun.close()
        except Fault as fault:
            return fault
        finally:
            deadline.close()
        return None

    return trail, asyncio.run(main())


WORDS = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def stream(body: bytes = WORDS) -> Said:
    return reply(200, body, content_type="text/event-stream")


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "unreachable", "broken"])
def test_these_faults_are_tried_again_on_the_same_hop_and_then_on_the_next(kind: str) -> None:
    upstream = Scripted(*(Fault(kind, "no", retry_after=0.0) for _ in range(3)), stream())  # type: ignore[arg-type]  # all are kinds

    trail, fault = tried(upstream)

    assert fault is None
    assert [name for name, _ in upstream.asked] == ["a", "a", "a", "b"]
    assert trail.attempts == 4
    assert trail.faults == [f"a/x: {kind}"] * 3


@pytest.mark.parametrize("kind", ["unsupported", "no_model", "auth", "quota", "timeout"])
def test_these_faults_go_to_the_next_hop_at_once(kind: str) -> None:
    upstream = Scripted(Fault(kind, "no"), stream())  # type: ignore[arg-type]

    _, fault = tried(upstream)

    assert fault is None
    assert [name for name, _ in upstream.asked] == ["a", "b"]


@pytest.mark.parametrize("kind", ["bad_request", "too_long", "refused"])
def test_these_faults_end_it(kind: str) -> None:
    upstream = Scripted(Fault(kind, "no"))  # type: ignore[arg-type]

    _, fault = tried(upstream)

    assert fault is not None
    assert fault.kind == kind


def test_the_last_fault_is_the_one_that_is_told() -> None:
    upstream = Scripted(Fault("quota", "first"), Fault("auth", "last"))

    _, fault = tried(upstream)

    assert (fault and fault.message) == "last"


def test_a_stale_credential_is_renewed_once_without_counting_as_a_retry() -> None:
    upstream = Scripted(Fault("auth", "expired", stale=True), Fault("auth", "expired", stale=True))

    _, fault = tried(upstream, "a", most=0)

    assert upstream.forgot == ["a"]
    assert len(upstream.asked) == 2
    assert fault is not None


def test_pauses_between_attempts_grow() -> None:
    upstream = Scripted(*(Fault("overloaded", "no") for _ in range(4)))

    tried(upstream, "a", most=3)

    moments = [at for _, at in upstream.asked]
    pauses = [after - before for before, after in pairwise(moments)]
    assert [pause >= least for pause, least in zip(pauses, (0.025, 0.05, 0.1), strict=True)] == [True, True, True]


def test_a_wait_that_the_provider_asks_for_is_not_begun_where_the_call_would_be_over() -> None:
    upstream = Scripted(Fault("rate_limited", "slow", retry_after=20.0), stream())
    began = time.monotonic()

    _, fault = tried(upstream, "ab", total=10.0)

    assert fault is None
    assert [name for name, _ in upstream.asked] == ["a", "b"]
    assert time.monotonic() - began < 5


def test_time_that_is_up_in_a_pause_is_a_timeout() -> None:
    upstream = Scripted(*(Fault("overloaded", "no") for _ in range(9)))

    _, fault = tried(upstream, "a", most=8, total=0.5)

    assert fault is not None
    assert fault.kind in ("timeout", "overloaded")


def test_a_reply_that_fails_is_let_go_of() -> None:
    bad = [reply(400, b"{}"), stream(b"data: <html>\n\n"), stream(b""), reply(200, b"{}", content_type="application/json")]
    for one in bad:
        tried(Scripted(one), "a", most=0)

    assert [one.closed for one in bad] == [True] * 4


@pytest.mark.parametrize(
    ("chunk", "says"),
    [
        ({"choices": []}, False),
        ({"choices": [{"delta": {}}]}, False),
        ({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, False),
        ({"choices": [{"delta": {"content": None}, "finish_reason": None}]}, False),
        ({"usage": {"prompt_tokens": 1}, "choices": []}, False),
        ({"choices": [{"delta": {"content": "x"}}]}, True),
        ({"choices": [{"delta": {"reasoning_content": "x"}}]}, True),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, True),
        ({"choices": [{"delta": {}, "finish_reason": "stop"}]}, True),
    ],
)
def test_an_answer_has_begun_with_its_first_word_call_thought_or_end(chunk: Json, says: bool) -> None:
    assert says_something(chunk) is says
