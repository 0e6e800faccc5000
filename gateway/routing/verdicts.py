"""What each kind of fault means: for the hop, for the plan, and for the client when no hop is left."""

from typing import Literal

from msgspec import Struct

from providers.base import Kind

Whose = Literal["caller", "account", "provider", "content"]
"""The request; what the gateway's operator has with the provider; the provider or the way to it; what was asked or said."""


class Verdict(Struct, frozen=True):
    again: bool
    """Another attempt on the same hop may help."""
    next: bool
    """Another hop may help."""
    status: int
    """What the client is told when nothing has helped: the HTTP status, OpenAI's type and code."""
    type: str
    code: str
    fault: Whose
    """Who can mend it."""


VERDICTS: dict[Kind, Verdict] = {
    "bad_request": Verdict(False, False, 400, "invalid_request_error", "invalid_request", "caller"),
    "unsupported": Verdict(False, True, 400, "invalid_request_error", "unsupported_parameter", "caller"),
    "too_long": Verdict(False, False, 400, "invalid_request_error", "context_length_exceeded", "caller"),
    "refused": Verdict(False, False, 400, "invalid_request_error", "content_filter", "content"),
    "no_model": Verdict(False, True, 404, "invalid_request_error", "model_not_found", "account"),
    "auth": Verdict(False, True, 502, "api_error", "upstream_auth", "account"),
    "quota": Verdict(False, True, 429, "insufficient_quota", "insufficient_quota", "account"),
    "rate_limited": Verdict(True, True, 429, "rate_limit_error", "rate_limit_exceeded", "account"),
    "overloaded": Verdict(True, True, 503, "api_error", "overloaded", "provider"),
    "unreachable": Verdict(True, True, 502, "api_error", "upstream_unreachable", "provider"),
    "timeout": Verdict(False, True, 504, "api_error", "timeout", "provider"),
    "broken": Verdict(True, True, 502, "api_error", "upstream_broken", "provider"),
    "unfit": Verdict(False, True, 502, "api_error", "schema_not_followed", "provider"),
}


OPENAI_CODES = frozenset(
    (
        "array_above_max_length", "decimal_above_max_value", "decimal_below_min_value", "empty_array", "empty_string",
        "integer_above_max_value", "integer_below_min_value", "invalid_base64", "invalid_function_parameters", "invalid_image",
        "invalid_image_format", "invalid_image_url", "invalid_json", "invalid_json_schema", "invalid_type", "invalid_value",
        "missing_required_parameter", "string_above_max_length", "unknown_parameter", "unsupported_parameter", "unsupported_value",
    )
)  # fmt: skip
"""Codes of OpenAI's own for a caller's mistake: they stay what they are when a provider uses them."""


def code_told(kind: Kind, code: str | None) -> str:
    """What the client is told for a fault of that kind, for which the provider has that code."""
    return code if code is not None and kind == "bad_request" and code in OPENAI_CODES else VERDICTS[kind].code
