"""Zhipu's side of reranking. See simulator.py; the refusals are raised by whoever it is given."""

from collections.abc import Callable
from typing import Any

from providers.base import Json, Model
from providers.simulation import End, World, count, relevance

FIELDS = frozenset("model query documents top_n return_documents return_raw_scores request_id user_id".split())
LONGEST, MOST = 4096, 128
"""Characters of a text; documents of a call."""
Bad = Callable[[str, str], Exception]


def rerank(world: World, account: str, model: Model, body: Json, reply_id: str, bad: Bad) -> Json:
    """The reply. Raises what `bad` makes."""
    for field in body.keys() - FIELDS:
        raise bad(f"{field}: 不支持的参数", "1210")
    query: Any = body.get("query")
    documents: Any = body.get("documents")
    if not is_text(query):
        raise bad("query: 参数非法，请检查文档", "1214")
    if not isinstance(documents, list) or not 1 <= len(documents) <= MOST or not all(map(is_text, documents)):
        raise bad(f"documents: 最多支持 {MOST} 条，单条最大长度为 {LONGEST} 字符", "1214")
    top = body.get("top_n", 0)
    if isinstance(top, bool) or not isinstance(top, int) or top < 0:
        raise bad("top_n: 参数非法，请检查文档", "1214")
    if not isinstance(body.get("return_documents", False), bool) or not isinstance(body.get("return_raw_scores", False), bool):
        raise bad("return_documents: 参数非法，请检查文档", "1214")
    if "user_id" in body and not 6 <= len(str(body["user_id"])) <= 128:
        raise bad("user_id: 长度为 6 到 128 个字符", "1214")
    tokens = sum(count(query) + count(text) for text in documents)
    world.charge("zhipu", account, model.id, End("stop", tokens, 0))
    ranked = sorted(enumerate(documents), key=lambda one: -relevance(query, one[1]))[: top or len(documents)]
    results: list[Json] = [{"index": index, "relevance_score": relevance(query, text)} for index, text in ranked]
    if body.get("return_documents"):
        results = [{**one, "document": documents[one["index"]]} for one in results]
    head = {"created": int(world.now()), "id": reply_id, "request_id": body.get("request_id", reply_id)}
    return {**head, "results": results, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= LONGEST
