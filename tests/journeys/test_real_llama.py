"""OpenAI's SDK through the gateway at llama.cpp's own server, run here with a small model; and our simulator held against it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.conftest import NO_TLS, TEAM, Served
from tests.journeys.judges import CLIENTS
from tests.journeys.processes import ROOT, Failed, environment

KEY = "sk-of-the-real-server"
CONTEXT = 512
LLAMA31 = "meta-llama/Llama-3.1-8B-Instruct"
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
Json = dict[str, Any]
ON: Json = {"ignore_eos": True}
"""So that the model says something, as many tokens as it may: it is small, and sometimes says nothing."""


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """Its address, without `/v1`."""
    folder = ROOT / ".judges" / "llama"
    if not (folder / ".installed").exists():
        raise Failed("the judge llama is not installed: run `make .judges/llama/.installed`, or `make test`, which installs all")
    command = [sys.executable, "-S", "-P", str(CLIENTS / "llama.py"), KEY, str(CONTEXT)]
    there = environment(PYTHONPATH=str(folder))
    with subprocess.Popen(
        command, env=there, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            yield address
        finally:
            process.kill()


@pytest.fixture
def served(gateway: Callable[..., Served], real: str) -> Served:
    account = {"vendor": "openai_compatible", "surface": "llama_cpp", "jurisdiction": "cn-mainland", "base_url": real}
    models = {"gpt-4o": "real/smollm2", "no-key": "keyless/smollm2"}
    return gateway({"providers": {"real": {**account, "api_key": KEY}, "keyless": account}, "models": models}, TEAM)


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0, timeout=40) as made:
        yield made


def test_a_plain_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=8, extra_body=ON)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert "timings" not in (answer.model_extra or {})


def test_a_stream_with_its_usage(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=HELLO, max_tokens=8, extra_body=ON, stream=True, stream_options={"include_usage": True}
        )
    )

    first, *_, finish, last = chunks
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert finish.choices[0].finish_reason in ("stop", "length")
    assert last.choices == []
    assert last.usage is not None
    assert 0 < last.usage.completion_tokens <= 8
    assert {chunk.id for chunk in chunks} == {first.id}
    assert all("timings" not in (chunk.model_extra or {}) for chunk in chunks)


def test_a_limit_and_a_stop_are_kept(client: OpenAI) -> None:
    cold: Json = {"model": "gpt-4o", "messages": HELLO, "temperature": 0, "seed": 1, "extra_body": ON}

    whole = client.chat.completions.create(**cold, max_completion_tokens=6)
    words = whole.choices[0].message.content or ""
    stop = words.split()[-1]
    stopped = client.chat.completions.create(**cold, max_tokens=6, stop=[stop])

    assert whole.usage is not None
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 6)
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.choices[0].message.content == words.partition(stop)[0]


def test_a_schema_is_obeyed(client: OpenAI) -> None:
    properties = {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": ["name", "age"], "additionalProperties": False}
    form: Any = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}

    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Invent a person."}], response_format=form, max_tokens=80, temperature=0
    )

    told = json.loads(answer.choices[0].message.content or "")
    assert told.keys() == {"name", "age"}
    assert isinstance(told["age"], int)


def test_more_answers_than_the_server_has_slots_are_given_and_all_are_counted(client: OpenAI, real: str) -> None:
    """The server itself refuses more than its two slots, and of two answers tells the usage of one."""
    head = {"authorization": f"Bearer {KEY}"}
    own = [
        httpx.post(
            f"{real}/v1/chat/completions", json={"messages": HELLO, "max_tokens": 2, "n": n, **ON}, headers=head, verify=NO_TLS, timeout=40
        )
        for n in (2, 3)
    ]

    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, max_tokens=2, n=3, extra_body=ON)

    answer = raw.parse()
    assert (len(own[0].json()["choices"]), own[0].json()["usage"]["completion_tokens"]) == (2, 2)
    assert own[1].status_code == 400
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    assert "n=emulated" in raw.headers["x-banjia-changes"]


def test_turns_of_the_assistants_at_the_end_are_answered(client: OpenAI, real: str) -> None:
    """The server itself would go on with one, and refuses two."""
    messages: list[Any] = [*HELLO, {"role": "assistant", "content": "Xylophone"}, {"role": "assistant", "content": "Zebra"}]
    own = httpx.post(f"{real}/v1/chat/completions", json={"messages": messages}, headers={"x-api-key": KEY}, verify=NO_TLS, timeout=40)

    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=messages, max_tokens=2)

    assert own.status_code == 400
    assert raw.parse().choices[0].finish_reason in ("stop", "length")
    assert "messages[].role:assistant=emulated" in raw.headers["x-banjia-changes"]


def test_only_names_of_the_gateways_own_are_listed(client: OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {"gpt-4o", "no-key"}


def test_a_key_that_the_server_does_not_know(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="no-key", messages=HELLO)

    assert (refused.value.status_code, refused.value.code) == (502, "upstream_auth")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_prompt_that_is_too_long(client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "word " * CONTEXT * 2}], stream=stream)

    assert refused.value.code == "context_length_exceeded"


def test_images_are_refused_and_not_tried_again(client: OpenAI) -> None:
    """The server says HTTP 500."""
    parts: Any = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}])

    assert refused.value.code == "unsupported_parameter"


def test_a_client_that_leaves_frees_the_server(client: OpenAI, served: Served) -> None:
    """Both slots are taken by answers without an end; when their clients have gone, the next question is answered."""
    endless: Json = {"model": "gpt-4o", "messages": HELLO, "max_tokens": 400, "extra_body": ON, "stream": True}
    streams: list[Any] = [client.chat.completions.create(**endless) for _ in range(2)]
    for stream in streams:
        assert next(iter(stream)).choices
        stream.close()

    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=2)

    assert answer.choices[0].message.content is not None


# ---- the simulator, held against it ----

CASES: dict[str, Json] = {
    "plain": {},
    "logprobs": {"logprobs": True, "top_logprobs": 1},
    "stream": {"stream": True},
    "usage": {"stream": True, "stream_options": {"include_usage": True}},
    "two": {"n": 2},
    "three": {"n": 3},
    "no messages": {"messages": None},
    "messages": {"messages": "Hello"},
    "no content": {"messages": [{"role": "user"}]},
    "no role": {"messages": [{"content": "a"}]},
    "two assistants": {"messages": [*HELLO, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "part": {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
    "image": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]},
    "temperature": {"temperature": "hot"},
    "limit": {"max_tokens": -5},
    "form": {"response_format": {"type": "odd"}},
    "choice": {"tool_choice": "odd"},
    "tool": {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
    "likely": {"top_logprobs": 1},
    "likely calls": {"tools": [{"type": "function", "function": {"name": "x", "parameters": {}}}], "logprobs": True, "stream": True},
}


def shape(told: Any) -> Any:
    """Keys and kinds of values, without their order; the first of a list stands for all."""
    if isinstance(told, dict):
        return {key: shape(value) for key, value in told.items()}
    if isinstance(told, list):
        return [shape(told[0])] if told else []
    return "number" if isinstance(told, int | float) and not isinstance(told, bool) else type(told).__name__


def frames(text: str) -> list[Any]:
    """The shapes of a stream's events, each once."""
    found = [line.removeprefix("data: ") for line in text.splitlines() if line]
    shapes = ["[DONE]" if one == "[DONE]" else shape(json.loads(one)) for one in found]
    return [one for at, one in enumerate(shapes) if one not in shapes[:at]]


