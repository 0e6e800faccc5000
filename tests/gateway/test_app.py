"""The rim of the gateway: whatever is sent to it, the answer is JSON in OpenAI's form, and nobody sees a stack trace."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.jobs.engine import Jobs
from gateway.store.engine import Store
from providers.base import Json
from tests.conftest import PATIENCE, TEAM, Background, Served, snapshot_of
from tests.gateway.provider import HOLD, Make, account_at, route, said, streamed

Gateway = Callable[..., Served]
HELLO: Json = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def served(gateway: Gateway, provider: Make) -> Served:
    """A gateway whose model `m` is answered."""
    return gateway({"providers": {"p": provider(said()).account()}, "models": {**route("p/x"), "pass-*": "p/*"}})


def raw(url: str, data: bytes) -> HTTPResponse:
    """The answer to bytes that no HTTP library would send."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), PATIENCE) as sock:
        sock.sendall(data)
        reply = HTTPResponse(sock)
        reply.begin()
        reply.read()
        return reply


def is_an_error(reply: httpx.Response, status: int, code: str | None) -> None:
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert isinstance(error["message"], str)


# ---- addresses ----


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1", 404, "unknown_url"),
        ("POST", "/v1/imaginations", 404, "unknown_url"),
        ("POST", "/v1/chat", 404, "unknown_url"),
        ("GET", "/admin/v1/accounts", 404, "unknown_url"),
        ("GET", "/../../etc/passwd", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PUT", "/v1/embeddings", 405, "method_not_allowed"),
        ("POST", "/v1/models/m", 405, "method_not_allowed"),
        ("POST", "/openai/deployments/m/images", 404, "unknown_url"),
        ("POST", "/openai/deployments//chat/completions", 404, "unknown_url"),
    ],
)
def test_an_address_that_is_none_is_told_so_in_openais_form(served: Served, method: str, path: str, status: int, code: str) -> None:
    reply = served.client.request(method, path)

    is_an_error(reply, status, code)


def test_a_wrong_method_is_told_the_right_one(served: Served) -> None:
    assert served.client.get("/v1/chat/completions").headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/m/chat/completions?api-version=2024-10-21",
    ],
)
def test_a_base_url_with_too_much_or_too_little_in_it_is_understood(served: Served, path: str) -> None:
    assert served.client.post(path, json=HELLO).status_code == 200


def test_a_deployments_name_is_the_model(served: Served) -> None:
    body = {"messages": HELLO["messages"]}

    reply = served.client.post("/openai/deployments/m/chat/completions", json=body, headers={"api-key": served.key})

    assert reply.status_code == 200


def test_a_head_request_is_answered(served: Served) -> None:
    reply = served.client.head("/healthz")

    assert reply.status_code == 200
    assert reply.content == b""


