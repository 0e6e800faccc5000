"""OpenAI's error codes, and what its words say of waiting."""

import re
from collections.abc import Mapping

from providers.base import Fault, Json
from providers.faults import Errors, Row, Source, Sources, make_fault

SOURCES: Sources = {
    "guide": Source("OpenAI's guide to error codes, and openai-python 3.54.0", "2026-11-23"),
    "replies": Source("replies of the API, in LiteLLM 1.109.1 and reports of bugs", "2026-11-23"),
}

ERRORS: Errors = {
    "invalid_api_key": Row("auth", "the key is wrong", 401, "guide"),
    "account_deactivated": Row("auth", "the account is closed", 401, "guide"),
    "invalid_organization": Row("auth", "the key is not of this organization", 401, "guide"),
    "mismatched_organization": Row("auth", "the key is not of this organization", 401, "replies"),
    "mismatched_project": Row("auth", "the key is not of this project", 401, "replies"),
    "ip_not_authorized": Row("auth", "the project takes no calls from this address", 401, "replies"),
    "missing_scope": Row("auth", "the key may not do this", 403, "replies"),
    "unsupported_country_region_territory": Row("auth", "the service is not offered where the gateway runs", 403, "guide"),
    "model_not_found": Row("no_model", "the model does not exist, or the project may not use it", 404, "guide"),
    "model_not_available": Row("no_model", "the model is not to be had", 404, "replies"),
    "deprecated_model": Row("no_model", "the model has been shut down", 404, "replies"),
    "insufficient_quota": Row("quota", "the credit or the limit of spending is used up", 429, "guide"),
    "billing_not_active": Row("quota", "the account has no means to pay", 429, "guide"),
    "billing_hard_limit_reached": Row("quota", "the limit of spending is reached", 429, "guide"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests or tokens", 429, "guide"),
    "slow_down": Row("rate_limited", "requests have increased too fast", 503, "replies"),
    "context_length_exceeded": Row("too_long", "prompt too long", 400, "guide"),
    "string_above_max_length": Row("too_long", "a text is too long", 400, "guide"),
    "content_filter": Row("refused", "blocked by a filter", 400, "guide"),
    "content_policy_violation": Row("refused", "blocked by policy", 400, "guide"),
    "moderation_blocked": Row("refused", "an image blocked by policy", 400, "replies"),
    "invalid_prompt": Row("refused", "the prompt may break the usage policy", 400, "guide"),
    "cyber_policy_violation": Row("refused", "blocked by policy", 400, "replies"),
    "unsupported_parameter": Row("unsupported", "the model does not have the field", 400, "guide"),
    "unsupported_value": Row("unsupported", "the model does not take the value", 400, "guide"),
    "unknown_parameter": Row("unsupported", "the field does not exist", 400, "guide"),
    "unsupported_model": Row("unsupported", "the model is not for this endpoint", 400, "replies"),
    "operation_not_supported": Row("unsupported", "the model is not for this endpoint", 400, "replies"),
    "server_error": Row("overloaded", "internal error", 500, "guide"),
    "server_overloaded": Row("overloaded", "too much to do", 503, "replies"),
    "engine_overloaded": Row("overloaded", "too much to do", 503, "replies"),
    "resource_unavailable": Row("overloaded", "no capacity for this tier", 429, "replies"),
}
LENGTHS = frozenset({"messages", "input", "prompt"})
"""Fields whose being too long means that the prompt is."""


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """What an answer of OpenAI's stands for."""
    fault = make_fault(ERRORS, status, headers, body)
    if fault.code == "string_above_max_length" and (fault.param or "").partition("[")[0].partition(".")[0] not in LENGTHS:
        fault.kind = "bad_request"
    if fault.retry_after is None and fault.kind in ("rate_limited", "overloaded"):
        fault.retry_after = asked_to_wait(fault.message)
    return fault


WAIT = re.compile(r"(?:retry after|try again in) (?:(\d+)h)?(?:(\d+)m(?![is]))?(?:(\d+(?:\.\d+)?) ?(ms|millisecond|s))?", re.I)


def asked_to_wait(message: str) -> float | None:
    """Seconds that the words of an error ask for, where no header does: "try again in 1m20.5s", "retry after 37 seconds"."""
    found = WAIT.search(message)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, rest, unit = found.groups()
    seconds = float(rest or 0) * (0.001 if (unit or "").lower().startswith("m") else 1.0)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds
