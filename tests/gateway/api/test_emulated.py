"""What the gateway does where a provider cannot: several answers, stops, single calls, JSON schemas, usage. Over sockets."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Served
from tests.gateway.provider import DONE, HOLD, STREAM, Make, Provider, Step, answer, failed, said, streamed

Serve = Callable[..., Served]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": SCHEMA}}
GOOD = '{"city":"北京","days":3}'
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]


def served(gateway: Serve, *providers: Provider, vendor: str = "baichuan", model: str = "Baichuan4-Turbo") -> Served:
    """`m` at a vendor that has no n, no stop, no parallel_tool_calls and no JSON mode."""
    accounts = {f"p{number}": {**one.account(), "vendor": vendor} for number, one in enumerate(providers)}
    hops = [f"{name}/{model}" for name in accounts]
    return gateway({"providers": accounts, "models": {"m": {"serve": hops[:1], "fallback": hops[1:], "retry": {"max": 0}}}})


def word(text: str, **more: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c1", "choices": [{"index": 0, "delta": {"content": text}, **more}]}).encode() + b"\n\n"


def with_usage(*words: str) -> Step:
    end = {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    return (STREAM, *map(word, words), b"data: " + json.dumps(end).encode() + b"\n\n", DONE)


def events(text: str) -> list[Any]:
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in text.split("\n\n") if line]


def choices(text: str) -> dict[int, str]:
    """What each choice of a stream says."""
    told: dict[int, str] = {}
    for event in events(text)[:-1]:
        for choice in event["choices"]:
            told[choice["index"]] = told.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return told


# ---- n ----


def test_several_answers_are_several_calls_in_one_reply(gateway: Serve, provider: Make) -> None:
    one = provider(said("a"), said("b"), said("c"))

    reply = served(gateway, one).chat(n=3)

    told = reply.json()
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2]
    assert sorted(choice["message"]["content"] for choice in told["choices"]) == ["a", "b", "c"]
    assert told["usage"]["total_tokens"] == 15
    assert reply.headers["x-banjia-changes"] == "n=emulated:3 calls"
    assert len(one.requests) == 3
    assert all("n" not in asked.json for asked in one.requests)


def test_several_streams_are_choices_of_one(gateway: Serve, provider: Make) -> None:
    one = provider(with_usage("a1", "a2"), with_usage("b1", "b2"))

    reply = served(gateway, one).chat(n=2, stream=True, stream_options={"include_usage": True})

    told = events(reply.text)
    assert sorted(choices(reply.text).values()) == ["a1a2", "b1b2"]
    assert len({event["id"] for event in told[:-1]}) == 1
    assert [event["choices"][0]["finish_reason"] for event in told[:-1] if event["choices"]].count("stop") == 2
    assert told[-2]["usage"]["total_tokens"] == 10
    assert told[-1] == "[DONE]"


def test_of_several_streams_the_one_that_breaks_off_breaks_all(gateway: Serve, provider: Make) -> None:
    one = provider(with_usage("a1", "a2"), (STREAM, word("b1")))

    reply = served(gateway, one).chat(n=2, stream=True)

    last = events(reply.text)[-1]
    assert last["error"]["code"] == "upstream_broken"


def test_several_answers_are_all_asked_for_elsewhere_when_one_fails(gateway: Serve, provider: Make) -> None:
    bad, good = provider(said("a"), failed(500)), provider(said("b"))

    told = served(gateway, bad, good).chat(n=2).json()

    assert [choice["message"]["content"] for choice in told["choices"]] == ["b", "b"]


def test_several_streams_are_all_begun_elsewhere_when_one_fails_first(gateway: Serve, provider: Make) -> None:
    bad, good = provider(streamed("a"), failed(500)), provider(streamed("b"))

    assert choices(served(gateway, bad, good).chat(n=2, stream=True).text) == {0: "b", 1: "b"}


def test_a_client_that_leaves_ends_all_calls(gateway: Serve, provider: Make) -> None:
    one = provider((STREAM, word("a"), HOLD))
    gate = served(gateway, one)

    with gate.client.stream("POST", "/v1/chat/completions", json=asking(n=2, stream=True)) as reply:
        next(reply.iter_bytes())

    assert one.left.wait(20)
    assert gate.record().usage["estimated"]


def test_silence_of_one_of_several_streams_is_told(gateway: Serve, provider: Make) -> None:
    one = provider(with_usage("a"), (STREAM, word("b"), HOLD))
    account = {**one.account(), "vendor": "baichuan", "timeouts": {"idle": "200ms"}}
    gate = gateway({"providers": {"p": account}, "models": {"m": "p/Baichuan4-Turbo"}})

    last = events(gate.chat(n=2, stream=True).text)[-1]

    assert last["error"]["code"] == "timeout"


def asking(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}


# ---- stop ----


def test_a_stop_that_the_vendor_lacks_ends_a_plain_answer(gateway: Serve, provider: Make) -> None:
    one = provider(said("one. two END three"))

    reply = served(gateway, one).chat(stop=["END", "never"])

    assert reply.json()["choices"][0]["message"]["content"] == "one. two "
    assert reply.json()["choices"][0]["finish_reason"] == "stop"
    assert reply.headers["x-banjia-changes"] == "stop=emulated:cut here"
    assert "stop" not in one.requests[0].json


def test_a_stop_spread_over_pieces_ends_a_stream_and_the_call(gateway: Serve, provider: Make) -> None:
    one = provider((STREAM, word("two E"), word("N"), word("D three"), HOLD))
    gate = served(gateway, one)

    reply = gate.chat(stop="END", stream=True, stream_options={"include_usage": True})

    told = events(reply.text)
    assert choices(reply.text) == {0: "two "}
    assert told[-3]["choices"][0]["finish_reason"] == "stop"
    assert told[-2]["usage"]["estimated"]
    assert told[-1] == "[DONE]"
    assert one.left.wait(20)


def test_stops_beyond_the_vendors_number_are_kept_too(gateway: Serve, provider: Make) -> None:
    one = provider(said("a 2 b 1 c"))

    reply = served(gateway, one, vendor="zhipu", model="glm-5.2").chat(stop=["1", "2"])

    assert one.requests[0].json["stop"] == ["1"]
    assert reply.json()["choices"][0]["message"]["content"] == "a "


# ---- parallel_tool_calls ----


def test_of_several_calls_the_first_is_passed_on_where_one_was_wanted(gateway: Serve, provider: Make) -> None:
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": "{}"}} for n, name in enumerate("fg")]
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}
    one = provider(answer(200, {"id": "c1", "choices": [choice], "usage": USAGE}))
    gate = served(gateway, one)

    alone = gate.chat(tools=TOOLS, parallel_tool_calls=False)

    assert [call["id"] for call in alone.json()["choices"][0]["message"]["tool_calls"]] == ["c0"]
    assert "parallel_tool_calls=emulated" in alone.headers["x-banjia-changes"]
    assert len(gate.chat(tools=TOOLS).json()["choices"][0]["message"]["tool_calls"]) == 2


# ---- response_format ----


@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```", f"\n {GOOD}\n"])
def test_json_of_the_schema_is_passed_on_alone(gateway: Serve, provider: Make, text: str) -> None:
    one = provider(said(text))

    reply = served(gateway, one).chat(response_format=FORM)

    assert reply.json()["choices"][0]["message"]["content"] == GOOD
    assert "response_format=emulated" in reply.headers["x-banjia-changes"]
    assert '"additionalProperties"' in one.requests[0].json["messages"][0]["content"]


@pytest.mark.parametrize("bad", ["Beijing, three days", '{"city":"北京"}', '{"city":"北京","days":"3"}', ""])
def test_an_answer_of_another_form_is_asked_for_once_more(gateway: Serve, provider: Make, bad: str) -> None:
    one = provider(said(bad), said(GOOD))

    told = served(gateway, one).chat(response_format=FORM).json()

    assert told["choices"][0]["message"]["content"] == GOOD
    assert told["usage"]["total_tokens"] == 10
    assert "not of the form" in one.requests[1].json["messages"][-1]["content"]


def test_what_stays_of_another_form_is_an_error_and_no_answer(gateway: Serve, provider: Make) -> None:
    one = provider(said('{"city":"北京"}'))

    reply = served(gateway, one).chat(response_format=FORM)

    assert reply.status_code == 502
    assert reply.json()["error"]["code"] == "schema_not_followed"
    assert "days" in reply.json()["error"]["message"]
    assert len(one.requests) == 2


def test_another_hop_may_follow_the_schema(gateway: Serve, provider: Make) -> None:
    bad, good = provider(said("no")), provider(said(GOOD))

    assert served(gateway, bad, good).chat(response_format=FORM).json()["choices"][0]["message"]["content"] == GOOD


def test_a_stream_gives_json_of_the_schema_or_an_error(gateway: Serve, provider: Make) -> None:
    one = provider(said("no"), said(GOOD), said("no"))
    gate = served(gateway, one)

    first = gate.chat(response_format=FORM, stream=True, stream_options={"include_usage": True})
    second = gate.chat(response_format=FORM, stream=True)

    assert choices(first.text) == {0: GOOD}
    assert events(first.text)[-2]["usage"]["total_tokens"] == 10
    assert not one.requests[0].json.get("stream")
    assert second.status_code == 502


def test_several_answers_are_each_held_to_the_schema(gateway: Serve, provider: Make) -> None:
    one = provider(said(GOOD), said("no"), said(GOOD))

    told = served(gateway, one).chat(response_format=FORM, n=2).json()

    assert [choice["message"]["content"] for choice in told["choices"]] == [GOOD, GOOD]
    assert [choice["index"] for choice in told["choices"]] == [0, 1]
    assert len(one.requests) == 3


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_cut_short_is_passed_on_as_it_is(gateway: Serve, provider: Make, reason: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": '{"city":'}, "finish_reason": reason}
    one = provider(answer(200, {"id": "c1", "choices": [choice], "usage": USAGE}))

    told = served(gateway, one).chat(response_format=FORM).json()

    assert (told["choices"][0]["message"]["content"], told["choices"][0]["finish_reason"]) == ('{"city":', reason)


@pytest.mark.parametrize(
    "schema", [{"type": "nothing"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "file:///etc/passwd"}, {"pattern": "("}]
)
def test_what_is_no_schema_of_its_own_is_refused(gateway: Serve, provider: Make, schema: dict[str, Any]) -> None:
    one = provider(said(GOOD))
    form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": schema}}

    reply = served(gateway, one).chat(response_format=form)

    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "response_format"


def test_json_without_a_schema_has_to_be_an_object(gateway: Serve, provider: Make) -> None:
    one = provider(said("[1]"), said('{"a":1}'))

    gate = served(gateway, one, model="Baichuan-of-no-catalog")

    assert gate.chat(response_format={"type": "json_object"}).json()["choices"][0]["message"]["content"] == '{"a":1}'


# ---- usage ----


def test_usage_that_the_provider_does_not_tell_is_counted_and_marked(gateway: Serve, provider: Make) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}
    one = provider(answer(200, {"id": "c1", "choices": [choice]}))
    gate = served(gateway, one)

    usage = gate.chat(text="Hello, world").json()["usage"]

    assert usage == {**usage, "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "estimated": True}
    assert gate.record().usage["estimated"]


def test_usage_of_a_stream_without_any_is_counted_and_marked(gateway: Serve, provider: Make) -> None:
    gate = served(gateway, provider(streamed("Hello", " there")))

    told = events(gate.chat(stream=True, stream_options={"include_usage": True}).text)

    assert told[-2]["usage"]["completion_tokens"] == 2
    assert told[-2]["usage"]["estimated"]


def test_what_was_said_before_a_stream_broke_off_is_counted(gateway: Serve, provider: Make) -> None:
    gate = served(gateway, provider((STREAM, word("Hello"), word(" there"))))

    gate.chat(stream=True)

    assert gate.record().usage["completion_tokens"] == 2


def test_usage_that_the_provider_tells_is_not_marked(gateway: Serve, provider: Make) -> None:
    assert "estimated" not in served(gateway, provider(said("Hi"))).chat().json()["usage"]