# ---- keys ----


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer sk-wrong"},
        {"authorization": "Basic c2stb2YtdGhlLXRlYW06"},
        {"authorization": "Bearer sk-of-the-tea"},
        {"authorization": "Bearer sk-of-the-teamm"},
        {"authorization": "bearer Sk-of-the-team"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/models", "/v1/models/m"])
def test_nothing_is_served_without_a_key_that_is_known(served: Served, path: str, headers: dict[str, str]) -> None:
    method = "GET" if "models" in path else "POST"

    reply = served.client.request(method, path, json=HELLO, headers=headers)

    is_an_error(reply, 401, "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers", [{"api-key": "sk-of-the-team"}, {"x-api-key": "sk-of-the-team"}, {"authorization": "bearer  sk-of-the-team"}]
)
def test_a_key_may_come_in_any_of_the_usual_headers(served: Served, headers: dict[str, str]) -> None:
    reply = httpx.post(f"{served.url}/v1/chat/completions", json=HELLO, headers=headers, trust_env=False)

    assert reply.status_code == 200


def test_the_same_key_in_two_headers_is_one_key(served: Served) -> None:
    assert served.chat(headers={"api-key": served.key}).status_code == 200


def test_two_different_keys_are_refused_rather_than_chosen_from(served: Served) -> None:
    is_an_error(served.chat(headers={"api-key": "sk-another"}), 400, "invalid_api_key")


def test_two_different_keys_in_two_lines_of_one_header_are_refused_too(served: Served) -> None:
    lines = [("authorization", "Bearer sk-another"), ("authorization", f"Bearer {served.key}")]

    reply = httpx.post(f"{served.url}/v1/chat/completions", json=HELLO, headers=lines, trust_env=False)

    assert reply.status_code in (400, 401)


def test_the_key_is_checked_before_the_body_is_read(served: Served) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-wrong\r\ncontent-length: 1000000\r\n\r\n{"

    reply = raw(served.url, head)

    assert reply.status == 401
    assert reply.headers["connection"] == "close"


def test_a_key_is_never_in_a_record(served: Served) -> None:
    served.chat()

    record = served.record()

    assert served.key not in str(record)
    assert (record.team, record.key, record.status) == ("red", "main", 200)


# ---- bodies ----

DEEP = 100_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "half": b'{"model": "m", "mess',
    "a-list": b"[]",
    "null": b"null",
    "a-number": b"1",
    "not-utf-8": b'{"model": "m\xff", "messages": []}',
    "utf-16": '{"model": "m"}'.encode("utf-16"),
    "a-byte-order-mark": b"\xef\xbb\xbf{}",
    "half-a-surrogate": b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}',
    "deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep-lists": b'{"messages":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep-and-open": b'{"messages":' + b"[" * DEEP,
    "201-levels": b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "a": ' + b"[" * 200 + b"]" * 200 + b"}",
    "an-int-of-4301-digits": b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 4301 + b"}",
    "an-int-of-a-million-digits": b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 10**6 + b"}",
    "giant-int": b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 5000 + b"}",
    "giant-float": b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
    "nan": b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    "null-byte": b'{"model": "m"\x00}',
    "form": b"model=m&messages=hi",
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_a_body_that_is_no_json_object_is_refused_in_words(served: Served, path: str, body: str) -> None:
    reply = served.client.post(path, content=BODIES[body])

    assert reply.status_code == 400
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "Traceback" not in reply.text


def test_a_body_that_is_as_deep_as_can_be_read_is_not_a_failure_of_the_gateway(served: Served) -> None:
    statuses = set()
    for depth in (*range(180, 220, 3), *range(850, 1000, 50)):
        reply = served.client.post(
            "/v1/chat/completions",
            content=b'{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":{"a":' + b"[" * depth + b"]" * depth + b"}}",
        )
        statuses.add(reply.status_code)

    assert statuses <= {200, 400}
    assert 400 in statuses


def test_200_levels_are_not_too_deep_however_many_objects_there_are(served: Served) -> None:
    deep = b"[" * 199 + b"]" * 199
    many = b",".join([b'{"role":"user","content":"x"}'] * 300)

    reply = served.client.post("/v1/chat/completions", content=b'{"model":"m","messages":[%s],"a":%s}' % (many, deep))

    assert "nested" not in reply.text


def test_of_a_key_given_twice_the_last_counts_for_all(gateway: Gateway, provider: Make) -> None:
    """What is checked is what is sent: the provider gets a body made anew, with the key once."""
    one = provider(said())
    served = gateway({"providers": {"p": one.account()}, "models": {"m": "p/m", "no": {"reject": "not for you"}}})
    body = '{"model":"%s","model":"%s","Model":"no","messages":[{"role":"user","content":"x"}]}'

    refused = served.client.post("/v1/chat/completions", content=body % ("m", "no"))
    taken = served.client.post("/v1/chat/completions", content=body % ("no", "m"))

    assert (refused.status_code, taken.status_code) == (404, 200)
    assert one.requests[0].body.count(b'"model"') == 1
    assert one.requests[0].json["model"] == "m"
    assert b"not for you" not in one.requests[0].body


@pytest.mark.parametrize("seed", [2**63, 2**64, -(2**64), 10**200])
def test_an_int_larger_than_a_machine_word_is_passed_on_or_refused(served: Served, seed: int) -> None:
    assert served.chat(seed=seed).status_code in (200, 400)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_larger_than_the_limit_is_refused(gateway: Gateway, provider: Make, declared: bool) -> None:
    one = provider(said())
    served = gateway({"server": {"max_body": "1KiB"}, "providers": {"p": one.account()}, "models": route("p/x")})
    body = json.dumps({**HELLO, "user": "x" * 2000}).encode()

    reply = served.client.post("/v1/chat/completions", content=body if declared else iter([body[:1000], body[1000:]]))

    is_an_error(reply, 413, "request_too_large")
    assert one.requests == []


def test_a_body_larger_than_the_limit_is_refused_before_it_is_sent(gateway: Gateway, provider: Make) -> None:
    served = gateway({"server": {"max_body": "1KiB"}, "providers": {"p": provider(said()).account()}, "models": route("p/x")})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\napi-key: {served.key}\r\ncontent-length: 1000000\r\n\r\n".encode()

    assert raw(served.url, head).status == 413


def test_a_body_that_comes_in_one_unfinished_chunk_counts_too(gateway: Gateway, provider: Make) -> None:
    served = gateway({"server": {"max_body": "1KiB"}, "providers": {"p": provider(said()).account()}, "models": route("p/x")})
    body = json.dumps({**HELLO, "user": "x" * 3000}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\napi-key: {served.key}\r\ntransfer-encoding: chunked\r\n\r\n".encode()

    assert raw(served.url, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)).status == 413


NOT_SO: list[tuple[Json, str]] = [
    ({"messages": HELLO["messages"]}, "model"),
    ({"model": "m"}, "messages"),
    ({"model": None, "messages": HELLO["messages"]}, "model"),
    ({**HELLO, "messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ({**HELLO, "messages": [{"role": {"a": 1}, "content": "x"}]}, "messages[0].role"),
    (
        {
            **HELLO,
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": "f"}]}},
        },
        "tool_choice",
    ),
]


@pytest.mark.parametrize(("body", "field"), NOT_SO)
def test_a_field_of_the_wrong_form_is_refused_by_its_name(served: Served, body: Json, field: str) -> None:
    reply = served.client.post("/v1/chat/completions", json=body)

    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith(field)


# ---- names that could break something ----


@pytest.mark.parametrize("given", ["abc-123", "A" * 128, "a.b_c-d"])
def test_a_sane_request_id_of_the_clients_is_kept(served: Served, given: str) -> None:
    reply = served.chat(headers={"x-request-id": given})

    assert reply.headers["x-request-id"] == given
    assert served.record().request_id == given


@pytest.mark.parametrize("given", [b"", b"a b", b"A" * 129, b"a\xff", b"a;b", b'"a"', b"a\tb", b"${7*7}"])
def test_another_request_id_is_replaced(served: Served, given: bytes) -> None:
    reply = served.client.get("/v1/models", headers=[(b"x-request-id", given)])

    assert reply.headers["x-request-id"].startswith("req_")


def test_a_line_feed_in_a_header_sets_no_header_in_the_answer(served: Served) -> None:
    reply = raw(served.url, b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-request-id: a\r\n set-cookie: a=b\r\nconnection: close\r\n\r\n")

    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("name", ["pass-a\r\nset-cookie: a=b", "pass-a\nb", "pass-模型", "pass-\x7f\x00", "pass-" + "模" * 250])
def test_a_models_name_cannot_break_a_header(served: Served, name: str) -> None:
    reply = served.chat(name)

    assert reply.status_code == 200
    assert "set-cookie" not in reply.headers
    assert reply.headers["x-banjia-model"].startswith("pass-")
    assert len(reply.headers["x-banjia-model"]) <= 4096


@pytest.mark.parametrize("name", ["no\r\nset-cookie: a=b", "{{7*7}}", "${7*7}", "{0.__class__}", "%(x)s", "<script>"])
def test_a_models_name_comes_back_as_it_was(served: Served, name: str) -> None:
    reply = served.chat(name)

    is_an_error(reply, 404, "model_not_found")
    assert f"`{name}`" in reply.json()["error"]["message"]
    assert "set-cookie" not in reply.headers


def test_what_is_not_http_is_told_so_and_nothing_else_suffers(served: Served) -> None:
    assert raw(served.url, b"\x16\x03\x01\x02\x00\x01\r\n\r\n").status == 400
    assert served.chat().status_code == 200


def test_a_connection_is_kept_from_one_answer_to_the_next(served: Served) -> None:
    parts = urlsplit(served.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    statuses = []
    for path in ("/healthz", "/nowhere", "/v1/models", "/healthz"):
        connection.request("GET", path, headers={"api-key": served.key})
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
    connection.close()

    assert statuses == [200, 404, 200, 200]


def mutated() -> st.SearchStrategy[Any]:
    """JSON, some of it with the words that requests are made of."""
    known = st.sampled_from(
        "model messages role content tools tool_choice function functions function_call name type user assistant tool m stream stop n "
        "tool_calls id arguments image_url url response_format json_schema text auto required".split()
    )
    leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5) | known
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known | st.text(max_size=3), inner, max_size=4), max_leaves=8
    )


@given(
    fields=st.dictionaries(
        st.sampled_from(
            "messages stop tools tool_choice functions function_call response_format n stream user max_tokens metadata".split()
        ),
        mutated(),
        max_size=3,
    ),
    message=st.dictionaries(st.sampled_from("role content tool_calls tool_call_id function_call name".split()), mutated(), max_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_gateway_fail(served: Served, fields: Json, message: Json) -> None:
    messages = [{"role": "user", "content": "x", **message}, *HELLO["messages"]]

    reply = served.client.post("/v1/chat/completions", json={**HELLO, "messages": messages, **fields})

    assert reply.status_code in (200, 400, 502)
    if reply.status_code == 502:  # a stream was asked for, and the provider here does not stream
        assert reply.json()["error"]["code"] == "upstream_broken"


# ---- how much at once ----


def test_requests_beyond_those_that_may_be_under_way_are_told_to_come_back(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD, *said()), said())
    served = gateway({"server": {"max_in_flight": 1, "queue": 0}, "providers": {"p": one.account()}, "models": route("p/x")})

    with ThreadPoolExecutor() as pool:
        first = pool.submit(served.chat)
        assert one.reached.wait(PATIENCE)
        second = served.chat()
        health = served.client.get("/healthz")
        one.let_go()

    is_an_error(second, 503, "overloaded")
    assert second.headers["retry-after"] == "1"
    assert health.status_code == 200
    assert first.result().status_code == 200
    assert served.chat().status_code == 200


def test_requests_beyond_those_that_may_be_under_way_wait_for_their_turn(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD, *said()), said())
    served = gateway({"server": {"max_in_flight": 1, "queue_timeout": "20s"}, "providers": {"p": one.account()}, "models": route("p/x")})

    with ThreadPoolExecutor() as pool:
        first = pool.submit(served.chat)
        assert one.reached.wait(PATIENCE)
        line = [pool.submit(served.chat) for _ in range(2)]
        while served.app.room.waiting < 2:
            time.sleep(0.01)
        overflow = served.chat()
        health, stranger = served.client.get("/readyz"), served.chat(headers={"authorization": "Bearer sk-wrong"})
        assert not any(waiting.done() for waiting in line)
        one.let_go()

    is_an_error(overflow, 503, "overloaded")
    assert overflow.headers["retry-after"] == "1"
    is_an_error(stranger, 401, "invalid_api_key")
    assert (health.status_code, health.json()["in_flight"]) == (200, 1)
    assert [one_of.result().status_code for one_of in (first, *line)] == [200] * 3


def test_the_line_is_twice_as_long_as_what_may_be_under_way() -> None:
    snapshot = snapshot_of({"server": {"max_in_flight": 7}, "providers": {"p": account_at("http://127.0.0.1:9/v1")}})

    assert (snapshot.queue, snapshot.queue_timeout) == (14, 5.0)


def test_who_waits_too_long_for_a_turn_is_told_to_come_back(gateway: Gateway, provider: Make) -> None:
    one = provider((HOLD, *said()), said())
    settings = {"max_in_flight": 1, "queue_timeout": "100ms"}
    served = gateway({"server": settings, "providers": {"p": one.account()}, "models": route("p/x")})

    with ThreadPoolExecutor() as pool:
        first = pool.submit(served.chat)
        assert one.reached.wait(PATIENCE)
        late = served.chat()
        one.let_go()

    is_an_error(late, 503, "overloaded")
    assert first.result().status_code == 200
    assert served.chat().status_code == 200


def test_a_reload_under_load_fails_no_request_and_mixes_no_two_configs(gateway: Gateway, provider: Make, background: Background) -> None:
    old, new = provider(said("old")), provider(said("new"))
    config = {
        name: {"providers": {name: one.account()}, "models": route(f"{name}/{name}-model")} for name, one in (("old", old), ("new", new))
    }
    served = gateway(config["old"])

    def ask(number: int) -> tuple[int, str, str, str]:
        if number % 20 == 10:
            which = "new" if number % 40 == 10 else "old"
            background.loop.call_soon_threadsafe(served.app.swap, snapshot_of(config[which]))
        reply = served.chat()
        text = reply.json()["choices"][0]["message"]["content"]
        return reply.status_code, text, reply.headers["x-banjia-provider"], reply.headers["x-banjia-model"].removesuffix("-model")

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(ask, range(200)))

    assert answers == {(200, "old", "old", "old"), (200, "new", "new", "new")}


def test_an_answer_under_way_is_not_touched_by_a_reload(gateway: Gateway, provider: Make, background: Background) -> None:
    one = provider((HOLD, *said("from the old one")))
    served = gateway({"providers": {"p": one.account()}, "models": route("p/x")})

    with ThreadPoolExecutor() as pool:
        answer = pool.submit(served.chat)
        assert one.reached.wait(PATIENCE)
        background.loop.call_soon_threadsafe(
            served.app.swap, snapshot_of({"providers": {"q": provider(said()).account()}, "models": {"other": "q/y"}})
        )
        one.let_go()

    assert answer.result().json()["choices"][0]["message"]["content"] == "from the old one"
    assert served.chat().status_code == 404


def test_many_streams_at_once_each_get_their_own_words(gateway: Gateway, simulators: str) -> None:
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}})

    def ask(number: int) -> bool:
        text = served.chat("gpt-4o", f"Say number {number}", stream=True).text
        said_by = [json.loads(line[6:])["choices"] for line in text.split("\n") if line.startswith("data: {")]
        return "".join(choices[0]["delta"].get("content") or "" for choices in said_by) == f"number {number}" and text.count("[DONE]") == 1

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(48)))


