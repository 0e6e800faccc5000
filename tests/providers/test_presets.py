"""How presets are read, and facts of single vendors that the contract's tests cannot know."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from providers.base import Fault, Json, Model, Target
from providers.load import load, presets
from providers.preset import read_presets
from providers.preset_adapter import make_adapter
from tests.providers.roundtrip import said

ADAPTERS = {name: next(iter(surfaces.values())) for name, surfaces in load().items()}
DOCS = {"source": "somewhere", "read": date(2026, 11, 23)}


def chat(name: str) -> Any:
    return ADAPTERS[name].endpoints["chat"]


def sent(name: str, body: Json, model: Model = Model("m")) -> tuple[Json, dict[str, str]]:  # noqa: B008  # frozen
    outgoing = chat(name).request(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **body}, Target("https://v.test", model)
    )
    return json.loads(outgoing.body), {change.field: change.fate for change in outgoing.changes}


def one(chat: Any, **more: Any) -> Json:
    return {"presets": {"acme": {"base_url": "https://a.test/v1", "docs": DOCS, "chat": chat, **more}}}


# ---- the file ----


def test_an_entry_of_ten_lines_is_a_vendor(tmp_path: Path) -> None:
    file = tmp_path / "presets.yaml"
    file.write_text("""
presets:
  acme:
    base_url: https://api.acme.test/v1
    docs: {source: "acme.test/chat", read: 2026-11-20}
    chat:
      fields: {temperature: {clamp: [0.01, 0.99]}, max_completion_tokens: {rename: max_tokens}, logit_bias: {drop: not offered}}
      errors: {"1113": quota}
