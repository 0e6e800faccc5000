"""Model Studio's side of reranking, in both of its forms. See simulator.py."""

from typing import Any

from providers.alibaba.simulator_checks import Refusal, bad
from providers.base import Json, Model
from providers.simulation import End, Reply, World, count, cut, json_reply, relevance

LONGEST = 4000
"""Tokens of a query or document that are read; what comes after them is passed over."""
PARAMETERS = frozenset({"top_n", "return_documents", "instruct"})


def native(world: World, account: str, body: Json, request_id: str) -> Reply:
    """POST /api/v1/services/rerank/text-rerank/text-rerank"""
    model = model_of(world, body)
    given, parameters = body.get("input"), body.get("parameters", {})
    if not isinstance(given, dict):
        raise Refusal(400, "BadRequest.EmptyInput", "invalid_request_error", 'Required parameter "input" missing from request.')
    if not isinstance(parameters, dict) or body.keys() - {"model", "input", "parameters"} or given.keys() - {"query", "documents"}:
        raise Refusal(400, "BadRequest.IllegalInput", "invalid_request_error", "The request body has model, input and parameters.")
    for name in parameters.keys() - PARAMETERS:
        raise bad(f"Unknown parameter: parameters.{name}")
    ranked, tokens = rank(world, account, model, given, parameters)
    return json_reply(200, {"output": {"results": ranked}, "usage": {"total_tokens": tokens}, "request_id": request_id})


def compatible(world: World, account: str, body: Json, request_id: str) -> Reply:
    """POST /compatible-api/v1/reranks"""
    model = model_of(world, body)
    if model.endpoint:
        raise Refusal(404, "ModelNotFound", "model_not_supported", f"Unsupported model `{model.id}` for OpenAI compatibility mode.")
    for name in body.keys() - PARAMETERS - {"model", "query", "documents"}:
        raise bad(f"Unrecognized request argument supplied: {name}.")
    ranked, tokens = rank(world, account, model, body, body)
    head = {"object": "list", "model": model.id, "id": request_id}
    return json_reply(200, {**head, "results": ranked, "usage": {"total_tokens": tokens}})


def model_of(world: World, body: Json) -> Model:
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Refusal(400, "BadRequest.EmptyModel", "invalid_request_error", 'Required parameter "model" missing from request.')
    model = world.models.get(name)
    if model is None or model.kind != "rerank":
        raise bad("Model not exist.")
    return model


def rank(world: World, account: str, model: Model, given: Json, parameters: Json) -> tuple[list[Json], int]:
    """(results, tokens): a query is read, and paid for, once with each of its documents."""
    query, documents = given.get("query"), texts(given.get("documents"))
    if not isinstance(query, str) or not query:
        raise bad("query should be a non-empty string")
    if model.batch and len(documents) > model.batch:
        raise bad(f"documents size is invalid, it should not be larger than {model.batch}")
    top = parameters.get("top_n", len(documents))
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise bad("top_n should be a positive integer")
    shown = parameters.get("return_documents", False)
    if not isinstance(shown, bool) or not isinstance(parameters.get("instruct", ""), str):
        raise bad("return_documents should be a boolean, instruct a string")
    read = [cut(text, LONGEST) for text in documents]
    tokens = sum(map(count, read)) + count(cut(query, LONGEST)) * len(read)
    if model.context and tokens > model.context:
        raise bad(f"Range of input length should be [1, {model.context}]")
    world.charge("alibaba", account, model.id, End("stop", tokens, 0))
    scores = sorted(((relevance(query, text), -index) for index, text in enumerate(read)), reverse=True)[:top]
    return [
        {"index": -at, "relevance_score": score, **({"document": {"text": documents[-at]}} if shown else {})} for score, at in scores
    ], tokens


def texts(documents: Any) -> list[str]:
    if not isinstance(documents, list) or not documents:
        raise bad("documents should be a non-empty list")
    told: list[Any] = [one.get("text") if isinstance(one, dict) and one.keys() == {"text"} else one for one in documents]
    if not all(isinstance(text, str) and text for text in told):
        raise bad("documents should be non-empty strings")
    return told
