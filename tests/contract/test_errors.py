"""Every row of every vendor's table of errors, from a provider's socket to the exception of OpenAI's SDK.

All calls are made at once, against one gateway and one provider that answers what a case says; the tests look at what came of them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal, cast

import httpx
import openai
import pytest
from msgspec import Struct

from gateway.app import App
from gateway.errors_table import ErrorRow, error_rows
from providers.base import Json, Kind
from providers.load import FOLDERS, presets
from tests.conftest import KEY, NO_TLS, Background, Listening, Served, snapshot_of
from tests.contract.envelopes import SURFACES, Spoken, filled, zhipu_flat
from tests.gateway.provider import Make, failed, route

KEPT = {code: code for code in ("invalid_value", "invalid_image_url")}
"""Codes in the tables of a caller's mistake that are OpenAI's own: the client gets them as they are."""


class Told(Struct, frozen=True):
    """What a kind of fault means for a client, as the documentation promises it."""

    raises: type[openai.APIStatusError]
    status: int
    code: str
    again: bool
    """The same provider is asked once more."""
    whose: Literal["caller", "account", "provider", "content"]


PROMISED: dict[Kind, Told] = {
    "bad_request": Told(openai.BadRequestError, 400, "invalid_request", False, "caller"),
    "unsupported": Told(openai.BadRequestError, 400, "unsupported_parameter", False, "caller"),
    "too_long": Told(openai.BadRequestError, 400, "context_length_exceeded", False, "caller"),
    "refused": Told(openai.BadRequestError, 400, "content_filter", False, "content"),
    "no_model": Told(openai.NotFoundError, 404, "model_not_found", False, "account"),
    "auth": Told(openai.InternalServerError, 502, "upstream_auth", False, "account"),
    "quota": Told(openai.RateLimitError, 429, "insufficient_quota", False, "account"),
    "rate_limited": Told(openai.RateLimitError, 429, "rate_limit_exceeded", True, "account"),
    "overloaded": Told(openai.InternalServerError, 503, "overloaded", True, "provider"),
    "timeout": Told(openai.InternalServerError, 504, "timeout", True, "provider"),
    "broken": Told(openai.InternalServerError, 502, "upstream_broken", True, "provider"),
}

pytestmark = pytest.mark.timeout(240)  # of the first test, which waits for all calls; where other work goes on beside it

Mode = Literal["plain", "under200", "first", "mid"]
MODES: tuple[Mode, ...] = ("under200", "first", "mid")


class Case(Struct, frozen=True):
    id: str
    at: Spoken
    kind: Kind
    status: int
    body: bytes
    mode: Mode = "plain"
    retries: int = 0
    renewed: bool = False
    wait: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    says: str = "words of the provider's own"


class Outcome(Struct):
    error: Any = None
    chunks: list[Any] = []
    asked: int = 0
    raw: str = ""


WORDS = "words of the provider's own"
PRESETS = presets()


def code_of(row: ErrorRow) -> str:
    """A code of the family where the row is for a whole one."""
    return row.code.replace(".*", ".SomethingNew")


def preset_surfaces() -> list[tuple[Spoken, int]]:
    """Presets that differ in how they tell errors, with the status of all their errors if there is one."""
    found: dict[str, tuple[Spoken, int]] = {}
    for name, preset in PRESETS.items():
        told = preset.simulator
        if told.envelope and not any(place in str(told.envelope) for place in ("$code", "$number")):
            continue  # it tells no codes
        form = told.envelope or {"error": {"message": "$message", "type": "", "param": None, "code": "$code"}}
        known = json.dumps([preset.chat.errors, form, preset.chat.outcome], default=str)
        found.setdefault(known, (Spoken(name, preset.surface, "a-model", partial(filled, form)), told.status))
    return list(found.values())


def rows_of(at: Spoken) -> list[ErrorRow]:
    return [row for row in error_rows(at.vendor) if row.surface in ("", at.table)]


def cases() -> Iterator[Case]:
    for at, only in (*((at, 0) for at in SURFACES), *preset_surfaces()):
        name = f"{at.vendor}-{at.surface}"
        told: set[Kind] = set()
        for row in rows_of(at):
            code, status = code_of(row), row.status or only or 400
            body = json.dumps(at.envelope(code, WORDS), ensure_ascii=False).encode()
            case = Case(f"{name}-{status}-{code}", at, row.kind, status, body, retries=1, renewed=row.renewed, wait=row.wait)
            yield case
            if row.kind in told or (row.status and at.vendor in PRESETS) or (row.kind, row.status) == ("bad_request", 400):
                continue  # one of each kind, whose code is enough to know it by
            told.add(row.kind)
            for mode in MODES if at.vendor not in PRESETS or at.vendor == "deepseek" else MODES[:1]:
                yield Case(f"{name}-{mode}-{code}", at, row.kind, 200, body, mode, renewed=row.renewed, wait=row.wait)
        if at.vendor not in PRESETS or at.vendor == "deepseek":  # one of them for all: it does not matter which table there is
            yield from garbage(at, name)
    yield from sundry()
    for number in ("1305", "1261"):
        kind: Kind = "rate_limited" if number == "1305" else "too_long"
        yield Case(f"zhipu-flat-{number}", SURFACES[0], kind, 429, json.dumps(zhipu_flat(number, WORDS)).encode())
        yield Case(f"zhipu-flat-200-{number}", SURFACES[0], kind, 200, json.dumps(zhipu_flat(number, WORDS)).encode(), "under200")


def sundry() -> Iterator[Case]:
    """Codes that only words tell apart, those of nobody's table, and waits that a reply names."""
    for vendor, surface, code, status, words, kind in WORDED:
        at = next(at for at in SURFACES if (at.vendor, at.surface) == (vendor, surface))
        body = json.dumps(at.envelope(code, words), ensure_ascii=False).encode()
        for mode, told in (("plain", status), ("under200", 200)):
            yield Case(f"{vendor}-{surface}-{mode}-{code}-{words[:20]}", at, kind, told, body, cast(Mode, mode), says=words)
    for at in SURFACES:
        body = json.dumps(at.envelope("999999", f"{WORDS} from https://internal.example.com/x with sk-abcdef0123456789")).encode()
        for status, kind in STATUSES:
            yield Case(f"{at.vendor}-{at.surface}-unknown-{status}", at, kind, status, body, says=f"{WORDS} from *** with ***")
        busy = json.dumps(at.envelope("999999", WORDS)).encode()
        yield Case(f"{at.vendor}-{at.surface}-wait", at, "rate_limited", 429, busy, retries=0, wait=77, headers=(("retry-after", "77"),))


