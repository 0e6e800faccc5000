"""Chat completions over sockets: what a client sees when providers fail, stall, break off, and when it leaves itself."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE, TEAM, Served
from tests.gateway.provider import (
    CHUNKED,
    DONE,
    END,
    HOLD,
    RESET,
    ROLE,
    STREAM,
    Json,
    Make,
    Step,
    account_at,
    answer,
    failed,
    piece,
    refusing,
    route,
    said,
    streamed,
    word,
)

Gateway = Callable[..., Served]
SECRET = "sk-abcdef0123456789abcdef"


def events(text: str) -> list[Any]:
    """The payloads of a stream, decoded where they are JSON."""
    payloads = [line.removeprefix("data: ") for line in text.split("\n") if line]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


def words(stream: list[Any]) -> str:
    deltas = [choice["delta"] for event in stream if isinstance(event, dict) for choice in event.get("choices") or ()]
    return "".join(delta.get("content") or "" for delta in deltas)


def alone(gateway: Gateway, provider: Make, *script: Step, **more: Any) -> Served:
    """A gateway whose model `m` is served by one provider with a script, tried once."""
    return gateway({"providers": {"p": provider(*script).account()}, "models": route("p/x", **more)})


def pair(gateway: Gateway, first: Json, second: Json, **more: Any) -> Served:
    """A gateway whose model `m` has one fallback."""
    return gateway({"providers": {"p": first, "q": second}, "models": route("p/x", "q/y", **more)})


# ---- whole answers ----


def test_an_answer_is_complete_in_openais_form(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))

    reply = served.chat()

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    told = reply.json()
    assert told.pop("created") > 1_700_000_000
    assert told == {
        "id": "chatcmpl-c1",
        "object": "chat.completion",
        "model": "x",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi", "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_the_headers_tell_who_answered_and_how_long_it_took(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said())

    headers = served.chat().headers

    assert headers["x-banjia-provider"] == "p"
    assert headers["x-banjia-model"] == "x"
    assert headers["x-banjia-attempts"] == "1"
    assert float(headers["x-banjia-overhead-ms"]) >= 0
    assert int(headers["openai-processing-ms"]) >= 0
    assert headers["x-request-id"].startswith("req_")


def test_the_provider_gets_its_own_key_and_model_and_nothing_of_the_clients_headers(gateway: Gateway, provider: Make) -> None:
    one = provider(said())
    served = gateway({"providers": {"p": one.account(headers={"x-of-account": "1"})}, "models": route("p/x")})

    served.chat(headers={"openai-organization": "org-secret", "cookie": "a=b", "x-forwarded-for": "10.0.0.1"})

    (asked,) = one.requests
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer provider-key"
    assert asked.headers["x-of-account"] == "1"
    assert asked.json["model"] == "x"
    assert {"openai-organization", "cookie", "x-forwarded-for"}.isdisjoint(asked.headers)
    assert served.key not in str(asked.headers) + asked.body.decode()


def test_nulls_are_the_same_as_leaving_a_field_out(gateway: Gateway, provider: Make) -> None:
    one = provider(said())
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    reply = served.chat(temperature=None, tools=None, stream=None, stop=None, seed=7)

    assert reply.status_code == 200
    assert one.requests[0].json == {"model": "x", "messages": [{"role": "user", "content": "Hello"}], "seed": 7}


# ---- failures before the first word ----

FAILURES: dict[str, Step] = {
    "reset": (RESET,),
    "closed-without-a-word": (),
    "half-a-head": (b"HTTP/1.1 200 OK\r\ncontent-ty",),
    "not-http": (b"220 smtp.example.com ESMTP\r\n",),
    "500": failed(500),
    "503": failed(503),
    "529": failed(529),
    "html-under-502": answer(502, b"<html>Bad gateway</html>"),
    "html-under-200": answer(200, b"<html>Please log in</html>"),
    "error-under-200": answer(200, {"error": {"message": "overloaded", "code": "server_error"}}),
    "no-choices": answer(200, {"id": "c1", "choices": []}),
    "empty-body": answer(200, b""),
    "cut-body": (b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"id":',),
    "429": failed(429, "slow down", code="rate_limit_exceeded"),
    "quota": failed(429, "no money", code="insufficient_quota"),
    "401": failed(401, code="invalid_api_key"),
    "403": failed(403),
    "404": failed(404, code="model_not_found"),
    "redirect": answer(302, b"", "location: http://127.0.0.1:1/"),
    "compressed": answer(200, b"\x1f\x8b\x08", "content-encoding: gzip"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_failure_of_the_providers_goes_to_the_fallback_unseen(gateway: Gateway, provider: Make, failure: str, stream: bool) -> None:
    bad, good = provider(FAILURES[failure]), provider(streamed("Good") if stream else said("Good"))
    served = pair(gateway, bad.account(), good.account())

    reply = served.chat(stream=stream)

    assert reply.status_code == 200
    assert reply.headers["x-banjia-provider"] == "q"
    assert reply.headers["x-banjia-attempts"] == "2"
    assert (words(events(reply.text)) if stream else reply.json()["choices"][0]["message"]["content"]) == "Good"
    assert len(bad.requests) == len(good.requests) == 1


def test_a_refused_connection_goes_to_the_fallback(gateway: Gateway, provider: Make) -> None:
    served = pair(gateway, account_at(refusing()), provider(said("Good")).account())

    reply = served.chat()

    assert reply.json()["choices"][0]["message"]["content"] == "Good"


GARBAGE: dict[str, Any] = {
    "choices-are-null": {"choices": [None]},
    "choices-are-text": {"choices": "abc"},
    "choices-are-an-object": {"choices": {"0": {}}},
    "message-is-text": {"choices": [{"message": "Hi", "finish_reason": "stop"}]},
    "calls-are-null": {"choices": [{"message": {"tool_calls": [None]}, "finish_reason": "stop"}]},
    "calls-are-text": {"choices": [{"message": {"tool_calls": "x"}, "finish_reason": "stop"}]},
    "usage-is-text": {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": "5"},
    "details-are-text": {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens_details": "5"}},
    "finish-is-an-object": {"choices": [{"message": {"content": "Hi"}, "finish_reason": {"type": "stop"}}]},
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_answer_of_no_known_form_is_the_providers_failure_not_the_gateways(gateway: Gateway, provider: Make, garbage: str) -> None:
    served = pair(gateway, provider(answer(200, GARBAGE[garbage])).account(), provider(said("Good")).account())

    reply = served.chat()

    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"] in ("Good", "Hi")


@pytest.mark.parametrize("event", [b'data: {"choices":[null]}\n\n', b'data: {"choices":[{"index":0,"delta":"Hi"}]}\n\n'])
def test_a_stream_of_no_known_form_is_the_providers_failure_not_the_gateways(gateway: Gateway, provider: Make, event: bytes) -> None:
    served = pair(gateway, provider((STREAM, event)).account(), provider(streamed("Good")).account())

    reply = served.chat(stream=True)

    assert words(events(reply.text)) == "Good"


@pytest.mark.parametrize(
    "cut",
    [(STREAM, ROLE), (CHUNKED, piece(ROLE)), (CHUNKED, piece(ROLE), RESET), (STREAM, b": waiting\n\n"), (STREAM, b"<html>"), (STREAM,)],
    ids=["proper-end", "no-end-mark", "reset", "only-comments", "html", "nothing"],
)
def test_an_answer_that_dies_before_its_first_word_fails_over_unseen(gateway: Gateway, provider: Make, cut: Step) -> None:
    served = pair(gateway, provider(cut).account(), provider(streamed("Go", "od")).account())

    reply = served.chat(stream=True)

    assert reply.headers["x-banjia-provider"] == "q"
    stream = events(reply.text)
    assert words(stream) == "Good"
    assert len({event["id"] for event in stream[:-1]}) == 1
    assert stream[-1] == "[DONE]"


def test_an_error_where_a_stream_was_asked_for_fails_over(gateway: Gateway, provider: Make) -> None:
    refused = answer(200, {"error": {"message": "busy", "code": "server_error"}})
    served = pair(gateway, provider(refused).account(), provider(streamed("Good")).account())

    reply = served.chat(stream=True)

    assert words(events(reply.text)) == "Good"


def test_a_callers_mistake_goes_to_no_fallback(gateway: Gateway, provider: Make) -> None:
    other = provider(said())
    served = pair(gateway, provider(failed(400, "messages[0] is wrong", code="bad")).account(), other.account())

    reply = served.chat()

    assert reply.status_code == 400
    assert reply.json() == {
        "error": {"message": "messages[0] is wrong", "type": "invalid_request_error", "param": None, "code": "invalid_request"}
    }
    assert other.requests == []


# ---- retries ----


def test_one_failure_is_tried_again_at_the_same_provider(gateway: Gateway, provider: Make) -> None:
    one = provider(failed(500), (RESET,), said("Good"))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 2})})

    reply = served.chat()

    assert reply.json()["choices"][0]["message"]["content"] == "Good"
    assert reply.headers["x-banjia-attempts"] == "3"
    assert len(one.requests) == 3


def test_attempts_on_one_provider_are_bounded_and_the_client_is_told_not_to_add_its_own(gateway: Gateway, provider: Make) -> None:
    one = provider(failed(500, "out of order"))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 1})})

    reply = served.chat()

    assert reply.status_code == 503
    assert reply.json()["error"] == {"message": "out of order", "type": "api_error", "param": None, "code": "overloaded"}
    assert reply.headers["x-should-retry"] == "false"
    assert len(one.requests) == 2


@pytest.mark.parametrize(
    ("status", "code", "told", "told_code"),
    [
        (400, None, 400, "invalid_request"),
        (401, None, 502, "upstream_auth"),
        (402, None, 429, "insufficient_quota"),
        (403, None, 502, "upstream_auth"),
        (404, None, 404, "model_not_found"),
        (429, "insufficient_quota", 429, "insufficient_quota"),
        (400, "context_length_exceeded", 400, "context_length_exceeded"),
        (400, "content_filter", 400, "content_filter"),
    ],
)
def test_what_no_retry_can_mend_is_asked_once(
    gateway: Gateway, provider: Make, status: int, code: str | None, told: int, told_code: str
) -> None:
    one = provider(failed(status, code=code))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 2})})

    reply = served.chat()

    assert (reply.status_code, reply.json()["error"]["code"]) == (told, told_code)
    assert reply.headers["x-should-retry"] == "false"
    assert len(one.requests) == 1


def test_retry_after_is_waited_for(gateway: Gateway, provider: Make) -> None:
    one = provider(failed(429, "slow", "retry-after-ms: 400"), said("Good"))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 1})})
    began = time.monotonic()

    reply = served.chat()

    assert reply.status_code == 200
    assert time.monotonic() - began >= 0.4


def test_a_retry_after_beyond_the_cap_is_handed_to_the_client_at_once(gateway: Gateway, provider: Make) -> None:
    one = provider(failed(429, "slow", "retry-after: 45"))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 2, "retry_after_cap": "30s"})})

    reply = served.chat()

    assert reply.status_code == 429
    assert reply.json()["error"]["code"] == "rate_limit_exceeded"
    assert reply.headers["retry-after"] == "45"
    assert "x-should-retry" not in reply.headers
    assert len(one.requests) == 1


def test_a_slow_failure_is_not_tried_again_where_only_fast_ones_are(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD, *failed(500)))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 2, "only_if_failed_within": "0s"})})
    one.let_go()

    reply = served.chat()

    assert reply.status_code == 503
    assert len(one.requests) == 1


# ---- time ----


def test_a_total_that_passes_is_told_as_a_timeout(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD,))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"total": "300ms"})})

    reply = served.chat()

    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "timeout"
    assert "timeouts.total" in reply.json()["error"]["message"]
    assert one.left.wait(PATIENCE)


def test_a_total_that_passes_between_two_attempts_is_told_as_a_timeout_too(gateway: Gateway, provider: Make) -> None:
    one = provider(failed(500))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"total": "900ms"}, retry={"max": 10})})

    reply = served.chat()

    assert reply.status_code in (503, 504)
    assert reply.headers["x-should-retry"] == "false"


def test_one_deadline_holds_over_all_attempts_and_fallbacks(gateway: Gateway, provider: Make) -> None:
    held = provider((HOLD,))
    served = pair(gateway, held.account(), held.account(), timeouts={"total": "400ms"}, retry={"max": 2})
    began = time.monotonic()

    reply = served.chat()

    assert reply.status_code == 504
    assert 0.4 <= time.monotonic() - began < 5
    assert len(held.requests) == 1


def test_a_provider_without_a_first_token_in_time_is_left_for_the_next(gateway: Gateway, provider: Make) -> None:
    held = provider((STREAM, ROLE, b": still here\n\n", HOLD))
    served = pair(gateway, held.account(), provider(streamed("Good")).account(), timeouts={"first_token": "300ms"}, retry={"max": 2})

    reply = served.chat(stream=True)

    assert words(events(reply.text)) == "Good"
    assert reply.headers["x-banjia-attempts"] == "2"
    assert held.left.wait(PATIENCE)


def test_the_clients_own_patience_is_a_deadline(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, (HOLD,))

    reply = served.chat(headers={"x-stainless-read-timeout": "0.3"})

    assert reply.status_code == 504


def test_the_clients_patience_is_for_each_wait_and_not_for_a_whole_stream(gateway: Gateway, provider: Make) -> None:
    one = provider((STREAM, word("Slow"), HOLD, word("ly"), END, DONE))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    with served.client.stream("POST", "/v1/chat/completions", json=body, headers={"x-stainless-read-timeout": "0.3"}) as reply:
        lines = reply.iter_lines()
        first = next(lines)
        time.sleep(0.6)  # what is tested is that nothing happens while time passes
        one.let_go()
        rest = "\n".join((first, *lines))

    assert words(events(rest)) == "Slowly"
    assert events(rest)[-1] == "[DONE]"


@pytest.mark.parametrize("patience", ["soon", "-1", "0", "nan", "inf", "NOT_GIVEN", ""])
def test_a_patience_that_is_no_number_of_seconds_is_passed_over(gateway: Gateway, provider: Make, patience: str) -> None:
    served = alone(gateway, provider, said())

    reply = served.chat(headers={"x-stainless-read-timeout": patience})

    assert reply.status_code == 200


def test_a_stream_that_stalls_after_its_first_word_ends_with_an_error_event(gateway: Gateway, provider: Make) -> None:
    one = provider((STREAM, word("Hel"), HOLD))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"idle": "300ms"})})

    stream = events(served.chat(stream=True).text)

    assert words(stream) == "Hel"
    assert stream[-1]["error"]["code"] == "timeout"
    assert "timeouts.idle" in stream[-1]["error"]["message"]
    assert one.left.wait(PATIENCE)


def test_comments_of_the_provider_are_not_progress(gateway: Gateway, provider: Make) -> None:
    comments = (b": ping\n\n", HOLD)
    one = provider((STREAM, word("Hel"), *comments))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"idle": "300ms"})})

    stream = events(served.chat(stream=True).text)

    assert stream[-1]["error"]["code"] == "timeout"


# ---- failures after the first word ----

CUTS: dict[str, Step] = {
    "proper-end": (STREAM, HOLD),
    "no-end-mark": (CHUNKED, HOLD),
    "proper-end-mark": (CHUNKED, HOLD, b"0\r\n\r\n"),
    "reset": (CHUNKED, HOLD, b"5\r\nda", RESET),
    "half-an-event": (STREAM, HOLD, b'data: {"id":"c1","choi'),
    "error-event": (STREAM, HOLD, b'data: {"error":{"message":"broke","code":"server_error"}}\n\n', DONE),
    "bare-error": (STREAM, HOLD, b'{"error":{"message":"broke","code":"server_error"}}\n\n'),
    "html": (STREAM, HOLD, b"data: <html>\n\n"),
    "garbage": (STREAM, HOLD, b'data: {"choices":[null]}\n\n'),
}
"""By what comes after the word `Hello`, which the provider says where it HOLDs: the test lets go when the client has it."""


@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_cut_after_its_first_word_is_never_shown_as_whole(gateway: Gateway, provider: Make, cut: str) -> None:
    head, _, *rest = CUTS[cut]
    hello = piece(word("Hello")) if head is CHUNKED else word("Hello")
    one, other = provider((head, hello, HOLD, *rest)), provider(streamed("Never"))
    served = pair(gateway, one.account(), other.account(), retry={"max": 2})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True, "stream_options": {"include_usage": True}}

    with served.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        pieces = reply.iter_text()
        text = next(pieces)
        one.let_go()
        text += "".join(pieces)

    stream = events(text)
    assert words(stream) == "Hello"
    errors = [event for event in stream if "error" in event]
    assert len(errors) == 1
    assert stream[-1] is errors[0]
    assert set(errors[0]["error"]) == {"message", "type", "param", "code"}
    assert errors[0]["error"]["code"] != "internal_error"
    assert not any(choice["finish_reason"] for event in stream[:-1] for choice in event["choices"])
    assert len(one.requests) == 1
    assert other.requests == []


def test_a_cut_stream_is_a_failure_in_its_record(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, (STREAM, word("Hello")))

    served.chat(stream=True)

    record = served.record()
    assert record.status == 200
    assert record.finish == ""
    assert "ended before it was complete" in record.error


def test_a_finish_reason_ends_an_answer_whatever_comes_of_the_connection(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, (STREAM, word("Hello"), END))

    stream = events(served.chat(stream=True).text)

    assert words(stream) == "Hello"
    assert stream[-2]["choices"][0]["finish_reason"] == "stop"
    assert stream[-1] == "[DONE]"


def test_a_finish_reason_followed_by_silence_is_a_whole_answer(gateway: Gateway, provider: Make) -> None:
    one = provider((STREAM, word("Hello"), END, HOLD))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"idle": "300ms"})})

    stream = events(served.chat(stream=True).text)

    assert [event for event in stream if "error" in event] == []
    assert stream[-1] == "[DONE]"


def test_the_end_comes_when_the_provider_has_said_it_not_when_it_hangs_up(gateway: Gateway, provider: Make) -> None:
    one = provider((STREAM, word("Hello"), END, DONE, HOLD))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"idle": "600s"})})

    stream = events(served.chat(stream=True).text)

    assert stream[-1] == "[DONE]"


def test_a_finish_reason_followed_by_a_broken_connection_is_a_whole_answer(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, (CHUNKED, piece(word("Hello") + END)))

    stream = events(served.chat(stream=True).text)

    assert [event for event in stream if "error" in event] == []
    assert stream[-1] == "[DONE]"


def test_the_clients_request_for_usage_gets_one_chunk_of_it_before_the_end(gateway: Gateway, provider: Make) -> None:
    usage = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n'
    served = alone(gateway, provider, (STREAM, ROLE, word("Hi"), END, usage, DONE))

    with_usage = events(served.chat(stream=True, stream_options={"include_usage": True}).text)
    without = events(served.chat(stream=True).text)

    assert [event["usage"] for event in with_usage[:-2]] == [None] * (len(with_usage) - 2)
    assert with_usage[-2]["choices"] == []
    assert with_usage[-2]["usage"]["total_tokens"] == 4
    assert with_usage[-1] == "[DONE]"
    assert all("usage" not in event for event in without[:-1])


# ---- the client leaves ----


def test_a_client_that_leaves_before_the_answer_frees_the_provider_and_nothing_is_tried_again(gateway: Gateway, provider: Make) -> None:
    held, other = provider((HOLD,)), provider(said())
    served = pair(gateway, held.account(), other.account(), retry={"max": 2})

    with pytest.raises(httpx.ReadTimeout):
        served.client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "x"}]},
            timeout=httpx.Timeout(PATIENCE, read=0.1),
        )
    left = time.monotonic()

    assert held.left.wait(PATIENCE)
    assert time.monotonic() - left < 1
    assert served.record().status == 499
    assert len(held.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize("after", [(STREAM, ROLE, HOLD), (STREAM, ROLE, word("Hi"), HOLD)], ids=["before-the-first-word", "in-mid-stream"])
def test_a_client_that_leaves_a_stream_frees_the_provider(gateway: Gateway, provider: Make, after: Step) -> None:
    held = provider(after)
    served = gateway({"providers": {"p": held.account()}, "models": route("p/x")})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    with (
        pytest.raises(httpx.ReadTimeout),
        served.client.stream("POST", "/v1/chat/completions", json=body, timeout=httpx.Timeout(PATIENCE, read=0.2)) as reply,
    ):
        for _ in reply.iter_bytes():
            pass
    left = time.monotonic()

    assert held.left.wait(PATIENCE)
    assert time.monotonic() - left < 1
    assert served.record().status == 499


def test_a_client_that_leaves_while_a_retry_is_waited_for_ends_it(gateway: Gateway, provider: Make) -> None:
    one = provider(failed(429, "slow", "retry-after: 5"), said())
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", retry={"max": 1})})

    with pytest.raises(httpx.ReadTimeout):
        served.client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "x"}]},
            timeout=httpx.Timeout(PATIENCE, read=0.1),
        )

    assert served.record().status == 499
    assert len(one.requests) == 1


def test_a_client_that_reads_slowly_is_not_told_that_the_provider_was_silent(gateway: Gateway, provider: Make) -> None:
    """The wait for the client is not the provider's idling: the stream goes on where the client does."""
    many = tuple(word("x" * 65_000) for _ in range(300))
    one = provider((STREAM, *many, END, DONE))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x", timeouts={"idle": "300ms"})})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    with served.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        pieces = reply.iter_bytes()
        first = next(pieces)
        time.sleep(1.0)  # the client's own pause
        text = b"".join((first, *pieces))

    assert text.endswith(b"data: [DONE]\n\n")
    assert len(words(events(text.decode()))) == 300 * 65_000


