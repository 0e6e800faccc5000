"""Baidu's simulator as its clients see it: as strict as Baidu, in Baidu's envelopes. Nothing here goes through the adapter."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.brain.scripted import Scripted
from providers.baidu.iam import sign
from providers.baidu.simulator import SIMULATOR
from providers.base import Json, Model, decode, encode
from providers.simulation import Reply, Request, World
from tests.providers.roundtrip import NOW, read

MODELS = (
    Model("ernie-3.5-8k", context=4000, output=2048, tools=True, json="schema", thinking="none", endpoint="completions"),
    Model("ernie-5.1", tools=True, thinking="always", surfaces=("v2",)),
    Model("embedding-v1", kind="embedding", context=384, dimensions=384, batch=16, endpoint="embedding-v1"),
)
ERNIE = "ernie-3.5-8k"
CHAT = "/v2/chat/completions"
OLDER = "/rpc/2.0/ai_custom/v1/wenxinworkshop/"
LIST = "/wenxinworkshop/service/list"
KEY = {"authorization": "Bearer bce-v3/ALTAK-demo/0123abcd"}


def simulator() -> Any:
    return SIMULATOR(World(Scripted(), {"ak": "sk"}, {model.id: model for model in MODELS}, lambda: NOW, {}))


def call(method: str, path: str, body: bytes = b"", *, query: dict[str, str] | None = None, headers: Any = KEY) -> Reply:
    reply: Reply = asyncio.run(simulator().handle(Request(method, path, query or {}, headers, body)))
    return reply


def signed(method: str, path: str, *, key_id: str = "ak", secret: str = "sk", query: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a call signed as the SDK signs: host and date."""
    headers = {"host": "vendor.test", "x-bce-date": "2026-11-23T02:15:02Z"}
    return headers | {"authorization": sign(key_id, secret, method, path, query or {}, headers, NOW)}


def told(reply: Reply) -> Json:
    return decode(asyncio.run(read(reply)))


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}


# ---- v2 ----


