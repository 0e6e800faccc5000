"""Model Studio's OpenAI-compatible surface, the default one. Facts from its API reference and dashscope 2.0.2, read 2026-11-23.

What both surfaces do with a request is in rules.py; the native surface is native.py.
"""

from collections.abc import Mapping

from providers.alibaba.audio import SPEECH, TRANSCRIPTIONS
from providers.alibaba.errors import fault_of
from providers.alibaba.gather import STREAMED, gather
from providers.alibaba.images import EDITS, IMAGES
from providers.alibaba.native import NATIVE
from providers.alibaba.rerank import CompatibleRerank
from providers.alibaba.rules import SHARED, prepare, streams_only
from providers.alibaba.tuning import AlibabaTuning
from providers.auth import API_KEY
from providers.base import Adapter, Fault, Json, Outgoing, Target, encode
from providers.batching import Batches
from providers.embeddings import BASICS as EMBEDDINGS_BASICS
from providers.fields import Fields, ask_for_usage, drop
from providers.openai_like import OpenAIChat, OpenAIEmbeddings

CHAT_FIELDS: Fields = {**SHARED, "stream": ask_for_usage}
EMBEDDINGS_FIELDS: Fields = {**EMBEDDINGS_BASICS, "user": drop("not offered")}


class CompatibleChat(OpenAIChat, frozen=True):
    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = prepare(self.fields, body, target)
        if streams_only(out, target):
            ask_for_usage(out, "stream", True, target)
        return Outgoing(target.base_url + self.path, encode(out), changes=changes)

    def response(self, body: bytes) -> Json:
        return gather(self.stream(), body) if body.startswith(STREAMED) else super().response(body)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)

    def chunk(self, event: Json) -> Json | None:
        if event.get("error") or ("choices" not in event and "usage" not in event):
            raise fault_of(200, {}, event)
        return super().chunk(event)

    def settle(self, choice: Json, said: Json) -> None:
        """The later fragments of a call have the id "": what they go on with is told by their index alone."""
        super().settle(choice, said)
        for call in said.get("tool_calls") or ():
            if not call.get("id"):
                call.pop("id", None)


class CompatibleEmbeddings(OpenAIEmbeddings, frozen=True):
    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)


ADAPTER = Adapter(
    vendor="alibaba",
    surface="compatible",
    base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    auth={"api_key": API_KEY},
    endpoints={
        "chat": CompatibleChat(fields=CHAT_FIELDS, mark={"partial": True}),
        "embeddings": CompatibleEmbeddings(fields=EMBEDDINGS_FIELDS),
        "rerank": CompatibleRerank(),
        "images": IMAGES,
        "image_edits": EDITS,
        "speech": SPEECH,
        "transcriptions": TRANSCRIPTIONS,
    },
    tuning=AlibabaTuning(),
    batching=Batches("/v1/chat/completions", 50, windows=(24, 336)),
)
SURFACES = (ADAPTER, NATIVE)
