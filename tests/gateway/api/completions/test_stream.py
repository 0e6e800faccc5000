"""Chunks of completions, whatever those of chat were: their grammar, and that they come to what the plain answer says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.chat_out import complete
from gateway.api.completions.answer import completion_of
from gateway.api.completions.request import Asked
from gateway.api.completions.stream import CompletionStream
from gateway.api.wire import Refusal
from providers.base import Fault, Json
from tests.gateway.api.test_chat_out import CHUNK, chunk

USAGE = {"prompt_tokens": 9, "completion_tokens": 4}


def made(*prompts: str, n: int = 1, echo: bool = False, **fields: Any) -> CompletionStream:
    asked = Asked(tuple({"model": "m", **fields} for _ in prompts), prompts, n, echo)
    return CompletionStream(model="served", request_id="req_1", now=lambda: 1.0, asked=asked)


def events_of(data: bytes) -> list[Any]:
    """The chunks of a whole stream."""
    *frames, done, end = data.decode().split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def told(out: CompletionStream, *chunks: Json) -> list[Any]:
    return events_of(b"".join(out.feed([one]) for one in chunks) + out.end())


def test_chunks_in_openais_form() -> None:
    out = made("p", stream_options={"include_usage": True})

    events = told(out, chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk({}, "length", usage=USAGE))

    head = {"id": "cmpl-c1", "object": "text_completion", "created": 5, "model": "p"}
    choice = {"text": "Hi", "index": 0, "logprobs": None, "finish_reason": None}
    assert events[:2] == [
        {**head, "choices": [choice], "usage": None},
        {**head, "choices": [{**choice, "text": "", "finish_reason": "length"}], "usage": None},
    ]
    assert (events[2]["choices"], events[2]["usage"]["total_tokens"]) == ([], 13)


def test_a_prompt_is_echoed_before_its_choices() -> None:
    out = made("one ", "two ", n=2, echo=True)

    events = told(
        out, *(chunk({"content": str(index)}, index=index) for index in range(4)), *(chunk({}, "stop", index=index) for index in range(4))
    )

    words = dict.fromkeys(range(4), "")
    for event in events:
        words[event["choices"][0]["index"]] += event["choices"][0]["text"]
    assert words == {0: "one 0", 1: "one 1", 2: "two 2", 3: "two 3"}


def test_logprobs_have_the_older_form_and_count_from_the_prompt() -> None:
    out = made("ab")

    def one(*tokens: str) -> Json:
        entries = [{"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "z", "logprob": -1}]} for token in tokens]
        return {"choices": [{"index": 0, "delta": {"content": "".join(tokens)}, "logprobs": {"content": entries}, "finish_reason": None}]}

    events = told(out, one("He", "l"), one("lo"), chunk({}, "stop"))

    assert [event["choices"][0]["logprobs"] for event in events] == [
        {"tokens": ["He", "l"], "token_logprobs": [-0.5, -0.5], "top_logprobs": [{"z": -1}, {"z": -1}], "text_offset": [2, 4]},
        {"tokens": ["lo"], "token_logprobs": [-0.5], "top_logprobs": [{"z": -1}], "text_offset": [5]},
        None,
    ]


def test_thoughts_and_calls_have_no_place() -> None:
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}

    events = told(made("p"), chunk({"reasoning_content": "Hm"}), chunk(call), chunk({"content": "a"}), chunk({}, "stop"))

    assert [event["choices"][0]["text"] for event in events] == ["a", ""]


def test_one_that_breaks_off_has_no_end() -> None:
    out = made("p")
    out.feed([chunk({"content": "a"})])

    data = out.fails(Refusal(502, "it broke off", code="upstream_broken"))

    assert json.loads(data.removeprefix(b"data: "))["error"]["code"] == "upstream_broken"
    with pytest.raises(Fault):
        out.end()


# ---- any chunks ----

PIECE = st.tuples(st.integers(0, 3), st.sampled_from(["content", "refusal", "reasoning_content"]), st.text(max_size=4))


@given(st.lists(PIECE, max_size=10), st.booleans(), st.permutations(range(4)), st.sampled_from(["stop", "length", "content_filter"]))
def test_the_chunks_come_to_the_plain_answer(pieces: list[tuple[int, str, str]], echo: bool, order: list[int], reason: str) -> None:
    pieces.sort(key=lambda piece: piece[1])  # a refusal is not followed by content
    chunks = [chunk({key: text}, index=index) for index, key, text in pieces] + [chunk({}, reason, index=index) for index in order]
    said: list[Json] = [{"content": "", "refusal": ""} for _ in range(4)]
    for index, key, text in pieces:
        if key in said[index]:
            said[index][key] += text
    choices = [{"index": index, "message": message, "finish_reason": reason} for index, message in enumerate(said)]
    asked = Asked(({}, {}), ("one ", "two "), 2, echo)

    plain = completion_of(complete({"id": "c1", "choices": choices, "usage": USAGE}, model="m", request_id="r", now=1), asked)
    events = told(made("one ", "two ", n=2, echo=echo), *chunks)

    texts = {choice["index"]: "" for choice in plain["choices"]}
    for event in events:
        texts[event["choices"][0]["index"]] += event["choices"][0]["text"]
    assert texts == {choice["index"]: choice["text"] for choice in plain["choices"]}


@given(st.lists(CHUNK, max_size=10), st.booleans())
def test_whatever_the_chunks_their_grammar_holds(chunks: list[Json], echo: bool) -> None:
    out = made("p", "q", "r", echo=echo)
    try:
        data = b"".join(out.feed([one]) for one in [*chunks, *(chunk({}, "stop", index=index) for index in range(3))]) + out.end()
    except Fault:
        return

    finished: set[int] = set()
    for event in events_of(data):
        assert (event["object"], event["id"][:5]) == ("text_completion", "cmpl-")
        ((choice),) = event["choices"]
        assert choice.keys() == {"text", "index", "logprobs", "finish_reason"}
        assert isinstance(choice["text"], str)
        if choice["finish_reason"] is not None:
            assert choice["text"] == ""
            assert choice["index"] not in finished
            finished.add(choice["index"])
    assert finished == {0, 1, 2}
