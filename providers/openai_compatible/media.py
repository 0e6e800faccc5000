"""Images and audio at servers of unknown make: OpenAI's requests as they are, but for what the gateway itself does."""

from collections.abc import Mapping
from typing import Any

from providers.base import Change, Fault, Json, Target
from providers.faults import make_fault
from providers.fields import Fields, native, served_model
from providers.openai.media import EDIT_FIELDS, IMAGE_FIELDS, SPEECH_FIELDS, TRANSCRIPTION_FIELDS, Images, Speech, Transcriptions
from providers.openai_compatible.errors import ERRORS


def transcript(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """Subtitles the gateway writes, out of the times of the words."""
    if value in ("json", "text"):
        return ()
    out[field] = "verbose_json" if value in ("srt", "vtt") else value
    return () if out[field] == value else (Change(field, "emulated", "verbose_json", "the gateway writes it"),)


def url(target: Target, path: str) -> str:
    return target.base_url + path


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    return make_fault(ERRORS, status, headers, body)


NAMED: Fields = {"model": served_model}
DRAWN: Fields = {**NAMED, **IMAGE_FIELDS, "response_format": native}
MEDIA: Mapping[str, Images | Speech | Transcriptions] = {
    "images": Images(fields=DRAWN, others=native, url=url, judge=judge),
    "image_edits": Images(
        path="/images/edits", fields={**DRAWN, **EDIT_FIELDS, "response_format": native}, others=native, url=url, judge=judge, formed=True
    ),
    "speech": Speech(fields={**NAMED, **SPEECH_FIELDS}, others=native, url=url, judge=judge),
    "transcriptions": Transcriptions(
        fields={**NAMED, **TRANSCRIPTION_FIELDS, "response_format": transcript}, others=native, url=url, judge=judge
    ),
}
