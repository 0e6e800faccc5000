"""Bodies that are no JSON, or odd JSON: a 400 in OpenAI's words, or passed on as they are; never a 500, never half of one."""

import gzip
import json
import zlib

import pytest

from tests.battery_front.conftest import Front
from tests.battery_front.speaking import Json, answers, ask, body_of, connect, good, mark, post, refused, send, until_closed

MESSAGES = b'"messages":[{"role":"user","content":"Hello"}]'
CLOSE = b"connection: close"


def with_field(field: bytes) -> bytes:
    return b'{"model":"good",' + field + b"," + MESSAGES + b"}"


def saying(content: bytes) -> bytes:
    return b'{"model":"good","messages":[{"role":"user","content":' + content + b"}]}"


NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "null": b"null",
    "a-list": b"[]",
    "a-text": b'"x"',
    "a-number": b"1",
    "true": b"true",
    "half-an-object": b'{"model":',
    "two-objects": body_of() * 2,
    "something-behind": body_of() + b"x",
    "a-comma-too-many": b'{"model":"good",}',
    "a-comment": b"{/* */" + body_of()[1:],
    "single-quotes": b"{'model': 'good'}",
    "names-without-quotes": b"{model: 'good'}",
    "python": b"{'model': None}",
    "a-form": b"model=good&messages=x",
    "xml": b"<model>good</model>",
    "a-part": b'--x\r\ncontent-disposition: form-data; name="m"\r\n\r\nx\r\n--x--\r\n',
    "a-byte-order-mark": b"\xef\xbb\xbf" + body_of(),
    "utf-16": body_of().decode().encode("utf-16"),
    "utf-32": body_of().decode().encode("utf-32"),
    "latin-1": saying(b'"\xe9"'),
    "an-overlong-sign": saying(b'"\xc0\xaf"'),
    "a-surrogate-in-utf-8": saying(b'"\xed\xa0\x80"'),
    "beyond-unicode": saying(b'"\xf4\x90\x80\x80"'),
    "half-a-sign": saying(b'"\xe5\xad"'),
    "a-null-byte": saying(b'"a\x00b"'),
    "a-raw-line-feed": saying(b'"a\nb"'),
    "a-raw-tab": saying(b'"a\tb"'),
    "a-high-surrogate": saying(b'"\\ud800"'),
    "a-low-surrogate": saying(b'"\\udc00x"'),
    "surrogates-the-wrong-way": saying(b'"\\udc00\\ud800"'),
    "a-surrogate-in-a-name": with_field(b'"\\ud800":1'),
    "an-unknown-escape": saying(b'"\\x41"'),
    "half-an-escape": saying(b'"\\u12"'),
    "nan": with_field(b'"temperature":NaN'),
    "infinity": with_field(b'"temperature":Infinity'),
    "minus-infinity": with_field(b'"x":-Infinity'),
    "a-number-beyond-all": with_field(b'"temperature":1e999'),
    "an-unknown-field-beyond-all": with_field(b'"x":[1e999]'),
    "an-exponent-beyond-all": with_field(b'"x":1e' + b"9" * 4000),
    "hexadecimal": with_field(b'"seed":0x10'),
    "a-leading-zero": with_field(b'"seed":01'),
    "a-plus": with_field(b'"seed":+1'),
    "a-point-first": with_field(b'"x":.5'),
    "a-point-last": with_field(b'"x":5.'),
    "4301-digits": with_field(b'"x":' + b"9" * 4301),
    "100000-digits": with_field(b'"x":' + b"9" * 100_000),
    "201-levels": with_field(b'"x":' + b"[" * 201 + b"]" * 201),
    "100000-lists": with_field(b'"x":' + b"[" * 100_000 + b"]" * 100_000),
    "40000-objects": b'{"a":' * 40_000,
    "gzip-unsaid": gzip.compress(body_of()),
    "deflate-unsaid": zlib.compress(body_of()),
}


@pytest.mark.parametrize("body", NO_JSON)
def test_a_body_that_is_no_json_object_is_a_400_and_the_connection_goes_on(front: Front, body: str) -> None:
    before = front.vendor.count

    with connect(front.url) as sock:
        send(sock, post(NO_JSON[body]) + post(body_of(said="after"), CLOSE))
        no, yes = answers(until_closed(sock))

    error = refused(no, 400, None)
    assert error["type"] == "invalid_request_error"
    good(yes)
    assert front.vendor.count == before + 1


DEEP: list[object] = []
for _ in range(190):
    DEEP = [DEEP]
