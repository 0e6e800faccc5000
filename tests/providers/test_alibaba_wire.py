"""Alibaba's errors and streams as they are on the wire, and its simulator as its own clients see it."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.alibaba.adapter import SURFACES
from providers.alibaba.errors import ERRORS, fault_of
from providers.alibaba.native import NATIVE
from providers.alibaba.simulator import SIMULATOR
from providers.base import Adapter, Fault, Json, Outgoing, Target
from providers.simulation import Bill, Request, World
from tests.providers.alibaba import JSON_MODE, MEDIA, MODELS, TEXT, WEATHER, ask, on_both, pair
from tests.providers.roundtrip import NOW, cut, fault, read, said

# ---- errors ----


@on_both
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("key", "kind", "codes"), [
    ("nokey", "auth", ("invalid_api_key", "InvalidApiKey")),
    ("sk-invalid", "auth", ("invalid_api_key", "InvalidApiKey")),
    ("sk-expired", "auth", ("invalid_api_key", "InvalidApiKey")),
    ("sk-arrears", "quota", ("Arrearage", "Arrearage")),
    ("sk-quota", "quota", ("AllocationQuota.FreeTierOnly", "AllocationQuota.FreeTierOnly")),
    ("sk-limited", "rate_limited", ("limit_requests", "Throttling.RateQuota")),
])  # fmt: skip
def test_an_accounts_trouble_is_told_by_its_code(adapter: Adapter, streamed: bool, key: str, kind: str, codes: tuple[str, str]) -> None:
    two = pair(adapter, key)

    raised = asyncio.run(fault(two.stream(ask("hi"), "qwen-plus") if streamed else two.chat(ask("hi"), "qwen-plus")))

    assert (raised.kind, raised.code) == (kind, codes[adapter is NATIVE])
    assert two.bill == {}


@on_both
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("body", "model", "kind"), [
    (ask("hi"), "qwen-9", "no_model"),
    (ask("[unsafe-input]"), "qwen-plus", "refused"),
    (ask("[unsafe-output]"), "qwen-plus", "refused"),
    (ask("word " * 1001), "qwen-plus", "too_long"),
    (ask("hi", enable_thinking=False), "qwq-plus", "bad_request"),
    (ask("hi", repetition_penalty=0), "qwen-plus", "bad_request"),
    ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "qwen-plus", "bad_request"),
])  # fmt: skip
def test_what_alibaba_refuses_is_a_fault_of_the_right_kind(adapter: Adapter, streamed: bool, body: Json, model: str, kind: str) -> None:
    two = pair(adapter)

    raised = asyncio.run(fault(two.stream(body, model) if streamed else two.chat(body, model)))

    assert raised.kind == kind
    assert two.bill == {}


@pytest.mark.parametrize(("status", "body", "kind"), [
    (401, {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "9f"}, "auth"),
    (401, {"error": {"message": "Incorrect API key provided. ", "param": None, "code": "invalid_api_key"}}, "auth"),
    (429, {"error": {"message": "Allocated quota exceeded", "code": "insufficient_quota"}}, "rate_limited"),
    (429, {"error": {"message": "Free allocated quota exceeded.", "code": "insufficient_quota"}}, "quota"),
    (429, {"error": {"message": "Check your plan and billing details.", "code": "insufficient_quota"}}, "quota"),
    (429, {"code": "Throttling.AllocationQuota", "message": "Free allocated quota exceeded."}, "quota"),
    (429, {"code": "Throttling.AllocationQuota", "message": "Allocated quota exceeded."}, "rate_limited"),
    (429, {"code": "Throttling.Something.New", "message": "slow down"}, "rate_limited"),
    (429, {"code": "BudgetLimitExceeded", "message": "x"}, "quota"),
    (400, {"code": "InvalidParameter", "message": "Range of input length should be [1, 30720]"}, "too_long"),
    (400, {"code": "InvalidParameter", "message": "Range of max_tokens should be [1, 8192]"}, "bad_request"),
    (400, {"error": {"message": "<400> Range of input length should be [1, 9]", "code": "invalid_parameter_error"}}, "too_long"),
    (400, {"code": "InvalidParameter", "message": "Model not exist."}, "no_model"),
    (400, {"code": "InvalidParameter.DataInspection", "message": "x"}, "refused"),
    (403, {"code": "Model.AccessDenied", "message": "x"}, "auth"),
    (404, {"error": {"message": "x", "type": "invalid_request_error", "code": "model_not_found"}}, "no_model"),
    (500, {"code": "InternalError.Algo", "message": "x"}, "overloaded"),
    (500, {"code": "RequestTimeOut", "message": "x"}, "timeout"),
    (503, {"code": "ModelServingError", "message": "x"}, "overloaded"),
    (200, {"code": "InternalError.Algo", "message": "x"}, "overloaded"),
    (418, {"code": "Teapot", "message": "x"}, "bad_request"),
])  # fmt: skip
def test_an_error_of_either_shape_has_the_kind_of_its_cause(status: int, body: Json, kind: str) -> None:
    raised = fault_of(status, {}, json.dumps(body).encode())

    assert raised.kind == kind
    assert raised.status == status


def test_the_spellings_of_a_code_mean_the_same() -> None:
    for code, row in ERRORS.items():
        said = {"message": "x", "code": code}
        assert fault_of(400, {}, json.dumps(said).encode()).kind == fault_of(400, {}, json.dumps({"error": said}).encode()).kind == row.kind
    assert ERRORS["InvalidApiKey"] == ERRORS["invalid_api_key"]


def test_a_refused_native_stream_may_come_as_an_event_under_the_errors_status() -> None:
    body = b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"Model not exist.","request_id":"5d"}\n\n'

    raised = NATIVE.endpoints["chat"].fault(400, {}, body)

    assert (raised.kind, raised.message) == ("no_model", "Model not exist.")


@pytest.mark.parametrize("line", ["status:429", "status: 429", ":HTTP_STATUS/429"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_unknown_error_in_a_native_stream_has_the_kind_of_its_status(line: str, size: int) -> None:
    raw = f'id:1\nevent:error\n{line}\ndata:{{"code":"Brand.New","message":"x","request_id":"5d"}}\n\n'.encode()
    stream = NATIVE.endpoints["chat"].stream()

    with pytest.raises(Fault) as raised:
        for piece in cut(raw, size):
            stream.feed(piece)

    assert raised.value.kind == "rate_limited"


def test_a_wrong_native_path_is_an_error_event_under_200() -> None:
    async def go() -> None:
        two = pair(NATIVE)
        outgoing = NATIVE.endpoints["chat"].request(
            {"model": "m", **ask("hi", stream=True)}, Target("https://vendor.test/api/v1", MODELS[0])
        )
        wrong = Outgoing(outgoing.url.replace(TEXT, MEDIA), outgoing.body, outgoing.headers)

        reply = await two.send(wrong, await two.prove())

        assert reply.status == 200
        with pytest.raises(Fault, match="url error, please check url!"):
            NATIVE.endpoints["chat"].stream().feed(await read(reply))

    asyncio.run(go())


# ---- streams ----


async def raw_stream(adapter: Adapter, body: Json, model: str) -> bytes:
    return await pair(adapter)._post("chat", {**body, "stream": True}, model)


@on_both
def test_a_stream_cut_anywhere_before_its_end_is_broken_and_gives_no_finish(adapter: Adapter) -> None:
    raw = asyncio.run(raw_stream(adapter, ask("Say one two three"), "qwen3.7-plus"))
    finish = raw.rindex(b'"stop"') - 200  # well before the event that ends the answer, on either surface

    for end in range(0, finish, 11):
        stream = adapter.endpoints["chat"].stream()
        with pytest.raises(Fault) as raised:
            chunks = stream.feed(raw[:end])
            assert not said(chunks)["finish_reason"]
            stream.end()
        assert raised.value.kind == "broken"


STREAMS = {
    (adapter.surface, thinking): asyncio.run(
        raw_stream(adapter, ask("Weather in Paris and Tokyo?", tools=[WEATHER], enable_thinking=thinking), "qwen3.7-plus")
    )
    for adapter in SURFACES
    for thinking in (False, True)
}


@on_both
@pytest.mark.parametrize("thinking", [False, True])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_of_a_stream_gives_the_same_chunks(adapter: Adapter, thinking: bool, data: st.DataObject) -> None:
    raw = STREAMS[adapter.surface, thinking]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    one, many = adapter.endpoints["chat"].stream(), adapter.endpoints["chat"].stream()

    chunks = [chunk for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) for chunk in many.feed(raw[a:b])]

    assert chunks + many.end() == one.feed(raw) + one.end()


def test_the_native_example_of_the_documents_is_read() -> None:
    raw = (
        b'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[{"message":{"content":"Fo","reasoning_content":"","role":'
        b'"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":15,"input_tokens":14,"output_tokens":1},"request_id":"0b6c"}\n\n'
        b'id:2\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[{"message":{"content":"ur.","reasoning_content":"","role":'
        b'"assistant"},"finish_reason":"stop"}]},"usage":{"total_tokens":17,"input_tokens":14,"output_tokens":3},"request_id":"0b6c"}\n\n'
    )
    stream = NATIVE.endpoints["chat"].stream()

    chunks = stream.feed(raw) + stream.end()

    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "stop"]
    assert said(chunks)["content"] == "Four."
    assert said(chunks)["usage"] == {
        "prompt_tokens": 14, "completion_tokens": 3, "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip


def test_a_native_reply_keeps_what_a_search_found() -> None:
    body = {"output": {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": [{"text": "Four."}]}}],
                       "search_info": {"search_results": [{"url": "u"}]}}, "usage": {"input_tokens": 14},
            "request_id": "0b", "code": "", "message": ""}  # fmt: skip

    answer = NATIVE.endpoints["chat"].response(json.dumps(body).encode())

    assert answer["choices"][0]["message"]["content"] == "Four."
    assert answer["search_info"] == {"search_results": [{"url": "u"}]}


# ---- the simulator itself ----


async def post(path: str, body: Any, headers: Json | None = None, bill: Bill | None = None) -> tuple[int, bytes]:
    """What a client of the vendor's own gets, without an adapter."""
    simulator = SIMULATOR(World(pair().world.brain, {}, {model.id: model for model in MODELS}, lambda: NOW, {} if bill is None else bill))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await simulator.handle(Request("POST", path, {}, {"authorization": "Bearer sk-me", **(headers or {})}, raw))
    assert reply.headers["x-request-id"]
    return reply.status, await read(reply)


