"""Baidu's SDK (qianfan), unchanged, against the simulator: `v2`, or the older surface as `v1`. Reads JSON, prints JSON.

What it talks to and as whom comes from the environment, before it is imported.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

sdk: Any = import_module("qianfan")
errors: Any = import_module("qianfan.errors")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)
    if "rerank" in question:
        print(json.dumps(tuned(question)))  # noqa: T201
        return
    newer = question["surface"] == "v2"
    chat = sdk.ChatCompletion(version="2" if newer else "1")
    read = read_v2 if newer else read_v1
    told: Json = {
        "chats": {
            name: {"plain": read([chat.do(**body)]), "stream": read(list(chat.do(**body, stream=True)))}
            for name, body in question["chats"].items()
        },
        "errors": {name: refused(client(chat, newer, case).do, **case["body"], retry_count=1) for name, case in question["errors"].items()},
    }
    if not newer:
        vectors = sdk.Embedding().do(**question["embeddings"]).body
        told["embeddings"] = [item["embedding"][:4] for item in vectors["data"]]
        told["embedding_tokens"] = vectors["usage"]["prompt_tokens"]
    print(json.dumps(told))  # noqa: T201


def tuned(question: Json) -> Json:
    """Documents ranked, and a job of the console's."""
    ranked = sdk.Reranker().do(**question["rerank"]).body
    console: Any = import_module("qianfan.resources").FineTune.V2
    known = console.supported_models().body["result"]
    job = console.create_job(name="judged", model="ERNIE-Speed-8K", train_mode="SFT").body["result"]["jobId"]
    data = {"sourceType": "Bos", "versions": [{"versionBosUri": "bos:/no/such"}], "splitRatio": 0}
    try:
        console.create_task(job, "LoRA", {"epoch": 1}, data, retry_count=1)
        refused = ""
    except Exception as error:
        refused = str(error)
    return {
        "ranked": [[one["index"], one["relevance_score"]] for one in ranked["results"]],
        "models": [one["model"] for one in known],
        "listed": [one["jobId"] for one in console.job_list().body["result"]["jobList"]].count(job),
        "refused": refused,
    }


def client(chat: Any, newer: bool, case: Json) -> Any:
    """Of whoever asks: ourselves, unless the case has keys of its own."""
    keys = case.get("keys")
    return sdk.ChatCompletion(version="2" if newer else "1", **keys) if keys else chat


def read_v2(answers: list[Any]) -> Json:
    """The same for one whole answer and for the events of a stream."""
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for answer in (item.body for item in answers):
        usage = answer.get("usage")
        told["tokens"] = [usage["prompt_tokens"], usage["completion_tokens"]] if usage else told["tokens"]
        for choice in answer["choices"]:
            said = choice.get("message") or choice["delta"]
            told["text"] += said.get("content") or ""
            told["finish"] = choice.get("finish_reason") or told["finish"]
            told["calls"] += [[call["function"]["name"], call["function"]["arguments"]] for call in said.get("tool_calls") or ()]
    return told


def read_v1(answers: list[Any]) -> Json:
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for answer in (item.body for item in answers):
        told["text"] += answer["result"]
        told["finish"] = answer.get("finish_reason") or told["finish"]
        told["tokens"] = [answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]]
        if call := answer.get("function_call"):
            told["calls"].append([call["name"], call["arguments"]])
    return told


def refused(call: Callable[..., Any], **body: Any) -> Json:
    try:
        return {"answer": repr(call(**body))}
    except errors.APIError as error:
        return {"class": type(error).__name__, "code": error.error_code, "message": str(error)}
    except errors.QianfanError as error:
        return {"class": type(error).__name__, "message": str(error)}
    except errors.QianfanRequestError as error:
        return {"class": type(error).__name__, "message": str(error)}


main()
