"""The vendors' own SDKs, unchanged, against the simulators: these are to be taken for the vendors by programs written for them."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from gateway.brain.scripted import script
from providers.simulation import Ask, Call, End, Message, Text, Thought, Tool, count, vector
from tests.journeys.brain import TOOLS, WEATHER, Json, user
from tests.journeys.conftest import Street
from tests.journeys.judges import judge
from tests.journeys.processes import bill, owed_since

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
TEXTS = ["moving house", "搬家"]
SAY = user('Say: 你好, wörld 🙂!\n "q"\\ ok')
PARALLEL = user("What is the weather in Paris and Tokyo?")
NO_TOOLS: list[Any] = []


def chats(model: str, **more: Any) -> dict[str, Json]:
    return {
        "words": {"model": model, "messages": SAY, **more},
        "parallel": {"model": model, "messages": PARALLEL, "tools": [WEATHER], **more},
        "chosen": {"model": model, "messages": user("What time is it in Oslo?"), "tools": TOOLS, **more},
    }


def errors(model: str, **keys: Any) -> dict[str, Json]:
    """`keys`: who asks, by the error that is meant."""
    asked = {name: {**given, "body": {"model": model, "messages": user("Hello")}} for name, given in keys.items()}
    asked["model"] = {**asked.pop("ours"), "body": {"model": "no-such-model", "messages": user("Hello")}}
    return asked


class Vendor(Struct, frozen=True):
    """A judge, what it is asked, and what its errors are to be."""

    judge: str
    question: Json
    errors: Json
    embedding: str = ""
    width: int = 0
    variables: Callable[[str, Path], dict[str, str]] = lambda url, path: {}
    finish: Json = {}
    """The vendor's own words for the reasons an answer ends."""
    one_call: bool = False

    @property
    def id(self) -> str:
        surface = self.question.get("surface")
        return f"{self.judge}-{surface}" if surface else self.judge


def zhipu(name: str) -> Vendor:
    keys = {
        "ours": {"key": "id.secret"},
        "key": {"key": "id.wrong"},
        "limited": {"key": "limited.secret"},
        "quota": {"key": "quota.secret"},
    }
    thinking = {"thinking": {"model": "glm-5.2", "messages": user("Why move?"), "thinking": {"type": "enabled"}}}
    return Vendor(
        name,
        {
            "chats": {**chats("glm-4-plus"), **(thinking if name == "zai" else {})},
            "embeddings": {"model": "embedding-3", "input": TEXTS, "dimensions": 1024},
            "errors": errors("glm-4-plus", **keys),
        },
        {
            "key": {"class": "APIAuthenticationError", "status": 401},
            "limited": {"class": "APIReachLimitError", "status": 429},
            "quota": {"class": "APIReachLimitError", "status": 429},
            "model": {"class": "APIRequestFailedError", "status": 400},
        },
        "embedding-3",
        1024,
    )


def _image() -> Json:
    parts = [{"image": "https://example.com/a.png"}, {"text": "What is here?"}]
    return {"model": "qwen3.7-plus", "messages": [{"role": "user", "content": parts}], "enable_thinking": False}


def _baidu(url: str, home: Path, **keys: str) -> dict[str, str]:
    host = f"{url}/baidu"
    return {
        "QIANFAN_BASE_URL": host,
        "QIANFAN_CONSOLE_API_BASE_URL": host,
        "QIANFAN_IAM_BASE_URL": host,
        "QIANFAN_CACHE_DIR": str(home),
        "QIANFAN_DOT_ENV_CONFIG_FILE": str(home / "none"),
        "HOME": str(home),
        **keys,
    }


FUNCTIONS = [tool["function"] for tool in TOOLS]
VENDORS = (
    zhipu("zai"),
    zhipu("zhipuai"),
    Vendor(
        "dashscope",
        {
            "key": "sk-0123456789abcdef",
            "chats": chats("qwen-plus", enable_thinking=False, parallel_tool_calls=True),
            "image": _image(),
            "embeddings": {"model": "text-embedding-v4", "input": TEXTS},
            "errors": errors(
                "qwen-plus", ours={"key": "sk-0123456789abcdef"}, key={"key": "sk-invalid-0"}, limited={"key": "sk-limited-0"}
            ),
        },
        {
            "key": {"status": 401, "code": "InvalidApiKey"},
            "limited": {"status": 429, "code": "Throttling.RateQuota"},
            "model": {"status": 400, "code": "InvalidParameter"},
        },
        "text-embedding-v4",
        1024,
    ),
    Vendor(
        "qianfan",
        {
            "surface": "v2",
            "chats": chats("ernie-4.5-turbo-20260402", stream_options={"include_usage": True}),
            "errors": errors("ernie-4.5-turbo-20260402", ours={}),
        },
        {"model": {"class": "RequestError", "words": "invalid_model"}},
        variables=lambda url, home: _baidu(url, home, QIANFAN_ACCESS_KEY="ak", QIANFAN_SECRET_KEY="sk"),
    ),
    Vendor(
        "qianfan",
        {
            "surface": "v1",
            "chats": {
                "words": {"model": "ERNIE-4.0-8K", "messages": SAY},
                "parallel": {"model": "ERNIE-4.0-8K", "messages": PARALLEL, "functions": FUNCTIONS[:1]},
                "chosen": {"model": "ERNIE-4.0-8K", "messages": user("What time is it in Oslo?"), "functions": FUNCTIONS},
            },
            "embeddings": {"model": "bge-large-zh", "texts": TEXTS},
            "errors": {
                "key": {"keys": {"ak": "ak", "sk": "wrong"}, "body": {"model": "ERNIE-4.0-8K", "messages": SAY}},
                "limited": {"keys": {"ak": "limited", "sk": "sk"}, "body": {"model": "ERNIE-4.0-8K", "messages": SAY}},
                "model": {"body": {"endpoint": "no-such-endpoint", "messages": SAY}},
            },
        },
        {"limited": {"class": "APIError", "code": 18}, "model": {"class": "APIError", "code": 3}},
        "bge-large-zh",
        1024,
        variables=lambda url, home: _baidu(
            url, home, QIANFAN_AK="ak", QIANFAN_SK="sk", QIANFAN_ACCESS_KEY="console", QIANFAN_SECRET_KEY="secret"
        ),
        finish={"stop": "normal", "tool_calls": "function_call"},
        one_call=True,
    ),
    Vendor(
        "sensenova",
        {
            "chats": chats("SenseChat-5"),
            "embeddings": {"model": "nova-embedding-stable", "input": TEXTS},
            "errors": errors(
                "SenseChat-5", ours={"keys": ["ak", "sk"]}, key={"keys": ["ak", "wrong"]}, limited={"keys": ["limited", "sk"]}
            ),
        },
        {
            "key": {"class": "AuthenticationError", "status": 401},
            "limited": {"class": "RateLimitError", "status": 429},
            "model": {"class": "InvalidRequestError", "status": 404},
        },
        "nova-embedding-stable",
        768,
    ),
)


