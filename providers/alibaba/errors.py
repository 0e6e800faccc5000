"""Model Studio's codes.

The same cause has a PascalCase code on the native surface and a snake_case one on the compatible surface, and either can appear on both:
codes are compared in lower case, without dots and underscores.
"""

from collections.abc import Mapping

from providers.base import Fault, Json
from providers.faults import Errors, Row, Said, Source, Sources, make_fault, read_error, said

SOURCES: Sources = {
    "docs": Source("error pages of Model Studio: help.aliyun.com, alibabacloud.com, docs.qwencloud.com", "2026-11-23"),
    "sdk": Source("dashscope 2.0.2, its table of errors", "2026-11-23"),
}

ERRORS: Errors = {
    "InvalidParameter": Row("bad_request", "bad parameters", 400, "docs"),
    "invalid_parameter_error": Row("bad_request", "bad parameters", 400, "docs"),
    "invalid_request_error": Row("bad_request", "bad request", 400, "docs"),
    "BadRequest": Row("bad_request", "bad request", 400, "sdk"),
    "bad_request_error": Row("bad_request", "bad request", 400, "sdk"),
    "invalid_value": Row("bad_request", "bad value", 400, "docs"),
    "BadRequest.EmptyInput": Row("bad_request", "no input", 400, "docs"),
    "BadRequest.EmptyModel": Row("bad_request", "no model", 400, "docs"),
    "BadRequest.EmptyParameters": Row("bad_request", "no parameters", 400, "docs"),
    "BadRequest.IllegalInput": Row("bad_request", "bad input", 400, "docs"),
    "BadRequest.TooLarge": Row("bad_request", "the body is too large", 400, "docs"),
    "BadRequest.InputDownloadFailed": Row("bad_request", "media could not be fetched", 400, "docs"),
    "InvalidURL": Row("bad_request", "media could not be fetched", 400, "docs"),
    "InvalidURL.ConnectionRefused": Row("bad_request", "media could not be fetched", 400, "docs"),
    "InvalidURL.Timeout": Row("bad_request", "media could not be fetched", 400, "docs"),
    "BadRequest.ResourceNotExist": Row("bad_request", "something that the request names does not exist", 400, "docs"),
    "InvalidFile": Row("bad_request", "bad file", 400, "docs"),
    "InvalidSchema": Row("bad_request", "bad JSON schema", 400, "docs"),
    "InvalidSchemaFormat": Row("bad_request", "bad JSON schema", 400, "docs"),
    "FlowNotPublished": Row("bad_request", "the application is not published", 400, "docs"),
    "FaqRuleBlocked": Row("bad_request", "stopped by the application's own rules", 400, "docs"),
    "UnsupportedOperation": Row("bad_request", "not possible in this state", 400, "docs"),
    "Conflict": Row("bad_request", "the name is taken", 409, "docs"),
    "request_too_large": Row("bad_request", "the body is too large", 413, "sdk"),
    "InvalidParameter.NotSupportEnableThinking": Row("unsupported", "the model does not think, or not so", 400, "docs"),
    "DataInspectionFailed": Row("refused", "unsafe input or output", 400, "docs"),
    "data_inspection_failed": Row("refused", "unsafe input or output", 400, "docs"),
    "InvalidParameter.DataInspection": Row("refused", "unsafe media", 400, "docs"),
    "IPInfringementSuspect": Row("refused", "may infringe a right", 400, "docs"),
    "InvalidApiKey": Row("auth", "the key is wrong, or of another region", 401, "docs"),
    "invalid_api_key": Row("auth", "the key is wrong, or of another region", 401, "docs"),
    "NotAuthorized": Row("auth", "not authorized", 401, "docs"),
    "AccessDenied": Row("auth", "not enabled for the account", 403, "docs"),
    "access_denied": Row("auth", "not enabled for the account", 403, "docs"),
    "AccessDenied.Unpurchased": Row("auth", "Model Studio is not activated", 403, "docs"),
    "Model.AccessDenied": Row("auth", "the model is not enabled for the account", 403, "docs"),
    "App.AccessDenied": Row("auth", "the application is not enabled for the account", 403, "docs"),
    "Workspace.AccessDenied": Row("auth", "the workspace is not enabled for the account", 403, "docs"),
    "Endpoint.AccessDenied": Row("auth", "the endpoint is not enabled for the account", 403, "docs"),
    "AsyncDenied": Row("auth", "not to be called asynchronously", 403, "docs"),
    "WorkSpaceNotFound": Row("auth", "the account's workspace does not exist", 404, "docs"),
    "ModelNotFound": Row("no_model", "model does not exist", 404, "docs"),
    "model_not_found": Row("no_model", "model does not exist", 404, "docs"),
    "model_not_exist": Row("no_model", "model does not exist", 404, "sdk"),
    "model_not_supported": Row("no_model", "the model is not on this surface", 404, "docs"),
    "NotFound": Row("no_model", "path does not exist", 404, "docs"),
    "Arrearage": Row("quota", "account overdue", 400, "docs"),
    "AllocationQuota.FreeTierOnly": Row("quota", "the free quota is used up, and the account allows nothing else", 403, "docs"),
    "CommodityNotPurchased": Row("quota", "not bought", 429, "docs"),
    "PrepaidBillOverdue": Row("quota", "bill overdue", 429, "docs"),
    "PostpaidBillOverdue": Row("quota", "bill overdue", 429, "docs"),
    "BudgetLimitExceeded": Row("quota", "the workspace's budget is used up", 429, "docs"),
    "Throttling": Row("rate_limited", "too many requests or tokens a minute", 429, "docs"),
    "Throttling.RateQuota": Row("rate_limited", "too many requests a minute", 429, "docs"),
    "LimitRequests": Row("rate_limited", "too many requests a minute", 429, "docs"),
    "limit_requests": Row("rate_limited", "too many requests a minute", 429, "docs"),
    "Throttling.BurstRate": Row("rate_limited", "requests grow too fast", 429, "docs"),
    "limit_burst_rate": Row("rate_limited", "requests grow too fast", 429, "docs"),
    # in spite of their names; see BY_WORDS
    "Throttling.AllocationQuota": Row("rate_limited", "too many tokens a minute", 429, "docs"),
    "insufficient_quota": Row("rate_limited", "too many tokens a minute", 429, "docs"),
    "concurrency_limit_exceeded": Row("rate_limited", "too many requests at once", 429, "sdk"),
    "rate_limit_exceeded": Row("rate_limited", "too many requests", 429, "sdk"),
    "InternalError": Row("overloaded", "internal error", 500, "docs"),
    "internal_error": Row("overloaded", "internal error", 500, "docs"),
    "InternalError.Algo": Row("overloaded", "internal error", 500, "docs"),
    "InternalError.Upload": Row("overloaded", "internal error", 500, "docs"),
    "InternalError.FileUpload": Row("overloaded", "internal error", 500, "docs"),
    "SystemError": Row("overloaded", "internal error", 500, "docs"),
    "InternalError.Timeout": Row("timeout", "internal timeout", 500, "docs"),
    "ModelServiceFailed": Row("overloaded", "the model failed", 500, "docs"),
    "ModelUnavailable": Row("overloaded", "no capacity", 503, "docs"),
    "ModelServingError": Row("overloaded", "no capacity", 503, "docs"),
    "ServiceUnavailable": Row("overloaded", "no capacity", 503, "docs"),
    "RequestTimeOut": Row("timeout", "took longer than 300 s", 500, "docs"),
    "request_timeout": Row("timeout", "took too long", 504, "docs"),
    "GatewayTimeout": Row("timeout", "gateway timeout", 504, "sdk"),
}