ODD: dict[str, tuple[bytes, Json]] = {
    "blanks-around": (b" \r\n\t" + body_of() + b" \n", {}),
    "escapes-in-names": (b'{"\\u006dodel":"good",' + MESSAGES + b"}", {"model": "good"}),
    "an-escaped-null": (saying(b'"a\\u0000b"'), {"messages": [{"role": "user", "content": "a\0b"}]}),
    "an-escaped-line": (saying(b'"a\\r\\nb\\u2028\\u0085"'), {"messages": [{"role": "user", "content": "a\r\nb\u2028\x85"}]}),
    "a-pair-of-surrogates": (saying(b'"\\ud83d\\ude00"'), {"messages": [{"role": "user", "content": "\U0001f600"}]}),
    "an-empty-text": (saying(b'""'), {"messages": [{"role": "user", "content": ""}]}),
    "4300-digits": (with_field(b'"x":' + b"9" * 4300), {"x": int("9" * 4300)}),
    "minus-nothing": (with_field(b'"temperature":-0'), {"temperature": 0}),
    "a-tiny-number": (with_field(b'"temperature":1e-4000'), {"temperature": 0}),
    "100000-digits-behind-the-point": (with_field(b'"temperature":0.' + b"5" * 100_000), {"temperature": 0.5555555555555556}),
    "190-levels": (with_field(b'"x":' + json.dumps(DEEP).encode()), {"x": DEEP}),
    "a-name-of-javascript": (with_field(b'"__proto__":{"x":1}'), {"__proto__": {"x": 1}}),
    "a-template": (
        saying(b'"{{7*7}} ${7*7} %(x)s {0.__class__}"'),
        {"messages": [{"role": "user", "content": "{{7*7}} ${7*7} %(x)s {0.__class__}"}]},
    ),
    "a-field-twice": (with_field(b'"temperature":2,"temperature":1'), {"temperature": 1}),
    "a-field-twice-of-another-type": (with_field(b'"user":[],"user":"u"'), {"user": "u"}),
    "50000-fields": (with_field(b",".join(b'"k%d":1' % number for number in range(50_000))), {"k49999": 1}),
    "a-list-of-500-kb": (with_field(b'"x":[' + b"1," * 250_000 + b"1]"), {"model": "good"}),
    "null-fields": (with_field(b'"temperature":null,"tools":null,"stream":null,"x":null'), {"model": "good"}),
}


@pytest.mark.parametrize("body", ODD)
def test_odd_json_is_read_and_sent_on_as_it_is_meant(front: Front, body: str) -> None:
    sent, read = ODD[body]
    said = mark()
    if b"Hello" in sent:
        sent = sent.replace(b"Hello", said.encode())

    good(ask(front.url, post(sent, CLOSE)))

    if read and said.encode() in sent:
        (seen,) = front.vendor.seen(said)
        assert {name: seen.json[name] for name in read} == read
    elif read:
        assert front.vendor.last.items() >= read.items()


def test_what_is_sent_on_has_no_name_twice(front: Front) -> None:
    said = mark()
    body = b'{"model":"nobody","model":"good","messages":[{"role":"user","role":"user","content":"%s"}]}' % said.encode()

    good(ask(front.url, post(body, CLOSE)))

    (seen,) = front.vendor.seen(said)
    names = [name for name, _ in json.loads(seen.body, object_pairs_hook=list)]
    assert sorted(names) == sorted(set(names))


CODINGS = [b"gzip", b"GZIP", b"deflate", b"br", b"zstd", b"compress", b"identity, gzip", b"x"]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("first", [b"x: y", b"content-encoding: identity"], ids=["alone", "beside-identity"])
def test_a_compressed_body_is_415_before_it_is_read(front: Front, coding: bytes, first: bytes) -> None:
    coded = b"content-encoding: " + coding
    for headers in ((first, coded), (coded, first)):
        refused(ask(front.url, post(gzip.compress(body_of()), *headers)), 415, "unsupported_content_encoding")


@pytest.mark.parametrize("coding", [b"identity", b"Identity", b""])
def test_a_body_that_is_said_not_to_be_compressed_is_taken(front: Front, coding: bytes) -> None:
    good(ask(front.url, post(body_of(), b"content-encoding: " + coding, CLOSE)))


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json; charset=utf-16",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data",
        b"\xff/\xfe",
        b";",
        b"",
    ],
)
def test_json_is_json_whatever_its_content_type_says(front: Front, kind: bytes) -> None:
    good(ask(front.url, post(body_of(), b"content-type: " + kind, CLOSE)))


def test_a_body_where_none_belongs_is_passed_over(front: Front) -> None:
    with connect(front.url) as sock:
        send(
            sock,
            b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + b"authorization: Bearer sk-of-the-team\r\n" + b"content-length: 5\r\n\r\nhello",
        )
        send(sock, post(body_of(), CLOSE))
        listed, answer = answers(until_closed(sock))

    assert listed.status == 200
    good(answer)
