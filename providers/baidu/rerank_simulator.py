"""Baidu's side of reranking, the same for both of its APIs but for names of fields. Refusals are raised by whoever it is given."""

from collections.abc import Callable
from typing import Any

from providers.base import Json, Model
from providers.simulation import End, World, count, cut, relevance

LONGEST_QUERY, LONGEST, MOST = 1600, 4096, 64
"""Characters of the query and of a document; documents of a call."""
READ_OF_QUERY, READ = 400, 1024
"""Tokens of each that are read."""
Bad = Callable[[str], Exception]


def rerank(world: World, account: str, model: Model, body: Json, reply_id: str, known: frozenset[str], bad: Bad) -> Json:
    """The reply. Raises what `bad` makes. `known`: fields beside query, documents and top_n."""
    for field in body.keys() - known - {"query", "documents", "top_n"}:
        raise bad(f"{field} is not supported")
    query: Any = body.get("query")
    documents: Any = body.get("documents")
    if not is_text(query, LONGEST_QUERY):
        raise bad(f"query must have 1 to {LONGEST_QUERY} characters")
    if not isinstance(documents, list) or not 1 <= len(documents) <= MOST or not all(is_text(text, LONGEST) for text in documents):
        raise bad(f"documents must be 1 to {MOST} texts of at most {LONGEST} characters")
    top = body.get("top_n", len(documents))
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise bad("top_n is invalid")
    asked = cut(query, READ_OF_QUERY)
    read = [cut(text, READ) for text in documents]
    tokens = sum(count(asked) + count(text) for text in read)
    world.charge("baidu", account, model.id, End("stop", tokens, 0))
    ranked = sorted(range(len(read)), key=lambda index: (-relevance(asked, read[index]), index))[:top]
    results = [{"document": documents[at], "relevance_score": relevance(asked, read[at]), "index": at} for at in ranked]
    head = {"id": reply_id, "object": "reranker_list", "created": int(world.now())}
    return {**head, "results": results, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most
