"""Baidu's error codes: those of the v2 API and those of the older one."""

from collections.abc import Mapping

from providers.faults import Errors, Row, Source, Sources

SOURCES: Sources = {
    "docs": Source("cloud.baidu.com, doc/qianfan-api: error codes", "2026-11-23"),
    "legacy": Source("cloud.baidu.com, doc/WENXINWORKSHOP tlmyncueh; qianfan 0.4.12.3", "2026-11-23"),
    "replies": Source("replies of /v2/models without a key, of 2026-09-29", "2026-11-23"),
}

ERRORS: Errors = {
    # account. Which of a bearer's faults it is, one code does not tell: a fresh token helps if it had expired
    "invalid_iam_token": Row("auth", "the key or token is wrong or has expired", 401, "docs", stale=True),
    "invalid_appid": Row("auth", "unknown app", 401, "docs"),
    "AccessDenied": Row("auth", "access denied", 403, "replies"),
    "no_parameter_permission": Row("auth", "no permission for a parameter", 401, "docs"),
    "account_overdue": Row("quota", "account in arrears", 403, "docs"),
    "coding_plan_subscription_expired": Row("quota", "plan expired", 403, "docs"),
    # model: under HTTP 401, though the account is fine
    "400:invalid_model": Row("bad_request", "model is missing", 400, "docs"),
    "invalid_model": Row("no_model", "model does not exist, or is not open to the account", 401, "docs"),
    "model_offline": Row("no_model", "model withdrawn", 403, "docs"),
    # request
    "malformed_json": Row("bad_request", "body is not JSON", 400, "docs"),
    "invalid_messages": Row("bad_request", "bad messages", 400, "docs"),
    "invalid_argument": Row("bad_request", "bad parameter", 400, "docs"),
    "invalid_plugin_argument": Row("bad_request", "bad plugin parameter", 400, "docs"),
    "invalid_image_url": Row("bad_request", "bad image address", 400, "docs"),
    "method_not_supported": Row("bad_request", "HTTP method not supported", 405, "docs"),
    "characters_too_long": Row("too_long", "prompt too long", 400, "docs"),
    "tokens_too_long": Row("too_long", "prompt too long", 400, "docs"),
    # content
    "image_url_unsafe": Row("refused", "unsafe image", 400, "docs"),
    "system_unsafe": Row("refused", "unsafe system message", 403, "docs"),
    "user_setting_unsafe": Row("refused", "unsafe input", 403, "docs"),
    "functions_unsafe": Row("refused", "unsafe function", 403, "docs"),
    # load: limits of the account, then those that all customers share
    "rpm_rate_limit_exceeded": Row("rate_limited", "requests a minute", 429, "docs"),
    "tpm_rate_limit_exceeded": Row("rate_limited", "tokens a minute", 429, "docs"),
    "input_tpm_rate_limit_exceeded": Row("rate_limited", "input tokens a minute", 429, "docs"),
    "output_tpm_rate_limit_exceeded": Row("rate_limited", "output tokens a minute", 429, "docs"),
    "user_rate_limit_exceeded": Row("rate_limited", "requests of one user", 429, "docs"),
    "preemptible_rate_limit_exceeded": Row("rate_limited", "pre-emptible traffic", 429, "docs"),
    "Offline_batch_reasoning_refused": Row("rate_limited", "pre-emptible traffic", 429, "docs"),
    "coding_plan_rate_limit_exceeded": Row("rate_limited", "plan's limit", 429, "docs"),
    "cluster_rate_limit_exceeded": Row("overloaded", "model busy", 429, "docs"),
    "cluster_rpm_rate_limit_exceeded": Row("overloaded", "model busy", 429, "docs"),
    "cluster_tpm_rate_limit_exceeded": Row("overloaded", "model busy", 429, "docs"),
    "coding_plan_cluster_rate_limited": Row("overloaded", "model busy", 429, "docs"),
    "internal_error": Row("overloaded", "internal error", 500, "docs"),
    "dispatch_internal_error": Row("overloaded", "internal error", 500, "docs"),
    # of images, which the same table has
    "invalid_image_generation_prompt": Row("bad_request", "bad prompt of an image", 400, "docs"),
    "invalid_image_generation_refer_image": Row("bad_request", "bad reference image", 400, "docs"),
    "image_generation_interal_error": Row("overloaded", "internal error", 500, "docs"),  # sic
}
"""Of the v2 API."""

LEGACY_ERRORS: Errors = {
    "1": Row("overloaded", "unknown error", 200, "legacy"),
    "2": Row("overloaded", "service unavailable", 200, "legacy"),
    "3": Row("no_model", "no such path", 200, "legacy"),
    "4": Row("rate_limited", "cluster limit", 200, "legacy"),
    "6": Row("auth", "no permission", 200, "legacy"),
    "13": Row("auth", "no service token", 200, "legacy"),
    "14": Row("auth", "IAM certification failed", 200, "legacy"),
    "15": Row("auth", "app does not exist", 200, "legacy"),
    "17": Row("quota", "daily limit, or not paid for", 200, "legacy"),
    "18": Row("rate_limited", "requests a second", 200, "legacy"),
    "19": Row("quota", "total limit", 200, "legacy"),
    "100": Row("auth", "access_token missing or malformed", 200, "legacy"),
    "110": Row("auth", "access token invalid", 200, "legacy", stale=True),
    "111": Row("auth", "access token expired", 200, "legacy", stale=True),
    "336000": Row("overloaded", "internal error", 200, "legacy"),
    "336001": Row("bad_request", "bad argument", 200, "legacy"),
    "336002": Row("bad_request", "body is not JSON", 200, "legacy"),
    "336003": Row("bad_request", "bad parameter", 200, "legacy"),
    "336004": Row("auth", "no permission", 200, "legacy"),
    "336005": Row("no_model", "API name does not exist", 200, "legacy"),
    "336006": Row("bad_request", "bad parameter", 200, "legacy"),
    "336007": Row("too_long", "prompt too long", 200, "legacy"),
    "336100": Row("overloaded", "high load", 200, "legacy"),
    "336101": Row("bad_request", "HTTP method not supported", 200, "legacy"),
    "336103": Row("too_long", "prompt too long", 200, "legacy"),
    "336104": Row("bad_request", "bad system text", 200, "legacy"),
    "336105": Row("bad_request", "bad user setting", 200, "legacy"),
    "336117": Row("bad_request", "bad user setting", 200, "legacy"),
    "336501": Row("rate_limited", "requests a minute", 200, "legacy"),
    "336502": Row("rate_limited", "tokens a minute", 200, "legacy"),
    "336503": Row("rate_limited", "limit reached", 200, "legacy"),
    "336504": Row("rate_limited", "limit reached", 200, "legacy"),
    "336505": Row("rate_limited", "limit reached", 200, "legacy"),
    "336506": Row("rate_limited", "limit reached", 200, "legacy"),
    "336507": Row("rate_limited", "limit reached", 200, "legacy"),
    "500000": Row("overloaded", "internal error", 200, "legacy"),
    "invalid_client": Row("auth", "wrong API key or secret", 401, "legacy"),  # of the token's address
}
"""Of the older API, which reports most of them under HTTP 200."""

TABLES: Mapping[str, Errors] = {"v2": ERRORS, "legacy": LEGACY_ERRORS}
"""By surface."""
