"""Azure OpenAI: its two surfaces. `v1` names the deployment in the body; `classic`, which an account with a dated `api_version` speaks,
names it in the path, and takes of each field what its version has.

Facts from openai-python 3.54.0, LiteLLM 1.109.1 and Microsoft's pages on the API's life cycle, read 2026-11-23.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from providers.auth import API_KEY as BEARER
from providers.azure_openai.errors import ERRORS, fault_of
from providers.base import Adapter, Auth, Change, Credential, Exchange, Fault, Json, Outgoing, Target
from providers.faults import said
from providers.fields import Fields, all_dropped, all_native, drop_unless, kept_here, native
from providers.json_mode import json_mode
from providers.messages import messages, only, role
from providers.openai.media import Images, Speech, Transcriptions, media
from providers.openai.rules import NEWER, PLAIN_PARTS, VECTORS, Chat, Embeddings, Generations, family, own_keys, reasons
from providers.openai_like import read_json
from providers.tools import choice, functions, one_call

# ---- accounts ----

LOGIN = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"
FORM = {"content-type": "application/x-www-form-urlencoded"}
MARGIN = 300.0
"""Seconds before its end that a token is renewed."""


def api_key(secrets: Mapping[str, str], now: float) -> Exchange:
    """One of the resource's two keys, in a header of its own."""
    return Credential({"api-key": secrets["api_key"]})
    yield


def entra(secrets: Mapping[str, str], now: float) -> Exchange:
    """A token of Entra ID's for an application (OAuth 2.0, client credentials)."""
    url = f"{secrets.get('auth_url') or LOGIN}/{quote(secrets['tenant_id'], safe='')}/oauth2/v2.0/token"
    told = {
        "client_id": secrets["client_id"],
        "client_secret": secrets["client_secret"],
        "scope": SCOPE,
        "grant_type": "client_credentials",
    }
    answer = read_json((yield Outgoing(url, urlencode(told).encode(), FORM)))
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise Fault("auth", said(answer).message or "Entra ID gave no token")
    life = float(answer.get("expires_in") or 0)
    return Credential({"authorization": f"Bearer {token}"}, renew=now + max(life - MARGIN, life / 2))


AUTH = {
    "api_key": Auth(("api_key",), api_key),
    "entra": Auth(("tenant_id", "client_id", "client_secret"), entra),
    "bearer": BEARER,  # a key as OpenAI's clients show it, which v1 takes too
}

# ---- fields ----

OLD = "the API version does not have it"


def deployment(target: Target) -> str:
    return target.model.endpoint or target.model.id