COMPATIBLE_CHAT = "/compatible-mode/v1/chat/completions"
NATIVE_CHAT = "/api/v1/services/aigc/text-generation/generation"
NATIVE_MULTIMODAL = "/api/v1/services/aigc/multimodal-generation/generation"
NATIVE_EMBEDDINGS = "/api/v1/services/embeddings/text-embedding/text-embedding"


@pytest.mark.parametrize(("body", "message"), [
    ({"temperature": 2.0}, "Temperature should be in [0.0, 2.0)"),
    ({"top_p": 0}, "Range of top_p should be (0.0, 1.0]"),
    ({"presence_penalty": 3}, "Presence_penalty should be in [-2.0, 2.0]"),
    ({"n": 5}, "Range of n should be [1, 4]"),
    ({"max_tokens": 40000}, "Range of max_tokens should be [1, 32768]"),
    ({"response_format": JSON_MODE}, "'messages' must contain the word 'json' in some form, to use 'response_format'"),
    ({"response_format": JSON_MODE, "enable_thinking": True}, "Json mode response is not supported when enable_thinking is true"),
    ({"model": "qwen3-32b"}, "parameter.enable_thinking must be set to false for non-streaming calls"),
    ({"model": "qwq-plus"}, "This model only support stream mode, please enable the stream parameter to access the model."),
    ({"user": "me"}, "Unrecognized request argument supplied: user."),
])  # fmt: skip
def test_the_simulator_refuses_in_the_vendors_words(body: Json, message: str) -> None:
    status, raw = asyncio.run(post(COMPATIBLE_CHAT, {"model": "qwen-plus", **ask("hi"), **body}))

    error = json.loads(raw)["error"]
    assert status == 400
    assert error["message"].startswith(message)
    assert (error["code"], error["type"], error["param"]) == ("invalid_parameter_error", "invalid_request_error", None)


