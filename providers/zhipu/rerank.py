"""Zhipu's reranking. Facts from docs.bigmodel.cn, API reference of rerank, copy of 2026-04-23."""

from providers.fields import Fields, all_native
from providers.rerank import BASICS, clipped

FIELDS: Fields = {
    **BASICS,
    "query": clipped(4096),
    "documents": clipped(4096),
    **all_native("return_raw_scores", "request_id", "user_id"),
}
"""What becomes of each field; `user` is told as in chat."""
