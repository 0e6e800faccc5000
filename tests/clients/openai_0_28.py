"""OpenAI's Python SDK of 2023 (0.28): module-level calls, answers that are dicts. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

openai: Any = import_module("openai")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)
    openai.api_base = question["base_url"]
    told: Json = {"version": openai.version.VERSION, "chats": {}, "completions": {}, "embeddings": {}, "errors": {}}
    for key in question["answering"]:
        openai.api_key = key
        told["chats"][key] = {name: {"plain": plain(body), "stream": stream(body)} for name, body in question["chats"].items()}
        told["completions"][key] = {name: completed(body) for name, body in question["completions"].items()}
    for key in question["embedding"]:
        # its own default is base64, which it reads with numpy alone
        answer = openai.Embedding.create(api_key=key, **question["embeddings"])
        told["embeddings"][key] = [[float(number) for number in item["embedding"][:4]] for item in answer["data"]]
    for name, case in question["errors"].items():
        told["errors"][name] = refused(openai.ChatCompletion.create, api_key=case["key"], **case["body"])
    openai.api_key = question["keys"][0]
    told["models"] = sorted(model["id"] for model in openai.Model.list()["data"])
    print(json.dumps(told))  # noqa: T201


def plain(body: Json) -> Json:
    answer = openai.ChatCompletion.create(**body)
    (choice,) = answer["choices"]
    calls = [[call["function"]["name"], call["function"]["arguments"]] for call in choice["message"].get("tool_calls") or ()]
    tokens = answer["usage"]["completion_tokens"]
    return {"text": choice["message"]["content"] or "", "calls": calls, "finish": choice["finish_reason"], "tokens": tokens}


def stream(body: Json) -> Json:
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for chunk in openai.ChatCompletion.create(**body, stream=True, stream_options={"include_usage": True}):
        told["tokens"] = chunk["usage"]["completion_tokens"] if chunk.get("usage") else told["tokens"]
        for choice in chunk["choices"]:
            told["text"] += choice["delta"].get("content") or ""
            told["finish"] = choice["finish_reason"] or told["finish"]
            for part in choice["delta"].get("tool_calls") or ():
                if part["index"] == len(told["calls"]):
                    told["calls"].append([part["function"]["name"], ""])
                told["calls"][part["index"]][1] += part["function"].get("arguments") or ""
    return told


def completed(body: Json) -> Json:
    """Texts by choice, plain and streamed, and how many tokens they have."""
    answer = openai.Completion.create(**body)
    texts = [""] * len(answer["choices"])
    for chunk in openai.Completion.create(**body, stream=True):
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    return {"plain": [choice["text"] for choice in answer["choices"]], "stream": texts, "tokens": answer["usage"]["completion_tokens"]}


def refused(call: Callable[..., Any], **body: Any) -> Json:
    try:
        return {"answer": repr(call(**body))}
    except openai.error.OpenAIError as error:
        body = (error.json_body or {}).get("error", {})
        kept = {name: body.get(name) for name in ("code", "param", "type")}
        return {"class": type(error).__name__, "status": error.http_status, "request_id": error.headers.get("x-request-id"), **kept}


main()