def without_ids(told: Any) -> Any:
    """Its tokens have numbers, which ours have not."""
    if isinstance(told, dict):
        return {key: without_ids(value) for key, value in told.items() if key != "id" or "token" not in told}
    return [without_ids(one) for one in told] if isinstance(told, list) else told


@pytest.mark.parametrize("case", CASES)
def test_the_simulator_says_what_the_server_says(real: str, simulators: str, case: str) -> None:
    body = {"model": LLAMA31, "messages": HELLO, "max_tokens": 2, "temperature": 0, **ON, **CASES[case]}
    sent = {field: value for field, value in body.items() if value is not None}
    ours, theirs = (
        httpx.post(f"{at}/v1/chat/completions", json=sent, headers={"authorization": f"Bearer {KEY}"}, verify=NO_TLS, timeout=40)
        for at in (f"{simulators}/openai_compatible/llama_cpp", real)
    )

    assert ours.status_code == theirs.status_code
    assert ours.headers["content-type"].partition(";")[0] == theirs.headers["content-type"].partition(";")[0]
    if CASES[case].get("stream") and theirs.status_code == 200:
        assert frames(ours.text) == frames(theirs.text)
        return
    assert without_ids(shape(ours.json())) == without_ids(shape(theirs.json()))
    if theirs.status_code != 200:
        assert ours.json()["error"]["type"] == theirs.json()["error"]["type"]
        assert ours.json()["error"]["message"][:24] == theirs.json()["error"]["message"][:24]


@pytest.mark.parametrize(("method", "path", "key"), [
    ("GET", "/v1/models", KEY), ("GET", "/v1/models", "wrong"), ("GET", "/health", ""), ("GET", "/v1/nowhere", KEY),
])  # fmt: skip
def test_the_simulators_other_paths_say_what_the_servers_say(real: str, simulators: str, method: str, path: str, key: str) -> None:
    head = {"authorization": f"Bearer {key}"} if key else {}

    ours, theirs = (
        httpx.request(method, f"{at}{path}", headers=head, verify=NO_TLS, timeout=40)
        for at in (f"{simulators}/openai_compatible/llama_cpp", real)
    )

    assert (ours.status_code, shape(ours.json())) == (theirs.status_code, shape(theirs.json()))
