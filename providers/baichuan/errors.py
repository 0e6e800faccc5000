"""Baichuan's error codes, which are OpenAI's. The vendor's own table could not be read."""

import re
from collections.abc import Mapping

from providers.base import Fault, Json, Kind
from providers.faults import Errors, Row, Source, Sources, make_fault

SOURCES: Sources = {
    "adaptors": Source("OpenCompass baichuan_api.py; LobeHub chat 1.143.3; langchain-community 0.4.2; reports of replies", "2026-11-23"),
}

ERRORS: Errors = {
    "invalid_api_key": Row("auth", "the key is wrong or has been withdrawn", 401, "adaptors"),
    "authentication_error": Row("auth", "the key is wrong or has been withdrawn", 401, "adaptors"),
    "permission_denied": Row("auth", "no permission", 403, "adaptors"),
    "insufficient_quota": Row("quota", "the balance is used up", 402, "adaptors"),
    "model_not_found": Row("no_model", "model does not exist", 404, "adaptors"),
    "invalid_parameter_error": Row("bad_request", "bad parameter", 400, "adaptors"),
    "context_length_exceeded": Row("too_long", "prompt too long", 400, "adaptors"),
    "content_filter": Row("refused", "unsafe input or output", 400, "adaptors"),
    "content_policy_violation": Row("refused", "unsafe input or output", 400, "adaptors"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests or tokens a minute", 429, "adaptors"),
    "server_error": Row("overloaded", "internal error", 500, "adaptors"),
}

# A prompt that is too long or unsafe, and a model that does not exist, may come as any 400: what is said of them in words is then the only
# difference there is.
WORDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"context.?(length|window)|prompt.{0,20}too long|max_input_length|上下文|输入.{0,8}(过长|超长|超过)", re.I), "too_long"),
    (re.compile(r"\brisk|sensitive|content.?(filter|policy)|风险|敏感|违规", re.I), "refused"),
    (re.compile(r"model.{0,60}(not (found|exist)|does not exist)|模型.{0,40}不存在", re.I), "no_model"),
)


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """As `make_fault`, and by WORDS where neither the code nor the status says more than that something was bad."""
    fault = make_fault(ERRORS, status, headers, body)
    if fault.kind in ("bad_request", "broken"):
        fault.kind = next((kind for words, kind in WORDS if words.search(fault.message)), fault.kind)
    return fault
