"""Azure OpenAI's error codes, most of them its HTTP status as a string."""

from collections.abc import Mapping

from msgspec import DecodeError, ValidationError

from providers.base import Fault, Json, decode
from providers.faults import Errors, Row, Source, Sources, make_fault
from providers.openai.errors import ERRORS as OF_OPENAI
from providers.openai.errors import SOURCES as SOURCES_OF_OPENAI
from providers.openai.errors import asked_to_wait

SOURCES: Sources = {
    **SOURCES_OF_OPENAI,
    "pages": Source("Microsoft Learn: content filter, quota, dev-proxy's 429, and answers on its Q&A", "2026-11-23"),
    "adaptors": Source("LiteLLM 1.109.1, llms/azure and exception mapping; reports of replies", "2026-11-23"),
}

ERRORS: Errors = {
    **OF_OPENAI,
    "400": Row("bad_request", "bad request", 400, "adaptors"),
    "BadRequest": Row("bad_request", "bad request", 400, "pages"),
    "OperationNotSupported": Row("unsupported", "the model is not for this operation", 400, "pages"),
    "OperationNotSupportedForModel": Row("unsupported", "the model is not for this operation", 400, "adaptors"),
    "ResponsibleAIPolicyViolation": Row("refused", "blocked by the content filter", 400, "pages"),
    "401": Row("auth", "wrong key, or a key for another address", 401, "pages"),
    "Unauthorized": Row("auth", "wrong key or token", 401, "pages"),
    "PermissionDenied": Row("auth", "the identity lacks the role for this", 401, "pages"),
    "403": Row("auth", "no access: network rules, a role, or a resource that is blocked", 403, "adaptors"),
    "AccessDenied": Row("auth", "no access: network rules, or a resource that is blocked", 403, "pages"),
    "AuthenticationTypeDisabled": Row("auth", "keys are switched off for this resource", 403, "pages"),
    "404": Row("no_model", "the address or the API version is wrong", 404, "pages"),
    "DeploymentNotFound": Row("no_model", "there is no such deployment, or it is younger than five minutes", 404, "pages"),
    "408": Row("timeout", "no answer in time", 408, "adaptors"),
    "Timeout": Row("timeout", "no answer in time", 408, "pages"),
    "RequestTimeout": Row("timeout", "no answer in time", 408, "pages"),
    "424": Row("broken", "the model failed", 424, "adaptors"),
    "DeploymentInferenceFailed": Row("broken", "the model failed", 424, "adaptors"),
    "429": Row("rate_limited", "too many requests or tokens", 429, "pages"),
    "RateLimitReached": Row("rate_limited", "too many requests or tokens", 429, "pages"),
    "TooManyRequests": Row("rate_limited", "too many requests or tokens", 429, "adaptors"),
    "NoCapacity": Row("rate_limited", "no capacity at present", 429, "adaptors"),
    "InternalServerError": Row("overloaded", "internal error", 500, "pages"),
    "ServiceUnavailable": Row("overloaded", "too much to do", 503, "pages"),
}
MODEL_FAILED = 424


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """What an answer of Azure's stands for, or of an API Management in front of it, whose errors are {"statusCode", "message"}."""
    answer = body if isinstance(body, dict) else _read(body)
    error = answer.get("error") if isinstance(answer.get("error"), dict) else answer
    fault = make_fault(ERRORS, status, headers, answer)
    if fault.code is None and "statusCode" in answer:
        fault.code = str(answer["statusCode"])
    inner = error.get("innererror") or error.get("inner_error") if error else None
    if isinstance(inner, dict):
        if inner.get("code") in ("ResponsibleAIPolicyViolation", "content_policy_violation"):
            fault.kind = "refused"
        fault.message += tripped(inner)
    if status == MODEL_FAILED and fault.kind == "bad_request":
        fault.kind = "broken"
    if fault.kind == "auth":
        fault.stale = status == 401 and "token" in fault.message.lower()  # of a key, only "key" is said
    if fault.retry_after is None and fault.kind in ("rate_limited", "overloaded"):
        fault.retry_after = asked_to_wait(fault.message)
    return fault


def _read(body: bytes) -> Json:
    try:
        return decode(body)
    except (DecodeError, ValidationError, UnicodeDecodeError, RecursionError):
        return {}


def tripped(inner: Json) -> str:
    """Which categories of the filter it was, where it says so."""
    results = inner.get("content_filter_result") or inner.get("content_filter_results")
    if not isinstance(results, dict):
        return ""
    names = [
        f"{name} {found['severity']}" if found.get("severity") else name
        for name, found in results.items()
        if isinstance(found, dict) and found.get("filtered")
    ]
    return f" ({', '.join(names)})" if names else ""
