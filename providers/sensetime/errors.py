"""SenseNova's codes: gRPC's numbers and two of its own.

`native` and `compatible` say them as numbers, `token_plan` as strings.
"""

import re
from collections.abc import Mapping

from providers.base import Fault, Json, Kind
from providers.faults import Errors, Row, Source, Sources, make_fault

SOURCES: Sources = {
    "docs": Source("SenseCore help centre, ErrorCode; the statuses of 13 to 18 as gRPC has them", "2026-11-23"),
    "plan": Source("OpenSenseNova/SenseNova6.7 API.md", "2026-11-23"),
    "adaptors": Source("InternLM/lagent llms/sensenova.py", "2026-11-23"),
}

ERRORS: Errors = {
    "1": Row("overloaded", "cancelled", 408, "docs"),
    "2": Row("overloaded", "unknown failure", 500, "docs"),
    "3": Row("bad_request", "invalid argument", 400, "docs"),
    "4": Row("timeout", "deadline exceeded", 504, "docs"),
    "5": Row("no_model", "not found", 404, "docs"),
    "6": Row("bad_request", "exists already", 409, "docs"),
    "7": Row("auth", "permission denied", 403, "docs"),
    "8": Row("rate_limited", "resource exhausted", 429, "docs"),
    "9": Row("bad_request", "failed precondition", 400, "docs"),
    "10": Row("overloaded", "aborted", 409, "docs"),
    "11": Row("bad_request", "out of range", 400, "docs"),
    "12": Row("unsupported", "not implemented", 501, "docs"),
    "13": Row("overloaded", "internal error", 500, "docs"),
    "14": Row("overloaded", "unavailable", 503, "docs"),
    "15": Row("overloaded", "data loss", 500, "docs"),
    "16": Row("auth", "not authenticated, or the token has expired", 401, "docs", stale=True),
    "17": Row("too_long", "more tokens than the context has", 400, "docs"),
    "18": Row("refused", "sensitive content", 400, "docs"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests", 429, "adaptors"),
    "insufficient_quota": Row("quota", "quota used up", 429, "adaptors"),
}
TOKEN_PLAN_ERRORS: Errors = {**ERRORS, "16": Row("auth", "not authenticated", 401, "plan")}
"""A token plan's key does not go stale: there is no fresh one to be had."""
TABLES: Mapping[str, Errors] = {"native": ERRORS, "compatible": ERRORS, "token_plan": TOKEN_PLAN_ERRORS}
"""By surface."""

# Codes with several meanings that only the message tells apart, as the documents say: 8 for a rate and for an empty balance or credit pool,
# 7 for lacking rights, for what is not paid, and on the token plan for risk control, 3 on the token plan for a prompt that is too long.
WORDS: tuple[tuple[str, re.Pattern[str], Kind], ...] = (
    ("8", re.compile(r"rate.?limit|per (second|minute)|too many|rpm|tpm|频率|限流|速率", re.I), "rate_limited"),
    ("8", re.compile(r"balance|quota|credit|insufficient|余额|额度|配额|欠费", re.I), "quota"),
    ("7", re.compile(r"risk|safety|sensitive|风控|风险|敏感", re.I), "refused"),
    ("7", re.compile(r"arrears|overdue|unpaid|balance|欠费|余额", re.I), "quota"),
    ("3", re.compile(r"context.?(length|window)|上下文", re.I), "too_long"),
)


def fault_of(errors: Errors, status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """As `make_fault`, and by WORDS where the code leaves it open."""
    fault = make_fault(errors, status, headers, body)
    fault.kind = next((kind for code, words, kind in WORDS if code == fault.code and words.search(fault.message)), fault.kind)
    return fault
