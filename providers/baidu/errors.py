"""Baidu's error codes, from cloud.baidu.com doc/qianfan-api and WENXINWORKSHOP tlmyncueh and from qianfan 0.4.12.3, read 2026-11-23."""

from providers.faults import Errors, Row

ERRORS: Errors = {
    # account. Which of a bearer's faults it is, one code does not tell: a fresh token helps if it had expired
    "invalid_iam_token": Row("auth", "the key or token is wrong or has expired", stale=True),
    "invalid_appid": Row("auth", "unknown app"),
    "AccessDenied": Row("auth", "access denied"),
    "no_parameter_permission": Row("auth", "no permission for a parameter"),
    "account_overdue": Row("quota", "account in arrears"),
    "coding_plan_subscription_expired": Row("quota", "plan expired"),
    # model: under HTTP 401, though the account is fine
    "invalid_model": Row("no_model", "model does not exist, or is not open to the account"),
    "model_offline": Row("no_model", "model withdrawn"),
    # request
    "malformed_json": Row("bad_request", "body is not JSON"),
    "invalid_messages": Row("bad_request", "bad messages"),
    "invalid_argument": Row("bad_request", "bad parameter"),
    "invalid_plugin_argument": Row("bad_request", "bad plugin parameter"),
    "invalid_image_url": Row("bad_request", "bad image address"),
    "method_not_supported": Row("bad_request", "HTTP method not supported"),
    "characters_too_long": Row("too_long", "prompt too long"),
    "tokens_too_long": Row("too_long", "prompt too long"),
    # content
    "image_url_unsafe": Row("refused", "unsafe image"),
    "system_unsafe": Row("refused", "unsafe system message"),
    "user_setting_unsafe": Row("refused", "unsafe input"),
    "functions_unsafe": Row("refused", "unsafe function"),
    # load: limits of the account, then those that all customers share
    "rpm_rate_limit_exceeded": Row("rate_limited", "requests a minute"),
    "tpm_rate_limit_exceeded": Row("rate_limited", "tokens a minute"),
    "input_tpm_rate_limit_exceeded": Row("rate_limited", "input tokens a minute"),
    "output_tpm_rate_limit_exceeded": Row("rate_limited", "output tokens a minute"),
    "user_rate_limit_exceeded": Row("rate_limited", "requests of one user"),
    "preemptible_rate_limit_exceeded": Row("rate_limited", "pre-emptible traffic"),
    "Offline_batch_reasoning_refused": Row("rate_limited", "pre-emptible traffic"),
    "coding_plan_rate_limit_exceeded": Row("rate_limited", "plan's limit"),
    "cluster_rate_limit_exceeded": Row("overloaded", "model busy"),
    "cluster_rpm_rate_limit_exceeded": Row("overloaded", "model busy"),
    "cluster_tpm_rate_limit_exceeded": Row("overloaded", "model busy"),
    "coding_plan_cluster_rate_limited": Row("overloaded", "model busy"),
    "internal_error": Row("overloaded", "internal error"),
    "dispatch_internal_error": Row("overloaded", "internal error"),
}
"""Of the v2 API."""

LEGACY_ERRORS: Errors = {
    "1": Row("overloaded", "unknown error"),
    "2": Row("overloaded", "service unavailable"),
    "3": Row("no_model", "no such path"),
    "4": Row("rate_limited", "cluster limit"),
    "6": Row("auth", "no permission"),
    "13": Row("auth", "no service token"),
    "14": Row("auth", "IAM certification failed"),
    "15": Row("auth", "app does not exist"),
    "17": Row("quota", "daily limit, or not paid for"),
    "18": Row("rate_limited", "requests a second"),
    "19": Row("quota", "total limit"),
    "100": Row("auth", "access_token missing or malformed"),
    "110": Row("auth", "access token invalid", stale=True),
    "111": Row("auth", "access token expired", stale=True),
    "336000": Row("overloaded", "internal error"),
    "336001": Row("bad_request", "bad argument"),
    "336002": Row("bad_request", "body is not JSON"),
    "336003": Row("bad_request", "bad parameter"),
    "336004": Row("auth", "no permission"),
    "336005": Row("no_model", "API name does not exist"),
    "336006": Row("bad_request", "bad parameter"),
    "336007": Row("too_long", "prompt too long"),
    "336100": Row("overloaded", "high load"),
    "336101": Row("bad_request", "HTTP method not supported"),
    "336103": Row("too_long", "prompt too long"),
    "336104": Row("bad_request", "bad system text"),
    "336105": Row("bad_request", "bad user setting"),
    "336117": Row("bad_request", "bad user setting"),
    "336501": Row("rate_limited", "requests a minute"),
    "336502": Row("rate_limited", "tokens a minute"),
    "336503": Row("rate_limited", "limit reached"),
    "336504": Row("rate_limited", "limit reached"),
    "336505": Row("rate_limited", "limit reached"),
    "336506": Row("rate_limited", "limit reached"),
    "336507": Row("rate_limited", "limit reached"),
    "500000": Row("overloaded", "internal error"),
    "invalid_client": Row("auth", "wrong API key or secret"),  # of the token's address
}
"""Of the older API, which reports most of them under HTTP 200."""
