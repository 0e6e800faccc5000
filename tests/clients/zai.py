"""Zhipu's current SDK (zai-sdk), unchanged, against the simulator. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

NAME = sys.argv[1] if len(sys.argv) > 1 else "zai"
CLIENT = {"zai": "ZhipuAiClient", "zhipuai": "ZhipuAI"}[NAME]
sdk: Any = import_module(NAME)
errors: Any = import_module(f"{NAME}.core")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)

    def client(key: str) -> Any:
        return getattr(sdk, CLIENT)(api_key=key, base_url=f"{question['url']}/zhipu/api/paas/v4", max_retries=0)

    ours = client("id.secret")
    vectors = ours.embeddings.create(**question["embeddings"])
    told = {
        "chats": {name: {"plain": plain(ours, body), "stream": stream(ours, body)} for name, body in question["chats"].items()},
        "embeddings": [item.embedding[:4] for item in vectors.data],
        "embedding_tokens": vectors.usage.prompt_tokens,
        "errors": {name: refused(client(case["key"]).chat.completions.create, **case["body"]) for name, case in question["errors"].items()},
    }
    print(json.dumps(told))  # noqa: T201


def plain(client: Any, body: Json) -> Json:
    answer = client.chat.completions.create(**body)
    (choice,) = answer.choices
    return {
        "text": choice.message.content or "",
        "thought": getattr(choice.message, "reasoning_content", None) or "",
        "calls": [[call.function.name, call.function.arguments] for call in choice.message.tool_calls or ()],
        "finish": choice.finish_reason,
        "tokens": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
    }


def stream(client: Any, body: Json) -> Json:
    told: Json = {"text": "", "thought": "", "calls": [], "finish": None, "tokens": None}
    for chunk in client.chat.completions.create(**body, stream=True):
        told["tokens"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens] if chunk.usage else told["tokens"]
        for choice in chunk.choices:
            told["text"] += choice.delta.content or ""
            told["thought"] += getattr(choice.delta, "reasoning_content", None) or ""
            told["finish"] = choice.finish_reason or told["finish"]
            told["calls"] += [[call.function.name, call.function.arguments] for call in choice.delta.tool_calls or ()]
    return told


def refused(call: Callable[..., Any], **body: Any) -> Json:
    try:
        return {"answer": repr(call(**body))}
    except errors.APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "message": str(error)}


main()
