"""How Baidu's v2 adapter proves an account: by its key, or by a token that IAM gives for a signature."""

import asyncio

import pytest

from providers.baidu.adapter import V2
from providers.baidu.iam import iam_token, sign
from providers.baidu.simulator import SIMULATOR
from providers.base import Json, Model, Outgoing
from providers.simulation import Request
from tests.providers.roundtrip import NOW, Pair, fault, read

ERNIE = "ernie-5.1"
SECRETS = {"access_key_id": "ak", "access_key_secret": "sk"}
ALTAK, SECRET = "ALTAKEXAMPLEAK0000000000000", "examplesk00000000000000000000000"


def pair(key: str) -> Pair:
    return Pair(V2, SIMULATOR, {"api_key": key}, Model(ERNIE), accounts={"ak": "sk"})


def signing(**keys: str) -> Pair:
    return Pair(V2, SIMULATOR, SECRETS | keys, Model(ERNIE), accounts={"ak": "sk"})


def ask(text: str) -> Json:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(("method", "path", "query", "headers", "end"), [
    ("GET", "/v1/BCE-BEARER/token", {"expireInSeconds": "43200"}, {"host": "iam.bj.baidubce.com"},
     "host/e4023fffe5a782cdbfa969019416a073521e76d48a7467038199bf26f0a8985a"),
    ("POST", "/v2/finetuning", {"Action": "DescribeFineTuningTask"}, {"host": "qianfan.baidubce.com", "x-bce-date": "2026-11-23T02:15:02Z"},
     "host;x-bce-date/f8935a3caa23f77bc3136943c907d8049dd0a2c7d9ec8d173086c8beac71f73b"),
])  # fmt: skip
def test_a_signature_is_the_one_of_the_document(method: str, path: str, query: dict[str, str], headers: dict[str, str], end: str) -> None:
    signature = sign(ALTAK, SECRET, method, path, query, headers, 1795400102.9)

    assert signature == f"bce-auth-v1/{ALTAK}/2026-11-23T02:15:02Z/1800/{end}"


def test_iam_is_asked_at_its_own_host_with_a_signature_over_it() -> None:
    request = next(iam_token({"access_key_id": ALTAK, "access_key_secret": SECRET}, 1795400102.0))

    assert (request.method, request.url) == ("GET", "https://iam.bj.baidubce.com/v1/BCE-BEARER/token?expireInSeconds=43200")
    assert request.headers["authorization"].endswith("/host/e4023fffe5a782cdbfa969019416a073521e76d48a7467038199bf26f0a8985a")


@pytest.mark.parametrize("auth_url", ["http://127.0.0.1:9/baidu", "http://127.0.0.1:9/baidu/"])
def test_iam_behind_another_host_gets_a_signature_over_that_host_and_the_whole_path(auth_url: str) -> None:
    request = next(iam_token({**SECRETS, "auth_url": auth_url}, NOW))

    assert request.url == "http://127.0.0.1:9/baidu/v1/BCE-BEARER/token?expireInSeconds=43200"
    assert issue(request, path="/v1/BCE-BEARER/token", host="/baidu") == 201
    assert issue(request, path="/v1/BCE-BEARER/token", host="/other") == 403


def test_a_signature_of_the_sdk_is_over_the_vendors_own_path() -> None:
    proof = sign("ak", "sk", "GET", "/v1/BCE-BEARER/token", {"expireInSeconds": "43200"}, {"host": "127.0.0.1:9"}, NOW)

    assert issue(Outgoing("", headers={"authorization": proof}), path="/v1/BCE-BEARER/token", host="/baidu") == 201


def test_a_signature_that_is_too_old_is_refused() -> None:
    request = next(iam_token({**SECRETS, "auth_url": "http://127.0.0.1:9"}, NOW))

    assert issue(request, at=NOW + 1800) == 201
    assert issue(request, at=NOW + 1801) == 403


def issue(request: Outgoing, *, path: str = "/v1/BCE-BEARER/token", host: str = "", at: float = NOW) -> int:
    """The status that the simulated IAM answers a signed request with."""
    two = signing()
    two.now = at
    headers = {"host": "127.0.0.1:9", "authorization": request.headers["authorization"]}
    return asyncio.run(two.simulator.handle(Request("GET", path, {"expireInSeconds": "43200"}, headers, b"", host))).status


def test_a_token_is_renewed_before_it_ends_and_refused_after() -> None:
    two = signing()
    asyncio.run(two.chat(ask("hi"), ERNIE))
    held = two.credential
    assert held is not None
    assert held.renew == NOW + 42900

    two.now = NOW + 43200
    reply = asyncio.run(two.send(two.sent[-1], held))
    refused = V2.endpoints["chat"].fault(reply.status, reply.headers, asyncio.run(read(reply)))
    asyncio.run(two.chat(ask("hi"), ERNIE))

    assert (refused.status, refused.code, refused.kind, refused.stale) == (401, "invalid_iam_token", "auth", True)
    assert two.credential != held


@pytest.mark.parametrize(("keys", "code"), [
    ({"access_key_secret": "wrong"}, "SignatureDoesNotMatch"),
    ({"access_key_id": "nobody"}, "InvalidAccessKeyId"),
    ({"access_key_id": "invalid-ak"}, "InvalidAccessKeyId"),
])  # fmt: skip
def test_keys_that_are_wrong_get_no_token(keys: dict[str, str], code: str) -> None:
    raised = asyncio.run(fault(signing(**keys).chat(ask("hi"), ERNIE)))

    assert (raised.kind, raised.code) == ("auth", code)


@pytest.mark.parametrize(("word", "kind", "code"), [
    ("invalid", "auth", "invalid_iam_token"),
    ("expired", "auth", "invalid_iam_token"),
    ("arrears", "quota", "account_overdue"),
    ("quota", "quota", "coding_plan_subscription_expired"),
    ("limited", "rate_limited", "rpm_rate_limit_exceeded"),
])  # fmt: skip
def test_an_accounts_trouble_is_told_by_its_code(word: str, kind: str, code: str) -> None:
    by_key = asyncio.run(fault(pair(f"bce-v3/ALTAK-{word}/0123abcd").chat(ask("hi"), ERNIE)))

    assert (by_key.kind, by_key.code) == (kind, code)
    if word != "invalid":  # an unknown access key fails before, at IAM
        by_token = asyncio.run(fault(signing(access_key_id=f"{word}-ak").chat(ask("hi"), ERNIE)))
        assert (by_token.kind, by_token.code) == (kind, code)


@pytest.mark.parametrize("key", ["sk-anything", "bce-v3/ALTAK-demo", "bce-v3/ALTAK-demo/xyz", "24.abc"])
def test_a_key_of_another_form_is_nobodys(key: str) -> None:
    assert asyncio.run(fault(pair(key).chat(ask("hi"), ERNIE))).code == "invalid_iam_token"