# ---- health and models ----


def test_health_and_readiness_need_no_key(served: Served) -> None:
    health = httpx.get(f"{served.url}/healthz", trust_env=False)
    ready = httpx.get(f"{served.url}/readyz", trust_env=False)

    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert ready.json() == {"status": "ready", "config": served.app.serving.snapshot.revision, "in_flight": 0}


def test_a_gateway_that_drains_is_not_ready(served: Served) -> None:
    served.app.draining = True

    reply = served.client.get("/readyz")

    assert (reply.status_code, reply.json()["status"]) == (503, "draining")
    assert served.client.get("/healthz").status_code == 200


def test_the_models_of_a_key_are_those_it_may_use(gateway: Gateway, provider: Make) -> None:
    abroad = provider(said()).account(jurisdiction="us")
    team = {
        **TEAM,
        "policy": {"allow": {"cn-mainland": ["cn-mainland"], "us": ["us"]}},
        "keys": [*TEAM["keys"], {"name": "us", "key": "sk-abroad", "jurisdiction": "us"}],
    }
    served = gateway(
        {"providers": {"p": provider(said()).account(), "a": abroad}, "models": {"here": "p/x", "there": "a/x", "glob-*": "p/x"}}, team
    )

    listed = served.client.get("/v1/models").json()
    there = served.client.get("/v1/models/there")
    globbed = served.client.get("/v1/models/glob-1")

    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["here"]
    assert listed["data"][0] == {"id": "here", "object": "model", "created": 1717200000, "owned_by": "openai_compatible"}
    is_an_error(there, 404, "model_not_found")
    assert globbed.json()["id"] == "glob-1"


def test_a_stream_is_recorded_with_its_usage_and_its_end(gateway: Gateway, provider: Make) -> None:
    served = gateway({"providers": {"p": provider(streamed("Hi")).account()}, "models": route("p/x")})

    served.chat(stream=True)

    record = served.record()
    assert (record.stream, record.finish, record.served, record.model, record.attempts) == (True, "stop", "p/x", "m", 1)


def test_jobs_that_do_not_run_are_told_and_requests_are_served(gateway: Gateway, provider: Make, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/banjia.db", tmp_path / "pending")
    jobs = Jobs(store)
    jobs.degraded = "jobs do not run: a test"
    served = gateway({"providers": {"p": provider(said()).account()}, "models": route("p/x")}, jobs=jobs)

    reply = served.client.get("/readyz")

    assert (reply.status_code, reply.json()["degraded"]) == (200, "jobs do not run: a test")
    assert served.chat().status_code == 200
