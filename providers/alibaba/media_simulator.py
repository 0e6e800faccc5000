"""Model Studio's side of images, speech and transcriptions, and of tasks. See simulator.py."""

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import AsyncIterator, Callable
from math import ceil
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from providers.alibaba.simulator_checks import Refusal, bad, unsafe
from providers.base import Json, Model, encode
from providers.media_simulation import Shelf, characters, edges, heard, png, samples, spoken
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT, Reply, Request, World, json_reply

SERVICES, TASKS = "/api/v1/services/", "/api/v1/tasks/"
PATHS = {
    "aigc/text2image/image-synthesis": "text2image", "aigc/image2image/image-synthesis": "image2image",
    "aigc/multimodal-generation/generation": "multimodal-generation", "audio/tts/SpeechSynthesizer": "SpeechSynthesizer",
}  # fmt: skip
IMAGE_PARAMETERS = frozenset({"size", "n", "negative_prompt", "prompt_extend", "watermark", "seed", "style"})
SPEECH_INPUT = frozenset("text voice format sample_rate rate volume pitch seed instruction language_type".split())
COSY_VOICES = ("longanyang", "longanhuan")
QWEN_VOICES = tuple("Cherry Serena Ethan Chelsie Momo Vivian Moon Maia Kai Nofish Bella Jennifer Ryan Katerina".split())
QWEN_SIZES = ("1328*1328", "1664*928", "928*1664", "1472*1140", "1140*1472")
LARGEST_SOUND = 10 << 20
LIFE = 86_400.0
PIECE = 9600


class Task(Struct):
    account: str
    model: str
    images: list[str]
    unsafe: bool
    began: float
    status: str = "PENDING"

    def look(self) -> None:
        self.status = {"PENDING": "RUNNING", "RUNNING": "FAILED" if self.unsafe else "SUCCEEDED"}.get(self.status, self.status)


