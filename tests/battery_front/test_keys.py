"""Keys and headers: one way to read them, nothing of them that gets through to the vendor, and no line that is split by them."""

import json
from collections.abc import Iterator

import pytest

from tests.battery_front.conftest import Front, config_of
from tests.battery_front.service import Service, serving
from tests.battery_front.speaking import (
    AUTH,
    BEARER,
    BLUE,
    HOST,
    LAST,
    Answer,
    ask,
    body_of,
    get,
    good,
    mark,
    post,
    refused,
)
from tests.battery_front.vendor import Vendor
from tests.conftest import KEY, TEAM

BODY = body_of()
OWN = KEY.encode()


def with_headers(front: Front, *headers: bytes) -> Answer:
    return ask(front.url, post(BODY, LAST, *headers, auth=HOST))


CARRIERS: dict[str, tuple[bytes, ...]] = {
    "bearer": (b"authorization: Bearer " + OWN,),
    "a-scheme-in-small-letters": (b"authorization: bearer " + OWN,),
    "a-scheme-in-capitals": (b"AUTHORIZATION: BEARER " + OWN,),
    "blanks-around-it": (b"authorization: \t Bearer   " + OWN + b" \t",),
    "as-on-azure": (b"api-key: " + OWN,),
    "as-with-anthropic": (b"x-api-key: " + OWN,),
    "the-same-three-times": (b"authorization: Bearer " + OWN, b"api-key: " + OWN, b"x-api-key:   " + OWN),
    "the-same-header-twice": (b"authorization: Bearer " + OWN,) * 2,
}


@pytest.mark.parametrize("case", CARRIERS)
def test_a_key_is_the_same_in_whichever_header_it_comes(front: Front, case: str) -> None:
    answer = good(with_headers(front, *CARRIERS[case]))

    record = front.service.record(answer.request_id)
    assert (record["team"], record["key"]) == ("red", "main")


NO_KEYS: dict[str, tuple[bytes, ...]] = {
    "none": (),
    "an-empty-header": (b"authorization:",),
    "only-a-scheme": (b"authorization: Bearer",),
    "a-scheme-and-blanks": (b"authorization: Bearer    ",),
    "no-scheme": (b"authorization: " + OWN,),
    "no-blank-after-the-scheme": (b"authorization: Bearer" + OWN,),
    "a-tab-after-the-scheme": (b"authorization: Bearer\t" + OWN,),
    "basic": (b"authorization: Basic c2stb2YtdGhlLXRlYW06",),
    "in-quotes": (b'authorization: Bearer "' + OWN + b'"',),
    "a-comma-behind-it": (b"authorization: Bearer " + OWN + b", Bearer x",),
    "in-capitals": (b"authorization: Bearer " + OWN.upper(),),
    "one-letter-short": (b"authorization: Bearer " + OWN[:-1],),
    "one-letter-more": (b"authorization: Bearer " + OWN + b"x",),
    "a-blank-within": (b"authorization: Bearer " + OWN[:5] + b" " + OWN[5:],),
    "an-asterisk": (b"authorization: Bearer *",),
    "words-of-sql": (b"authorization: Bearer ' OR 1=1; --",),
    "very-long": (b"authorization: Bearer " + OWN + b"x" * 60_000,),
    "its-beginning-and-60000-more": (b"api-key: " + OWN * 3000,),
    "bytes-beyond-ascii": (b"authorization: Bearer " + OWN + "钥匙".encode(),),
    "bytes-that-are-no-utf-8": (b"authorization: Bearer " + OWN + b"\xff\xfe",),
    "a-no-break-space-behind-it": (b"authorization: Bearer " + OWN + b"\xa0",),
    "in-a-cookie": (b"cookie: authorization=Bearer " + OWN + b"; api-key=" + OWN,),
    "in-the-proxys-header": (b"proxy-authorization: Bearer " + OWN,),
    "in-a-header-with-an-underscore": (b"api_key: " + OWN, b"x_api_key: " + OWN),
    "as-googles": (b"x-goog-api-key: " + OWN,),
    "the-providers-own": (b"authorization: Bearer provider-key",),
    "the-admins": (b"authorization: Bearer the-admin-key-of-the-test",),
}