# ---- what is said of failures ----


@pytest.mark.parametrize(
    "message",
    [
        f"Incorrect API key provided: {SECRET}",
        f"header was Bearer {SECRET}",
        "see http://10.1.2.3:8080/internal?token=abc for more",
        "key 0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp is wrong",
    ],
)
def test_a_providers_message_comes_without_keys_and_addresses(gateway: Gateway, provider: Make, message: str) -> None:
    served = alone(gateway, provider, failed(401, message))

    text = served.chat().text

    assert "***" in text
    for secret in (SECRET, "10.1.2.3", "token=abc", "AbCdEfGhIjKlMnOp"):
        assert secret not in text


def test_a_message_in_mid_stream_comes_without_keys_too(gateway: Gateway, provider: Make) -> None:
    error = b'data: {"error":{"message":"no such key: %s"}}\n\n' % SECRET.encode()
    one = provider((STREAM, word("Hi"), HOLD, error))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    with served.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        pieces = reply.iter_text()
        text = next(pieces)
        one.let_go()
        text += "".join(pieces)

    assert SECRET not in text
    assert "no such key: ***" in text


def test_the_providers_own_refusal_of_a_key_is_not_the_clients(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, failed(401, "who are you"))

    reply = served.chat()

    assert reply.status_code == 502
    assert reply.json()["error"]["code"] == "upstream_auth"
    assert "operator" in reply.json()["error"]["message"]


