"""SenseNova's codes: gRPC's numbers and two of its own, from the help centre's ErrorCode page, read 2026-11-23; * from adaptors.

`native` and `compatible` say them as numbers, `token_plan` as strings.
"""

import re
from collections.abc import Mapping

from providers.base import Fault, Json, Kind
from providers.faults import Errors, Row, make_fault

ERRORS: Errors = {
    "1": Row("overloaded", "cancelled"),
    "2": Row("overloaded", "unknown failure"),
    "3": Row("bad_request", "invalid argument"),
    "4": Row("timeout", "deadline exceeded"),
    "5": Row("no_model", "not found"),
    "6": Row("bad_request", "exists already"),
    "7": Row("auth", "permission denied"),
    "8": Row("rate_limited", "resource exhausted"),
    "9": Row("bad_request", "failed precondition"),
    "10": Row("overloaded", "aborted"),
    "11": Row("bad_request", "out of range"),
    "12": Row("unsupported", "not implemented"),
    "13": Row("overloaded", "internal error"),
    "14": Row("overloaded", "unavailable"),
    "15": Row("overloaded", "data loss"),
    "16": Row("auth", "not authenticated, or the token has expired", stale=True),
    "17": Row("too_long", "more tokens than the context has"),
    "18": Row("refused", "sensitive content"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests"),  # *
    "insufficient_quota": Row("quota", "quota used up"),  # *
}
TOKEN_PLAN_ERRORS: Errors = {**ERRORS, "16": Row("auth", "not authenticated")}
"""A token plan's key does not go stale: there is no fresh one to be had."""

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
