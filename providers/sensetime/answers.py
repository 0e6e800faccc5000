"""SenseNova's answers in OpenAI's words, as far as its surfaces have them in common."""

from collections.abc import Mapping

from providers.base import Fault, Json
from providers.openai_like import OpenAIChat
from providers.sensetime.errors import fault_of

FINISH: Mapping[str, str | None] = {"sensitive": "content_filter", "context": "length"}
"""Both by third parties' word alone."""


class SenseNovaChat(OpenAIChat, frozen=True):
    """What no table says: codes that only their message tells apart, and the empty list of calls in an answer without any."""

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error"):
            raise fault_of(self.errors, 200, {}, event)
        return super().chunk(event)

    def settle(self, choice: Json, said: Json) -> None:
        super().settle(choice, said)
        if "tool_calls" in said and not said["tool_calls"]:
            del said["tool_calls"]
