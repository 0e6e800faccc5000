"""OpenAI's own moderation: what it says goes through as it is."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from providers.base import Fault, Json, Outgoing, Stream, Target, encode
from providers.openai_like import read_json


class Moderations(Struct, frozen=True):
    """One input a call: a text, or parts of a text and an image."""

    judge: Callable[[int, Mapping[str, str], bytes], Fault]

    def request(self, body: Json, target: Target) -> Outgoing:
        return Outgoing(f"{target.base_url}/moderations", encode({"model": target.model.id, "input": body["input"]}))

    def response(self, body: bytes) -> Json:
        """{"model", "results": [one of OpenAI's]}"""
        answer = read_json(body)
        if not isinstance(answer.get("results"), list) or len(answer["results"]) != 1 or answer.get("error"):
            raise self.fault(200, {}, body)
        return answer

    def stream(self) -> Stream:
        raise Fault("bad_request", "moderations are not streamed", param="stream")

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return self.judge(status, headers, body)