def test_the_simulator_repeats_itself_unless_increments_are_asked_for() -> None:
    body = {"model": "qwen-plus", "input": ask("Say one two"), "parameters": {"result_format": "message"}}

    _, raw = asyncio.run(post(NATIVE_CHAT, body, {"x-dashscope-sse": "enable"}))

    events = [json.loads(line[5:]) for line in raw.split(b"\n") if line.startswith(b"data:")]
    assert [event["output"]["choices"][0]["message"]["content"] for event in events] == ["one", "one two", "one two"]
    assert [event["output"]["choices"][0]["finish_reason"] for event in events] == ["null", "null", "stop"]
    assert raw.startswith(b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{")
    assert b"[DONE]" not in raw


def test_the_simulator_tells_usage_in_a_compatible_stream_only_if_asked() -> None:
    body = {"model": "qwen-plus", **ask("Say one"), "stream": True}

    _, silent = asyncio.run(post(COMPATIBLE_CHAT, body))
    _, told = asyncio.run(post(COMPATIBLE_CHAT, {**body, "stream_options": {"include_usage": True}}))

    assert b"prompt_tokens" not in silent
    assert told.count(b'"choices":[],"usage":{"prompt_tokens"') == 1


@pytest.mark.parametrize(("model", "thinks"), [("qwen-plus", False), ("qwen3.7-plus", True), ("qwen3.8-max", True)])
def test_the_simulated_generations_differ_in_whether_they_think_by_default(model: str, thinks: bool) -> None:
    _, raw = asyncio.run(post(COMPATIBLE_CHAT, {"model": model, **ask("hi")}))

    assert ("reasoning_content" in json.loads(raw)["choices"][0]["message"]) is thinks


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["role", "content", "type", "text", "function", "name", "arguments", "parameters", "properties", "id", "image", "url", "texts"]
    ), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
FIELDS = st.sampled_from(
    ["messages", "tools", "tool_choice", "response_format", "stop", "n", "stream_options", "stream", "input", "enable_thinking", "logprobs",
     "reasoning_effort", "parameters", "dimensions", "max_tokens", "incremental_output"]
)  # fmt: skip


@pytest.mark.parametrize("path", [COMPATIBLE_CHAT, "/compatible-mode/v1/embeddings", NATIVE_CHAT, NATIVE_MULTIMODAL, NATIVE_EMBEDDINGS])
@given(
    model=st.sampled_from([*(model.id for model in MODELS), ["x"], None]),
    field=FIELDS,
    value=ANY,
    more=st.dictionaries(FIELDS, ANY, max_size=2),
)
@settings(max_examples=150, deadline=None)
def test_no_json_whatever_is_too_much_for_the_simulator(path: str, model: Any, field: str, value: Any, more: Json) -> None:
    whole = {"messages": [{"role": "user", "content": "hi"}]}
    body = (
        {"model": model, "input": {**whole, **more}, "parameters": {field: value}}
        if path.startswith("/api/")
        else {**whole, **more, field: value}
    )

    status, raw = asyncio.run(post(path, {**body, "model": model}))

    assert status in (200, 400, 404)
    assert status == 200 or (json.loads(raw).get("code") or json.loads(raw)["error"]["code"])


@pytest.mark.parametrize("raw", [b"", b"[]", b"nonsense", b"\xff", b'{"model": "qwen-plus", "messages": []}', b"[" * 100_000])
@pytest.mark.parametrize("path", [COMPATIBLE_CHAT, NATIVE_CHAT, NATIVE_EMBEDDINGS])
def test_a_body_that_is_no_request_is_a_bad_request(path: str, raw: bytes) -> None:
    assert asyncio.run(post(path, raw))[0] == 400
