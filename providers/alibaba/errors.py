"""Model Studio's codes, from its error pages (help.aliyun.com, alibabacloud.com, docs.qwencloud.com) and dashscope 2.0.2, read 2026-11-23.

The same cause has a PascalCase code on the native surface and a snake_case one on the compatible surface, and either can appear on both:
the table has them in lower case, without dots and underscores.
"""

from collections.abc import Mapping

from providers.base import Fault, Json
from providers.faults import Errors, Row, Said, make_fault, read_error, said

ERRORS: Errors = {
    "invalidparameter": Row("bad_request", "bad parameters"),
    "invalidparametererror": Row("bad_request", "bad parameters"),
    "invalidrequesterror": Row("bad_request", "bad request"),
    "invalidvalue": Row("bad_request", "bad value"),
    "badrequest": Row("bad_request", "empty, illegal or too large a body, or something it names cannot be had"),
    "badrequesterror": Row("bad_request", "bad request"),
    "invalidurl": Row("bad_request", "media could not be fetched"),
    "invalidfile": Row("bad_request", "bad file"),
    "invalidschema": Row("bad_request", "bad JSON schema"),
    "invalidschemaformat": Row("bad_request", "bad JSON schema"),
    "flownotpublished": Row("bad_request", "the application is not published"),
    "faqruleblocked": Row("bad_request", "stopped by the application's own rules"),
    "unsupportedoperation": Row("bad_request", "not possible in this state"),
    "conflict": Row("bad_request", "the name is taken"),
    "requesttoolarge": Row("bad_request", "the body is too large"),
    "invalidparameternotsupportenablethinking": Row("unsupported", "the model does not think, or not so"),
    "datainspectionfailed": Row("refused", "unsafe input or output"),
    "invalidparameterdatainspection": Row("refused", "unsafe media"),
    "ipinfringementsuspect": Row("refused", "may infringe a right"),
    "invalidapikey": Row("auth", "the key is wrong, or of another region"),
    "notauthorized": Row("auth", "not authorized"),
    "accessdenied": Row("auth", "not enabled for the account"),
    "accessdeniedunpurchased": Row("auth", "Model Studio is not activated"),
    "modelaccessdenied": Row("auth", "the model is not enabled for the account"),
    "appaccessdenied": Row("auth", "the application is not enabled for the account"),
    "workspaceaccessdenied": Row("auth", "the workspace is not enabled for the account"),
    "endpointaccessdenied": Row("auth", "the endpoint is not enabled for the account"),
    "asyncdenied": Row("auth", "not to be called asynchronously"),
    "workspacenotfound": Row("auth", "the account's workspace does not exist"),
    "modelnotfound": Row("no_model", "model does not exist"),
    "modelnotexist": Row("no_model", "model does not exist"),
    "modelnotsupported": Row("no_model", "the model is not on this surface"),
    "notfound": Row("no_model", "path does not exist"),
    "arrearage": Row("quota", "account overdue"),
    "allocationquotafreetieronly": Row("quota", "the free quota is used up, and the account allows nothing else"),
    "commoditynotpurchased": Row("quota", "not bought"),
    "prepaidbilloverdue": Row("quota", "bill overdue"),
    "postpaidbilloverdue": Row("quota", "bill overdue"),
    "budgetlimitexceeded": Row("quota", "the workspace's budget is used up"),
    "throttling": Row("rate_limited", "too many requests or tokens a minute"),
    "limitrequests": Row("rate_limited", "too many requests a minute"),
    "limitburstrate": Row("rate_limited", "requests grow too fast"),
    "insufficientquota": Row("rate_limited", "too many tokens a minute"),  # in spite of its name; see BY_WORDS
    "concurrencylimitexceeded": Row("rate_limited", "too many requests at once"),
    "ratelimitexceeded": Row("rate_limited", "too many requests"),
    "internalerror": Row("overloaded", "internal error"),
    "internalerrortimeout": Row("timeout", "internal timeout"),
    "systemerror": Row("overloaded", "internal error"),
    "modelservicefailed": Row("overloaded", "the model failed"),
    "modelunavailable": Row("overloaded", "no capacity"),
    "modelservingerror": Row("overloaded", "no capacity"),
    "serviceunavailable": Row("overloaded", "no capacity"),
    "requesttimeout": Row("timeout", "took longer than 300 s"),
    "gatewaytimeout": Row("timeout", "gateway timeout"),
}

_TOO_LONG = Row("too_long", "the prompt is longer than the model's context")
_NO_MODEL = Row("no_model", "model does not exist")
_USED_UP = Row("quota", "the quota that was paid for, or given, is used up")

BY_WORDS: Mapping[str, tuple[tuple[str, Row], ...]] = {
    "invalidparameter": (("range of input length", _TOO_LONG), ("model not exist", _NO_MODEL)),
    "invalidparametererror": (("range of input length", _TOO_LONG), ("model not exist", _NO_MODEL)),
    "internalerroralgoinvalidparameter": (("range of input length", _TOO_LONG), ("", Row("bad_request", "bad parameters"))),
    "insufficientquota": (("free allocated quota", _USED_UP), ("billing", _USED_UP), ("plan", _USED_UP)),
    "throttlingallocationquota": (("free allocated quota", _USED_UP),),
}
"""Codes that stand for several causes, which nothing but the message tells apart: words, in lower case, and what they mean."""


def find_row(told: Said) -> Row | None:
    """What an error means: by its words where only these tell, by its code, or by the first parts of a code that is new."""
    words = told.message.lower()
    parts = (told.code or told.type).lower().replace("_", "").split(".")
    for length in range(len(parts), 0, -1):
        code = "".join(parts[:length])
        for fragment, row in BY_WORDS.get(code, ()):
            if fragment in words:
                return row
        if row_of_code := ERRORS.get(code):
            return row_of_code
    return None


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """The fault that an error of either shape stands for; also those under HTTP 200."""
    told = said(body) if isinstance(body, dict) else read_error(body)
    row = find_row(told)
    return make_fault({told.code: row} if row else {}, status, headers, body)
