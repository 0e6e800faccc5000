"""Qianfan's reranking, v2 and the older API. Facts from cloud.baidu.com doc/qianfan-api (2m7u4zt74) and its older page, read 2026-11-23."""

from urllib.parse import quote

from providers.baidu.errors import ERRORS, LEGACY_ERRORS
from providers.base import Json, Outgoing, Target, encode
from providers.fields import Fields, apply, kept_here, native, rename
from providers.openai_like import read_json
from providers.rerank import BASICS, CommonRerank, clipped

FIELDS: Fields = {**BASICS, "query": clipped(1600), "documents": clipped(4096), "user": native}


class LegacyRerank(CommonRerank, frozen=True):
    """As v2's, at a path of the model's own; errors come under HTTP 200."""

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        name = quote(target.model.endpoint or target.model.id, safe="")
        return Outgoing(f"{target.base_url}{self.path}/{name}", encode(out), changes=changes)

    def response(self, body: bytes) -> Json:
        if read_json(body).get("error_code"):
            raise self.fault(200, {}, body)
        return super().response(body)


RERANK = CommonRerank(fields=FIELDS, errors=ERRORS)
LEGACY_FIELDS: Fields = {**FIELDS, "model": kept_here, "user": rename("user_id"), "user_id": native}


def legacy(prefix: str) -> LegacyRerank:
    """`prefix`: of all addresses of the older API."""
    return LegacyRerank(path=f"{prefix}/reranker", fields=LEGACY_FIELDS, errors=LEGACY_ERRORS)