WORDED: tuple[tuple[str, str, str, int, str, Kind], ...] = (
    ("alibaba", "compatible", "invalid_parameter_error", 400, "Range of input length should be [1, 30720]", "too_long"),
    ("alibaba", "native", "InvalidParameter", 400, "Range of input length should be [1, 30720]", "too_long"),
    ("alibaba", "native", "InvalidParameter", 400, "Model not exist.", "no_model"),
    ("alibaba", "native", "InternalError.Algo.InvalidParameter", 500, "Range of input length should be [1, 6000]", "too_long"),
    ("alibaba", "native", "InternalError.Algo.InvalidParameter", 500, "bad field", "bad_request"),
    ("alibaba", "compatible", "insufficient_quota", 429, "Free allocated quota exceeded.", "quota"),
    ("alibaba", "native", "Throttling.AllocationQuota", 429, "Free allocated quota exceeded.", "quota"),
    ("sensetime", "native", "8", 429, "account balance is insufficient", "quota"),
    ("sensetime", "native", "8", 429, "rate limit exceeded", "rate_limited"),
    ("sensetime", "native", "7", 403, "账户欠费", "quota"),
    ("sensetime", "token_plan", "7", 403, "blocked by risk control", "refused"),
    ("sensetime", "token_plan", "3", 400, "the prompt exceeds the context length", "too_long"),
    ("baichuan", "v1", "invalid_parameter_error", 400, "This model's maximum context length is 32768 tokens", "too_long"),
    ("baichuan", "v1", "invalid_request_error", 400, "considered high risk", "refused"),
    ("qihoo360", "v1", "400", 400, "输入内容包含敏感信息", "refused"),
    ("qihoo360", "v1", "400", 400, "the prompt is too long", "too_long"),
)
STATUSES: tuple[tuple[int, Kind], ...] = (
    (400, "bad_request"), (401, "auth"), (402, "quota"), (403, "auth"), (404, "no_model"), (422, "bad_request"), (429, "rate_limited"),
    (451, "refused"), (500, "overloaded"), (529, "overloaded"), (200, "broken"),
)  # fmt: skip


GARBAGE: tuple[tuple[str, int, bytes, Kind], ...] = (
    ("html", 502, b"<html><body><h1>502 Bad Gateway</h1>nginx</body></html>", "overloaded"),
    ("html", 503, b"<html><body>Service Unavailable</body></html>", "overloaded"),
    ("html", 504, b"<html><body>Gateway Time-out</body></html>", "timeout"),
    ("html", 200, b"<html><body>Welcome</body></html>", "broken"),
    ("empty", 500, b"", "overloaded"),
    ("empty", 429, b"", "rate_limited"),
    ("empty", 200, b"", "broken"),
    ("cut", 500, b'{"error": {"code": "1', "overloaded"),
    ("cut", 200, b'{"id": "c1", "choices": [{"index": 0, "mess', "broken"),
)  # fmt: skip


