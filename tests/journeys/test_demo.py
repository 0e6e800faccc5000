"""`banjia demo` as somebody meets it first: what it prints works, what the catalog stands in for answers, and it says what is wrong."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI

from tests.journeys.brain import WEATHER, calls_of, user
from tests.journeys.processes import ROOT, Running, banjia, environment


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    with banjia("demo", "--port", "0") as running:
        running.wait_for("-d '")
        yield running


@pytest.fixture(scope="module")
def client(demo: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{demo.url}/v1", api_key="sk-demo", max_retries=0) as made:
        yield made


def test_the_request_that_it_prints_works(demo: Running) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    printed = "".join(demo.said).partition("Try it:\n")[2]

    done = subprocess.run(["bash", "-euc", printed], capture_output=True, text=True, env=environment(), timeout=30, check=True)

    assert '"content":"You asked: Hello' in done.stdout


def test_what_it_prints_is_where_it_is(demo: Running) -> None:
    said = "".join(demo.said)

    assert f"base URL   {demo.url}/v1" in said
    assert "sk-demo" in said
    assert re.search(r"simulated +zhipu, qianfan, sensenova, bailian, baichuan", said)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "gpt-3.5-turbo", "o3-mini", "gpt-5", "gpt-6-astra", "glm-5.2"])
def test_openais_names_answer(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=user("Say hello"))

    assert answer.choices[0].message.content == "hello"


def test_tools_and_embeddings(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=user("Weather in Paris and Tokyo?"), tools=[WEATHER])
    vectors = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])

    assert [arguments for _, arguments in calls_of(answer.choices[0].message.tool_calls or [])] == ['{"city":"Paris"}', '{"city":"Tokyo"}']
    assert len(vectors.data) == 2


@pytest.mark.parametrize("model", ["glm-5.2", "ernie-5.1", "SenseNova-V6-5-Pro", "qwen3.7-plus", "Baichuan4-Turbo"])
def test_a_stream_that_is_left_early_does_not_disturb_the_next(client: OpenAI, model: str) -> None:
    for _ in range(3):
        with client.chat.completions.create(model=model, messages=user("Count to 2000"), stream=True) as stream:
            next(iter(stream))

    assert client.chat.completions.create(model=model, messages=user("Say done")).choices[0].message.content == "done"


def test_the_same_port_again_is_told_in_words(demo: Running) -> None:
    port = demo.url.rpartition(":")[2]

    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "demo", "--port", port],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_alive_and_ready(demo: Running) -> None:
    with httpx.Client(base_url=demo.url, trust_env=False) as http:
        assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