""")

    adapter = make_adapter(presets(file)["acme"])

    body = {"model": "x", "messages": [], "temperature": 2, "max_completion_tokens": 5, "logit_bias": {}}
    outgoing = adapter.endpoints["chat"].request(body, Target(adapter.base_url, Model("m")))
    assert outgoing.url == "https://api.acme.test/v1/chat/completions"
    assert json.loads(outgoing.body) == {"model": "m", "messages": [], "temperature": 0.99, "max_tokens": 5}
    assert [(change.field, change.fate) for change in outgoing.changes] == [
        ("temperature", "clamped"), ("max_completion_tokens", "renamed"), ("logit_bias", "dropped"),
    ]  # fmt: skip
    assert adapter.endpoints["chat"].fault(400, {}, b'{"error":{"code":"1113","message":"x"}}').kind == "quota"


@pytest.mark.parametrize(("document", "says"), [
    (one({"fields": {"top_p": {"klamp": [0, 1]}}}), "preset `acme`: chat.fields.top_p: there is no word `klamp`"),
    (one({"fields": {"top_p": {"clamp": [0]}}}), "preset `acme`: chat.fields.top_p: clamp: "),
    (one({"fields": {"top_p": {"clamp": [0, 1], "why": "x"}}}), "preset `acme`: chat.fields.top_p: clamp: "),
    (one({"fields": {"n": {"drop_unless": 1}}}), "preset `acme`: chat.fields.n: drop_unless: "),
    (one({"fields": {"n": "gone"}}), "preset `acme`: chat.fields.n: there is no word `gone`"),
    (one({"fields": {"tool_choice": {"choice": ["maybe"]}}}), "preset `acme`: chat.fields.tool_choice: choice: "),
    (one({"errors": {"1": "oops"}}), "preset `acme`: Invalid enum value 'oops' - at `chat.errors[...]`"),
    (one({"feilds": {}}), "preset `acme`: Object contains unknown field `feilds`"),
    (one({"all_native": "top_k"}), "preset `acme`: chat.all_native: "),
    (one({}, auth="basic"), "preset `acme`: Invalid enum value 'basic'"),
    (one({}, like="nobody"), "preset `acme`: like: there is no preset `nobody`"),
    (one({}, like="acme"), "preset `acme`: like: it is like itself"),
    ({"presets": {"acme": {"chat": {}}}}, "preset `acme`: Object missing required field `base_url`"),
    ({"vendors": {}}, "the file of presets has two keys"),
])  # fmt: skip
def test_a_bad_word_is_refused_by_preset_and_field(document: Json, says: str) -> None:
    with pytest.raises(ValueError, match="preset") as raised:
        read_presets(document)

    assert str(raised.value).startswith(says)


@pytest.mark.parametrize("text", ["presets:\n  a: {}\n  a: {}\n", "presets: [", "presets: {zhipu: {base_url: x, chat: {}}}"])
def test_a_file_that_says_a_thing_twice_or_is_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "presets.yaml"
    file.write_text(text)

    with pytest.raises(ValueError, match=r"twice|presets\.yaml|preset `zhipu`"):
        presets(file)


def test_a_preset_that_is_like_another_adds_to_its_tables_and_may_take_fields_back() -> None:
    base = {"base_url": "https://a.test/v1", "docs": DOCS, "chat": {"fields": {"n": "native"}, "errors": {"1": "quota"}}}
    own = {"like": "a", "chat": {"fields": {"seed": "native"}, "all_dropped": {"not offered": ["n"]}, "errors": {"2": "auth"}}}

    read = read_presets({"presets": {"a": base, "b": own}})["b"]

    assert set(read.chat.fields) == {"n", "seed"}
    assert read.chat.fields["n"].drop == "not offered"
    assert list(read.chat.errors.items()) == [("2", "auth"), ("1", "quota")]


# ---- single vendors ----


@pytest.mark.parametrize(("name", "effort", "model", "out", "fate"), [
    ("deepseek", "none", Model("m"), {"thinking": {"type": "disabled"}}, "emulated"),
    ("deepseek", "medium", Model("m"), {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}, "clamped"),
    ("deepseek", "high", Model("m", thinking="none"), {}, "dropped"),
    ("deepseek", "none", Model("m", thinking="none"), {}, None),
    ("volcengine", "low", Model("m"), {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}, None),
    ("moonshot", "medium", Model("m"), {"reasoning_effort": "high"}, "clamped"),
    ("moonshot", "none", Model("m"), {}, "dropped"),
    ("hunyuan", "high", Model("m"), {"enable_thinking": True}, "emulated"),
    ("xiaomi", "high", Model("m"), {}, "dropped"),
])  # fmt: skip
def test_an_effort_is_said_in_the_vendors_way(name: str, effort: str, model: Model, out: Json, fate: str | None) -> None:
    body, fates = sent(name, {"reasoning_effort": effort}, model)

    assert {key: body[key] for key in ("thinking", "reasoning_effort", "enable_thinking") if key in body} == out
    assert fates.get("reasoning_effort") == fate


def test_kimi_takes_no_temperature_and_names_the_limit_as_openai_does_now() -> None:
    out, fates = sent("moonshot", {"temperature": 0.3, "max_tokens": 5})

    assert ("temperature" in out, out["max_completion_tokens"]) == (False, 5)
    assert fates == {"temperature": "dropped", "max_tokens": "renamed"}


def test_earlier_reasoning_goes_back_to_minimax_where_it_came_from() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_content": "c"},
        {"role": "user", "content": "d"},
    ]

    out, fates = sent("minimax", {"messages": turns})

    assert out["messages"][1] == {"role": "assistant", "content": "<think>\nc\n</think>\n\nb"}
    assert fates == {}


@pytest.mark.parametrize(("name", "status", "body", "kind"), [
    ("deepseek", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "param": None,
                                 "code": "invalid_request_error"}}, "quota"),
    ("deepseek", 422, {"error": {"message": "bad", "type": "invalid_request_error", "code": "invalid_request_error"}}, "bad_request"),
    ("deepseek", 503, {"error": {"message": "busy", "type": "x", "code": "invalid_request_error"}}, "overloaded"),
    ("moonshot", 429, {"error": {"message": "suspended", "type": "exceeded_current_quota_error"}}, "quota"),
    ("moonshot", 429, {"error": {"message": "slow", "type": "rate_limit_reached_error"}}, "rate_limited"),
    ("moonshot", 429, {"error": {"message": "busy", "type": "engine_overloaded_error"}}, "overloaded"),
    ("moonshot", 400, {"error": {"message": "Your request exceeded model token limit : 8", "type": "invalid_request_error"}}, "too_long"),
    ("moonshot", 400, {"error": {"message": "risk", "type": "content_filter"}}, "refused"),
    ("minimax", 200, {"id": "", "choices": None, "usage": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "auth"),
    ("minimax", 200, {"choices": None, "base_resp": {"status_code": 1039, "status_msg": "x"}}, "rate_limited"),
    ("hunyuan", 200, {"Response": {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "x"}, "RequestId": "1"}}, "auth"),
    ("hunyuan", 400, {"error": {"code": "InvalidParameterValue.Model", "message": "x"}}, "bad_request"),
    ("hunyuan", 200, {"Response": {"Error": {"Code": "FailedOperation.FreeResourcePackExhausted", "Message": "x"}}}, "quota"),
    ("volcengine", 404, {"error": {"code": "InvalidEndpointOrModel.NotFound", "message": "x", "type": "NotFound"}}, "no_model"),
    ("volcengine", 404, {"error": {"code": "InvalidEndpointOrModel.ModelIDAccessDisabled", "message": "x"}}, "no_model"),
    ("volcengine", 403, {"error": {"code": "OperationDenied.ServiceOverdue", "message": "x"}}, "quota"),
    ("volcengine", 403, {"error": {"code": "OperationDenied.ServiceNotOpen", "message": "x"}}, "auth"),
    ("volcengine", 400, {"error": {"code": "SensitiveContentDetected.Violence", "message": "x"}}, "refused"),
    ("volcengine", 429, {"error": {"code": "ServerOverloaded", "message": "x", "type": "TooManyRequests"}}, "overloaded"),
    ("volcengine", 429, {"error": {"code": "RateLimitExceeded.EndpointTPMExceeded", "message": "x"}}, "rate_limited"),
    ("stepfun", 402, {"error": {"message": "x", "type": "y"}}, "quota"),
    ("stepfun", 451, {"error": {"message": "x", "type": "y"}}, "refused"),
    ("spark", 200, {"code": 10013, "message": "input moderation refused", "sid": "cht000b1a2c@dx19"}, "refused"),
    ("spark", 200, {"error": {"code": "10907", "message": "x", "type": "", "param": None}}, "too_long"),
    ("spark", 401, {"message": "Unauthorized"}, "auth"),
    ("siliconflow", 400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}, "no_model"),
    ("siliconflow", 403, {"code": 30001, "message": "x", "data": None}, "quota"),
    ("siliconflow", 401, "Invalid token", "auth"),
    ("modelscope", 401, {"errors": {"message": "bind"}, "request_id": "1"}, "auth"),
    ("huawei", 401, {"error_code": "APIG.0301", "error_msg": "x"}, "auth"),
])  # fmt: skip
def test_an_error_of_the_documents_has_its_kind(name: str, status: int, body: Any, kind: str) -> None:
    raw = json.dumps(body).encode()

    if status == 200:
        with pytest.raises(Fault) as plain:
            chat(name).response(raw)
        with pytest.raises(Fault) as streamed:
            chat(name).stream().feed(b"data: " + raw + b"\n\n")
        assert (plain.value.kind, streamed.value.kind) == (kind, kind)
    else:
        assert chat(name).fault(status, {}, raw).kind == kind


def test_an_answer_whose_outcome_is_bad_is_no_answer_though_it_has_words() -> None:
    body = {"choices": [{"index": 0, "message": {"content": "x"}}], "base_resp": {"status_code": 1027, "status_msg": "output sensitive"}}

    with pytest.raises(Fault) as raised:
        chat("minimax").response(json.dumps(body).encode())

    assert (raised.value.kind, raised.value.code) == ("refused", "1027")


def test_spark_ends_with_done_alone_and_a_single_call_of_its_is_a_list() -> None:
    call = {"type": "function", "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    body = {"code": 0, "message": "Success", "sid": "1", "choices": [{"index": 0, "message": {"content": "", "tool_calls": call}}]}
    stream = chat("spark").stream()
    chunks = stream.feed(b'data: {"code":0,"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n') + stream.end()

    assert chat("spark").response(json.dumps(body).encode())["choices"][0]["message"]["tool_calls"] == [call]
    assert (said(chunks)["content"], said(chunks)["finish_reason"]) == ("hi", "stop")


def test_deepseeks_lack_of_resources_is_no_finish() -> None:
    with pytest.raises(Fault) as raised:
        chat("deepseek").stream().feed(
            b': keep-alive\n\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}\n\n'
        )

    assert raised.value.kind == "overloaded"


def test_the_usage_of_kimis_older_streams_is_found_in_the_choice() -> None:
    stream = chat("moonshot").stream()
    event = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}]}

    assert said(stream.feed(b"data: " + json.dumps(event).encode() + b"\n\n"))["usage"] == {"prompt_tokens": 3, "completion_tokens": 1}
