"""Azure's adapter: both surfaces against the simulator, what a version lacks, the filter's remarks, errors, and Entra ID's tokens."""

import asyncio
from typing import Any

import pytest
from msgspec import json

from providers.azure_openai.adapter import CLASSIC, SURFACES, VERSION_1, classic_generations
from providers.azure_openai.simulator import SIMULATOR
from providers.base import Adapter, Fault, Json, Model, Outgoing, Target
from providers.openai.rules import OLDER
from tests.providers.openai import EVERYTHING, MODELS, PERSON, WEATHER, ask
from tests.providers.roundtrip import Pair, cut, fault, said

KEY = "0123456789abcdef0123456789abcdef"
APPLICATION = {"tenant_id": "acme", "client_id": "client", "client_secret": "secret"}
GA, LAST = "2024-10-21", "2025-04-01-preview"
every = pytest.mark.parametrize("version", ["", "preview", GA, LAST, "2024-06-01", "2024-02-01", "2023-05-15"])


def pair(version: str = "", key: str = KEY, **secrets: str) -> Pair:
    adapter = CLASSIC if version[:1] == "2" else VERSION_1
    known = secrets or {"api_key": key}
    return Pair(adapter, SIMULATOR, known, *MODELS, accounts={"client": "secret"}, version=version)


def sent(two: Pair) -> Json:
    body: Json = json.decode(two.sent[-1].body)
    return body


def told(two: Pair) -> dict[str, str]:
    return {change.field: change.fate for change in two.sent[-1].changes}


@every
@pytest.mark.parametrize("name", ["gpt-4o", "gpt-5.4"])
def test_plain_and_streamed_answers_say_the_same(version: str, name: str) -> None:
    async def go() -> None:
        body = ask("Say 你好 🙂 world")

        plain = await pair(version).chat(body, name)
        chunks = await pair(version).stream(body, name, size=1)

        assert plain["choices"][0]["message"]["content"] == said(chunks)["content"] == "你好 🙂 world"
        assert said(chunks)["finish_reason"] == "stop"
        assert said(chunks)["usage"] == (plain["usage"] if version[:10] not in ("2024-06-01", "2024-02-01", "2023-05-15") else None)

    asyncio.run(go())


@every
def test_every_openai_field_is_taken_or_reported_by_every_version(version: str) -> None:
    two = pair(version)

    answer = asyncio.run(two.chat(EVERYTHING, "gpt-4o"))

    assert len(answer["choices"]) == 2
    assert "a_field_of_2030" in told(two)
    lost = EVERYTHING.keys() - sent(two).keys() - told(two).keys()
    assert lost <= {"max_tokens", "modalities"}  # which the other limit holds, and which says nothing


@every
@pytest.mark.parametrize("name", ["o3", "gpt-5.4"])
def test_a_model_that_reasons_takes_it_too(version: str, name: str) -> None:
    tools = {"tools": [WEATHER]} if version[:4] != "2023" else {}

    asyncio.run(pair(version).chat({**EVERYTHING, **tools}, name))


def test_functions_are_called_without_reasoning_from_5_6_on() -> None:
    two = pair()

    asyncio.run(two.chat(ask("Weather in Paris?", tools=[WEATHER], reasoning_effort="high"), "gpt-5.4"))
    assert sent(two)["reasoning_effort"] == "high"
    asyncio.run(two.chat(ask("Weather in Paris?", tools=[WEATHER], reasoning_effort="high"), "gpt-5.6-sol"))
    assert (sent(two)["reasoning_effort"], told(two)) == ("none", {"reasoning_effort": "clamped"})


