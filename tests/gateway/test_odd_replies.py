"""Odd things in replies that look good: what does no harm is left out, the rest breaks the answer. Each was once passed on."""

import json
from typing import Any

import pytest

from gateway.api.chat_out import ChatStream, complete
from gateway.api.embeddings import joined
from gateway.api.forms import usage_in
from providers.base import SHAPELESS, Fault, Json, Model, Target
from providers.load import load

CHAT = load()["zhipu"]["v4"].endpoints["chat"]
NATIVE = load()["alibaba"]["native"].endpoints["chat"]
LEGACY = load()["baidu"]["legacy"].endpoints["chat"]
DONE = b"data: [DONE]\n\n"


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunk(delta: Any, finish: Any = None, index: Any = 0, **more: Any) -> Json:
    return {"id": "c1", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def told(*chunks: Json, answers: int = 1) -> list[Json]:
    out = ChatStream(model="m", request_id="r", now=lambda: 1.0, include_usage=True, answers=answers)
    raw = b"".join(out.feed([one]) for one in chunks) + out.end()
    return [json.loads(line[6:]) for line in raw.decode().split("\n\n")[:-2]]


def whole(**more: Any) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi", **more.pop("message", {})}, "finish_reason": "stop"}
    return complete({"choices": [{**choice, **more.pop("choice", {})}], **more}, model="m", request_id="r", now=9)


@pytest.mark.parametrize("odd", [
    {"prompt_tokens": 1e300}, {"prompt_tokens": "5"}, {"completion_tokens": -1}, {"total_tokens": 2.5}, {"prompt_tokens": True}, [1], "5",
    {"tokens": 3}, {"prompt_tokens": 10**30},
])  # fmt: skip
def test_usage_that_cannot_be_believed_is_none(odd: Any) -> None:
    assert usage_in(odd) is None
    assert "usage" not in whole(usage=odd)
    assert told(chunk({"content": "hi"}, usage=odd), chunk({}, "stop"))[-1]["usage"] is None


def test_usage_keeps_its_good_parts() -> None:
    usage = usage_in({"prompt_tokens": 5.0, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": "4", "audio_tokens": 2}})

    assert usage == {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 2}}


@pytest.mark.parametrize("odd", [
    {"message": {"content": 5}}, {"message": {"content": ["hi"]}}, {"message": {"refusal": {}}}, {"choice": {"finish_reason": 7}},
    {"message": {"tool_calls": "f"}}, {"message": {"tool_calls": [1]}}, {"message": {"tool_calls": [{"function": {"name": 1}}]}},
    {"message": {"function_call": {"name": 1}}},
])  # fmt: skip
def test_a_reply_whose_answer_is_of_no_known_form_is_broken(odd: Any) -> None:
    with pytest.raises((Fault, *SHAPELESS)):
        whole(**odd)


def test_what_is_odd_beside_a_whole_answer_is_left_out() -> None:
    answer = whole(
        created="now", model=5, system_fingerprint=[], service_tier={}, choice={"index": "0", "logprobs": [1]},
        message={"role": 1, "reasoning_content": 3, "annotations": {}, "audio": "x"},
    )  # fmt: skip

    message = {"content": "hi", "refusal": None, "role": "assistant"}
    assert answer == {
        "id": "chatcmpl-r", "object": "chat.completion", "created": 9, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
    }  # fmt: skip


@pytest.mark.parametrize(("message", "reason"), [({}, "stop"), ({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, "tool_calls")])
def test_a_whole_reply_without_a_reason_to_finish_gets_one(message: Json, reason: str) -> None:
    assert whole(message=message, choice={"finish_reason": None})["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize("odd", [
    chunk({"content": 5}), chunk({"content": ["hi"]}), chunk(["hi"]), chunk({}, 7), chunk({"content": "hi"}, None, "0"),

    chunk({}, None, -1), chunk({"tool_calls": [{"index": "0"}]}), chunk({"tool_calls": [{"index": 0, "function": {"name": []}}]}),
    chunk({"refusal": 1}),
    chunk({"mood": 1, "content": 5}),
])  # fmt: skip
def test_a_chunk_of_no_known_form_breaks_the_stream(odd: Json) -> None:
    with pytest.raises((Fault, *SHAPELESS)):
        told(odd)


def test_a_chunk_of_no_known_form_after_the_end_is_passed_over() -> None:
    events = told(chunk({"content": "hi"}), chunk({}, "stop"), chunk({"content": 5}), chunk(["x"]))

    assert [choice["finish_reason"] for event in events for choice in event["choices"]] == [None, None, "stop"]


def test_reasoning_that_is_no_text_and_an_empty_error_are_left_out() -> None:
    events = told(chunk({"content": "hi", "reasoning_content": 5}, error="", service_tier=[], obfuscation=1), chunk({}, "stop"))

    assert events[1]["choices"][0]["delta"] == {"content": "hi"}
    assert not events[1].keys() & {"error", "service_tier", "obfuscation"}


def test_a_stream_of_fewer_answers_than_were_asked_for_is_broken() -> None:
    with pytest.raises(Fault) as raised:
        told(chunk({"content": "hi"}, "stop"), answers=2)

    assert raised.value.kind == "broken"


@pytest.mark.parametrize("surface", ["vllm", "sglang", "ollama", "llama_cpp"])
def test_done_is_no_end_at_servers_that_say_it_after_a_failure_too(surface: str) -> None:
    stream = load()["openai_compatible"][surface].endpoints["chat"].stream()

    with pytest.raises(Fault) as raised:
        stream.feed(event(chunk({"content": "hi"})) + DONE)
        stream.end()

    assert raised.value.kind == "broken"


def test_done_alone_ends_an_answer_elsewhere_and_the_client_is_given_a_finish() -> None:
    stream = load()["openai_compatible"]["v1"].endpoints["chat"].stream()

    chunks = stream.feed(event(chunk({"content": "hi"})) + DONE) + stream.end()

    assert told(*chunks)[-1]["choices"][0]["finish_reason"] == "stop"


WORDS = {
    "chunks": (CHAT, event(chunk({"content": "hi"}, "stop"))),
    "native": (NATIVE, event({"output": {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}})),
    "legacy": (LEGACY, event({"result": "hi", "is_end": True, "finish_reason": "normal"})),
}


@pytest.mark.parametrize("form", WORDS)
@pytest.mark.parametrize(
    "late", [event({"error": {"message": "no"}, "code": "x", "error_code": 1}), b"data: <html>\n\n", event({"choices": 5})]
)
def test_an_error_after_the_end_of_an_answer_is_passed_over(form: str, late: bytes) -> None:
    chat, words = WORDS[form]
    stream = chat.stream()

    chunks = stream.feed(words) + stream.feed(late) + stream.end()

    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == ["stop"]


@pytest.mark.parametrize("wrong", [
    (CHAT, event(chunk({"content": "hi"})) + event(chunk([{}], "stop"))),
    (NATIVE, event({"output": {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}, "usage": [1]})),
    (LEGACY, event({"result": "hi", "is_end": True, "finish_reason": ["normal"]})),
])  # fmt: skip
def test_a_finish_in_an_event_of_no_known_form_is_none(wrong: Any) -> None:
    chat, raw = wrong
    stream = chat.stream()

    with pytest.raises((Fault, *SHAPELESS)):
        stream.feed(raw + DONE)
        stream.end()


@pytest.mark.parametrize("vectors", [
    [[0.5, "x"]], [[0.5, None]], ["not base64!"], [[]], [[0.5], [0.5, 1]], [[1, 2]], [{}], [None], [[1e308, 1e308, 1e308]],
])  # fmt: skip
def test_what_is_no_vector_is_not_passed_on(vectors: list[Any]) -> None:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]

    with pytest.raises((Fault, *SHAPELESS)):
        joined([{"data": data}], len(vectors), "m", width=3)


@pytest.mark.parametrize("places", [(0, 0), (0, "1"), (0, None), (True, 0)])
def test_vectors_whose_places_are_not_clear_are_not_passed_on(places: tuple[Any, ...]) -> None:
    data = [{"index": place, "embedding": [0.5]} for place in places]

    with pytest.raises(Fault):
        joined([{"data": data}], 2, "m", width=0)


def test_vectors_in_base64_are_numbers_for_who_asks_for_numbers() -> None:
    whole = joined([{"data": [{"embedding": "AAAAPwAAgD8="}], "usage": {"prompt_tokens": "9"}}], 1, "m", width=2)

    assert whole["data"][0]["embedding"] == [0.5, 1.0]
    assert whole["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_a_system_message_after_the_assistants_is_the_users_where_one_is_needed() -> None:
    body = {"model": "m", "messages": [{"role": "assistant", "content": "a"}, {"role": "system", "content": "b"}]}

    sent = json.loads(CHAT.request(body, Target("https://vendor.test", Model("glm-5.2"))).body)["messages"]

    assert [turn["role"] for turn in sent] == ["assistant", "user"]


def test_a_limit_below_the_vendors_least_is_raised_also_where_the_models_own_is_not_known() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1}

    sent = json.loads(LEGACY.request(body, Target("https://vendor.test", Model("ernie-speed-8k"))).body)

    assert sent["max_output_tokens"] == 2