def test_an_unreachable_providers_address_is_not_told(gateway: Gateway) -> None:
    address = refusing()
    served = gateway({"providers": {"p": account_at(address)}, "models": route("p/x")})

    reply = served.chat()

    assert reply.status_code == 502
    assert reply.json()["error"]["code"] == "upstream_unreachable"
    assert "127.0.0.1" not in reply.text


# ---- fields ----


def zhipu(simulators: str, **more: Any) -> Json:
    return {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret", **more}


def test_what_was_changed_is_told_in_a_header(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": zhipu(simulators)}, "models": {"m": "z/glm-4-plus"}})

    reply = served.chat(temperature=1.5, logit_bias={"1": 1}, user="me")

    assert reply.status_code == 200
    assert set(reply.headers["x-banjia-changes"].split(",")) == {"temperature=clamped:1", "logit_bias=dropped", "user=renamed:user_id"}


def test_strict_fidelity_refuses_what_would_be_changed_and_names_the_field(gateway: Gateway, simulators: str) -> None:
    team = {**TEAM, "policy": {"fidelity": "strict"}}
    served = gateway({"providers": {"z": zhipu(simulators)}, "models": {"m": "z/glm-4-plus"}}, team)

    refused = served.chat(logit_bias={"1": 1})
    passed = served.chat(temperature=0.5, user="somebody")

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unsupported_parameter"
    assert refused.json()["error"]["param"] == "logit_bias"
    assert passed.status_code == 200


def test_strict_fidelity_looks_for_a_hop_that_changes_nothing(gateway: Gateway, provider: Make, simulators: str) -> None:
    one = provider(said("Natively"))
    team = {**TEAM, "policy": {"fidelity": "strict"}}
    served = gateway({"providers": {"z": zhipu(simulators), "p": one.account()}, "models": route("z/glm-4-plus", "p/x")}, team)

    reply = served.chat(logit_bias={"1": 1})

    assert reply.json()["choices"][0]["message"]["content"] == "Natively"
    assert one.requests[0].json["logit_bias"] == {"1": 1}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [({}, "none"), ({"reasoning_effort": "high"}, "high"), ({"reasoning_effort": None}, "none")],
    ids=["left-out", "said", "null"],
)
def test_what_stands_in_for_gpt_4o_does_not_think_unless_it_is_told_to(gateway: Gateway, provider: Make, asked: Json, sent: str) -> None:
    one = provider(said())
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": one.url + "/v4", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}})

    reply = served.chat("gpt-4o", **asked)

    assert reply.status_code == 200
    assert one.requests[0].json["model"] == "glm-5.2"
    assert one.requests[0].json["reasoning_effort"] == sent


def test_a_reasoning_models_stand_in_is_left_to_think(gateway: Gateway, provider: Make) -> None:
    one = provider(said())
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": one.url + "/v4", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}})

    served.chat("o1")

    assert "reasoning_effort" not in one.requests[0].json
    assert "thinking" not in one.requests[0].json


def test_an_entrys_own_defaults_stand_in_place_of_the_catalogs(gateway: Gateway, provider: Make) -> None:
    one = provider(said())
    entry = {"gpt-4o": {"serve": ["p/x"], "defaults": {"temperature": 0.2, "max_tokens": 5}}}
    served = gateway({"providers": {"p": one.account()}, "models": entry})

    served.chat("gpt-4o", max_tokens=9)

    assert one.requests[0].json["temperature"] == 0.2
    assert one.requests[0].json["max_tokens"] == 9
    assert "reasoning_effort" not in one.requests[0].json


IMAGE = {
    "role": "user",
    "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
}


def test_a_question_with_an_image_goes_to_a_model_that_takes_images(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": zhipu(simulators)}})

    plain = served.chat("gpt-4o")
    seen = served.client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": [IMAGE]})

    assert plain.headers["x-banjia-model"] == "glm-5.2"
    assert seen.headers["x-banjia-model"] == "glm-5v-turbo"
    assert "I see 1 image" in seen.json()["choices"][0]["message"]["content"]


def test_an_image_for_models_that_take_none_is_refused_with_words_that_help(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": zhipu(simulators)}, "models": {"m": "z/glm-4-plus"}})

    reply = served.client.post("/v1/chat/completions", json={"model": "m", "messages": [IMAGE]})

    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "unsupported_parameter"
    assert "z/glm-4-plus: the model takes no images" in reply.json()["error"]["message"]


# ---- functions of 2023 ----


def test_functions_of_2023_are_asked_for_and_answered_in_their_own_form(gateway: Gateway, simulators: str) -> None:
    served = gateway({"providers": {"z": zhipu(simulators)}})
    weather = {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }

    reply = served.chat("gpt-4o", 'Weather in "Paris"?', functions=[weather], function_call={"name": "get_weather"})

    (choice,) = reply.json()["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert "tool_calls" not in choice["message"]


def test_a_fragment_of_a_call_without_a_function_does_not_break_a_stream_of_functions(gateway: Gateway, provider: Make) -> None:
    fragments = b'data: {"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function"}]}}]}\n\n'
    named = b'data: {"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}}]}\n\n'
    finish = b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n'
    served = alone(gateway, provider, (STREAM, fragments, named, finish, DONE))

    stream = events(served.chat(stream=True, functions=[{"name": "f", "parameters": {"type": "object"}}]).text)

    assert [event for event in stream if "error" in event] == []
    assert stream[-2]["choices"][0]["finish_reason"] == "function_call"


# ---- places ----


def test_no_byte_goes_to_a_place_that_the_callers_data_may_not_go_to(gateway: Gateway, provider: Make) -> None:
    abroad = provider(said("From abroad"))
    keys = [{"name": "main", "key": "sk-at-home"}, {"name": "us", "key": "sk-abroad", "jurisdiction": "us"}]
    team = {**TEAM, "keys": keys, "policy": {"allow": {"cn-mainland": ["cn-mainland"], "us": ["us"]}}}
    served = gateway({"providers": {"us": abroad.account(jurisdiction="us")}, "models": {"m": "us/x"}}, team)

    refused = served.chat(stream=True)
    allowed = served.chat(headers={"authorization": "Bearer sk-abroad"})

    assert refused.status_code == 403
    error = refused.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("permission_error", "jurisdiction_not_allowed", "model")
    assert "us/x: data of callers in cn-mainland may not go to us" in error["message"]
    assert allowed.json()["choices"][0]["message"]["content"] == "From abroad"
    assert abroad.connections == 1


def test_no_failure_sends_data_to_a_place_it_may_not_go_to(gateway: Gateway, provider: Make) -> None:
    bad, abroad = provider(failed(500)), provider(said())
    team = {**TEAM, "keys": [*TEAM["keys"], {"name": "us", "key": "sk-abroad", "jurisdiction": "us"}]}
    accounts = {"p": bad.account(), "us": abroad.account(jurisdiction="us")}
    served = gateway({"providers": accounts, "models": route("p/x", "us/y", retry={"max": 1})}, team)

    reply = served.chat()

    assert reply.status_code == 503
    assert (len(bad.requests), abroad.connections) == (2, 0)


# ---- which hop ----


def test_weights_are_met_over_many_requests(gateway: Gateway, provider: Make) -> None:
    accounts = {"p": provider(said()).account(), "q": provider(said()).account()}
    served = gateway({"providers": accounts, "models": {"m": {"serve": [{"use": "p/x", "weight": 3}, {"use": "q/y", "weight": 1}]}}})

    first = [served.chat().headers["x-banjia-provider"] for _ in range(200)].count("p")

    assert 110 <= first <= 190  # 150 is meant; outside these by chance less than once in ten thousand million runs


def test_a_name_that_is_rejected_is_told_in_the_entrys_words(gateway: Gateway, provider: Make) -> None:
    served = gateway({"providers": {"p": provider(said()).account()}, "models": {"*": {"reject": "no mapping for {model}"}}})

    reply = served.chat("gpt-9")

    assert (reply.status_code, reply.json()["error"]["message"]) == (404, "no mapping for gpt-9")


def test_an_account_whose_key_is_empty_is_off_and_says_so(gateway: Gateway) -> None:
    served = gateway({"providers": {"z": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": ""}}, "models": {"m": "z/glm-5.2"}})

    reply = served.chat()

    assert reply.status_code == 404
    assert "z/glm-5.2: it is switched off: api_key is empty" in reply.json()["error"]["message"]
