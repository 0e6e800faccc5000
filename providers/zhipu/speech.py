"""GLM-TTS: wav whole, pcm whole or as it is made. Facts from docs.bigmodel.cn and zai-sdk 0.2.3, read 2026-11-23."""

from providers.base import Json, Outgoing, Stream, Target, encode
from providers.faults import make_fault
from providers.fields import Fields, all_native, apply, clamp
from providers.media import SPEECH_BASICS, CommonSpeech, at_most, sound, sound_in, voice
from providers.openai_like import Payloads, read_json
from providers.zhipu.errors import ERRORS

VOICES = {
    "alloy": "tongtong", "ash": "chuichui", "ballad": "jam", "coral": "kazi", "echo": "xiaochen", "fable": "douji", "onyx": "xiaochen",
    "nova": "tongtong", "sage": "kazi", "shimmer": "tongtong", "verse": "jam", "marin": "tongtong", "cedar": "xiaochen",
}  # fmt: skip
"""Nobody says which of the vendor's voices is like which of OpenAI's: these differ from one another, and that is all."""
FIELDS: Fields = {
    **SPEECH_BASICS,
    "input": at_most(1024),
    "voice": voice(VOICES),
    "response_format": sound("wav", "pcm"),
    "speed": clamp(0.5, 2.0),
    **all_native("volume", "watermark_enabled", "request_id", "user_id"),
}


class Speech(CommonSpeech, frozen=True):
    def request(self, body: Json, target: Target) -> Outgoing:
        out, changes = apply(self.fields, self.others, body, target)
        if body.get("stream_format") == "sse" and self.streams(body):
            out |= {"stream": True, "encode_format": "base64"}
        return Outgoing(target.base_url + self.path, encode(out), changes=changes)

    def streams(self, body: Json) -> bool:
        return bool(body.get("response_format") == "pcm")

    def stream(self) -> Stream:
        return Sounds()


class Sounds(Payloads):
    """Chunks out of the events of a spoken answer: each has a piece of pcm in base64 where chat has its words."""

    __slots__ = ()

    def chunks(self, payload: bytes) -> list[Json]:
        if payload.strip() == b"[DONE]":
            self.over = True
            return []
        event = read_json(payload)
        if event.get("error") or "choices" not in event:
            raise make_fault(ERRORS, 200, {}, event)
        told: list[Json] = []
        for choice in event["choices"]:
            content, reason = (choice.get("delta") or {}).get("content"), choice.get("finish_reason")
            delta: Json = {"audio": sound_in(content)} if content else {}
            told.append({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        return told


SPEECH = Speech(fields=FIELDS, errors=ERRORS)
