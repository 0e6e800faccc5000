"""The question that OpenAI's older SDKs, and the one for JavaScript, are all given, and what their answers have to be."""

from array import array
from typing import Any

from providers.simulation import vector
from tests.journeys.accounts import ACCOUNTS, DRIP, Account
from tests.journeys.brain import TOOLS, WEATHER, Json, calls_of, says, user

CHATS: dict[str, Json] = {
    "words": {"model": "gpt-4o", "messages": [{"role": "system", "content": "Be kind."}, *user('Say: 你好, wörld 🙂!\n "q"\\ ok')]},
    "cut": {"model": "gpt-4o", "messages": user("Count to 50"), "max_tokens": 9},
    "chosen": {"model": "gpt-4o", "messages": user("What time is it in Oslo?"), "tools": TOOLS},
    "forced": {
        "model": "gpt-4o",
        "messages": user("What time is it in Oslo?"),
        "tools": TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    },
    "parallel": {"model": "gpt-4o", "messages": user("What is the weather in Paris and Tokyo?"), "tools": [WEATHER]},
    "results": {
        "model": "gpt-4o",
        "messages": [
            *user("What is the weather in Oslo?"),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_7", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}],
            },
            {"role": "tool", "tool_call_id": "call_7", "content": '{"sky":"晴"}'},
        ],
        "tools": [WEATHER],
    },
}
COMPLETIONS: dict[str, Json] = {
    "short": {"model": "gpt-4o", "prompt": "Count to 50"},
    "several": {"model": "gpt-4o", "prompt": ["Say one", "Say two 二"], "n": 2, "echo": True, "max_tokens": 90},
}
TEXTS = ["moving house", "搬家"]
ERRORS: dict[str, Json] = {
    "key": {"key": "sk-wrong", "body": {"model": "gpt-4o", "messages": user("Hello")}},
    "model": {"key": "sk-zhipu", "body": {"model": "no-such-model", "messages": user("Hello")}},
    "field": {"key": "sk-zhipu", "body": {"model": "gpt-4o", "messages": user("Hello"), "temperature": 3}},
    "limited": {"key": "sk-alibaba-limited", "body": {"model": "gpt-4o", "messages": user("Hello")}},
    "upstream": {"key": "sk-baidu-invalid", "body": {"model": "gpt-4o", "messages": user("Hello")}},
    "unsafe": {"key": "sk-sensetime", "body": {"model": "gpt-4o", "messages": user("[unsafe-input] Hello")}},
}
REFUSALS = {
    "key": (401, "invalid_api_key", None),
    "model": (404, "model_not_found", "model"),
    "field": (400, "decimal_above_max_value", "temperature"),
    "limited": (429, "rate_limit_exceeded", None),
    "upstream": (502, "upstream_auth", None),
    "unsafe": (400, "content_filter", None),
}


def question(base_url: str) -> Json:
    answering = [account.key for account in ACCOUNTS] + ["sk-zhipu" + DRIP, "sk-alibaba-native" + DRIP]
    return {
        "base_url": base_url,
        "keys": sorted({*answering, *(case["key"] for case in ERRORS.values())}, reverse=True),
        "answering": answering,
        "chats": CHATS,
        "completions": COMPLETIONS,
        "embedding": [account.key for account in ACCOUNTS if account.embeddings],
        "embeddings": {"model": "text-embedding-3-small", "input": TEXTS},
        "errors": ERRORS,
    }


def check_chat(answers: Any, account: Account, name: str) -> None:
    said = says(account, CHATS[name])
    calls = [list(call) for call in calls_of(said.calls)]
    wanted = {"text": said.text, "calls": calls, "finish": said.end.reason, "tokens": said.end.completion}
    for key in (account.key, account.key + DRIP):
        if key in answers["chats"]:
            assert answers["chats"][key][name]["plain"] == wanted
            assert answers["chats"][key][name]["stream"] == wanted


def check_completions(answers: Any, account: Account, name: str) -> None:
    asked = COMPLETIONS[name]
    prompts = [asked["prompt"]] if isinstance(asked["prompt"], str) else asked["prompt"]
    said = [says(account, {"messages": user(prompt), "max_tokens": asked.get("max_tokens", 16)}) for prompt in prompts]
    echoed = [prompt if asked.get("echo") else "" for prompt in prompts]
    texts = [before + one.text for before, one in zip(echoed, said, strict=True) for _ in range(asked.get("n", 1))]
    tokens = sum(one.end.completion for one in said) * asked.get("n", 1)
    for key in (account.key, account.key + DRIP):
        if key in answers["completions"]:
            assert answers["completions"][key][name] == {"plain": texts, "stream": texts, "tokens": tokens}


def check_embeddings(answers: Any, account: Account) -> None:
    given = [list(array("f", numbers)) for numbers in answers["embeddings"][account.key]]
    assert given == [list(array("f", vector(text, account.width)[:4])) for text in TEXTS]


def check_refusal(answers: Any, name: str, kind: str) -> None:
    refused = answers["errors"][name]
    status, code, param = REFUSALS[name]
    assert (refused["class"], refused["status"], refused["code"], refused["param"]) == (kind, status, code, param)
    assert refused["request_id"]