@pytest.mark.parametrize("case", NO_KEYS)
def test_what_is_no_key_is_401_and_told_to_nobody(front: Front, case: str) -> None:
    before = front.vendor.count

    answer = with_headers(front, *NO_KEYS[case])

    refused(answer, 401, "invalid_api_key")
    assert answer.header("www-authenticate") == "Bearer"
    assert front.vendor.count == before


def test_what_is_no_key_is_written_down_as_nobodys_and_not_itself(front: Front) -> None:
    found = [with_headers(front, *headers).request_id for headers in NO_KEYS.values()]

    for request_id in found:
        record = front.service.record(request_id)
        assert (record["team"], record["key"], record["status"]) == ("", "", 401)
        assert KEY not in json.dumps(record)
        assert "provider-key" not in json.dumps(record)


@pytest.mark.parametrize("where", [b"?api-key=%s", b"?key=%s", b"?access_token=%s", b"?authorization=Bearer%%20%s"])
def test_a_key_in_the_address_is_none_and_is_not_written_down(front: Front, where: bytes) -> None:
    answer = ask(front.url, post(BODY, LAST, path=b"/v1/chat/completions" + where % OWN, auth=HOST))

    refused(answer, 401, "invalid_api_key")
    assert KEY not in json.dumps(front.service.record(answer.request_id))


TWO: dict[str, tuple[bytes, ...]] = {
    "two-teams": (b"authorization: Bearer " + OWN, b"api-key: " + BLUE.encode()),
    "a-good-one-first": (b"authorization: Bearer " + OWN, b"api-key: sk-nobodys"),
    "a-good-one-last": (b"authorization: Bearer sk-nobodys", b"x-api-key: " + OWN),
    "the-same-header-with-another": (b"authorization: Bearer " + OWN, b"authorization: Bearer " + BLUE.encode()),
    "one-in-capitals": (b"api-key: " + OWN, b"x-api-key: " + OWN.upper()),
    "one-that-is-empty": (b"api-key: " + OWN, b"x-api-key:"),
}


@pytest.mark.parametrize("case", TWO)
def test_two_different_keys_are_refused_whichever_is_good(front: Front, case: str) -> None:
    refused(with_headers(front, *TWO[case]), 400, "invalid_api_key")


