"""SenseTime's SDK (sensenova), unchanged, against the simulator's native surface. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

sdk: Any = import_module("sensenova")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)
    sdk.api_base = f"{question['url']}/sensetime/v1"
    sdk.access_key_id, sdk.secret_access_key = "ak", "sk"
    vectors = sdk.Embedding.create(**question["embeddings"])
    told: Json = {
        "chats": {name: {"plain": plain(body), "stream": stream(body)} for name, body in question["chats"].items()},
        "embeddings": [item["embedding"][:4] for item in vectors["embeddings"]],
        "embedding_tokens": vectors["usage"]["prompt_tokens"],
        "models": sorted(model["id"] for model in sdk.Model.list()["data"]),
        "errors": {},
    }
    for name, case in question["errors"].items():
        sdk.access_key_id, sdk.secret_access_key = case["keys"]
        told["errors"][name] = refused(sdk.ChatCompletion.create, **case["body"])
    print(json.dumps(told))  # noqa: T201


def plain(body: Json) -> Json:
    answer = sdk.ChatCompletion.create(**body)["data"]
    (choice,) = answer["choices"]
    return {
        "text": choice["message"],
        "calls": [[call["function"]["name"], call["function"]["arguments"]] for call in choice.get("tool_calls") or ()],
        "finish": choice["finish_reason"],
        "tokens": [answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]],
    }


def stream(body: Json) -> Json:
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for event in sdk.ChatCompletion.create(**body, stream=True):
        answer = event["data"]
        told["tokens"] = [answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]]
        for choice in answer["choices"]:
            told["text"] += choice["delta"]
            told["finish"] = choice["finish_reason"] or told["finish"]
            told["calls"] += [[call["function"]["name"], call["function"]["arguments"]] for call in choice.get("tool_calls") or ()]
    return told


def refused(call: Callable[..., Any], **body: Any) -> Json:
    try:
        return {"answer": repr(call(**body))}
    except sdk.SensenovaError as error:
        return {"class": type(error).__name__, "status": error.http_status, "code": error.code, "message": str(error)}


main()
