"""POST /v1/messages and count_tokens over sockets: what Anthropic's clients see, and what is written down."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import KEY, PATIENCE, TEAM, Served
from tests.gateway.api.messages.events import events_of, message_in
from tests.gateway.provider import DONE, END, HOLD, RESET, ROLE, STREAM, Json, Make, Step, answer, failed, route, said, streamed, word

Gateway = Callable[..., Served]


def alone(gateway: Gateway, provider: Make, *script: Step, **more: Any) -> Served:
    return gateway({"providers": {"p": provider(*script).account()}, "models": route("p/x", **more)})


def ask(served: Served, *, path: str = "/v1/messages", headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], **more}
    return served.client.post(path, json=body, headers=headers)


def test_a_message_and_its_headers(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))

    reply = ask(served, headers={"anthropic-version": "2023-06-01", "anthropic-beta": "a-1,b-2"})

    assert reply.json() == {
        "id": "msg_c1",
        "type": "message",
        "role": "assistant",
        "model": "x",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 2},
    }
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    record = served.record()
    assert (record.model, record.served, record.finish, record.usage["prompt_tokens"]) == ("m", "p/x", "stop", 3)


def test_a_stream_of_events(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, streamed("Hel", "lo"))

    reply = ask(served, stream=True)

    assert reply.headers["content-type"].startswith("text/event-stream")
    message = message_in(events_of(reply.content))
    assert (message["content"], message["stop_reason"]) == ([{"type": "text", "text": "Hello"}], "end_turn")
    assert message["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_key_comes_in_either_header(gateway: Gateway, provider: Make, stream: bool) -> None:
    served = alone(gateway, provider, *[streamed("Hi") if stream else said("Hi")] * 2)
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}], "stream": stream}

    with httpx.Client(base_url=served.url, trust_env=False) as client:
        replies = [
            client.post("/v1/messages", json=body, headers=head) for head in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"})
        ]

    assert [reply.status_code for reply in replies] == [200, 200]


def test_what_chat_cannot_say_is_told_in_the_header(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))
    system = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]

    reply = ask(served, system=system, container="c", tools=[{"type": "bash_20250124", "name": "bash"}])

    assert reply.headers["x-banjia-changes"] == "cache_control=dropped,container=dropped,tools[].bash_20250124=dropped"


def test_strict_fidelity_refuses_what_chat_cannot_say(gateway: Gateway, provider: Make) -> None:
    team = {**TEAM, "policy": {"fidelity": "strict"}}
    served = gateway({"providers": {"p": provider(said("Hi")).account()}, "models": route("p/x")}, team)

    reply = ask(served, container="c")

    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "`container` would be dropped" in reply.json()["error"]["message"]
    assert ask(served, stop_sequences=["a"]).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_answer_at_once_and_is_named(gateway: Gateway, provider: Make, stream: bool) -> None:
    one = provider((STREAM, ROLE, word("one ST"), word("OP two"), HOLD))  # what comes after is not waited for
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    reply = ask(served, stream=stream, stop_sequences=["END", "STOP"])

    message = message_in(events_of(reply.content)) if stream else reply.json()
    assert (message["content"], message["stop_reason"], message["stop_sequence"]) == (
        [{"type": "text", "text": "one "}],
        "stop_sequence",
        "STOP",
    )
    assert one.left.wait(PATIENCE)
    assert "stop" not in one.requests[0].json
    assert reply.headers["x-banjia-changes"] == "stop_sequences=emulated:cut here"
    assert served.record().usage["estimated"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_any_of_the_stop_sequences_is_whole(gateway: Gateway, provider: Make, stream: bool) -> None:
    served = alone(gateway, provider, streamed("one ", "ST", "O"))

    reply = ask(served, stream=stream, stop_sequences=["STOP"])

    message = message_in(events_of(reply.content)) if stream else reply.json()
    assert (message["content"], message["stop_reason"], message["stop_sequence"]) == (
        [{"type": "text", "text": "one STO"}],
        "end_turn",
        None,
    )


def test_calls_with_odd_arguments_are_told_all_the_same(gateway: Gateway, provider: Make) -> None:
    calls = [{"id": "a", "function": {"name": "f", "arguments": arguments}} for arguments in ('{"a":1}', "", '{"a":')]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    served = alone(gateway, provider, answer(200, {"id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))

    told = ask(served).json()

    assert [block["input"] for block in told["content"]] == [{"a": 1}, {}, {"INVALID_JSON": '{"a":'}]
    assert told["stop_reason"] == "tool_use"


# ---- errors ----


def test_refusals_have_anthropics_envelope(gateway: Gateway, provider: Make) -> None:
    served = alone(
        gateway,
        provider,
        failed(429, "slow down", code="rate_limit_exceeded"),
        failed(500),
        failed(400, "too long", code="context_length_exceeded"),
    )

    replies = [ask(served) for _ in range(3)]
    stranger = ask(served, headers={"authorization": "Bearer sk-none"})
    unknown = ask(served, model="none")
    large = served.client.post("/v1/messages", content=b"{", headers={"content-length": "1"})

    kinds = [(reply.status_code, reply.json()["error"]["type"]) for reply in (*replies, stranger, unknown, large)]
    assert kinds == [
        (429, "rate_limit_error"),
        (503, "overloaded_error"),
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (400, "invalid_request_error"),
    ]
    for reply in (*replies, stranger, unknown, large):
        told = reply.json()
        assert (told["type"], told["request_id"]) == ("error", reply.headers["request-id"])
    assert replies[2].json()["error"]["message"].startswith("prompt is too long: ")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
        ("POST", "/v1/messages/batches/none/results", 404, "not_found_error"),
        ("POST", "/v1/v1/messages/none", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("DELETE", "/v1/messages/count_tokens", 405, "invalid_request_error"),
    ],
)
def test_an_address_that_is_not_served_is_refused_in_the_same_envelope(
    gateway: Gateway, provider: Make, method: str, path: str, status: int, kind: str
) -> None:
    served = alone(gateway, provider, said("Hi"))

    reply = served.client.request(method, path, json={} if method == "POST" else None)

    told = reply.json()
    assert (reply.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert told["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    assert told["error"].keys() == {"type", "message"}


@pytest.mark.parametrize(("path", "versioned"), [("/v1/models", True), ("/v1/models/m", True), ("/v1/models", False)])
def test_who_asks_for_models_with_anthropics_version_is_refused_in_its_envelope(
    gateway: Gateway, provider: Make, path: str, versioned: bool
) -> None:
    served = alone(gateway, provider, said("Hi"))
    version = {"anthropic-version": "2023-06-01"} if versioned else {}

    reply = served.client.get(path, headers={"authorization": "Bearer sk-none", **version})

    assert (reply.status_code, reply.json().get("type")) == (401, "error" if versioned else None)
    assert reply.json()["error"]["type"] == ("authentication_error" if versioned else "invalid_request_error")


def test_a_body_that_is_too_large_is_refused_in_the_same_envelope(gateway: Gateway, provider: Make) -> None:
    served = gateway({"server": {"max_body": "1KiB"}, "providers": {"p": provider(said("Hi")).account()}, "models": route("p/x")})

    reply = ask(served, system="word " * 1000)

    assert (reply.status_code, reply.json()["type"], reply.json()["error"]["type"]) == (413, "error", "request_too_large")


def test_who_finds_no_place_is_told_so_in_the_same_envelope(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD, *said("Hi")), said("Hi"))
    served = gateway({"server": {"max_in_flight": 1, "queue": 0}, "providers": {"p": one.account()}, "models": route("p/x")})

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, served)
        assert one.reached.wait(PATIENCE)
        full, stranger = ask(served), ask(served, headers={"authorization": "Bearer sk-none"})
        one.let_go()
        assert first.result().status_code == 200

    told = full.json()
    assert (full.status_code, told["type"], told["error"]["type"]) == (503, "error", "overloaded_error")
    assert (told["request_id"], full.headers["retry-after"]) == (full.headers["request-id"], "1")
    assert (stranger.status_code, stranger.json()["error"]["type"]) == (401, "authentication_error")


def test_a_stream_that_breaks_off_ends_in_an_error_event(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, (STREAM, ROLE, word("Hel"), RESET))

    *before, last = events_of(ask(served, stream=True).content)

    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert "message_delta" not in [event["type"] for event in before]
    assert last["request_id"]


def test_one_that_fails_before_its_first_word_is_a_plain_error(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, failed(500))

    reply = ask(served, stream=True)

    assert (reply.status_code, reply.json()["type"]) == (503, "error")


def test_an_answer_that_another_hop_went_on_with_says_so(gateway: Gateway, provider: Make) -> None:
    second = provider((STREAM, word("lo"), END, DONE))
    accounts = {"p": provider((STREAM, word("Hel"), RESET)).account(), "q": {**second.account(), "vendor": "alibaba"}}
    served = gateway({"providers": accounts, "models": route("p/x", "q/qwen3.7-plus", stream={"on_cut": "continue"})})

    events = events_of(ask(served, stream=True).content)

    assert message_in(events)["content"] == [{"type": "text", "text": "Hello"}]
    assert events[-2]["banjia"] == {"continued_by": ["q/qwen3.7-plus"]}


# ---- counting ----


def test_tokens_are_counted_without_the_provider(gateway: Gateway, provider: Make) -> None:
    one = provider(said("Hi"))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})
    body = {"model": "m", "messages": [{"role": "user", "content": "word " * 100}]}

    reply = served.client.post("/v1/messages/count_tokens", json=body)
    more = served.client.post(
        "/v1/messages/count_tokens", json={**body, "tools": [{"name": "f", "input_schema": {}}], "system": "Be kind."}
    )

    assert 100 < reply.json()["input_tokens"] < 110
    assert more.json()["input_tokens"] > reply.json()["input_tokens"] + 5
    assert one.requests == []
    assert served.record().usage is None


def test_counting_is_refused_in_the_same_envelope(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))

    refused = served.client.post("/v1/messages/count_tokens", json={"model": "none", "messages": [{"role": "user", "content": "a"}]})

    assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")


# ---- models ----


def test_who_asks_with_anthropics_version_gets_models_in_anthropics_form(gateway: Gateway, provider: Make) -> None:
    served = alone(gateway, provider, said("Hi"))
    model = {"type": "model", "id": "m", "display_name": "m", "created_at": "2024-06-01T00:00:00Z", "lifecycle": "active"}

    listed = served.client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()

    assert model in listed["data"]
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, listed["data"][0]["id"], listed["data"][-1]["id"])
    assert served.client.get("/v1/models").json()["object"] == "list"


def test_anthropics_names_have_models_that_stand_in_for_them(gateway: Gateway, simulators: str) -> None:
    zhipu: Json = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    served = gateway({"providers": {"z": zhipu}})

    replies = [ask(served, model=model) for model in ("claude-opus-4-8", "claude-3-5-haiku-latest", "claude-sonnet-5")]

    assert [reply.headers["x-banjia-model"] for reply in replies] == ["glm-5.2", "glm-5.3-flash", "glm-5.2"]


# ---- whole turns, through a vendor's own form ----


@pytest.mark.parametrize("stream", [False, True])
def test_a_turn_with_a_tool(gateway: Gateway, simulators: str, stream: bool) -> None:
    zhipu: Json = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    served = gateway({"providers": {"z": zhipu}, "models": {"m": "z/glm-5.2"}})
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"name": "get_weather", "description": "The weather of a city", "input_schema": schema}]
    turns: list[Json] = [{"role": "user", "content": "What is the weather in Oslo?"}]

    def once() -> Json:
        reply = ask(served, max_tokens=300, thinking={"type": "disabled"}, tools=tools, messages=turns, stream=stream)
        return message_in(events_of(reply.content)) if stream else dict(reply.json())

    first = once()
    (call,) = first["content"]
    given = json.loads(call.pop("told")) if stream else call["input"]
    call["input"] = given
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "dry"}]}
    turns += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    last = once()

    assert (first["stop_reason"], call["name"], given) == ("tool_use", "get_weather", {"city": "Oslo"})
    assert (last["stop_reason"], last["content"]) == ("end_turn", [{"type": "text", "text": "The tools say: dry."}])
