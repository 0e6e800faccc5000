"""Reranking by a preset: the common form, with the fields that the preset's words name."""

from collections.abc import Callable, Mapping

from providers.base import Fault, Kind
from providers.rerank import CommonRerank


class PresetRerank(CommonRerank, frozen=True):
    words: Mapping[str, Kind] = {}
    judge: Callable[..., Fault] | None = None
    """What an error means by code and by words, as for the preset's other endpoints."""

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        if self.judge is None:
            return super().fault(status, headers, body)
        return self.judge(self.errors, self.words, status, headers, body)
