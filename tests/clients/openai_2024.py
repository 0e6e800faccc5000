"""OpenAI's Python SDK of 2024 (1.35), as most code in production has it. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

openai: Any = import_module("openai")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)
    clients = {key: openai.OpenAI(base_url=question["base_url"], api_key=key, max_retries=0) for key in question["keys"]}
    chats = {
        key: {name: {"plain": plain(clients[key], body), "stream": stream(clients[key], body)} for name, body in question["chats"].items()}
        for key in question["answering"]
    }
    vectors = {key: clients[key].embeddings.create(**question["embeddings"]) for key in question["embedding"]}
    told = {
        "version": openai.__version__,
        "chats": chats,
        "completions": {
            key: {name: completed(clients[key], body) for name, body in question["completions"].items()} for key in question["answering"]
        },
        "embeddings": {key: [item.embedding[:4] for item in answer.data] for key, answer in vectors.items()},
        "errors": {
            name: refused(clients[case["key"]].chat.completions.create, **case["body"]) for name, case in question["errors"].items()
        },
        "models": sorted(model.id for model in clients[question["keys"][0]].models.list()),
    }
    print(json.dumps(told))  # noqa: T201


def plain(client: Any, body: Json) -> Json:
    answer = client.chat.completions.create(**body)
    (choice,) = answer.choices
    calls = [[call.function.name, call.function.arguments] for call in choice.message.tool_calls or ()]
    return {"text": choice.message.content or "", "calls": calls, "finish": choice.finish_reason, "tokens": answer.usage.completion_tokens}


def stream(client: Any, body: Json) -> Json:
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for chunk in client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}):
        told["tokens"] = chunk.usage.completion_tokens if chunk.usage else told["tokens"]
        for choice in chunk.choices:
            told["text"] += choice.delta.content or ""
            told["finish"] = choice.finish_reason or told["finish"]
            for part in choice.delta.tool_calls or ():
                if part.index == len(told["calls"]):
                    told["calls"].append([part.function.name, ""])
                told["calls"][part.index][1] += part.function.arguments or ""
    return told


def completed(client: Any, body: Json) -> Json:
    """Texts by choice, plain and streamed, and how many tokens they have."""
    answer = client.completions.create(**body)
    texts = [""] * len(answer.choices)
    for chunk in client.completions.create(**body, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    return {"plain": [choice.text for choice in answer.choices], "stream": texts, "tokens": answer.usage.completion_tokens}


def refused(call: Callable[..., Any], **body: Any) -> Json:
    try:
        return {"answer": repr(call(**body))}
    except openai.APIStatusError as error:
        kept = {name: getattr(error, name) for name in ("code", "param", "type")}
        return {"class": type(error).__name__, "status": error.status_code, "request_id": error.request_id, **kept}


main()
