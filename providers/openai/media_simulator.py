"""OpenAI's side of images and audio, which Azure's has too. See simulator.py."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from math import ceil
from typing import Any

from providers.base import Json, Model
from providers.form_simulation import read_form
from providers.media_simulation import Shelf, edges, heard, png, png_size, spoken
from providers.openai.simulator_values import bad
from providers.simulation import UNSAFE_INPUT, End, Reply, Request, World, count, data, json_reply, read_body, sse_reply

IMAGE_FIELDS = frozenset(
    "model prompt n size quality style background moderation output_format output_compression response_format user safety_identifier "
    "complexity frame_count frame_duration_ms svg".split()
)
EDIT_FIELDS = (IMAGE_FIELDS | {"input_fidelity"}) - {"style", "svg", "complexity"}
SPEECH_FIELDS = frozenset("model input voice instructions response_format speed".split())
TRANSCRIPTION_FIELDS = frozenset(
    "model chunking_strategy include[] keywords[] known_speaker_names[] known_speaker_references[] language languages[] prompt "
    "response_format temperature timestamp_granularities[] stream".split()
)
VOICES = frozenset("alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split())
FORMS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
TOKENS_OF_AN_IMAGE = 272
SIZES = {"dall-e-2": ("256x256", "512x512", "1024x1024"), "dall-e-3": ("1024x1024", "1792x1024", "1024x1792")}


class Media:
    """Raises Refusal, which the surface writes."""

    def __init__(self, world: World, vendor: str) -> None:
        self.world = world
        self.shelf = Shelf()
        self._vendor = vendor

    def read(self, request: Request, path: str) -> tuple[Json, Mapping[str, tuple[str, bytes]]]:
        """(fields, files) of a request to `path`, as in images/edits."""
        if path in ("images/edits", "audio/transcriptions"):
            found = read_form(request)
            if found is None:
                raise bad("We could not parse your multipart form.")
            return dict(found[0]), found[1]
        body = read_body(request)
        if body is None:
            raise bad("We could not parse the JSON body of your request.")
        return body, {}

    def answer(self, request: Request, path: str, account: str, model: Model, body: Json, files: Mapping[str, tuple[str, bytes]]) -> Reply:
        kind = {"images/generations": "image", "images/edits": "image", "audio/speech": "speech"}.get(path, "transcription")
        if model.kind != kind:
            raise bad(f"The model `{model.id}` cannot be used for this endpoint.", "model", "unsupported_model")
        match kind:
            case "image":
                return self._images(request, account, model, body, files, edit=path == "images/edits")
            case "speech":
                return self._speech(account, model, body)
        return self._transcription(account, model, body, files)

    def _images(
        self, request: Request, account: str, model: Model, body: Json, files: Mapping[str, tuple[str, bytes]], *, edit: bool
    ) -> Reply:
        for name in body.keys() - (EDIT_FIELDS if edit else IMAGE_FIELDS):
            raise bad(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        prompt, number, older = body.get("prompt"), int(body.get("n", 1)), model.id.startswith("dall-e")
        if not isinstance(prompt, str) or not prompt:
            raise bad("You must provide a prompt.", "prompt", "missing_required_parameter")
        if UNSAFE_INPUT in prompt:
            raise bad("Your request was rejected by the safety system.", code="moderation_blocked")
        if edit and (not any(name in ("image", "image[]") for name in files) or not all(png_size(one) for _, one in files.values())):
            raise bad("Invalid image file.", "image", "invalid_image_file")
        if not older and "response_format" in body:
            raise bad("Unknown parameter: 'response_format'.", "response_format", "unknown_parameter")
        size = body.get("size", "1024x1024")
        found = (1024, 1024) if size == "auto" and not older else edges(size, "x")
        if found is None or (older and size not in SIZES[model.id]) or max(found) > 3840:
            raise bad(f"Invalid value: '{size}'.", "size", "invalid_value")
        made = [png(f"{prompt} {one}", *found) for one in range(number)]
        told: Json = {"created": int(self.world.now())}
        if older and body.get("response_format", "url") == "url":
            self.world.charge_units(self._vendor, account, model.id, images=number)
            return json_reply(200, {**told, "data": [{"url": self.shelf.put(request, one, "image/png")} for one in made]})
        told["data"] = [{"b64_json": b64encode(one).decode()} for one in made]
        if older:
            self.world.charge_units(self._vendor, account, model.id, images=number)
            return json_reply(200, told)
        words, pictures, out = count(prompt), TOKENS_OF_AN_IMAGE * len(files), TOKENS_OF_AN_IMAGE * number
        self.world.charge(self._vendor, account, model.id, End("stop", words + pictures, out))
        usage = {
            "input_tokens": words + pictures,
            "output_tokens": out,
            "total_tokens": words + pictures + out,
            "input_tokens_details": {"text_tokens": words, "image_tokens": pictures},
        }
        told |= {"background": "opaque", "output_format": "png", "quality": "high", "size": f"{found[0]}x{found[1]}"}
        return json_reply(200, {**told, "usage": usage})

    def _speech(self, account: str, model: Model, body: Json) -> Reply:
        for name in body.keys() - SPEECH_FIELDS:
            raise bad(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        text, voice, form = body.get("input"), body.get("voice"), body.get("response_format", "mp3")
        if not isinstance(text, str) or not 0 < len(text) <= 4096:
            raise bad("Invalid 'input'.", "input", "string_above_max_length")
        if not isinstance(voice, dict) and voice not in VOICES:
            raise bad(f"Invalid value: '{voice}'.", "voice", "invalid_value")
        if form not in FORMS or not 0.25 <= body.get("speed", 1) <= 4:
            raise bad("Invalid value.", "response_format", "invalid_value")
        if model.id.startswith("tts-1") and "instructions" in body:
            raise bad("Unsupported parameter: 'instructions'.", "instructions", "unsupported_parameter")
        self.world.charge_units(self._vendor, account, model.id, characters=len(text))
        return Reply(200, spoken(text, form, body.get("speed", 1)), {"content-type": f"audio/{form}"})

    def _transcription(self, account: str, model: Model, body: Json, files: Mapping[str, tuple[str, bytes]]) -> Reply:
        for name in body.keys() - TRANSCRIPTION_FIELDS:
            raise bad(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        said = heard(files["file"][1]) if "file" in files else None
        if said is None:
            raise bad("Audio file might be corrupted or unsupported", "file", "invalid_value")
        form, whisper = body.get("response_format", "json"), model.id.startswith("whisper")
        if form != "json" and not (whisper and form == "verbose_json") and not ("diarize" in model.id and form == "diarized_json"):
            raise bad(f"response_format '{form}' is not compatible with model '{model.id}'.", "response_format", "unsupported_value")
        seconds = ceil(said.seconds)
        usage: Any = {"type": "duration", "seconds": seconds}
        if whisper:
            self.world.charge_units(self._vendor, account, model.id, seconds=seconds)
        else:
            end = End("stop", 10 * seconds, count(said.text))
            self.world.charge(self._vendor, account, model.id, end)
            usage = {"type": "tokens", "input_tokens": end.prompt, "output_tokens": end.completion, "total_tokens": end.total}
        if body.get("stream") == "true" and not whisper:
            return sse_reply(self._events(said.text, usage))
        if form == "verbose_json":
            half = len(said.text) // 2
            segments = [
                {"id": number, "start": start, "end": end, "text": text, "seek": 0, "tokens": [], "temperature": 0.0, "avg_logprob": -0.1,
                 "compression_ratio": 1.0, "no_speech_prob": 0.0}
                for number, (start, end, text) in enumerate(
                    ((0.0, said.seconds / 2, said.text[:half]), (said.seconds / 2, said.seconds, said.text[half:]))
                )
            ]  # fmt: skip
            head = {"task": "transcribe", "language": body.get("language", "english"), "duration": said.seconds, "text": said.text}
            return json_reply(200, {**head, "segments": segments, "usage": usage})
        return json_reply(200, {"text": said.text, "usage": usage})

    async def _events(self, text: str, usage: Json) -> AsyncIterator[bytes]:
        for at in range(0, len(text), 5):
            yield data({"type": "transcript.text.delta", "delta": text[at : at + 5]})
        yield data({"type": "transcript.text.done", "text": text, "usage": usage})
        yield b"data: [DONE]\n\n"