@pytest.fixture(scope="module", params=VENDORS, ids=lambda vendor: vendor.id)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    given: Vendor = request.param
    return given


@pytest.fixture(scope="module")
def asked(vendor: Vendor, street: Street, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Json]:
    """(what the judge said, what was billed for it)."""
    url = street.simulators.url
    before = bill(url)
    answers = judge(vendor.judge, {"url": url, **vendor.question}, **vendor.variables(url, tmp_path_factory.mktemp("home")))
    return answers, owed_since(before, url)


def expected(vendor: Vendor, body: Json) -> Json:
    """What the brain says."""
    tools = [tool.get("function", tool) for tool in body.get("tools", body.get("functions", NO_TOOLS))]
    asked = Ask(
        tuple(Message(message["role"], message["content"]) for message in body["messages"]),
        tuple(_tool(tool) for tool in tools),
        parallel=not vendor.one_call,
        think=body.get("thinking") == {"type": "enabled"},
    )
    pieces = list(script(asked))
    (end,) = (piece for piece in pieces if isinstance(piece, End))
    said = {
        "text": "".join(piece.text for piece in pieces if isinstance(piece, Text)),
        "calls": [[piece.name, piece.arguments] for piece in pieces if isinstance(piece, Call)],
        "finish": vendor.finish.get(end.reason, end.reason),
        "tokens": [end.prompt, end.completion],
    }
    thought = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
    return {**said, "thought": thought} if vendor.judge in ("zai", "zhipuai") else said


def _tool(told: Json) -> Any:
    return Tool(told["name"], told["description"], told["parameters"])


def test_plain_and_streamed_answers_are_the_brains(vendor: Vendor, asked: tuple[Any, Json]) -> None:
    answers, _ = asked

    for name, body in vendor.question["chats"].items():
        wanted = expected(vendor, body)
        for way, given in answers["chats"][name].items():
            assert given == wanted, (name, way)


def test_embeddings(vendor: Vendor, asked: tuple[Any, Json]) -> None:
    if not vendor.embedding:
        pytest.skip("this SDK has no embeddings on this surface")
    answers, _ = asked

    given = [list(array("f", numbers)) for numbers in answers["embeddings"]]
    assert given == [list(array("f", vector(text, vendor.width)[:4])) for text in TEXTS]
    assert answers["embedding_tokens"] == sum(map(count, TEXTS))


def test_errors_are_the_sdks_own(vendor: Vendor, asked: tuple[Any, Json]) -> None:
    answers, _ = asked

    for name, wanted in vendor.errors.items():
        given = answers["errors"][name]
        told = {**given, "words": wanted["words"]} if wanted.get("words", "?") in given.get("message", "") else given
        assert {key: told.get(key) for key in wanted} == wanted, (name, given)
    assert not any("answer" in given for given in answers["errors"].values())


def test_everything_is_billed_once(vendor: Vendor, asked: tuple[Any, Json]) -> None:
    answers, owed = asked

    told = [given["tokens"] for ways in answers["chats"].values() for given in ways.values()]
    embedded = answers.get("embedding_tokens", 0)
    seen = 1 if "seen" in answers else 0
    assert owed["requests"] == len(told) + bool(embedded) + seen
    if not seen:
        assert owed["prompt_tokens"] == sum(prompt for prompt, _ in told) + embedded
        assert owed["completion_tokens"] == sum(completion for _, completion in told)


def test_what_dashscope_sees(vendor: Vendor, asked: tuple[Any, Json]) -> None:
    if "image" not in vendor.question:
        pytest.skip("this SDK is not asked to see")

    (part,) = asked[0]["seen"]
    assert "I see 1 image." in part["text"]
