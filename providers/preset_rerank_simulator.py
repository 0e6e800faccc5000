"""The vendor's side of reranking for every preset that has it. See preset_simulator.py."""

from collections.abc import Callable
from typing import Any

from providers.base import Json, Model
from providers.preset import Drop, Preset, Rename
from providers.simulation import End, World, count, relevance


def rank(preset: Preset, world: World, account: str, model: Model, body: Json, number: int, bad: Callable[[str], Exception]) -> Json:
    """The vendor's reply. Raises what `bad` makes."""
    block = preset.rerank
    assert block is not None
    taken = {"model", "query", "documents", "top_n", "return_documents"}
    taken |= {said.rename if isinstance(said, Rename) else name for name, said in block.fields.items() if not isinstance(said, Drop)}
    for name in body.keys() - taken:
        raise bad(f"{name} is not a parameter of this API")
    query, top = body.get("query"), body.get("top_n")
    documents: Any = body.get("documents")
    if not isinstance(query, str) or not query:
        raise bad("query: a text is expected")
    if not texts(documents) or (model.batch and len(documents) > model.batch):
        raise bad("documents: a list of texts is expected, of no more than the model takes")
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise bad("top_n: a whole number above 0 is expected")
    tokens = sum(count(query) + count(text) for text in documents)
    world.charge(preset.name, account, model.id, End("stop", tokens, 0))
    ranked = sorted(range(len(documents)), key=lambda at: (-relevance(query, documents[at]), at))[:top]
    results: list[Json] = [{"index": at, "relevance_score": relevance(query, documents[at])} for at in ranked]
    if body.get("return_documents"):
        results = [{**one, "document": {"text": documents[one["index"]]}} for one in results]
    meta = {"tokens": {"input_tokens": tokens, "output_tokens": 0}}
    return {"id": f"rerank-{preset.name}-{number}", "results": results, "meta": meta}


def texts(documents: Any) -> bool:
    return isinstance(documents, list) and bool(documents) and all(isinstance(text, str) and text for text in documents)