def deployed_model(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    out["model"] = deployment(target)
    return ()


def tier(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Many deployments do not know the field: it is left out where it says what happens anyhow."""
    if value not in ("auto", "default"):
        out[field] = value
    return ()


def old_tier(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    return () if value in ("auto", "default") else (Change(field, "dropped", why=OLD),)


def unsaid_effort(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """An effort that cannot be said is no loss where it is the model's usual one."""
    usual = family(target.model).usual if reasons(target.model) else "none"
    return () if value == usual else (Change(field, "dropped", why=OLD),)


def elders(message: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """Of models that do not reason, none knows the role `developer`."""
    return (message, ()) if reasons(target.model) else TO_SYSTEM(message, target)


TO_SYSTEM = role("developer", "system")
PLAIN = ("system", "user", "assistant")
FUNCTIONS_ALONE = only("role", "content", "name", "refusal", "audio", "tool_calls", "tool_call_id", "function_call", why="not known")
"""Which also says calls of custom tools as calls of functions."""
BOTH: Fields = {
    "messages": messages(elders, own_keys, PLAIN_PARTS, plain_roles=PLAIN),
    **all_native("data_sources", "user_security_context"),
    **all_dropped("not offered on Azure", "moderation", "prompt_cache_options", "web_search_options"),
}
V1 = Generations().under({**BOTH, "model": deployed_model, "service_tier": tier})


def old_limit(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`max_tokens` alone, which models that reason do not take."""
    if NEWER.match(target.model.id):
        return (Change(field, "dropped", why=OLD),)
    kept = min(value, target.model.output or value, out.get("max_tokens", value))
    out["max_tokens"] = kept
    if kept != value:
        return (Change(field, "clamped", str(kept)),)
    return (Change(field, "renamed", "max_tokens"),) if field != "max_tokens" else ()


class Gate(Struct, frozen=True):
    """What fields are before the version that brought them in the form that rules.py says."""

    since: str
    """A date; previews of that day have it too."""
    before: Fields


GATES = (
    Gate("9999-12-31", {
        "messages": messages(elders, FUNCTIONS_ALONE, own_keys, PLAIN_PARTS, plain_roles=PLAIN),
        "tools": functions("name", "description", "parameters", "strict"),
        "tool_choice": choice("auto", "none", "required", named=True),
        "service_tier": old_tier,
        "verbosity": drop_unless("medium", OLD),
        **all_dropped(OLD, "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
    }),  # which no dated version has
    Gate("2025-01-01", {"modalities": drop_unless(["text"], OLD), **all_dropped(OLD, "prediction", "audio")}),
    Gate("2024-12-01", {
        "messages": messages(TO_SYSTEM, FUNCTIONS_ALONE, own_keys, PLAIN_PARTS, plain_roles=PLAIN),
        "reasoning_effort": unsaid_effort,
        "store": drop_unless(False, OLD),
        **all_dropped(OLD, "metadata", "user_security_context"),
    }),
    Gate("2024-09-01", {
        "stream": native,
        "stream_options": kept_here,
        "parallel_tool_calls": one_call,
        "max_tokens": old_limit,
        "max_completion_tokens": old_limit,
    }),
    Gate("2024-08-01", {
        "tools": functions("name", "description", "parameters"),
        "response_format": json_mode("schema", up_to="object"),
    }),
    Gate("2024-06-01", {"tool_choice": choice("auto", "none", named=True)}),
    Gate("2024-02-15", all_dropped(OLD, "logprobs", "top_logprobs")),
    Gate("2023-12-01", {
        "response_format": json_mode("schema", up_to="none"),
        "functions": native,
        **all_dropped(OLD, "tools", "tool_choice", "parallel_tool_calls", "seed", "data_sources"),
    }),
)  # fmt: skip
"""The newest first: where several hold, the rule of the oldest stands."""


@cache
def classic_generations(version: str) -> Generations:
    rules: dict[str, Any] = {**BOTH, "model": kept_here}
    for gate in GATES:
        if version[:10] < gate.since:
            rules |= gate.before
    return Generations().under(rules, efforts=version[:10] >= "2024-12-01")


# ---- addresses ----


def v1_url(target: Target, path: str) -> str:
    return target.base_url + path + ("?api-version=preview" if target.version == "preview" else "")


def classic_url(target: Target, path: str) -> str:
    """A base that was given for v1 serves this surface too."""
    base = target.base_url.removesuffix("/v1")
    return f"{base}/deployments/{quote(deployment(target), safe='')}{path}?api-version={target.version}"


# ---- answers ----

ANNOTATIONS = ("content_filter_results", "content_filter_result", "content_filter_offsets", "content_filter_raw")
OF_THE_PROMPT = ("prompt_filter_results", "prompt_annotations")


class AzureChat(Chat, frozen=True, kw_only=True):
    """OpenAI's answers, with the remarks of the content filter taken out."""

    def response(self, body: bytes) -> Json:
        answer = super().response(body)
        for key in OF_THE_PROMPT:
            answer.pop(key, None)
        return answer

    def chunk(self, event: Json) -> Json | None:
        """A chunk that only remarks says nothing: neither the first one, which has no id, nor those that come late in asynchronous mode."""
        for key in OF_THE_PROMPT:
            event.pop(key, None)
        if choices := event.get("choices"):
            event["choices"] = [choice for choice in choices if choice.get("delta") is not None or choice.get("finish_reason")]
        if event.get("choices") == [] and not event.get("usage"):
            return None
        return super().chunk(event)

    def settle(self, choice: Json, said: Json) -> None:
        for key in ANNOTATIONS:
            choice.pop(key, None)
        super().settle(choice, said)


def endpoints(*, classic: bool) -> Mapping[str, AzureChat | Embeddings | Images | Speech | Transcriptions]:
    url = classic_url if classic else v1_url
    model = kept_here if classic else deployed_model
    return {
        "chat": AzureChat(
            url=url, generations=classic_generations if classic else lambda version: V1, judge=fault_of, errors=ERRORS, calls_quietly=(5, 6)
        ),
        "embeddings": Embeddings(fields={"model": model, **VECTORS}, url=url, judge=fault_of, errors=ERRORS),
        **media(url, fault_of, model),
    }


VERSION_1 = Adapter(
    vendor="azure_openai",
    surface="v1",
    base_url="/openai/v1",
    auth=AUTH,
    endpoints=endpoints(classic=False),
    versions=("", "v1", "latest", "preview"),
    deployments=True,
)
CLASSIC = Adapter(
    vendor="azure_openai",
    surface="classic",
    base_url="/openai",
    auth=AUTH,
    endpoints=endpoints(classic=True),
    versions=("YYYY-MM-DD", "YYYY-MM-DD-preview"),
    deployments=True,
)
SURFACES = (VERSION_1, CLASSIC)
