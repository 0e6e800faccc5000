"""SenseNova's adapters against its simulator, and against the facts of its documents: accounts, requests, embeddings, bills."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from providers.base import Fault, Json, Target, decode, encode
from providers.sensetime.adapter import NATIVE, SURFACES, jwt
from tests.providers.roundtrip import NOW, fault, said
from tests.providers.sensetime import (
    ADAPTERS,
    DEVELOPER,
    FLASH,
    MODELS,
    NAMED,
    ON_EACH,
    PIXEL,
    SENSECORE,
    SYSTEM,
    TEXT,
    USER,
    V6,
    WEATHER,
    ask,
    knock,
    pair,
    sent,
    token,
)

# ---- accounts ----


def test_the_native_surface_is_the_default() -> None:
    assert [(adapter.surface, adapter.base_url) for adapter in SURFACES] == [
        ("native", "https://api.sensenova.cn/v1/llm"),
        ("compatible", "https://api.sensenova.cn/compatible-mode/v1"),
        ("token_plan", "https://token.sensenova.cn/v1"),
    ]


def test_the_signed_token_is_the_one_of_the_document_and_renewed_at_four_fifths_of_its_life() -> None:
    secrets = {"access_key_id": "EXAMPLEAK", "access_key_secret": "EXAMPLESK"}

    with pytest.raises(StopIteration) as done:
        next(jwt(secrets, 1795400102.0))

    assert done.value.value.headers["authorization"] == (
        "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJFWEFNUExFQUsiLCJleHAiOjE3OTU0MDE5MDIsIm5iZiI6MTc5NTQwMDA5N30"
        ".KO3TiPh3tHdQE5rnPLyjOZuA1HTbCXzf3ETld9Gsn_8"
    )
    assert done.value.value.renew == 1795400102.0 + 1440


@pytest.mark.parametrize("surface", SENSECORE)
def test_a_token_is_good_for_half_an_hour_and_no_longer(surface: str) -> None:
    async def go(later: float) -> int:
        two = pair(surface)
        await two.chat(ask("hi"))
        held = await two.prove()
        two.now = NOW + later
        return (await two.send(two.sent[-1], held)).status

    assert asyncio.run(go(1799)) == 200
    assert asyncio.run(go(1801)) == 401


def test_an_expired_token_is_a_stale_credential_that_a_fresh_one_cures() -> None:
    async def go() -> None:
        two = pair()
        held = await two.prove()
        two.now = NOW + 2000
        two.credential = replace(held, renew=NOW + 9999)

        raised = await fault(two.chat(ask("hi")))
        two.credential = None
        answer = await two.chat(ask("Say hi"))

        assert (raised.kind, raised.code, raised.stale) == ("auth", "16", True)
        assert answer["choices"][0]["message"]["content"] == "hi"

    asyncio.run(go())


@pytest.mark.parametrize("wrong", [
    token(secret="other"),
    token("nobody"),
    token(exp=int(NOW) - 1),
    token(nbf=int(NOW) + 60),
    token(exp=None),
    token(nbf=None),
    token()[:-2],
    token(alg="none"),
    token(exp="soon"),
    "a.b.c",
    "ak",
    "é.é.é",
])  # fmt: skip
def test_a_token_that_is_not_right_in_every_part_opens_nothing(wrong: str) -> None:
    body = {"model": TEXT, "messages": [{"role": "user", "content": "hi"}]}

    status, told = knock("/v1/llm/chat-completions", body, key=wrong)

    assert (status, told["error"]["code"]) == (401, 16)
    assert knock("/v1/llm/chat-completions", body, key=token(exp=int(NOW) + 86400))[0] == 200


@pytest.mark.parametrize("surface", SENSECORE)
def test_an_api_key_opens_what_a_token_does(surface: str) -> None:
    two = pair(surface, secrets={"api_key": "sk-made-in-the-console"})

    answer = asyncio.run(two.chat(ask("Say hi")))

    assert answer["choices"][0]["message"]["content"] == "hi"
    assert ("sensetime", "sk-made-in-the-console", V6) in two.bill


@pytest.mark.parametrize(("word", "kind", "code"), [
    ("invalid", "auth", "16"),
    ("expired", "auth", "16"),
    ("arrears", "quota", "7"),
    ("quota", "quota", "8"),
    ("limited", "rate_limited", "8"),
])  # fmt: skip
@pytest.mark.parametrize(("surface", "key", "model"), [("native", "{}", V6), ("compatible", "{}", V6), ("token_plan", "sk-{}", FLASH)])
def test_an_accounts_trouble_is_told_apart_though_codes_are_shared(
    surface: str, key: str, model: str, word: str, kind: str, code: str
) -> None:
    raised = asyncio.run(fault(pair(surface, key.format(word)).chat(ask("hi"), model)))

    assert (raised.kind, raised.code) == (kind, code)


def test_the_token_plan_takes_its_own_kind_of_key_alone_and_none_of_them_is_stale() -> None:
    raised = asyncio.run(fault(pair("token_plan", token()).chat(ask("hi"), FLASH)))

    assert (raised.kind, raised.status, raised.stale) == ("auth", 401, False)


@pytest.mark.parametrize(("surface", "status", "body", "kind"), [
    ("native", 403, {"error": {"code": 7, "message": "permission denied"}}, "auth"),
    ("native", 409, {"error": {"code": 10, "message": "aborted"}}, "overloaded"),
    ("native", 504, {"error": {"code": 4, "message": "deadline exceeded", "details": []}}, "timeout"),
    ("native", 429, {"error": {"code": "insufficient_quota", "message": "no"}}, "quota"),
    ("native", 503, {"error": {"code": 14, "message": "unavailable"}}, "overloaded"),
    ("compatible", 400, {"error": {"code": 18, "message": "no"}}, "refused"),
    ("compatible", 400, {"error": {"message": "too long", "type": "invalid_request_error", "code": "17"}}, "too_long"),
    ("token_plan", 429, {"error": {"message": "credit pool exhausted", "type": "x", "code": "8"}}, "quota"),
    ("token_plan", 429, {"error": {"message": "requests per minute: limit reached", "type": "x", "code": "8"}}, "rate_limited"),
    ("token_plan", 403, {"error": {"message": "blocked by risk control", "type": "x", "code": "7"}}, "refused"),
    ("token_plan", 400, {"error": {"message": "maximum context length exceeded", "type": "x", "code": "3"}}, "too_long"),
    ("token_plan", 404, {"error": {"message": "model is not found", "type": "not_found_error", "code": "5"}}, "no_model"),
    ("token_plan", 502, "Bad Gateway", "overloaded"),
])  # fmt: skip
def test_an_errors_kind_is_read_from_its_code_and_where_that_is_shared_from_its_message(
    surface: str, status: int, body: Any, kind: str
) -> None:
    assert ADAPTERS[surface].endpoints["chat"].fault(status, {}, encode(body)).kind == kind


# ---- requests ----

EVERYTHING: Json = {
    "temperature": 0, "top_p": 1, "n": 9, "seed": 1, "stop": ["a", "b"], "logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 1},
    "user": "me", "store": True, "metadata": {"a": "b"}, "service_tier": "auto", "prediction": {"type": "content", "content": "x"},
    "modalities": ["text", "audio"], "audio": {"voice": "x"}, "prompt_cache_key": "k", "safety_identifier": "s", "verbosity": "low",
    "max_completion_tokens": 10**6, "presence_penalty": 1, "frequency_penalty": -1, "tools": [WEATHER], "tool_choice": "required",
    "parallel_tool_calls": False, "response_format": {"type": "json_object"}, "reasoning_effort": "medium", "web_search_options": {},
    "stream_options": {"include_usage": False}, "something_new": 1,
}  # fmt: skip
NEVER = dict.fromkeys(
    (
        "top_logprobs", "logprobs", "logit_bias", "store", "metadata", "service_tier", "prediction", "modalities", "audio",
        "prompt_cache_key", "safety_identifier", "verbosity", "something_new", "tools[].function.strict",
    ),
    "dropped",
)  # fmt: skip


@pytest.mark.parametrize(("surface", "model", "fates"), [
    ("native", V6, {
        "temperature": "clamped", "top_p": "clamped", "n": "emulated", "seed": "dropped", "stop": "emulated", "presence_penalty": "dropped",
        "frequency_penalty": "dropped", "max_completion_tokens": "clamped", "tool_choice": "emulated", "parallel_tool_calls": "emulated",
        "reasoning_effort": "emulated", "web_search_options": "emulated"}),
    ("compatible", V6, {
        "temperature": "clamped", "top_p": "clamped", "n": "emulated", "seed": "dropped", "stop": "emulated", "presence_penalty": "dropped",
        "frequency_penalty": "dropped", "max_completion_tokens": "clamped", "tool_choice": "emulated", "parallel_tool_calls": "emulated",
        "reasoning_effort": "emulated", "web_search_options": "dropped", "user": "dropped"}),
    ("token_plan", FLASH, {
        "max_completion_tokens": "clamped", "response_format": "emulated", "web_search_options": "dropped", "user": "dropped"}),
])  # fmt: skip
def test_every_field_of_openais_is_sent_as_the_surface_takes_it_or_reported(surface: str, model: str, fates: dict[str, str]) -> None:
    two = pair(surface)

    asyncio.run(two.chat(ask("hi", **EVERYTHING), model))
    asyncio.run(two.stream(ask("hi", **EVERYTHING), model))

    for outgoing in two.sent:
        assert {change.field: change.fate for change in outgoing.changes} == {**NEVER, **fates}


@pytest.mark.parametrize(("surface", "model"), ON_EACH)
def test_what_a_client_says_only_because_it_is_the_default_is_no_change(surface: str, model: str) -> None:
    body = ask("hi", temperature=0.7, top_p=0.5, logprobs=False, store=False, modalities=["text"], logit_bias={}, parallel_tool_calls=True,
               n=1, presence_penalty=0, frequency_penalty=0.0, response_format={"type": "text"})  # fmt: skip

    assert sent(surface, body, model)[1] == {}
    asyncio.run(pair(surface).chat(body, model))


def test_numbers_are_sent_within_their_open_ends_and_with_six_decimals() -> None:
    low, _ = sent("native", ask("hi", temperature=0, top_p=0), TEXT)
    high, _ = sent("compatible", ask("hi", temperature=2, top_p=1), TEXT)
    thirds, _ = sent("native", ask("hi", temperature=1 / 3, max_tokens=9000), TEXT)

    assert (low["temperature"], low["top_p"]) == (0.01, 0.000001)
    assert (high["temperature"], high["top_p"]) == (2, 0.999999)
    assert (thirds["temperature"], thirds["max_new_tokens"]) == (0.333333, 2048)


def test_the_vendors_own_fields_go_through() -> None:
    mine = {"max_new_tokens": 9, "repetition_penalty": 1.1, "know_ids": ["k"], "knowledge_config": {"control_level": "high"}, "user": "me"}

    out, changes = sent("native", ask("hi", **mine), TEXT)

    assert out == {"model": TEXT, "messages": [USER], **mine}
    assert changes == {}


def test_what_a_client_says_of_plugins_stands_beside_a_web_search() -> None:
    mine = {"associated_knowledge": {"content": "The answer is 42.", "mode": "concatenate"}}

    for body in (ask("hi", plugins=mine, web_search_options={}), ask("hi", web_search_options={}, plugins=mine)):
        out, _ = sent("native", body, TEXT)
        assert out["plugins"] == {**mine, "web_search": {"search_enable": True, "result_enable": True}}


@pytest.mark.parametrize("surface", SENSECORE)
def test_models_that_see_get_parts_and_the_others_strings(surface: str) -> None:
    body: Json = {"messages": [SYSTEM, DEVELOPER, {**USER, "name": "ann"}]}

    seeing, fates = sent(surface, body, V6)
    reading, _ = sent(surface, body, TEXT)

    system = {"role": "system", "content": "Be brief.\n\nBe kind."}
    assert seeing["messages"] == [system, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert reading["messages"] == [system, USER]
    assert fates == {
        "messages[].role:developer": "renamed", "messages[].role:system": "emulated", "messages[].name": "dropped",
    }  # fmt: skip


@pytest.mark.parametrize("surface", SENSECORE)
def test_images_are_sent_as_an_address_or_as_bare_base64_and_seen(surface: str) -> None:
    two = pair(surface)
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    ]

    answer = asyncio.run(two.chat({"messages": [{"role": "user", "content": parts}]}, V6))

    assert decode(two.sent[0].body)["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "image_base64", "image_base64": PIXEL},
    ]
    assert [change.field for change in two.sent[0].changes] == ["messages[].content[].input_audio"]
    assert "I see 2 images." in answer["choices"][0]["message"]["content"]


def test_a_video_may_be_written_as_openai_would() -> None:
    for told in ("https://example.com/a.mp4", {"url": "https://example.com/a.mp4"}):
        part = {"type": "video_url", "video_url": told}
        out, _ = sent("native", {"messages": [{"role": "user", "content": [part]}]}, V6)
        assert out["messages"][0]["content"] == [{"type": "video_url", "video_url": "https://example.com/a.mp4"}]


def test_more_images_than_a_request_may_have_are_left_to_another_model() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}

    for content in ([image] * 7, [image, {"type": "video_url", "video_url": "https://example.com/a.mp4"}]):
        with pytest.raises(Fault) as raised:
            sent("native", {"messages": [{"role": "user", "content": content}]}, V6)
        assert (raised.value.kind, raised.value.param) == ("unsupported", "messages")
    assert sent("native", {"messages": [{"role": "user", "content": [image] * 6}]}, V6)[1] == {}


def test_the_history_of_tools_is_sent_as_openai_has_it_with_no_null() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
    result = {"role": "tool", "tool_call_id": "c1", "content": "ok"}

    for surface, model in ON_EACH:
        out, _ = sent(surface, {"messages": [USER, asked, result]}, model)
        assert out["messages"][1:] == [{"role": "assistant", "content": "", "tool_calls": [call]}, result]


@pytest.mark.parametrize(("surface", "given", "out"), [
    ("native", "auto", {"mode": "auto"}),
    ("native", "none", {"mode": "none"}),
    ("native", "required", {"mode": "auto"}),
    ("native", NAMED, NAMED),
    ("compatible", "auto", "auto"),
    ("compatible", "none", None),
    ("compatible", "required", "auto"),
    ("compatible", NAMED, "auto"),
    ("token_plan", "none", "none"),
    ("token_plan", "required", "required"),
    ("token_plan", NAMED, NAMED),
    ("token_plan", {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}, "required"),
])  # fmt: skip
def test_tool_choice_takes_the_form_of_its_surface_and_works(surface: str, given: Any, out: Any) -> None:
    async def go() -> None:
        two = pair(surface)
        model = FLASH if surface == "token_plan" else TEXT

        answer = await two.chat(ask("Weather in Paris?", tools=[WEATHER], tool_choice=given), model)

        assert decode(two.sent[0].body).get("tool_choice") == out
        assert bool(answer["choices"][0]["message"].get("tool_calls")) is (given != "none")

    asyncio.run(go())


@pytest.mark.parametrize("surface", SENSECORE)
def test_json_is_native_where_the_model_has_it_and_a_schema_is_asked_for(surface: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}

    plain, fates = sent(surface, ask("hi", response_format={"type": "json_object"}), TEXT)
    shaped, shaped_fates = sent(surface, ask("hi", response_format=schema), TEXT)
    asked, asked_fates = sent(surface, ask("hi", response_format=schema), "SenseChat")

    assert plain["response_format"] == shaped["response_format"] == {"type": "json_object"}
    assert "response_format" not in asked
    assert '{"type":"object"}' in shaped["messages"][0]["content"]
    assert '{"type":"object"}' in asked["messages"][0]["content"]
    assert (fates, shaped_fates, asked_fates) == ({}, {"response_format": "emulated"}, {"response_format": "emulated"})
    assert asyncio.run(pair(surface).chat(ask("hi", response_format=schema), TEXT))["choices"][0]["message"]["content"].startswith("{")


def test_the_token_plan_is_asked_for_json_in_words() -> None:
    two = pair("token_plan")

    asyncio.run(two.chat(ask("hi", response_format={"type": "json_object"}), FLASH))

    out = decode(two.sent[0].body)
    assert "response_format" not in out
    assert "JSON" in out["messages"][0]["content"]


def test_a_model_that_cannot_choose_whether_to_think_is_not_told_to() -> None:
    for model, why in (("DeepSeek-R1", "the model always thinks"), (TEXT, "the model does not think")):
        known = next(known for known in MODELS if known.id == model)
        outgoing = NATIVE.endpoints["chat"].request({"model": "o3", **ask("hi", reasoning_effort="low")}, Target("", known))
        assert "thinking" not in decode(outgoing.body)
        assert [(change.fate, change.why) for change in outgoing.changes] == [("dropped", why)]
    assert sent("native", ask("hi", reasoning_effort="none"), TEXT) == ({"model": TEXT, "messages": [USER]}, {})


def test_kimi_is_spared_what_it_has_only_one_of() -> None:
    async def go() -> None:
        two = pair("token_plan")
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}

        await two.chat({"messages": [{"role": "user", "content": [image]}], "temperature": 0.2, "top_p": 0.95, "max_tokens": 9}, "kimi-k3")
        away = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        raised = await fault(two.chat({"messages": [{"role": "user", "content": [away]}]}, "kimi-k3"))

        out = decode(two.sent[0].body)
        assert out.keys() == {"model", "messages", "max_completion_tokens"}
        assert {change.field: change.fate for change in two.sent[0].changes} == {"temperature": "clamped", "max_tokens": "renamed"}
        assert raised.kind == "unsupported"

    asyncio.run(go())


def test_usage_of_a_stream_is_asked_for_where_it_must_be() -> None:
    assert "stream_options" not in sent("native", ask("hi", stream=True), TEXT)[0]
    for surface, model in (("compatible", TEXT), ("token_plan", FLASH)):
        out, fates = sent(surface, ask("hi", stream=True, stream_options={"include_usage": False}), model)
        assert out["stream_options"] == {"include_usage": True}
        assert fates == {}


# ---- embeddings ----


def test_embeddings_come_in_order_and_are_768_wide() -> None:
    two = pair()

    answer = asyncio.run(two.embed({"input": ["a b", "b", "a b"], "dimensions": 768, "encoding_format": "base64"}, "nova-embedding-stable"))

    first, second, third = (item["embedding"] for item in answer["data"])
    assert len(first) == 768
    assert first == third != second
    assert answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert decode(two.sent[0].body) == {"model": "nova-embedding-stable", "input": ["a b", "b", "a b"]}
    assert two.bill["sensetime", "ak", "nova-embedding-stable"].prompt_tokens == 5


def test_vectors_are_put_in_order_and_one_that_failed_fails_the_call() -> None:
    vectors: list[Json] = [{"index": 1, "embedding": [2.0], "status_code": 0}, {"index": 0, "embedding": [1.0], "status_code": 0}]
    embeddings = NATIVE.endpoints["embeddings"]

    for answer in ({"embeddings": vectors}, {"data": {"embeddings": vectors}}):
        assert [item["embedding"] for item in embeddings.response(encode(answer))["data"]] == [[1.0], [2.0]]
    for failed, kind in (({"embeddings": [{**vectors[0], "status_code": 18}]}, "refused"), ({"embeddings": []}, "broken")):
        with pytest.raises(Fault) as raised:
            embeddings.response(encode(failed))
        assert raised.value.kind == kind


def test_a_width_that_the_model_lacks_is_refused_not_faked() -> None:
    raised = asyncio.run(fault(pair().embed({"input": ["a"], "dimensions": 1536}, "nova-embedding-stable")))

    assert (raised.kind, raised.param) == ("unsupported", "dimensions")


@pytest.mark.parametrize(("body", "code"), [
    ({"input": ["a"] * 33}, 3),
    ({"input": "a"}, 3),
    ({"input": []}, 3),
    ({"input": [1]}, 3),
    ({"input": ["a"], "dimensions": 768}, 3),
    ({"input": ["word " * 513]}, 17),
])  # fmt: skip
def test_embeddings_have_their_limits(body: Json, code: int) -> None:
    status, told = knock("/v1/llm/embeddings", {"model": "nova-embedding-stable", **body})

    assert (status, told["error"]["code"]) == (400, code)


# ---- the bill ----


@pytest.mark.parametrize(("surface", "model"), ON_EACH)
def test_the_bill_is_the_usage_that_was_told(surface: str, model: str) -> None:
    two = pair(surface)
    body: Json = {"messages": [{**SYSTEM, "content": "Be brief. " * 20}, USER], "reasoning_effort": "high"}
    if surface == "native":
        body |= {"n": 2, "plugins": {"associated_knowledge": {"content": "The answer is 42."}}}

    usage = [asyncio.run(two.chat(body, model))["usage"], said(asyncio.run(two.stream(body, model)))["usage"]]

    charge = two.bill["sensetime", "sk-0123" if surface == "token_plan" else "ak", model]
    assert charge.requests == 2
    assert charge.prompt_tokens == sum(told["prompt_tokens"] for told in usage)
    assert charge.completion_tokens == sum(told["completion_tokens"] for told in usage)
    assert charge.cached_tokens == sum(told.get("prompt_tokens_details", {}).get("cached_tokens", 0) for told in usage)
    assert charge.reasoning_tokens == sum(told.get("completion_tokens_details", {}).get("reasoning_tokens", 0) for told in usage)