class Media:
    def __init__(self, world: World) -> None:
        self.world = world
        self.shelf = Shelf()
        self._tasks: dict[str, Task] = {}

    def answer(self, account: str, request: Request, body: Callable[[Request], Json], request_id: str) -> Reply | None:
        """None for what is not asked of these."""
        if request.path.startswith(TASKS):
            return self.tasks(account, request, request_id)
        segment = PATHS.get(request.path.removeprefix(SERVICES))
        if request.method != "POST" or segment is None:
            return None
        asked = body(request)
        model = self.world.models.get(asked["model"]) if isinstance(asked.get("model"), str) else None
        if model is None or model.kind not in ("image", "speech", "transcription"):
            if segment == "multimodal-generation":
                return None  # a chat's
            raise bad("Model not exist.")
        if segment != model.endpoint:
            raise bad("url error, please check url!")
        given, parameters = asked.get("input"), asked.get("parameters", {})
        if asked.keys() - {"model", "input", "parameters"} or not isinstance(given, dict) or not isinstance(parameters, dict):
            raise bad("The request body has model, input and parameters.")
        later = request.headers.get("x-dashscope-async") == "enable"
        if later != (segment in ("text2image", "image2image")):
            kind = "synchronous" if not later else "asynchronous"
            raise Refusal(403, "AccessDenied", "access_denied", f"current user api does not support {kind} calls.")
        match model.kind:
            case "image":
                return self.image(request, account, model, given, parameters, request_id, later=later)
            case "speech":
                return self.speech(request, account, model, given, parameters, request_id)
        return self.transcription(account, model, given, parameters, request_id)

    # ---- images ----

    def image(self, request: Request, account: str, model: Model, given: Json, parameters: Json, request_id: str, *, later: bool) -> Reply:
        for name in parameters.keys() - IMAGE_PARAMETERS:
            raise bad(f"Unknown parameter: parameters.{name}")
        prompt, pictures = self._asked(model, given, later=later)
        if UNSAFE_INPUT in prompt:
            raise unsafe()
        if ("edit" in model.id or "i2i" in model.id) != bool(pictures):
            raise bad("url error, image is missing" if not pictures else "the model takes no images")
        if len(pictures) > 3 or not all(isinstance(one, str) and one.startswith(("data:image/", "https://")) for one in pictures):
            raise bad("images: at most 3 addresses or data URLs")
        count, most = parameters.get("n", 4), 4 if model.id.startswith("wan") else 1
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
            raise bad(f"num_images_per_prompt must be 1 to {most}")
        wide, high = self._size(model, parameters.get("size"))
        urls = [self.shelf.put(request, png(f"{prompt} {number}", wide, high), "image/png") for number in range(count)]
        if later:
            task_id = str(uuid5(NAMESPACE_URL, f"task {request_id}"))
            self._tasks[task_id] = Task(account, model.id, urls, UNSAFE_OUTPUT in prompt, self.world.now())
            return json_reply(200, {"output": {"task_id": task_id, "task_status": "PENDING"}, "request_id": request_id})
        if UNSAFE_OUTPUT in prompt:
            raise unsafe()
        self.world.charge_units("alibaba", account, model.id, images=count)
        choices = [{"finish_reason": "stop", "message": {"role": "assistant", "content": [{"image": url} for url in urls]}}]
        usage = {"image_count": count, "width": wide, "height": high}
        return json_reply(200, {"output": {"choices": choices}, "usage": usage, "request_id": request_id})

    @staticmethod
    def _asked(model: Model, given: Json, *, later: bool) -> tuple[str, list[Any]]:
        """(the prompt, the images)"""
        if later:
            pictures = given.get("images", [])
            prompt, known = given.get("prompt"), {"prompt", "negative_prompt", "images"}
            if given.keys() - known or not isinstance(prompt, str) or not prompt or not isinstance(pictures, list):
                raise bad("input must contain prompt")
            return prompt, pictures
        turns = given.get("messages")
        if given.keys() != {"messages"} or not isinstance(turns, list) or len(turns) != 1 or turns[0].get("role") != "user":
            raise bad("input must contain one message of the user")
        parts = turns[0].get("content")
        if not isinstance(parts, list) or not all(isinstance(part, dict) and len(part) == 1 for part in parts):
            raise bad("content must be a list of parts")
        texts = [part["text"] for part in parts if "text" in part]
        if len(texts) != 1 or not texts[0]:
            raise bad("content must have exactly one text")
        return texts[0], [part["image"] for part in parts if "image" in part]

    @staticmethod
    def _size(model: Model, wanted: Any) -> tuple[int, int]:
        if wanted is None:
            return 1024, 1024
        found = edges(wanted, "*")
        wan, newer = model.id.startswith("wan"), model.id.startswith(("qwen-image-2", "qwen-image-3"))
        low, high = (512, 1440) if wan else (512, 2048)
        if found is None or (not (wan or newer) and wanted not in QWEN_SIZES) or not all(low <= edge <= high for edge in found):
            raise bad("The size is not match the allowed size")
        return found

    def tasks(self, account: str, request: Request, request_id: str) -> Reply:
        task_id, _, act = request.path.removeprefix(TASKS).partition("/")
        task = self._tasks.get(task_id)
        if task is None or task.account != account or task.began + LIFE < self.world.now():
            return json_reply(200, {"request_id": request_id, "output": {"task_id": task_id, "task_status": "UNKNOWN"}})
        if (request.method, act) == ("POST", "cancel"):
            if task.status != "PENDING":
                raise Refusal(400, "UnsupportedOperation", "unsupported_operation", "Failed to cancel the task, it is not pending.")
            task.status = "CANCELED"
            return json_reply(200, {"request_id": request_id})
        if (request.method, act) != ("GET", ""):
            raise Refusal(404, "NotFound", "NotFound", "no such operation")
        before = task.status
        task.look()
        output: Json = {"task_id": task_id, "task_status": task.status, "submit_time": "2026-11-23 10:00:01.120"}
        told: Json = {"request_id": request_id, "output": output}
        if task.status == "FAILED":
            output |= {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content."}
        elif task.status == "SUCCEEDED":
            if before != "SUCCEEDED":
                self.world.charge_units("alibaba", account, task.model, images=len(task.images))
            output["results"] = [{"url": url, "orig_prompt": "", "actual_prompt": "as it was asked"} for url in task.images]
            output["task_metrics"] = {"TOTAL": len(task.images), "SUCCEEDED": len(task.images), "FAILED": 0}
            told["usage"] = {"image_count": len(task.images)}
        return json_reply(200, told)

    # ---- sound ----

    def speech(self, request: Request, account: str, model: Model, given: Json, parameters: Json, request_id: str) -> Reply:
        cosy = model.endpoint == "SpeechSynthesizer"
        known = SPEECH_INPUT - {"language_type"} if cosy else frozenset({"text", "voice", "language_type"})
        for name in (given.keys() - known) | parameters.keys():
            raise bad(f"Unknown parameter: {name}")
        text, form, rate = given.get("text"), given.get("format", "mp3" if cosy else "wav"), given.get("rate", 1.0)
        if not isinstance(text, str) or not text or (not cosy and len(text) > 600):
            raise bad("Range of input length should be [1, 600]")
        if given.get("voice") not in (COSY_VOICES if cosy else QWEN_VOICES):
            raise bad("voice is not supported")
        if form not in ("mp3", "wav", "pcm", "opus") or isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.5 <= rate <= 2:
            raise bad("format or rate is not supported")
        if UNSAFE_INPUT in text:
            raise unsafe()
        count = characters(text)
        self.world.charge_units("alibaba", account, model.id, characters=count)
        url = self.shelf.put(request, spoken(text, form, rate), f"audio/{form}")
        audio: Json = {"url": url, "data": "", "id": f"audio_{request_id}", "expires_at": int(self.world.now() + LIFE)}
        whole = {"output": {"finish_reason": "stop", "audio": audio}, "usage": {"characters": count}, "request_id": request_id}
        if request.headers.get("x-dashscope-sse") != "enable":
            return json_reply(200, whole)
        if form not in ("pcm", "wav"):
            raise bad("format is not supported in streams")
        return Reply(200, self._frames(samples(text, rate), whole), {"content-type": "text/event-stream;charset=UTF-8"})

    async def _frames(self, sound: bytes, whole: Json) -> AsyncIterator[bytes]:
        for number, at in enumerate(range(0, len(sound), PIECE), 1):
            audio = {"data": b64encode(sound[at : at + PIECE]).decode(), "id": whole["output"]["audio"]["id"]}
            event = {**whole, "output": {"finish_reason": "null", "type": "sentence-synthesis", "audio": audio}}
            yield b"id:%d\nevent:result\n:HTTP_STATUS/200\ndata:%s\n\n" % (number, encode(event))
        yield b"id:0\nevent:result\n:HTTP_STATUS/200\ndata:" + encode(whole) + b"\n\n"

    def transcription(self, account: str, model: Model, given: Json, parameters: Json, request_id: str) -> Reply:
        if parameters.keys() - {"asr_options"} or parameters.get("asr_options", {}).keys() - {"language", "enable_itn"}:
            raise bad("Unknown parameter")
        turns = given.get("messages")
        if given.keys() != {"messages"} or not isinstance(turns, list) or [turn.get("role") for turn in turns] not in (
            ["user"], ["system", "user"],
        ):  # fmt: skip
            raise bad("messages: a system's context, and the user's audio")
        (part,) = turns[-1]["content"] if len(turns[-1].get("content") or ()) == 1 else ({},)
        sound = self._sound(part.get("audio"))
        said = heard(sound)
        if said is None or len(sound) > LARGEST_SOUND:
            raise Refusal(400, "InvalidParameter", "invalid_parameter_error", "The audio cannot be decoded, or is longer than 10 MB.")
        seconds = ceil(said.seconds)
        self.world.charge_units("alibaba", account, model.id, seconds=seconds)
        spoken_in = parameters.get("asr_options", {}).get("language", "zh" if characters(said.text) > len(said.text) else "en")
        notes = [{"type": "audio_info", "language": spoken_in, "emotion": "neutral"}]
        message = {"role": "assistant", "content": [{"text": said.text}], "annotations": notes}
        output = {"choices": [{"finish_reason": "stop", "message": message}]}
        return json_reply(200, {"output": output, "usage": {"seconds": seconds}, "request_id": request_id})

    @staticmethod
    def _sound(url: Any) -> bytes:
        head, mark, data = url.partition(";base64,") if isinstance(url, str) else ("", "", "")
        if not mark or not head.startswith("data:"):
            raise bad("audio: a data URL is wanted here")
        try:
            return b64decode(data, validate=True)
        except NoBase64 as exc:
            raise bad("audio: it is not base64") from exc
