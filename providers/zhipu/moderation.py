"""Zhipu's content safety, as OpenAI's moderation. Facts from docs.bigmodel.cn, 内容安全 (POST /moderations), copy of 2026-04-23.

It tells PASS, REVIEW or REJECT, and names of risks of which the document has no list. REVIEW, which is a suspicion, is told as a score of
0.5, REJECT as 1. A risk whose name is not known here is told as `illicit`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from providers.base import Fault, Json, Outgoing, Stream, Target, encode
from providers.faults import Errors, make_fault
from providers.fields import Fields, Rule, all_native, apply, drop, served_model
from providers.moderation import CATEGORIES, result
from providers.openai_like import UNKNOWN, read_json

FIELDS: Fields = MappingProxyType({"model": served_model, **all_native("input"), "user": drop("not offered")})
LEVELS = {"PASS": 0.0, "REVIEW": 0.5, "REJECT": 1.0}
RISKS = {
    "涉黄": "sexual", "色情": "sexual", "低俗": "sexual", "porn": "sexual", "涉暴": "violence", "暴恐": "violence", "violence": "violence",
    "辱骂": "harassment", "歧视": "hate", "违禁": "illicit", "违法违规": "illicit",
}  # fmt: skip
TEXT = dict.fromkeys(CATEGORIES, ("text",))


class ZhipuModeration(Struct, frozen=True):
    """One text of at most 2000 characters a call."""

    fields: Fields = FIELDS
    others: Rule | None = UNKNOWN
    errors: Errors = {}

    def request(self, body: Json, target: Target) -> Outgoing:
        if not isinstance(body["input"], str):
            raise Fault("unsupported", "Zhipu's content safety is asked about texts alone", param="input")
        out, changes = apply(self.fields, self.others, body, target)
        return Outgoing(f"{target.base_url}/moderations", encode(out), changes=changes)

    def response(self, body: bytes) -> Json:
        """{"model", "results": [one of OpenAI's]}"""
        answer = read_json(body)
        found = answer.get("result_list")
        if not isinstance(found, list) or not found or answer.get("error"):
            raise self.fault(200, {}, body)
        scores: dict[str, float] = {}
        for one in found:
            score = LEVELS[one["risk_level"]]
            for name in (RISKS.get(risk, "illicit") for risk in one.get("risk_type") or ("",)):
                scores[name] = max(scores.get(name, 0.0), score)
        return {"model": "moderation", "results": [result(scores, TEXT)]}

    def stream(self) -> Stream:
        raise Fault("bad_request", "moderations are not streamed", param="stream")

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return make_fault(self.errors, status, headers, body)