_TOO_LONG = Row("too_long", "the prompt is longer than the model's context", 400, "docs")
_NO_MODEL = Row("no_model", "model does not exist", 400, "docs")
_USED_UP = Row("quota", "the quota that was paid for, or given, is used up", 429, "docs")

BY_WORDS: Mapping[str, tuple[tuple[str, Row], ...]] = {
    "invalidparameter": (("range of input length", _TOO_LONG), ("model not exist", _NO_MODEL)),
    "invalidparametererror": (("range of input length", _TOO_LONG), ("model not exist", _NO_MODEL)),
    "internalerroralgoinvalidparameter": (("range of input length", _TOO_LONG), ("", Row("bad_request", "bad parameters", 500, "docs"))),
    "insufficientquota": (("free allocated quota", _USED_UP), ("billing", _USED_UP), ("plan", _USED_UP)),
    "throttlingallocationquota": (("free allocated quota", _USED_UP),),
}
"""Codes that stand for several causes, which nothing but the message tells apart: words, in lower case, and what they mean."""


def plain(code: str) -> str:
    return code.lower().replace("_", "").replace(".", "")


BY_PLAIN: Errors = {plain(code): row for code, row in ERRORS.items()}


def find_row(told: Said) -> Row | None:
    """What an error means: by its words where only these tell, by its code, or by the first parts of a code that is new."""
    words = told.message.lower()
    parts = (told.code or told.type).lower().replace("_", "").split(".")
    for length in range(len(parts), 0, -1):
        code = "".join(parts[:length])
        for fragment, row in BY_WORDS.get(code, ()):
            if fragment in words:
                return row
        if row_of_code := BY_PLAIN.get(code):
            return row_of_code
    return None


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """The fault that an error of either shape stands for; also those under HTTP 200."""
    told = said(body) if isinstance(body, dict) else read_error(body)
    row = find_row(told)
    return make_fault({told.code or told.type: row} if row else {}, status, headers, body)
