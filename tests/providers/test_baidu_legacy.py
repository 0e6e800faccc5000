"""Baidu's older API: its adapter against its simulator, and against the facts of its documents."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.baidu.legacy import LEGACY, access_token
from providers.baidu.simulator import SIMULATOR
from providers.base import Fault, Json, Model, Target, decode, encode
from providers.simulation import Request
from tests.providers.roundtrip import NOW, Pair, cut, fault, read, said

MODELS = (
    Model("ernie-3.5-8k", context=4000, output=2048, tools=True, json="object", thinking="none", endpoint="completions"),
    Model("ernie-speed-8k", tools=False, thinking="none", surfaces=("v2", "legacy"), endpoint="ernie_speed"),
    Model("ernie-5.1", surfaces=("v2",)),
    Model("bge-large-zh", kind="embedding", context=512, dimensions=1024, batch=16, endpoint="bge_large_zh"),
)
ERNIE = "ernie-3.5-8k"
PATH = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/completions"
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
TIME: Json = {"type": "function", "function": {"name": "get_time"}}


def pair(key: str = "ak", secret: str = "sk") -> Pair:
    return Pair(LEGACY, SIMULATOR, {"access_key_id": key, "access_key_secret": secret}, *MODELS, accounts={"ak": "sk"})


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


def sent(two: Pair) -> Json:
    return decode(two.sent[-1].body)


def fates(two: Pair) -> dict[str, str]:
    return {change.field: change.fate for change in two.sent[-1].changes}


def turns(*messages: Json) -> tuple[Json, dict[str, str]]:
    """What a conversation is sent as, and the fates of its parts; the simulator has taken it."""
    two = pair()
    asyncio.run(two.chat({"messages": list(messages)}, ERNIE))
    return sent(two), fates(two)


def call(call_id: str, name: str = "get_weather") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


# ---- proofs ----


def test_keys_are_exchanged_for_a_token_of_the_query_string() -> None:
    two = pair()

    asyncio.run(two.chat(ask("hi"), ERNIE))

    assert two.sent[-1].url == "https://vendor.test" + PATH
    assert two.credential is not None
    assert two.credential.query.startswith("access_token=24.")
    assert two.credential.renew == NOW + 29 * 86400


@pytest.mark.parametrize(("auth_url", "host"), [
    ({}, "https://aip.baidubce.com"),
    ({"auth_url": "http://127.0.0.1:9/baidu/"}, "http://127.0.0.1:9/baidu"),
])  # fmt: skip
def test_keys_are_sent_where_the_account_is_proved(auth_url: dict[str, str], host: str) -> None:
    request = next(access_token({"access_key_id": "a&k", "access_key_secret": "s k", **auth_url}, NOW))

    assert request.method == "POST"
    assert request.url == f"{host}/oauth/2.0/token?grant_type=client_credentials&client_id=a%26k&client_secret=s+k"


@pytest.mark.parametrize(("key", "secret", "kind", "code"), [
    ("nobody", "sk", "auth", "invalid_client"),
    ("ak", "wrong", "auth", "invalid_client"),
    ("invalid-ak", "sk", "auth", "invalid_client"),
    ("expired-ak", "sk", "auth", "111"),
    ("arrears-ak", "sk", "quota", "17"),
    ("quota-ak", "sk", "quota", "19"),
    ("limited-ak", "sk", "rate_limited", "18"),
])  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_an_accounts_trouble_is_told_by_its_code(key: str, secret: str, kind: str, code: str, streamed: bool) -> None:
    two = pair(key, secret)

    raised = asyncio.run(fault(two.stream(ask("hi"), ERNIE) if streamed else two.chat(ask("hi"), ERNIE)))

    assert (raised.kind, raised.code, raised.stale) == (kind, code, code == "111")


@pytest.mark.parametrize(("token", "code", "after"), [("own", "111", 30 * 86400), ("24.of.nobody", "110", 0)])
def test_a_token_that_is_over_or_unknown_is_a_stale_one(token: str, code: str, after: float) -> None:
    two = pair()
    asyncio.run(two.chat(ask("hi"), ERNIE))
    held = asyncio.run(two.prove()).query.removeprefix("access_token=") if token == "own" else token
    two.now = NOW + after

    reply = asyncio.run(two.simulator.handle(Request("POST", PATH, {"access_token": held}, {}, encode(ask("hi")))))

    assert reply.status == 200
    with pytest.raises(Fault) as raised:
        LEGACY.endpoints["chat"].response(asyncio.run(read(reply)))
    assert (raised.value.kind, raised.value.code, raised.value.stale) == ("auth", code, True)


# ---- answers ----


def test_plain_and_streamed_answers_say_the_same() -> None:
    body = ask("Say 你好 🙂 world")

    plain = asyncio.run(pair().chat(body, ERNIE))
    chunks = asyncio.run(pair().stream(body, ERNIE, size=1))

    assert plain["choices"][0]["message"] == {"role": "assistant", "content": "你好 🙂 world"}
    assert said(chunks)["content"] == "你好 🙂 world"
    assert plain["usage"] == said(chunks)["usage"]
    assert plain["choices"][0]["finish_reason"] == said(chunks)["finish_reason"] == "stop"


def test_a_limit_ends_the_answer_with_length() -> None:
    plain = asyncio.run(pair().chat(ask("Count to 50", max_tokens=5), ERNIE))
    streamed = asyncio.run(pair().stream(ask("Count to 50", max_completion_tokens=5), ERNIE))

    assert plain["choices"][0]["finish_reason"] == said(streamed)["finish_reason"] == "length"


def test_a_function_call_is_one_tool_call_with_an_id() -> None:
    body = ask("Weather in Paris?", tools=[WEATHER])

    plain = asyncio.run(pair().chat(body, ERNIE))["choices"][0]
    streamed = said(asyncio.run(pair().stream(body, ERNIE, size=5)))

    wanted = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    assert plain["message"]["tool_calls"] == [{"id": "call_0000000001", "type": "function", "function": wanted}]
    assert (plain["message"]["content"], plain["finish_reason"]) == (None, "tool_calls")
    assert plain["message"]["reasoning_content"] == streamed["reasoning_content"] == "get_weather is needed."
    assert streamed["calls"] == {0: {"id": "call_0000000001", **wanted}}
    assert streamed["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("words", ["[unsafe-input]", "[unsafe-output]"])
def test_what_is_unsafe_ends_as_filtered(words: str) -> None:
    plain = asyncio.run(pair().chat(ask(words), ERNIE))
    streamed = asyncio.run(pair().stream(ask(words), ERNIE))

    assert plain["choices"][0]["finish_reason"] == said(streamed)["finish_reason"] == "content_filter"


# ---- conversations ----


def test_the_systems_words_go_beside_the_turns() -> None:
    body, told = turns(
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}, {"role": "developer", "content": "Be kind."}
    )

    assert (body["system"], body["messages"]) == ("Be brief.\n\nBe kind.", [{"role": "user", "content": "hi"}])
    assert told == {"messages[].role:developer": "renamed", "messages[].role:system": "renamed"}


def test_a_system_message_alone_is_said_as_the_user() -> None:
    body, _ = turns({"role": "system", "content": "Say yes"})

    assert (body["messages"], "system" in body) == ([{"role": "user", "content": "Say yes"}], False)


def test_calls_and_results_take_turns_whatever_their_order() -> None:
    body, told = turns(
        {"role": "user", "content": "Weather and time?"},
        {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b", "get_time")]},
        {"role": "tool", "tool_call_id": "b", "content": "noon"},
        {"role": "tool", "tool_call_id": "a", "content": '{"sun": true}'},
    )

    assert body["messages"] == [
        {"role": "user", "content": "Weather and time?"},
        {"role": "assistant", "content": "", "function_call": {"name": "get_weather", "arguments": "{}"}},
        {"role": "function", "name": "get_weather", "content": '{"sun": true}'},
        {"role": "assistant", "content": "", "function_call": {"name": "get_time", "arguments": "{}"}},
        {"role": "function", "name": "get_time", "content": '{"result":"noon"}'},
    ]
    assert told == {"messages[].tool_calls": "emulated", "messages[].role:tool": "renamed"}


def test_gaps_between_turns_are_filled() -> None:
    body, told = turns(
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Weather?"},
        {"role": "user", "content": "In Rome?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": "It is"},
    )

    assert [(turn["role"], turn["content"]) for turn in body["messages"]] == [
        ("user", "/"), ("assistant", "Hello"), ("user", "Weather?\n\nIn Rome?"), ("assistant", "Let me see."),
        ("function", '{"result":"/"}'), ("assistant", "/"), ("user", "Well?"), ("assistant", "It is"), ("user", "继续"),
    ]  # fmt: skip
    assert told["messages"] == "emulated"


@pytest.mark.parametrize("messages", [
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [call("a")]}],
    [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "a", "content": "b"}],
])  # fmt: skip
def test_calls_and_results_that_do_not_belong_together_are_refused(messages: list[Json]) -> None:
    raised = asyncio.run(fault(pair().chat({"messages": messages}, ERNIE)))

    assert raised.kind == "bad_request"
    assert raised.param is not None


def test_a_call_and_its_result_make_the_round() -> None:
    two = pair()
    question = ask("Weather in Paris?", tools=[WEATHER])
    message = asyncio.run(two.chat(question, ERNIE))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sun"}

    answer = asyncio.run(two.chat({**question, "messages": [*question["messages"], message, result]}, ERNIE))

    assert answer["choices"][0]["message"]["content"] == 'The tools say: {"result":"sun"}.'


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "call", "calls"])


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.tuples(ROLES, st.sampled_from(["", " ", "words"])), min_size=1, max_size=7))
def test_any_conversation_comes_out_as_turns_that_baidu_takes(spoken: list[tuple[str, str]]) -> None:
    messages: list[Json] = []
    for role, text in spoken:
        if role in ("call", "calls"):
            ids = ["a", "b"][: 1 if role == "call" else 2]
            messages.append({"role": "assistant", "content": text, "tool_calls": [call(one) for one in ids]})
            messages += [{"role": "tool", "tool_call_id": one, "content": text} for one in ids]
        else:
            messages.append({"role": role, "content": text})

    body, _ = turns(*messages)

    assert len(body["messages"]) % 2 == 1


# ---- requests ----


def test_every_openai_field_is_sent_as_the_older_api_takes_it_or_reported() -> None:
    two = pair()
    image = {"type": "image_url", "image_url": {"url": "https://example.cn/a.png"}}
    body = {
        "messages": [{"role": "user", "name": "Ann", "content": [{"type": "text", "text": "hi"}, image]}],
        **dict(  # noqa: C408 (as a client of the SDK writes it)
            temperature=2, top_p=0.5, n=2, seed=1, stop="b", logprobs=True, top_logprobs=2, logit_bias={"1": 1}, user="me", store=True,
            metadata={"a": "b"}, service_tier="flex", prediction={}, modalities=["text"], audio={}, verbosity="low", prompt_cache_key="k",
            safety_identifier="s", web_search_options={"a": 1}, max_tokens=10**6, max_completion_tokens=100, frequency_penalty=2,
            presence_penalty=0.5, tools=[WEATHER], tool_choice="required", parallel_tool_calls=True,
            response_format={"type": "json_object"}, reasoning_effort="medium", something_new=1, stream_options={"include_usage": True},
        ),
    }  # fmt: skip

    asyncio.run(two.stream(body, ERNIE))

    assert sent(two) == {
        "messages": [{"role": "user", "content": "hi"}], "temperature": 1.0, "top_p": 0.5, "stop": ["b"], "user_id": "me",
        "max_output_tokens": 100, "penalty_score": 2, "stream": True, "response_format": "json_object",
        "functions": [{"name": "get_weather", "description": "", "parameters": WEATHER["function"]["parameters"]}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    }  # fmt: skip
    assert fates(two) == {
        "messages[].name": "dropped", "messages[].content[].image_url": "dropped", "temperature": "clamped", "n": "emulated",
        "seed": "dropped", "logprobs": "dropped", "top_logprobs": "dropped", "logit_bias": "dropped", "user": "renamed", "store": "dropped",
        "metadata": "dropped", "service_tier": "dropped", "prediction": "dropped", "audio": "dropped", "verbosity": "dropped",
        "prompt_cache_key": "dropped", "safety_identifier": "dropped", "web_search_options": "dropped", "max_tokens": "clamped",
        "max_completion_tokens": "renamed", "frequency_penalty": "emulated", "presence_penalty": "emulated", "tools": "renamed",
        "tool_choice": "emulated", "parallel_tool_calls": "dropped", "reasoning_effort": "dropped", "something_new": "dropped",
    }  # fmt: skip


@pytest.mark.parametrize(("choice", "names", "told"), [
    ("auto", ["get_weather", "get_time"], None),
    ("none", [], None),
    ("required", ["get_weather", "get_time"], None),
    (TIME, ["get_weather", "get_time"], TIME),
])  # fmt: skip
def test_a_tool_choice_is_said_in_the_words_there_are(choice: Any, names: list[str], told: Any) -> None:
    two = pair()

    asyncio.run(two.chat(ask("What?", tools=[WEATHER, TIME], tool_choice=choice), ERNIE))

    assert [function["name"] for function in sent(two).get("functions", [])] == names
    assert sent(two).get("tool_choice") == told
    assert ("Answer by calling" in sent(two).get("system", "")) == (choice == "required")


@pytest.mark.parametrize(("model", "kind", "form"), [(ERNIE, "json_schema", "json_object"), ("ernie-speed-8k", "json_object", None)])
def test_json_is_asked_for_in_words_where_the_api_has_none(model: str, kind: str, form: str | None) -> None:
    two = pair()
    wanted = {"type": kind, "json_schema": {"name": "c", "schema": {"type": "object"}}} if kind == "json_schema" else {"type": kind}

    asyncio.run(two.chat(ask("A colour", response_format=wanted), model))

    assert sent(two).get("response_format") == form
    assert sent(two)["system"].startswith("Answer with one JSON object")


# ---- refusals and broken answers ----


@pytest.mark.parametrize(("body", "model", "kind", "code"), [
    (ask("hi"), "ernie-9", "no_model", "3"),
    (ask("hi"), "ernie-5.1", "no_model", "3"),
    (ask("word " * 5000), ERNIE, "too_long", "336103"),
    (ask("hi", tools=[WEATHER]), "ernie-speed-8k", "bad_request", "336003"),
    (ask("hi", min_output_tokens=1), ERNIE, "bad_request", "336003"),
])  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_what_baidu_refuses_is_a_fault_of_the_right_kind(body: Json, model: str, kind: str, code: str, streamed: bool) -> None:
    raised = asyncio.run(fault(pair().stream(body, model) if streamed else pair().chat(body, model)))

    assert (raised.kind, raised.code) == (kind, code)


EVENTS = (
    b'data: {"id":"as-1","sentence_id":0,"is_end":false,"result":"\xe4\xbd\xa0",'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n',
    b'data: {"id":"as-1","sentence_id":1,"is_end":true,"result":"!","finish_reason":"normal",'
    b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n',
)


@given(st.integers(1, len(b"".join(EVENTS))))
@settings(database=None)
def test_a_stream_may_be_cut_into_pieces_of_any_size(size: int) -> None:
    whole, pieces = LEGACY.endpoints["chat"].stream(), LEGACY.endpoints["chat"].stream()

    chunks = [chunk for piece in cut(b"".join(EVENTS), size) for chunk in pieces.feed(piece)]

    assert chunks == whole.feed(b"".join(EVENTS))
    assert (said(chunks)["content"], said(chunks)["usage"]["total_tokens"], pieces.end()) == ("你!", 3, [])


def read_stream(raw: bytes) -> list[Json]:
    stream = LEGACY.endpoints["chat"].stream()
    return stream.feed(raw) + stream.end()


@pytest.mark.parametrize("line", [b"%s", b"%s\n", b"%s\n\n", b"data: %s\n\n"])
@pytest.mark.parametrize("before", [b"", EVENTS[0]])
def test_an_error_in_a_stream_is_a_fault_however_it_is_framed(line: bytes, before: bytes) -> None:
    with pytest.raises(Fault) as raised:
        read_stream(before + line % b'{"error_code":336100,"error_msg":"high load","id":"as-1"}')

    assert (raised.value.kind, raised.value.code, raised.value.message) == ("overloaded", "336100", "high load")


def test_an_answer_once_called_unsafe_ends_as_filtered() -> None:
    chunks = read_stream(EVENTS[0].replace(b'"is_end"', b'"need_clear_history":true,"is_end"') + EVENTS[1])

    assert said(chunks)["finish_reason"] == "content_filter"


def test_a_stream_without_its_last_event_is_broken() -> None:
    stream = LEGACY.endpoints["chat"].stream()
    stream.feed(EVENTS[0])

    with pytest.raises(Fault, match="before it was complete") as raised:
        stream.end()

    assert raised.value.kind == "broken"


@pytest.mark.parametrize(("answer", "reason"), [
    ({"result": "a"}, "stop"),
    ({"result": "a", "is_truncated": True}, "length"),
    ({"result": "a", "finish_reason": "normal", "need_clear_history": True}, "content_filter"),
    ({"result": "a", "is_safe": 0}, "content_filter"),
    ({"result": "a", "is_safe": 1, "finish_reason": "stop"}, "stop"),
    ({"result": "", "function_call": {"name": "f", "arguments": "{}"}}, "tool_calls"),
])  # fmt: skip
def test_older_replies_without_a_reason_still_say_why_they_end(answer: Json, reason: str) -> None:
    assert LEGACY.endpoints["chat"].response(encode({"id": "as-1", **answer}))["choices"][0]["finish_reason"] == reason


# ---- embeddings and the bill ----


def test_embeddings_have_a_path_of_their_own_and_come_as_openais_list() -> None:
    two = pair()

    answer = asyncio.run(two.embed({"input": ["a", "b", "a"], "user": "me"}, "bge-large-zh"))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert two.sent[-1].url.endswith("/wenxinworkshop/embeddings/bge_large_zh")
    assert sent(two) == {"input": ["a", "b", "a"], "user_id": "me"}
    assert (answer["object"], answer["usage"]["prompt_tokens"], len(first)) == ("list", 3, 1024)
    assert first == third != second


def test_too_many_texts_at_once_are_a_fault_under_http_200() -> None:
    raised = asyncio.run(fault(pair().embed({"input": ["a"] * 17}, "bge-large-zh")))

    assert (raised.kind, raised.code) == ("bad_request", "336003")


def test_the_bill_is_the_usage_that_was_told() -> None:
    two = pair()
    usage = [asyncio.run(two.chat(ask("hi"), ERNIE))["usage"], said(asyncio.run(two.stream(ask("ho"), ERNIE)))["usage"]]

    charge = two.bill["baidu", "ak", ERNIE]
    assert charge.requests == 2
    assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)
    assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)


def test_the_request_is_not_edited() -> None:
    body = ask("hi", model="gpt-4o", tools=[WEATHER], response_format={"type": "json_object"}, tool_choice="required")
    before = encode(body)

    LEGACY.endpoints["chat"].request(body, Target("https://vendor.test", MODELS[0]))

    assert encode(body) == before