def garbage(at: Spoken, name: str) -> Iterator[Case]:
    """What comes from a proxy in front of the vendor, or from one that has lost its head."""
    for what, status, body, kind in GARBAGE:
        yield Case(f"{name}-{what}-{status}", at, kind, status, body, "under200" if status == 200 else "plain", says="")


CASES = tuple({case.id: case for case in cases()}.values())


class Canned:
    """A provider, as an ASGI application: the first part of the path is the number of the case that it answers."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self._heard: dict[int, asyncio.Event] = {}
        self._loop = asyncio.get_running_loop()

    def hear(self, number: int) -> None:
        """The client has the first words of the case's stream. Called from the client's thread."""
        self._loop.call_soon_threadsafe(self._heard[number].set)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        first, *rest = scope["path"].strip("/").split("/")
        if rest[-1] == "token":
            return await reply(send, 200, b'{"access_token": "24.a-token", "expires_in": 2592000}')
        case = CASES[int(first)]
        self.asked[int(first)] += 1
        if case.mode in ("first", "mid"):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
            if case.mode == "mid":
                self._heard[int(first)] = heard = asyncio.Event()
                await send({"type": "http.response.body", "body": event(json.dumps(case.at.word()).encode()), "more_body": True})
                await heard.wait()
            await send({"type": "http.response.body", "body": event(case.body)})
            return
        kind = "text/html" if case.body.startswith(b"<") else "application/json"
        return await reply(send, case.status, case.body, kind, *case.headers)


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


async def reply(send: Any, status: int, body: bytes, kind: str = "application/json", *headers: tuple[str, str]) -> None:
    named = (("content-type", kind), ("content-length", str(len(body))), *headers)
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in named]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def outcomes(background: Background) -> Iterator[dict[str, Outcome]]:
    """What came of every case, by its id. An account of its own for each: none is rested, or short of retries, for another's sake."""
    canned = background.run(canned_here())
    provider = Listening(background, canned)
    accounts: Json = {}
    models: Json = {}
    for number, case in enumerate(CASES):
        accounts[f"c{number}"] = {
            "vendor": case.at.vendor, "surface": case.at.surface, "jurisdiction": "cn-mainland", "base_url": f"{provider.url}/{number}",
            **case.at.secrets,
        }  # fmt: skip
        models[f"m{number}"] = {"serve": [f"c{number}/{case.at.model}"], "retry": {"max": case.retries}}
    records: SimpleQueue[Any] = SimpleQueue()
    app = App(snapshot_of({"providers": accounts, "models": models}), sinks=(records.put,))
    background.run(app.open())
    served = Listening(background, app)
    found = asyncio.run(all_of(served.url, canned.hear))
    for number, case in enumerate(CASES):
        found[case.id].asked = canned.asked[number]
    yield found
    served.close()
    provider.close()


async def canned_here() -> Canned:
    return Canned()


async def all_of(url: str, hear: Callable[[int], None]) -> dict[str, Outcome]:
    shares = await asyncio.gather(*(some_of(url, hear, range(start, len(CASES), CLIENTS)) for start in range(CLIENTS)))
    return {CASES[number].id: outcome for share in shares for number, outcome in share}


async def some_of(url: str, hear: Callable[[int], None], numbers: range) -> list[tuple[int, Outcome]]:
    """What comes of these cases, some at a time: the pool of a client looks at every connection for every request."""
    room = asyncio.Semaphore(AT_ONCE)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=20, verify=NO_TLS) as http,
        openai.DefaultAsyncHttpxClient(trust_env=False, timeout=20, verify=NO_TLS) as own,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, http_client=own) as client,
    ):
        outcomes = await asyncio.gather(*(one(client, http, room, hear, number) for number in numbers))
    return list(zip(numbers, outcomes, strict=True))


CLIENTS, AT_ONCE = 16, 8


