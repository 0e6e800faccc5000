"""360's error codes: numbers as strings, also under HTTP 200. The vendor's own table could not be read; most causes have a status alone."""

import re
from collections.abc import Mapping

from providers.base import Fault, Json, Kind
from providers.faults import Errors, Row, Source, Sources, make_fault

SOURCES: Sources = {
    "adaptors": Source("OpenCompass ai360_api.py; LobeHub chat 1.143.3", "2026-11-23"),
    "replies": Source("an evaluation's notes on replies, of 2026-08-15", "2026-11-23"),
}

ERRORS: Errors = {
    "1001": Row("bad_request", "a parameter has the wrong type", 400, "replies"),
    "1210": Row("bad_request", "a value of thinking is not accepted", 400, "replies"),
    "1002": Row("auth", "the key is wrong", 401, "adaptors"),
    "1005": Row("rate_limited", "too many tokens a minute", 429, "adaptors", wait=1.0),
}

# Codes of what follows are not known: nothing but the words tells it from any other bad request.
WORDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"context.?(length|window)|too long|上下文|超长|过长", re.I), "too_long"),
    (re.compile(r"sensitive|illegal prompt|content.?(filter|policy)|敏感|违规|风险", re.I), "refused"),
    (re.compile(r"model.{0,60}(not (found|exist)|does not exist)|模型.{0,40}不存在", re.I), "no_model"),
    (re.compile(r"balance|arrears|quota|余额|欠费|额度", re.I), "quota"),
)


def fault_of(status: int, headers: Mapping[str, str], body: bytes | Json) -> Fault:
    """As `make_fault`, and by WORDS where neither the code nor the status says more than that something was bad."""
    fault = make_fault(ERRORS, status, headers, body)
    if fault.kind in ("bad_request", "broken"):
        fault.kind = next((kind for words, kind in WORDS if words.search(fault.message)), fault.kind)
    return fault
