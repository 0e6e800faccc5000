"""Azure's errors as kinds, and Entra ID's tokens."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

import pytest
from msgspec import json

from providers.azure_openai.adapter import entra
from providers.azure_openai.errors import fault_of
from providers.base import Credential, Fault, Json
from tests.providers.openai import ask
from tests.providers.roundtrip import NOW, fault
from tests.providers.test_azure_openai import APPLICATION, GA, pair

FOUND = {"violence": {"filtered": True, "severity": "medium"}, "hate": {"filtered": False, "severity": "safe"}}
FILTERED = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FOUND}
ERRORS: list[tuple[int, Json, str]] = [
    (400, {"error": {"code": "content_filter", "message": "x", "param": "prompt", "type": None, "innererror": FILTERED}}, "refused"),
    (400, {"error": {"code": None, "message": "x", "innererror": FILTERED}}, "refused"),
    (
        400,
        {"error": {"code": "x", "message": "x", "inner_error": {"code": "content_policy_violation", "content_filter_results": {}}}},
        "refused",
    ),
    (400, {"error": {"code": "context_length_exceeded", "message": "x"}}, "too_long"),
    (400, {"error": {"code": "BadRequest", "message": "x"}}, "bad_request"),
    (400, {"error": {"code": "OperationNotSupported", "message": "x"}}, "unsupported"),
    (400, {"error": {"code": "unsupported_parameter", "message": "x"}}, "unsupported"),
    (400, {"error": {"code": "invalid_encrypted_content", "message": "x"}}, "bad_request"),
    (400, {"error": {"code": "null", "param": "null", "message": "x"}}, "bad_request"),
    (401, {"error": {"code": "401", "message": "x"}}, "auth"),
    (401, {"error": {"code": "PermissionDenied", "message": "x"}}, "auth"),
    (401, {"statusCode": 401, "message": "Access denied due to missing subscription key."}, "auth"),
    (403, {"error": {"code": "AuthenticationTypeDisabled", "message": "x"}}, "auth"),
    (403, {"error": {"code": "403", "message": "x"}}, "auth"),
    (403, {"error": {"code": "AccessDenied", "message": "x"}}, "auth"),
    (404, {"error": {"code": "DeploymentNotFound", "message": "x"}}, "no_model"),
    (404, {"error": {"code": "404", "message": "Resource not found"}}, "no_model"),
    (408, {"error": {"code": "RequestTimeout", "message": "x"}}, "timeout"),
    (424, {"error": {"code": "DeploymentInferenceFailed", "message": "x"}}, "broken"),
    (424, {"error": {"code": "something", "message": "x"}}, "broken"),
    (429, {"error": {"code": "429", "message": "x"}}, "rate_limited"),
    (429, {"error": {"code": "RateLimitReached", "message": "x"}}, "rate_limited"),
    (429, {"error": {"code": "NoCapacity", "message": "x"}}, "rate_limited"),
    (429, {"error": {"code": "insufficient_quota", "message": "x"}}, "quota"),
    (429, {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 3 seconds."}, "rate_limited"),
    (500, {"error": {"code": "InternalServerError", "message": "x"}}, "overloaded"),
    (503, {"error": {"code": "ServiceUnavailable", "message": "x"}}, "overloaded"),
]


@pytest.mark.parametrize(("status", "body", "kind"), ERRORS)
def test_a_code_is_a_kind(status: int, body: Json, kind: str) -> None:
    assert fault_of(status, {}, json.encode(body)).kind == kind


def test_what_the_filter_found_is_told() -> None:
    raised = asyncio.run(fault(pair(GA).chat(ask("[unsafe-input]"), "gpt-4o")))

    assert (raised.kind, raised.code, raised.param) == ("refused", "content_filter", "prompt")
    assert raised.message.endswith(" (violence medium)")


def test_a_gateway_in_front_tells_its_status_as_the_code() -> None:
    told = fault_of(429, {}, b'{"statusCode":429,"message":"Rate limit is exceeded. Try again in 3 seconds."}')

    assert (told.code, told.retry_after, told.message) == ("429", 3.0, "Rate limit is exceeded. Try again in 3 seconds.")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"gone"}', b'{"error":{"innererror":7}}'])
def test_an_answer_of_no_form_is_judged_by_its_status(body: bytes) -> None:
    assert fault_of(503, {}, body).kind == "overloaded"


@pytest.mark.parametrize(("word", "kind", "wait"), [
    ("invalid", "auth", None), ("expired", "auth", None), ("quota", "quota", None), ("arrears", "quota", None),
    ("limited", "rate_limited", 37.0),
])  # fmt: skip
def test_a_resources_trouble_is_told_by_its_code(word: str, kind: str, wait: float | None) -> None:
    raised = asyncio.run(fault(pair(key=f"{word}-0123456789abcdef").chat(ask("hi"), "gpt-4o")))

    assert (raised.kind, raised.retry_after, raised.stale) == (kind, wait, False)


# ---- Entra ID ----


def test_a_token_is_asked_for_at_the_login_host() -> None:
    request = next(entra({**APPLICATION, "tenant_id": "a/b"}, NOW))
    elsewhere = next(entra({**APPLICATION, "auth_url": "https://login.example.com"}, NOW))

    assert request.url == "https://login.microsoftonline.com/a%2Fb/oauth2/v2.0/token"
    assert elsewhere.url == "https://login.example.com/acme/oauth2/v2.0/token"
    assert request.headers == {"content-type": "application/x-www-form-urlencoded"}
    assert parse_qs(request.body.decode()) == {
        "client_id": ["client"], "client_secret": ["secret"], "grant_type": ["client_credentials"],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }  # fmt: skip


@pytest.mark.parametrize(("life", "renew"), [(3599, 3299.0), (3600.0, 3300.0), ("3600", 3300.0), (100, 50.0)])
def test_a_token_is_renewed_five_minutes_before_its_end(life: Any, renew: float) -> None:
    exchange = entra(APPLICATION, NOW)
    next(exchange)

    with pytest.raises(StopIteration) as done:
        exchange.send(json.encode({"token_type": "Bearer", "expires_in": life, "access_token": "eyJ0"}))

    credential: Credential = done.value.value
    assert credential.headers == {"authorization": "Bearer eyJ0"}
    assert credential.renew == NOW + renew


def test_no_token_is_a_fault() -> None:
    exchange = entra(APPLICATION, NOW)
    next(exchange)

    with pytest.raises(Fault) as raised:
        exchange.send(b'{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}')

    assert raised.value.kind == "auth"
    assert "AADSTS7000215" in raised.value.message


@pytest.mark.parametrize("version", ["", GA])
def test_an_application_is_answered_until_its_token_ends(version: str) -> None:
    async def go() -> None:
        two = pair(version, **APPLICATION)
        await two.chat(ask("hi"), "gpt-4o")
        held = await two.prove()
        assert held.renew == NOW + 3299
        two.now = NOW + 3600
        reply = await two.send(two.sent[-1], held)
        assert reply.status == 401
        told = fault_of(401, {}, reply.body if isinstance(reply.body, bytes) else b"")
        assert (told.kind, told.stale) == ("auth", True)
        await two.chat(ask("hi"), "gpt-4o")

    asyncio.run(go())


@pytest.mark.parametrize(("secrets", "words"), [
    ({**APPLICATION, "client_secret": "wrong"}, "AADSTS7000215"),
    ({**APPLICATION, "client_id": "nobody"}, "AADSTS700016"),
    ({**APPLICATION, "tenant_id": "invalid-tenant"}, "AADSTS90002"),
])  # fmt: skip
def test_a_wrong_application_is_told_in_entras_words(secrets: dict[str, str], words: str) -> None:
    raised = asyncio.run(fault(pair(**secrets).chat(ask("hi"), "gpt-4o")))

    assert raised.kind == "auth"
    assert words in raised.message
