"""What vLLM, SGLang and llama.cpp do with a request to rank documents, each in its own form. See simulator_server.py.

SGLang and llama.cpp rank with the model they have loaded, whatever name is asked for.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from providers.base import Json, Model
from providers.simulation import End, Reply, count, json_reply, relevance

if TYPE_CHECKING:
    from providers.openai_compatible.simulator_server import Server

Form = Callable[["Server", Model, list[Json], int], Any]


def vllm(server: "Server", model: Model, ranked: list[Json], tokens: int) -> Any:
    results = [{"index": one["index"], "document": {"text": one["text"]}, "relevance_score": one["score"]} for one in ranked]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"id": f"rerank-{server.number}", "model": model.id, "usage": usage, "results": results}


def sglang(server: "Server", model: Model, ranked: list[Json], tokens: int) -> Any:
    return [
        {"score": one["score"], "document": one["text"], "index": one["index"], "meta_info": {"id": f"{server.number}"}} for one in ranked
    ]


def llama_cpp(server: "Server", model: Model, ranked: list[Json], tokens: int) -> Any:
    results = [{"index": one["index"], "relevance_score": one["score"]} for one in ranked]
    return {"model": model.id, "object": "list", "usage": {"prompt_tokens": tokens, "total_tokens": tokens}, "results": results}


FORMS: dict[str, Form] = {"vllm": vllm, "sglang": sglang, "llama_cpp": llama_cpp}
"""By surface; who is not here has no such path."""


def rerank(server: "Server", account: str, body: Json) -> Reply:
    """POST /v1/rerank. Raises Refusal."""
    known = {name: model for name, model in server.models.items() if model.kind == "rerank"}
    if server.surface == "vllm" and body.get("model") not in known:
        wrong = server.models.get(str(body.get("model")))
        raise server.wrong_kind(wrong) if wrong else server.no_model(str(body.get("model")))
    if not known:
        raise server.refuse(501, "This server does not support reranking. Start it with `--reranking`", "not_supported_error")
    model = known.get(str(body.get("model"))) or next(iter(known.values()))
    query, documents = body.get("query"), body.get("documents")
    if not isinstance(query, str):
        raise server.refuse(400, '"query" must be provided')
    if not isinstance(documents, list) or not documents or not all(isinstance(text, str) for text in documents):
        raise server.refuse(400, '"documents" must be a non-empty string array')
    top = body.get("top_n", len(documents))
    if isinstance(top, bool) or not isinstance(top, int) or top < 0:
        raise server.refuse(400, '"top_n" must be an integer')
    longest = count(query) + max(map(count, documents))
    if model.context and longest > model.context:
        raise server.too_long(longest, model)
    tokens = sum(count(query) + count(text) for text in documents)
    server.charge(account, model, [End("stop", tokens, 0)])
    scores = sorted(((relevance(query, text), index) for index, text in enumerate(documents)), key=lambda one: (-one[0], one[1]))
    ranked = [{"index": index, "score": score, "text": documents[index]} for score, index in scores][: top or len(documents)]
    return json_reply(200, FORMS[server.surface](server, model, ranked, tokens))
