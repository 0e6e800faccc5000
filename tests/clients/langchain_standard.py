"""LangChain's standard tests of a chat model, on chat and on Responses, and of embeddings, all of them, for each account and model.

Reads a question as JSON; prints {"account suite": {test: outcome}} as JSON, where an outcome is "passed", "skipped: why" or "failed: how".
pytest imports this file once more, and finds in it the classes that are made of the question.
"""

import json
import os
import sys
import tempfile
from collections import defaultdict
from contextlib import redirect_stdout
from importlib import import_module
from types import SimpleNamespace
from typing import Any

pytest: Any = import_module("pytest")
standard: Any = import_module("langchain_tests.integration_tests")
openai: Any = import_module("langchain_openai")
Json = dict[str, Any]

ASKED = "BANJIA_QUESTION"
LONG = "You are kind, patient and brief, you answer in one sentence, and you never speak of yourself unless you are asked to."
PLUGINS = ("pytest_asyncio.plugin", "pytest_benchmark.plugin", "pytest_recording.plugin", "pytest_socket")
OPTIONS = (
    *("-q", "--noconftest", "--import-mode=importlib", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "ignore"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"),  # LangChain keeps its connections
    *("--disable-socket", "--allow-unix-socket", "--allow-hosts=127.0.0.1"),
    *(part for name in PLUGINS for part in ("-p", name)),
)


def chat_class(params: Json, able: Json) -> Any:
    """The tests of one model. `able`: values of the suite's own properties."""

    def reasoning(self: Any, *, stream: bool = False) -> Any:
        return answer_of(openai.ChatOpenAI(**{**params, "model": "o3"}, reasoning_effort="medium"), "Why?", stream)

    def cached(self: Any, *, stream: bool = False) -> Any:
        return answer_of(openai.ChatOpenAI(**params), [("system", LONG), ("human", "Hello")], stream)

    told = {"chat_model_class": openai.ChatOpenAI, "chat_model_params": params, **able}
    members = {"invoke_with_reasoning_output": reasoning, "invoke_with_cache_read_input": cached}
    return type("Chat", (standard.ChatModelIntegrationTests,), {**members, **properties(told)})


def is_asked_on_responses(self: Any, model: Any) -> None:
    assert model.invoke("Hello").response_metadata["id"].startswith("resp_")


def answer_of(chat: Any, text: Any, stream: bool) -> Any:
    if not stream:
        return chat.invoke(text)
    first, *others = chat.stream(text)
    return sum(others, first)


def embeddings_class(params: Json) -> type:
    told = {"embeddings_class": openai.OpenAIEmbeddings, "embedding_model_params": params}
    return type("Embeddings", (standard.EmbeddingsIntegrationTests,), properties(told))


def properties(told: Json) -> Json:
    def constant(value: Any) -> property:
        return property(lambda self: value)

    return {name: constant(value) for name, value in told.items()}


def classes_of(question: Json) -> Json:
    """The classes by name: "Test account suite"."""
    fetched = SimpleNamespace(content=bytes.fromhex(question["picture"]))
    chat_models: Any = import_module("langchain_tests.integration_tests.chat_models")
    chat_models.httpx = SimpleNamespace(get=lambda url, timeout: fetched)  # the suite's own picture is somewhere else
    found: Json = {}
    for account in question["accounts"]:
        params = {"base_url": question["base_url"], "api_key": account["key"], "max_retries": 0}
        for model, able in account["models"].items():
            found[f"Test {account['id']} {model}"] = chat_class({**params, "model": model, "stream_usage": True}, able)
        if account["responses"]:
            asked = {**params, "model": "gpt-4o", "use_responses_api": True}
            made = found[f"Test {account['id']} responses"] = chat_class(asked, account["responses"])
            made.test_is_asked_on_responses = is_asked_on_responses
        if account["embeddings"]:
            found[f"Test {account['id']} embeddings"] = embeddings_class({**params, "model": "text-embedding-3-small"})
    return found


class Outcomes:
    """Of every test, by its class."""

    def __init__(self) -> None:
        self.told: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.passed:
            return
        *_, owner, name = report.nodeid.split("::")
        why = "" if report.passed else f": {report.longrepr[2] if report.skipped else report.longreprtext[-2000:]}"
        self.told[owner.removeprefix("Test ")][name] = report.outcome + why


def main() -> None:
    os.environ |= {ASKED: sys.stdin.read(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    outcomes = Outcomes()
    with redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as directory:
        ended = pytest.main([*OPTIONS, "--rootdir", directory, __file__], plugins=[outcomes])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(int(ended))
    print(json.dumps(outcomes.told))  # noqa: T201


if __name__ == "__main__":
    main()
else:
    globals().update(classes_of(json.loads(os.environ[ASKED])))
