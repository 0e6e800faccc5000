"""Embeddings, whose list Baidu gives a name of its own on either surface."""

from providers.base import Json
from providers.embeddings import reply
from providers.openai_like import OpenAIEmbeddings


class BaiduEmbeddings(OpenAIEmbeddings, frozen=True):
    def response(self, body: bytes) -> Json:
        answer = super().response(body)
        vectors = sorted(answer["data"], key=lambda item: item.get("index", 0))
        return reply([item["embedding"] for item in vectors], (answer.get("usage") or {}).get("prompt_tokens", 0))
