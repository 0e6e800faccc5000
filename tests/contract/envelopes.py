"""How each vendor writes an error, and the first words of a stream; from the vendors' documents, not from our code."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

Json = dict[str, Any]
Envelope = Callable[[str, str], Json]
"""(code, message) → the body."""


def openai(code: str, message: str) -> Json:
    return {"error": {"message": message, "type": "some_error", "param": "messages", "code": code}}


def zhipu(code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message}}


def zhipu_flat(code: str, message: str) -> Json:
    """As the gateways in front of it do."""
    return {"success": False, "code": int(code), "msg": message}


def baidu(code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message, "type": "some_error"}, "id": "as-qdb51n76w1"}


def baidu_legacy(code: str, message: str) -> Json:
    if not code.isdigit():  # the token's address
        return {"error": code, "error_description": message}
    return {"error_code": int(code), "error_msg": message, "id": "as-qdb51n76w1"}


def sensetime(code: str, message: str) -> Json:
    return {"error": {"code": int(code) if code.isdigit() else code, "message": message, "details": []}}


def sensetime_plan(code: str, message: str) -> Json:
    return {"error": {"message": message, "type": "some_error", "code": code}}


def alibaba(code: str, message: str) -> Json:
    return {**openai(code, message), "request_id": "9f3a"}


def alibaba_native(code: str, message: str) -> Json:
    return {"code": code, "message": message, "request_id": "9f3a"}


def qihoo360(code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message, "type": ""}}


def filled(form: Any, code: str, message: str) -> Any:
    """A preset's envelope with its places filled."""
    if isinstance(form, dict):
        return {key: filled(value, code, message) for key, value in form.items()}
    if isinstance(form, list):
        return [filled(value, code, message) for value in form]
    if form == "$number":
        return int(code) if code.isdigit() else code
    return {"$code": code, "$message": message, "$status": 400}.get(form, form) if isinstance(form, str) else form


# ---- the first words of a stream ----


def openai_word() -> Json:
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": {"role": "assistant", "content": "Once"}, "finish_reason": None}]}  # fmt: skip


def legacy_word() -> Json:
    head = {"id": "as-1", "object": "chat.completion", "created": 1, "sentence_id": 0, "is_end": False, "is_truncated": False}
    return {**head, "result": "Once", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def native_word() -> Json:
    return {"data": {"id": "s1", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}, "choices": [
        {"index": 0, "role": "assistant", "delta": "Once", "finish_reason": ""}]}, "status": {"code": 0, "message": "ok"}}  # fmt: skip


def alibaba_word() -> Json:
    return {"output": {"choices": [{"message": {"role": "assistant", "content": "Once"}, "finish_reason": "null"}]},
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}, "request_id": "9f3a"}  # fmt: skip


A_KEY: Mapping[str, str] = MappingProxyType({"api_key": "sk-0123456789abcdef"})


class Spoken(Struct, frozen=True):
    """One surface, and the account that calls it."""

    vendor: str
    surface: str
    model: str
    envelope: Envelope
    word: Callable[[], Json] = openai_word
    secrets: Mapping[str, str] = A_KEY
    table: str = ""
    """The surface that the table of errors names."""


SIGNED = {"access_key_id": "the-access-key", "access_key_secret": "the-secret-key"}
SURFACES = (
    Spoken("zhipu", "v4", "glm-5.2", zhipu, secrets={"api_key": "id.secret"}),
    Spoken("baidu", "v2", "ernie-5.1", baidu, secrets={"api_key": "bce-v3/ALTAK-abcdefghij/0123456789abcdef"}, table="v2"),
    Spoken("baidu", "legacy", "ernie-4.0-8k", baidu_legacy, legacy_word, SIGNED, "legacy"),
    Spoken("sensetime", "native", "SenseNova-V6-5-Pro", sensetime, native_word, SIGNED, "native"),
    Spoken("sensetime", "compatible", "SenseNova-V6-5-Pro", sensetime, secrets=SIGNED, table="native"),
    Spoken("sensetime", "token_plan", "sensenova-6.8-flash-lite", sensetime_plan, table="token_plan"),
    Spoken("alibaba", "compatible", "qwen3.7-plus", alibaba),
    Spoken("alibaba", "native", "qwen3.7-plus", alibaba_native, alibaba_word),
    Spoken("baichuan", "v1", "Baichuan4-Turbo", openai),
    Spoken("qihoo360", "v1", "360gpt2-pro", qihoo360, secrets={"api_key": "fk0123456789abcdef"}),
    Spoken("openai", "v1", "gpt-5.4", openai),
    Spoken("azure_openai", "v1", "gpt-4.1", openai),
    Spoken("openai_compatible", "v1", "a-model", openai),
)