VERSIONED: dict[str, tuple[Json, dict[str, dict[str, Any]]]] = {
    "limit": (ask("hi", max_completion_tokens=9), {
        "": {"max_completion_tokens": 9}, GA: {"max_completion_tokens": 9}, "2024-08-01-preview": {"max_tokens": 9},
    }),
    "effort": (ask("hi", reasoning_effort="low"), {
        LAST: {"reasoning_effort": "low"}, "2024-12-01-preview": {"reasoning_effort": "low"}, GA: {},
    }),
    "choice": (ask("Weather in Paris?", tools=[WEATHER], tool_choice="required"), {
        GA: {"tools": [WEATHER], "tool_choice": "required"}, "2024-05-01-preview": {"tool_choice": "auto"}, "2023-05-15": {},
    }),
    "named": (ask("Weather in Paris?", tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "get_weather"}}), {
        "2024-02-01": {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    }),
    "schema": (ask("Who?", response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}), {
        GA: {"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}},
        "2024-06-01": {"response_format": {"type": "json_object"}}, "2023-05-15": {},
    }),
    "parallel": (ask("Weather in Paris?", tools=[WEATHER], parallel_tool_calls=False), {
        GA: {"parallel_tool_calls": False}, "2024-06-01": {},
    }),
    "logprobs": (ask("hi", logprobs=True), {"2024-02-15-preview": {"logprobs": True}, "2024-02-01": {}}),
    "prediction": (ask("hi", prediction={"type": "content", "content": "a"}), {
        "2025-01-01-preview": {"prediction": {"type": "content", "content": "a"}}, "2024-12-01-preview": {},
    }),
    "store": (ask("hi", store=True), {"": {"store": True}, "2024-12-01-preview": {"store": True}, GA: {}}),
    "tier": (ask("hi", service_tier="priority"), {"": {"service_tier": "priority"}, LAST: {}}),
    "retention": (ask("hi", prompt_cache_retention="24h"), {"": {"prompt_cache_retention": "24h"}, LAST: {}}),
}  # fmt: skip
GATED = [
    pytest.param(name, version, id=f"{name}-{version or 'v1'}") for name, (_, by_version) in VERSIONED.items() for version in by_version
]


@pytest.mark.parametrize(("name", "version"), GATED)
def test_a_field_that_a_version_lacks_is_said_otherwise_or_reported(name: str, version: str) -> None:
    body, by_version = VERSIONED[name]
    two = pair(version)
    model = "o3" if name == "effort" else "gpt-4o"

    asyncio.run(two.chat(body, model))

    wanted = by_version[version]
    (field,) = body.keys() - {"messages", "tools"}
    assert {key: sent(two).get(key) for key in wanted} == wanted
    assert (field in told(two)) == (wanted.get(field) != body[field])
    assert field in wanted or field not in sent(two)


def test_an_old_version_has_no_limit_for_a_model_that_reasons() -> None:
    two = pair("2024-08-01-preview")

    asyncio.run(two.chat(ask("hi", max_completion_tokens=100), "o3"))

    assert told(two) == {"max_completion_tokens": "dropped"}


@pytest.mark.parametrize("version", ["", GA, "2023-05-15"])
def test_every_field_of_today_has_its_fate_in_every_version(version: str) -> None:
    table = classic_generations(version).older if version else OLDER

    assert table.keys() >= OLDER.keys()


# ---- deployments ----


def outgoing(adapter: Adapter, model: Model, version: str = "", base: str = "") -> Outgoing:
    target = Target(base or f"https://r.openai.azure.com{adapter.base_url}", model, version)
    return adapter.endpoints["chat"].request({"model": "gpt-4o", **ask("hi")}, target)


def test_v1_names_the_deployment_in_the_body() -> None:
    named = outgoing(VERSION_1, Model("gpt-4o", endpoint="gpt4o-prod"))
    plain = outgoing(VERSION_1, Model("gpt-4o"), "preview")

    assert named.url == "https://r.openai.azure.com/openai/v1/chat/completions"
    assert json.decode(named.body)["model"] == "gpt4o-prod"
    assert plain.url == "https://r.openai.azure.com/openai/v1/chat/completions?api-version=preview"
    assert json.decode(plain.body)["model"] == "gpt-4o"


@pytest.mark.parametrize("base", ["", "https://r.openai.azure.com/openai/v1"])
def test_the_classic_surface_names_it_in_the_path(base: str) -> None:
    named = outgoing(CLASSIC, Model("gpt-4o", endpoint="my gpt/4o"), GA, base)

    assert named.url == "https://r.openai.azure.com/openai/deployments/my%20gpt%2F4o/chat/completions?api-version=2024-10-21"
    assert "model" not in json.decode(named.body)


@pytest.mark.parametrize("version", ["", GA])
def test_a_deployment_of_another_name_is_found(version: str) -> None:
    async def go() -> None:
        two = pair(version)
        two.world.models["gpt-4o"]  # the simulator has it as gpt4o-prod too
        target = Target(f"https://r{two.adapter.base_url}", Model("gpt-4o", endpoint="gpt4o-prod"), version)
        reply = await two.send(two.adapter.endpoints["chat"].request({"model": "x", **ask("hi")}, target), await two.prove())
        assert reply.status == 200
        assert two.bill["azure_openai", KEY, "gpt-4o"].requests == 1
        raised = await fault(two.chat(ask("hi"), "gpt-99"))
        assert (raised.kind, raised.code, raised.status) == ("no_model", "DeploymentNotFound", 404)

    asyncio.run(go())


def test_the_wrong_version_is_told_as_a_wrong_address() -> None:
    raised = asyncio.run(fault(pair("2022-12-01").chat(ask("hi"), "gpt-4o")))

    assert (raised.kind, raised.code, raised.message) == ("no_model", "404", "Resource not found")


