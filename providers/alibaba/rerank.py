"""Model Studio's reranking. Facts from its API reference (text rerank) and dashscope 2.0.2, read 2026-11-23.

The compatible form has a base of its own, `/compatible-api/v1`, and not every model; the others are at DashScope's own address, which is on
the same host and takes the same key.
"""

from collections.abc import Mapping

from msgspec import Struct

from providers.alibaba.errors import fault_of
from providers.base import Fault, Json, Outgoing, Stream, Target, encode
from providers.fields import Fields, apply, native, rename
from providers.openai_like import UNKNOWN, read_json
from providers.rerank import BASICS, CommonRerank, ranking, tokens_of

FIELDS: Fields = {**BASICS, "instruct": native, "instruction": rename("instruct")}
MODE, API, OWN = "/compatible-mode/v1", "/compatible-api/v1", "/api/v1"
PATH = "/services/rerank/text-rerank/text-rerank"


class NativeRerank(Struct, frozen=True):
    """DashScope's own form: what is ranked under `input`, how under `parameters`."""

    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(FIELDS, UNKNOWN, body, target)
        given = {name: out.pop(name) for name in ("query", "documents") if name in out}
        sent = {"model": out.pop("model"), "input": given, "parameters": out}
        return Outgoing(target.base_url.replace(MODE, OWN) + PATH, encode(sent), changes=changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        results = (answer.get("output") or {}).get("results")
        if answer.get("code") or not isinstance(results, list):
            raise fault_of(200, {}, answer)
        return ranking(results, tokens_of(answer))

    def stream(self) -> Stream:
        raise Fault("bad_request", "rankings are not streamed", param="stream")

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


class CompatibleRerank(CommonRerank, frozen=True):
    """The form of Cohere's, for the models that have it; the catalog names DashScope's own task for the others."""

    def request(self, body: Json, target: Target) -> Outgoing:
        if target.model.endpoint:
            return NativeRerank().request(body, target)
        out, changes = apply(FIELDS, UNKNOWN, body, target)
        return Outgoing(target.base_url.replace(MODE, API) + "/reranks", encode(out), changes=changes)

    def response(self, body: bytes) -> Json:
        answer = read_json(body)
        if "output" in answer:
            return NativeRerank().response(body)
        if answer.get("code") or not isinstance(answer.get("results"), list):
            raise fault_of(200, {}, answer)
        return ranking(answer["results"], tokens_of(answer), str(answer.get("model") or ""))

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)
