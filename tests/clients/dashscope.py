"""Alibaba's SDK (dashscope), unchanged, against the simulator's native surface. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from importlib import import_module
from typing import Any

sdk: Any = import_module("dashscope")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)
    sdk.base_http_api_url = f"{question['url']}/alibaba/api/v1"
    sdk.api_key = question["key"]
    vectors = sdk.TextEmbedding.call(**question["embeddings"])
    told = {
        "chats": {
            name: {"plain": plain(body), "stream": stream(body), "whole": repeated(body)} for name, body in question["chats"].items()
        },
        "seen": sdk.MultiModalConversation.call(**question["image"]).output.choices[0].message.content,
        "embeddings": [item["embedding"][:4] for item in vectors.output["embeddings"]],
        "embedding_tokens": vectors.usage["total_tokens"],
        "errors": {name: refused(case) for name, case in question["errors"].items()},
    }
    print(json.dumps(told))  # noqa: T201


def plain(body: Json) -> Json:
    return read(sdk.Generation.call(**body, result_format="message"))


def read(answer: Any) -> Json:
    (choice,) = answer.output.choices
    return {
        "text": choice.message.content or "",
        "calls": [[call["function"]["name"], call["function"]["arguments"]] for call in choice.message.get("tool_calls") or ()],
        "finish": choice.finish_reason,
        "tokens": [answer.usage.input_tokens, answer.usage.output_tokens],
    }


def repeated(body: Json) -> Json:
    """A stream that says everything again with each event: the last one has all."""
    *_, last = sdk.Generation.call(**body, result_format="message", stream=True)
    return read(last)


def stream(body: Json) -> Json:
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for event in sdk.Generation.call(**body, result_format="message", stream=True, incremental_output=True):
        (choice,) = event.output.choices
        told["text"] += choice.message.content or ""
        told["tokens"] = [event.usage.input_tokens, event.usage.output_tokens]
        told["finish"] = choice.finish_reason if choice.finish_reason != "null" else told["finish"]
        for part in choice.message.get("tool_calls") or ():
            if part["index"] == len(told["calls"]):
                told["calls"].append(["", ""])
            told["calls"][part["index"]][0] += part["function"].get("name") or ""
            told["calls"][part["index"]][1] += part["function"].get("arguments") or ""
    return told


def refused(case: Json) -> Json:
    """This SDK raises nothing for an answer that is an error: it says so in the answer."""
    answer = sdk.Generation.call(api_key=case["key"], **case["body"])
    return {"status": int(answer.status_code), "code": answer.code, "message": answer.message}


main()