def test_embeddings_on_both_surfaces() -> None:
    for version in ("", GA):
        two = pair(version)

        answer = asyncio.run(two.embed({"input": ["a", "b"], "dimensions": 9, "encoding_format": "base64"}, "text-embedding-3-small"))

        assert [len(item["embedding"]) for item in answer["data"]] == [9, 9]
        assert two.sent[0].url.endswith(
            "/embeddings" if not version else f"/deployments/text-embedding-3-small/embeddings?api-version={GA}"
        )


def test_the_surfaces_in_their_order() -> None:
    assert [(adapter.surface, adapter.base_url, adapter.deployments) for adapter in SURFACES] == [
        ("v1", "/openai/v1", True),
        ("classic", "/openai", True),
    ]


# ---- the filter's remarks ----

SAFE = b'{"hate":{"filtered":false,"severity":"safe"}}'
OF_THE_PROMPT = b'"prompt_filter_results":[{"prompt_index":0,"content_filter_results":' + SAFE + b"}]"
HEAD = b'"created":1795420800,"id":"chatcmpl-Bz2","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk"'
STREAM = b"".join(
    b"data: " + event + b"\n\n"
    for event in (
        b'{"choices":[],"created":0,"id":"","model":"","object":"",' + OF_THE_PROMPT + b"}",
        b'{"choices":[{"content_filter_results":{},"delta":{"content":"","role":"assistant"},"index":0}],' + HEAD + b"}",
        b'{"choices":[{"content_filter_results":' + SAFE + b',"delta":{"content":"Hi."},"finish_reason":null,"index":0}],' + HEAD + b"}",
        b'{"choices":[{"content_filter_results":' + SAFE + b',"content_filter_offsets":{"check_offset":0,"start_offset":0,"end_offset":3},'
        b'"finish_reason":null,"index":0}],' + HEAD + b"}",
        b'{"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}],' + HEAD + b"}",
        b'{"choices":[{"content_filter_result":{"error":{"code":"content_filter_error"}},"finish_reason":null,"index":0}],' + HEAD + b"}",
        b"[DONE]",
    )
)  # fmt: skip
CHUNKS = [
    {"role": "assistant", "content": ""},
    {"content": "Hi."},
    {},
]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_remarks_are_passed_over_wherever_the_stream_is_cut(size: int) -> None:
    stream = VERSION_1.endpoints["chat"].stream()

    chunks = [chunk for piece in cut(STREAM, size) for chunk in stream.feed(piece)] + stream.end()

    assert [chunk["choices"][0]["delta"] for chunk in chunks] == CHUNKS
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {("chatcmpl-Bz2", 1795420800, "gpt-4o-2024-11-20")}
    assert "filter" not in json.encode(chunks).decode()


def test_a_stream_that_the_filter_ends_says_so() -> None:
    told = said(asyncio.run(pair().stream(ask("[unsafe-output] hi"), "gpt-4o")))

    assert told["finish_reason"] == "content_filter"


def test_a_stream_that_only_remarks_is_broken() -> None:
    stream = VERSION_1.endpoints["chat"].stream()
    stream.feed(STREAM.partition(b"\n\n")[0] + b"\n\n")

    with pytest.raises(Fault) as raised:
        stream.end()

    assert raised.value.kind == "broken"


def test_remarks_are_taken_out_of_a_plain_answer() -> None:
    answer = asyncio.run(pair(GA).chat(ask("hi"), "gpt-4o"))

    assert "filter" not in json.encode(answer).decode()
    assert answer["model"] == "gpt-4o-2024-11-20"


def test_an_error_in_a_stream_is_a_fault() -> None:
    stream = CLASSIC.endpoints["chat"].stream()

    with pytest.raises(Fault) as raised:
        stream.feed(b'data: {"error":{"code":"429","message":"Please retry after 3 seconds."}}\n\n')

    assert (raised.value.kind, raised.value.retry_after) == ("rate_limited", 3.0)


def test_functions_that_cannot_be_called_with_reasoning_are_refused_where_the_version_cannot_turn_it_off() -> None:
    model = Model("gpt-5.6", thinking="effort", tools=True)
    chat = CLASSIC.endpoints["chat"]

    with pytest.raises(Fault) as raised:
        chat.request({**ask("Weather?"), "model": "m", "tools": [WEATHER]}, Target("http://x", model, GA))

    assert (raised.value.kind, raised.value.param) == ("unsupported", "tools")
    assert chat.request({**ask("Weather?"), "model": "m", "tools": [WEATHER]}, Target("http://x", model, LAST)).body