@pytest.mark.parametrize(("body", "code"), [
    (b"{", "malformed_json"),
    (b"[]", "malformed_json"),
    (b"{}", "invalid_model"),
    (encode(ask("hi", model=ERNIE, n=1)), "invalid_argument"),
    (encode(ask("hi", model=ERNIE, temperature=0)), "invalid_argument"),
    (encode(ask("hi", model=ERNIE, max_tokens=1)), "invalid_argument"),
    (encode(ask("hi", model=ERNIE, reasoning_effort="low")), "invalid_argument"),
    (encode(ask("hi", model=ERNIE, tools=[{"type": "function", "function": {"name": "f", "strict": True}}])), "invalid_argument"),
    (encode(ask(" ", model=ERNIE)), "invalid_messages"),
    (encode({"model": ERNIE, "messages": [{"role": "user", "content": "a"}] * 2}), "invalid_messages"),
    (encode({"model": ERNIE, "messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}), "invalid_messages"),
    (encode({"model": ERNIE, "messages": [{"role": "tool", "content": "a", "tool_call_id": "x"}]}), "invalid_messages"),
])  # fmt: skip
def test_v2_refuses_what_baidu_refuses(body: bytes, code: str) -> None:
    reply = call("POST", CHAT, body)

    assert (reply.status, told(reply)["error"]["code"]) == (400, code)


def test_an_error_of_v2_has_its_envelope() -> None:
    reply = call("POST", CHAT, encode(ask("hi", model="ernie-9")))

    message = "The model does not exist or you do not have access to it."
    assert reply.status == 401
    assert told(reply) == {
        "error": {"code": "invalid_model", "message": message, "type": "invalid_request_error"}, "id": "as-0000000001",
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), [("GET", CHAT, 405), ("POST", "/v2/nothing", 404), ("PUT", "/", 404)])
def test_what_v2_does_not_have_is_not_found(method: str, path: str, status: int) -> None:
    assert call(method, path).status == status


def test_a_stream_is_framed_as_baidu_frames_it() -> None:
    raw = asyncio.run(read(call("POST", CHAT, encode(ask("Say ok", model=ERNIE, stream=True)))))

    head = (
        b'data: {"id":"as-0000000001","created":1795400102,"model":"ernie-3.5-8k","object":"chat.completion.chunk","choices":[{"index":0,'
    )
    assert raw == (
        head + b'"delta":{"role":"assistant","content":"ok"},"flag":0}]}\n\n'
        + head + b'"delta":{"content":""},"finish_reason":"stop","flag":0}]}\n\n'
        + b"data: [DONE]\n\n"
    )  # fmt: skip


def test_usage_comes_in_an_event_of_its_own_if_asked_for() -> None:
    body = ask("Say ok", model=ERNIE, stream=True, stream_options={"include_usage": True})

    *_, usage, done, _ = asyncio.run(read(call("POST", CHAT, encode(body)))).split(b"\n\n")

    assert b'"choices":[],"usage":{"prompt_tokens":' in usage
    assert done == b"data: [DONE]"


def test_models_are_listed_to_whoever_proves_himself() -> None:
    refused = call("GET", "/v2/models", headers={})
    listed = told(call("GET", "/v2/models"))

    assert (refused.status, refused.body) == (403, b'{"code":"AccessDenied","message":"Access denied."}')
    assert [model["id"] for model in listed["data"]] == [ERNIE, "ernie-5.1", "embedding-v1"]


SCHEMA = ["type", "role", "content", "function", "name", "function_call", "properties", "items", "enum", "anyOf", "required", "minItems"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["user", "assistant", "object", "array", "string", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(SCHEMA), inner, max_size=3),
    max_leaves=8,
)
V2_FIELDS = ["model", "messages", "tools", "tool_choice", "response_format", "stop", "stream_options", "thinking", "temperature", "user"]
OLDER_FIELDS = ["messages", "functions", "tool_choice", "stop", "system", "user_id", "response_format", "temperature", "stream"]


@settings(max_examples=150, deadline=None, database=None)
@given(st.sampled_from(V2_FIELDS), ANYTHING)
def test_no_value_of_a_field_is_more_than_v2_can_take(field: str, value: Any) -> None:
    assert call("POST", CHAT, encode({**ask("hi", model=ERNIE), field: value})).status in (200, 400, 401)


@settings(max_examples=100, deadline=None, database=None)
@given(ANYTHING)
def test_no_schema_is_more_than_either_surface_can_take(schema: Any) -> None:
    function = {"name": "f", "description": "", "parameters": schema}
    older = OLDER + "chat/completions"

    form = {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    assert call("POST", CHAT, encode(ask("hi", model=ERNIE, response_format=form))).status in (200, 400)
    assert call("POST", CHAT, encode(ask("hi", model=ERNIE, tools=[{"type": "function", "function": function}]))).status in (200, 400)
    assert call("POST", older, encode(ask("hi", functions=[function])), headers=signed("POST", older)).status == 200


# ---- the older API ----


@pytest.mark.parametrize(("body", "code"), [
    (b"{", 336002),
    (encode({"messages": []}), 336003),
    (encode({"messages": [{"role": "user", "content": "a"}] * 2}), 336003),
    (encode({"messages": [{"role": "user", "content": "a"}] * 3}), 336003),
    (encode(ask(" ")), 336003),
    (encode(ask("a", temperature=0)), 336003),
    (encode(ask("a", max_tokens=5)), 336003),
    (encode(ask("a", system=["b"])), 336104),
    (encode(ask("a", functions=[{"name": "f"}])), 336003),
    (encode({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                          {"role": "function", "name": "f", "content": "{}"}]}), 336003),
])  # fmt: skip
def test_the_older_api_refuses_what_baidu_refuses_under_http_200(body: bytes, code: int) -> None:
    path = OLDER + "chat/completions"

    reply = call("POST", path, body, headers=signed("POST", path))

    assert (reply.status, told(reply)["error_code"]) == (200, code)


@pytest.mark.parametrize(("headers", "query", "answer"), [
    (signed("POST", OLDER + "chat/completions"), {}, {"result": "hello"}),
    (signed("POST", OLDER + "chat/completions", secret="wrong"), {}, {"error_code": 14}),
    ({}, {"access_token": "24.of.nobody"}, {"error_code": 110}),
    ({}, {}, {"error_code": 110}),
])  # fmt: skip
def test_the_older_api_takes_a_token_or_a_signature(headers: dict[str, str], query: dict[str, str], answer: Json) -> None:
    reply = told(call("POST", OLDER + "chat/completions", encode(ask("Say hello")), query=query, headers=headers))

    assert answer.items() <= reply.items()


@pytest.mark.parametrize(("method", "path", "code"), [
    ("GET", "chat/completions", 336101), ("POST", "chat/nothing", 3), ("POST", "text2image/sd_xl", 3),
])  # fmt: skip
def test_what_the_older_api_does_not_have_has_a_code(method: str, path: str, code: int) -> None:
    assert told(call(method, OLDER + path, b"{}", headers=signed(method, OLDER + path)))["error_code"] == code


def test_an_older_stream_ends_with_its_last_event() -> None:
    path = OLDER + "chat/completions"

    first, last, rest = asyncio.run(read(call("POST", path, encode(ask("Say ok", stream=True)), headers=signed("POST", path)))).split(
        b"\n\n"
    )

    assert decode(first[6:]).items() >= {"sentence_id": 0, "is_end": False, "result": "ok"}.items()
    assert decode(last[6:]).items() >= {"sentence_id": 1, "is_end": True, "result": "", "finish_reason": "normal"}.items()
    assert rest == b""


def test_the_tokenizer_counts() -> None:
    path = OLDER + "tokenizer/erniebot"

    assert told(call("POST", path, b'{"prompt":"hello world"}', headers=signed("POST", path)))["usage"] == {
        "prompt_tokens": 4, "total_tokens": 4,
    }  # fmt: skip


@settings(max_examples=100, deadline=None, database=None)
@given(st.sampled_from(OLDER_FIELDS), ANYTHING)
def test_no_value_of_a_field_is_more_than_the_older_api_can_take(field: str, value: Any) -> None:
    path = OLDER + "chat/completions"

    assert call("POST", path, encode({**ask("hi"), field: value}), headers=signed("POST", path)).status == 200


# ---- IAM, OAuth and the console ----


@pytest.mark.parametrize(("asked", "status", "ends"), [
    ("100", 201, "2026-11-23T02:16:42.000Z"), ("0", 400, None), ("ever", 400, None), ("99999999", 400, None),
])  # fmt: skip
def test_iam_gives_a_token_for_as_long_as_is_asked(asked: str, status: int, ends: str | None) -> None:
    query = {"expireInSeconds": asked}

    reply = call("GET", "/v1/BCE-BEARER/token", query=query, headers=signed("GET", "/v1/BCE-BEARER/token", query=query))

    assert (reply.status, told(reply).get("expireTime")) == (status, ends)


@pytest.mark.parametrize(("headers", "code", "message"), [
    ({}, "AccessDenied", "Access denied, cause: no signature of bce-auth-v1."),
    (signed("POST", LIST, key_id="nobody"), "InvalidAccessKeyId", "NotFound, cause: Could not find credential."),
    (signed("POST", LIST, secret="wrong"), "SignatureDoesNotMatch",
     "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"),
    (signed("POST", "/elsewhere"), "SignatureDoesNotMatch", "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"),
])  # fmt: skip
def test_the_console_says_in_headers_what_is_wrong_with_a_signature(headers: dict[str, str], code: str, message: str) -> None:
    reply = call("POST", LIST, b"{}", headers=headers)

    assert (reply.status, reply.headers["X-Bce-Error-Code"], reply.headers["X-Bce-Error-Message"]) == (403, code, message)


def test_the_console_lists_the_paths_of_models() -> None:
    common = told(call("POST", LIST, b"{}", headers=signed("POST", LIST)))["result"]["common"]

    assert [(service["name"], service["url"]) for service in common] == [
        (ERNIE, "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/completions"),
        ("embedding-v1", "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/embeddings/embedding-v1"),
    ]


@pytest.mark.parametrize(("query", "status", "error", "description"), [
    ({"grant_type": "password"}, 400, "unsupported_grant_type", "The authorization grant type is not supported"),
    ({"grant_type": "client_credentials", "client_id": "nobody"}, 401, "invalid_client", "unknown client id"),
    ({"grant_type": "client_credentials", "client_id": "ak"}, 401, "invalid_client", "Client authentication failed"),
])  # fmt: skip
def test_oauth_says_what_is_wrong_with_the_keys(query: dict[str, str], status: int, error: str, description: str) -> None:
    reply = call("POST", "/oauth/2.0/token", query=query, headers={})

    assert (reply.status, told(reply)) == (status, {"error": error, "error_description": description})
