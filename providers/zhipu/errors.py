"""Zhipu's business codes, from docs.bigmodel.cn and docs.z.ai `faq/api-code`, read 2026-11-23; those marked * from adaptors and replies."""

from providers.faults import Errors, Row

ERRORS: Errors = {
    "500": Row("overloaded", "internal error"),
    "1000": Row("auth", "authentication failed"),
    "1001": Row("auth", "no Authorization header"),
    "1002": Row("auth", "invalid token"),
    "1003": Row("auth", "expired token", stale=True),
    "1004": Row("auth", "token could not be verified"),
    "1005": Row("auth", "authentication failed"),  # *
    "1100": Row("overloaded", "account cannot be read or written"),
    "1110": Row("auth", "account inactive"),
    "1111": Row("auth", "account does not exist"),
    "1112": Row("auth", "account locked"),
    "1113": Row("quota", "arrears, or no resource pack left"),
    "1120": Row("overloaded", "account temporarily unreachable"),
    "1121": Row("auth", "account locked for violations"),
    "1200": Row("overloaded", "call error"),
    "1210": Row("bad_request", "bad parameters"),
    "1211": Row("no_model", "model does not exist"),
    "1212": Row("bad_request", "method not supported by the model"),
    "1213": Row("bad_request", "field missing"),
    "1214": Row("bad_request", "field invalid"),
    "1215": Row("bad_request", "fields exclude each other"),
    "1220": Row("auth", "no permission for the API"),
    "1221": Row("no_model", "API is offline"),
    "1222": Row("no_model", "API does not exist"),
    "1230": Row("overloaded", "call flow error"),
    "1231": Row("bad_request", "a request of the same request_id is under way"),
    "1234": Row("overloaded", "network error"),
    "1261": Row("too_long", "prompt too long"),
    "1300": Row("refused", "blocked by policy"),
    "1301": Row("refused", "unsafe input or output"),
    "1302": Row("rate_limited", "too many requests at once"),
    "1303": Row("rate_limited", "too many requests"),
    "1304": Row("quota", "daily call limit of the API"),
    "1305": Row("rate_limited", "model traffic too high"),
    "1308": Row("quota", "plan limit reached"),
    "1309": Row("quota", "plan expired"),
    "1310": Row("quota", "plan limit reached"),
    "1311": Row("auth", "plan lacks the model"),  # *
    "1312": Row("overloaded", "model busy"),  # *
    "1313": Row("rate_limited", "fair-use limit"),
    "1314": Row("quota", "quota used up"),  # *
    "1315": Row("auth", "denied"),  # *
    "1316": Row("quota", "quota used up"),  # *
    "1317": Row("quota", "quota used up"),  # *
    "1318": Row("quota", "quota used up"),  # *
    "1319": Row("quota", "quota used up"),  # *
    "1320": Row("quota", "quota used up"),  # *
    "1321": Row("quota", "quota used up"),  # *
}