@pytest.fixture(scope="module")
def limited(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Teams with a limit each: of requests a minute."""
    teams = [
        {**TEAM, "team": f"team{number}", "keys": [{"name": "main", "key": f"sk-of-team-{number}"}], "limits": {"rpm": 3}}
        for number in range(2)
    ]
    with serving(tmp_path_factory.mktemp("limited") / "config", config_of(vendor), *teams) as service:
        yield service


def test_a_limit_is_of_the_key_whichever_header_it_comes_in(limited: Service) -> None:
    key = b"sk-of-team-0"
    carriers = (b"authorization: Bearer ", b"api-key: ", b"x-api-key: ", b"Authorization: bearer ", b"API-KEY: ")

    found = [ask(limited.url, post(BODY, LAST, carrier + key, auth=HOST)) for carrier in carriers]

    assert [answer.status for answer in found] == [200, 200, 200, 429, 429]
    refused(found[-1], 429, "rate_limit_exceeded")


def test_what_is_refused_for_its_key_uses_nothing_of_a_limit(limited: Service) -> None:
    key = b"sk-of-team-1"
    for _ in range(5):
        refused(ask(limited.url, post(BODY, LAST, b"api-key: " + key, b"x-api-key: other", auth=HOST)), 400, "invalid_api_key")
        refused(ask(limited.url, post(BODY, LAST, b"api-key: " + key + b"x", auth=HOST)), 401, "invalid_api_key")

    good(ask(limited.url, post(BODY, LAST, b"api-key: " + key, auth=HOST)))


# ---- teams ----


def test_a_teams_names_are_its_own(front: Front) -> None:
    blue = HOST + b"authorization: Bearer " + BLUE.encode() + b"\r\n"

    def asked(model: str, auth: bytes) -> Answer:
        return ask(front.url, post(body_of(model), LAST, auth=auth))

    good(asked("reds-own", AUTH))
    good(asked("blues-own", blue))
    for model, auth in (("reds-own", blue), ("blues-own", AUTH), ("blues-x", AUTH), ("blues-", AUTH)):
        one = refused(asked(model, auth), 404, "model_not_found")
        nobodys = refused(asked("nobodys", auth), 404, "model_not_found")
        assert one["message"].replace(model, "nobodys") == nobodys["message"]  # nothing tells that somebody else has it


def test_a_teams_list_of_models_is_its_own(front: Front) -> None:
    blue = HOST + b"x-api-key: " + BLUE.encode() + b"\r\n"

    reds = {model["id"] for model in ask(front.url, get(b"/v1/models", LAST)).json["data"]}
    blues = {model["id"] for model in ask(front.url, get(b"/v1/models", LAST, auth=blue)).json["data"]}

    assert (reds - blues, blues - reds) == ({"reds-own"}, {"blues-own"})
    refused(ask(front.url, get(b"/v1/models/reds-own", LAST, auth=blue)), 404, "model_not_found")
    refused(ask(front.url, get(b"/v1/models/blues-own", LAST)), 404, "model_not_found")


@pytest.mark.parametrize("path", [b"/admin/v1/accounts", b"/admin/v1/reload", b"/metrics"])
@pytest.mark.parametrize("auth", [AUTH, HOST], ids=["a-teams", "none"])
def test_no_teams_key_opens_what_is_the_operators(front: Front, path: bytes, auth: bytes) -> None:
    sent = post(b"", LAST, path=path, auth=auth) if path.endswith(b"reload") else get(path, LAST, auth=auth)

    answer = ask(front.url, sent)

    assert answer.status in (401, 403)
    assert answer.json["error"]["code"]
    assert KEY not in answer.body.decode()


# ---- headers ----

IDS: dict[str, bytes] = {
    "a-line-end": b"a\rb",
    "an-encoded-line-end": b"a%0d%0aset-cookie:x",
    "a-blank": b"a b",
    "quotes": b'"}\\n{"status":200,"x":"',
    "an-escape": b"a\x1b[31mb",
    "beyond-ascii": "请求".encode(),
    "a-line-separator": "a\u2028b\u0085".encode(),
    "too-long": b"a" * 129,
    "nothing": b"",
    "a-template": b"{{7*7}}${7*7}%(x)s{0.__class__}",
}


@pytest.mark.parametrize("case", IDS)
def test_an_id_that_could_split_a_line_is_replaced(front: Front, case: str) -> None:
    answer = ask(front.url, post(BODY, LAST, b"x-request-id: " + IDS[case]))

    if case in ("a-line-end", "an-escape"):
        refused(answer, 400, "invalid_http")
    else:
        assert good(answer).request_id.startswith("req_")
        assert front.service.record(answer.request_id)["status"] == 200


def test_an_id_that_is_one_is_kept(front: Front) -> None:
    name = mark() + "." + "a-Z_9" * 20

    answer = good(ask(front.url, post(BODY, LAST, b"x-request-id: " + name.encode())))

    assert answer.request_id == name
    assert front.service.record(name)["status"] == 200


WORDS = [
    "a\r\nset-cookie: x=y\r\n\r\nb", "a\nb", "a\x00b", "a\x1b[31mb\x7f",
    "a\u2028b\u2029c\x85d", '"}\n{"status":200', "{{7*7}}${7*7}%(x)s", "\u202emoc", "名\u00e9",
]  # fmt: skip


@pytest.mark.parametrize("words", WORDS)
def test_words_of_the_body_split_no_header_and_no_line_of_the_log(front: Front, words: str) -> None:
    model, name = f"any-{words}", mark()

    taken = good(ask(front.url, post(body_of(model, name, user=words, metadata={words: words}), LAST)))
    unknown = ask(front.url, post(body_of(f"nobodys-{words}", user=words), LAST))

    refused(unknown, 404, "model_not_found")
    assert "set-cookie" not in dict(taken.headers) | dict(unknown.headers)
    assert front.vendor.seen(name)[0].json["user"] == words
    assert front.service.record(taken.request_id)["model"] == model
    assert front.service.record(unknown.request_id)["model"] == f"nobodys-{words}"
    for line in tuple(front.service.log.lines):
        text = line.decode().removesuffix("\n")
        assert text.splitlines() == [text]
        assert not any(sign in text for sign in "\x00\x1b\x7f\x9b\u202e")
        assert json.loads(text)["request_id"]


NOT_PASSED_ON = [
    b"x-forwarded-for: 203.0.113.9", b"x-forwarded-host: evil.example", b"x-forwarded-proto: https", b"forwarded: for=203.0.113.9",
    b"via: 1.1 evil", b"x-real-ip: 203.0.113.9", b"true-client-ip: 203.0.113.9", b"cookie: session=secret",
    b"referer: http://secret.example/", b"origin: http://secret.example", b"x-api-version: 9", b"openai-organization: org-secret",
    b"openai-project: proj-secret", b"anthropic-version: 1", b"x-stainless-lang: python", b"user-agent: secret-agent",
    b"traceparent: 00-secret", b"proxy-authorization: secret", b"x-custom: secret", b"te: trailers", b"x-banjia-provider: secret",
    b"accept-language: secret", b"accept-encoding: br, zstd",
]  # fmt: skip


def test_no_header_of_the_clients_reaches_the_vendor(front: Front) -> None:
    name = mark()

    good(ask(front.url, post(body_of(said=name), LAST, *NOT_PASSED_ON)))

    (seen,) = front.vendor.seen(name)
    text = json.dumps(seen.headers)
    for word in ("203.0.113.9", "secret", "evil", "stainless", "zstd", KEY):
        assert word not in text
    assert seen.headers["authorization"] == "Bearer provider-key"
    ours = "host authorization content-type content-length accept accept-encoding user-agent connection"
    assert set(seen.headers) <= set(ours.split())


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1", b"admin", b"[::1]", b"x:0", b"healthz", b"a" * 5000, b"%2fadmin%2fv1"])
def test_a_host_decides_nothing(front: Front, host: bytes) -> None:
    name = mark()

    answer = good(ask(front.url, post(body_of(said=name), LAST, auth=b"host: " + host + b"\r\n" + BEARER)))

    assert not any(host in value.encode() for _, value in answer.headers if len(host) > 6)
    assert front.vendor.seen(name)[0].headers["host"].startswith("127.0.0.1:")
    refused(ask(front.url, get(b"/v1/nowhere", LAST, auth=b"host: " + host + b"\r\n" + BEARER)), 404, "unknown_url")


@pytest.mark.parametrize("header", [b"x-http-method-override: GET", b"x-original-url: /admin/v1/accounts", b"x-rewrite-url: /healthz"])
def test_a_header_does_not_change_what_is_asked_for(front: Front, header: bytes) -> None:
    good(ask(front.url, post(BODY, LAST, header)))


def test_fields_that_would_move_the_request_are_only_text_to_the_vendor(front: Front) -> None:
    """A caller cannot have the provider's key sent elsewhere."""
    name = mark()
    moved = {"api_base": "http://evil.example/v1", "base_url": "http://evil.example", "api_key": "x", "custom_llm_provider": "held"}

    answer = good(ask(front.url, post(body_of(said=name, **moved), LAST)))

    assert answer.header("x-banjia-provider") == "good"
    assert front.vendor.seen(name)[0].headers["authorization"] == "Bearer provider-key"