async def one(
    client: openai.AsyncOpenAI, http: httpx.AsyncClient, room: asyncio.Semaphore, hear: Callable[[int], None], number: int
) -> Outcome:
    """A call by the SDK; for one kind of broken stream, one more that looks at the bytes up to their end, which the SDK does not."""
    outcome = Outcome(chunks=[])
    asked: Any = {"model": f"m{number}", "messages": [{"role": "user", "content": "Hello"}]}
    async with room:
        try:
            if CASES[number].mode in ("first", "mid"):
                async for chunk in await client.chat.completions.create(**asked, stream=True):
                    outcome.chunks.append(chunk)
                    hear(number)
            else:
                await client.chat.completions.create(**asked)
        except openai.APIError as error:
            outcome.error = error
        if CASES[number].mode == "mid" and CASES[number].kind == "overloaded":
            url, headers = f"{client.base_url}chat/completions", {"authorization": f"Bearer {KEY}"}
            async with http.stream("POST", url, json={**asked, "stream": True}, headers=headers) as reply:
                async for text in reply.aiter_text():
                    outcome.raw += text
                    hear(number)
    return outcome


@pytest.mark.parametrize("case", [case for case in CASES if case.mode != "mid"], ids=lambda case: case.id)
def test_an_error_of_a_provider_is_the_right_exception(case: Case, outcomes: dict[str, Outcome]) -> None:
    told, outcome = PROMISED[case.kind], outcomes[case.id]
    error: Any = outcome.error
    body: Any = error.body
    attempts = 1 + (1 if case.renewed or (told.again and case.retries) else 0)

    assert type(error) is told.raises
    kept = KEPT.get(case.id.rpartition("-")[2])
    assert (error.status_code, error.code) == (told.status, kept if case.kind == "bad_request" and kept else told.code)
    assert outcome.asked == attempts
    headers = error.response.headers
    assert headers["x-banjia-attempts"] == str(attempts)
    no_retry = not told.again or case.kind == "timeout" or attempts > 1
    assert headers.get("x-should-retry") == ("false" if no_retry else None)
    assert headers.get("retry-after") == (None if case.wait is None else f"{case.wait:.0f}")
    assert case.says in body["message"]
    assert body.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("case", [case for case in CASES if case.mode == "mid"], ids=lambda case: case.id)
def test_an_error_after_the_first_words_ends_the_stream_as_an_error(case: Case, outcomes: dict[str, Outcome]) -> None:
    told, outcome = PROMISED[case.kind], outcomes[case.id]

    assert type(outcome.error) is openai.APIError
    assert outcome.error.code == told.code
    assert WORDS in outcome.error.message
    assert "".join(choice.delta.content or "" for chunk in outcome.chunks for choice in chunk.choices) == "Once"
    assert all(choice.finish_reason is None for chunk in outcome.chunks for choice in chunk.choices)
    if case.kind == "overloaded":
        assert "[DONE]" not in outcome.raw
        assert json.loads(outcome.raw.rstrip().rpartition("data: ")[2])["error"]["code"] == told.code


def test_a_wait_until_a_time_of_day_reaches_the_client_in_seconds(gateway: Callable[..., Served], provider: Make) -> None:
    at, until = "date: Mon, 23 Nov 2026 08:00:00 GMT", "retry-after: Mon, 23 Nov 2026 08:01:30 GMT"
    one = provider(failed(429, "busy", at, until))

    told = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 2})}).chat()

    assert (told.status_code, told.headers["retry-after"], len(one.requests)) == (429, "90", 1)


# ---- the tables ----


def test_there_is_a_table_of_what_is_promised_for_each_kind_that_a_table_names() -> None:
    rows = [row for vendor in set(FOLDERS) | PRESETS.keys() for row in error_rows(vendor)]

    assert {row.kind for row in rows} <= PROMISED.keys()
    for row in rows:
        told = PROMISED[row.kind]
        kept = KEPT.get(row.code) if row.kind == "bad_request" else None
        assert (row.openai_status, row.openai_class, row.openai_code) == (told.status, told.raises.__name__, kept or told.code)
        assert (row.retryable, row.fault) == (told.again, told.whose)


def test_the_tables_of_the_chinese_vendors_are_long_and_every_row_has_its_source() -> None:
    rows = {vendor: error_rows(vendor) for vendor in ("zhipu", "baidu", "sensetime", "alibaba", "baichuan", "qihoo360")}

    assert {vendor: len(found) for vendor, found in rows.items()} == {
        "zhipu": 48, "baidu": 75, "sensetime": 40, "alibaba": 76, "baichuan": 11, "qihoo360": 4,
    }  # fmt: skip
    for vendor in FOLDERS:
        assert [row.code for row in error_rows(vendor) if not row.source] == []
    assert [row.code for preset in PRESETS for row in error_rows(preset) if not row.source] == []


def test_an_unknown_vendor_has_no_table() -> None:
    with pytest.raises(KeyError):
        error_rows("nobody")
