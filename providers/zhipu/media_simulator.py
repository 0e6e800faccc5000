"""Zhipu's side of images, speech and transcriptions. See simulator.py."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from math import ceil
from typing import Any

from msgspec import Struct

from providers.base import Json, Model
from providers.form_simulation import read_form
from providers.media_simulation import Shelf, edges, heard, png, samples, spoken
from providers.simulation import UNSAFE_INPUT, Reply, Request, World, data, json_reply, sse_reply

Bad = Callable[..., Exception]
"""(message, code) → what Zhipu answers instead."""
IMAGE_FIELDS = frozenset({"model", "prompt", "size", "quality", "watermark_enabled", "request_id", "user_id"})
SPEECH_FIELDS = frozenset(
    "model input voice response_format speed volume stream encode_format watermark_enabled request_id user_id".split()
)
TRANSCRIPTION_FIELDS = frozenset({"model", "file_base64", "prompt", "hotwords", "hotwords[]", "stream", "request_id", "user_id"})
SIZES = {
    "glm-image": ("1280x1280", "1568x1056", "1056x1568", "1472x1088", "1088x1472", "1728x960", "960x1728"),
    "cogview": ("1024x1024", "768x1344", "864x1152", "1344x768", "1152x864", "1440x720", "720x1440"),
}
VOICES = ("tongtong", "chuichui", "xiaochen", "jam", "kazi", "douji", "luodo")
LONGEST_SOUND, LARGEST_SOUND = 30.0, 25 << 20
LONGEST_INPUT = 1024
PIECE = 9600
"""Bytes of pcm in one event: a fifth of a second."""


class Task(Struct):
    account: str
    model: str
    looks: int
    """How often it is still under way when it is looked at."""
    size: tuple[int, int]
    prompt: str
    url: str = ""


class Media:
    def __init__(
        self,
        world: World,
        bad: Bad,
        model: Callable[[Json, str], Model],
        body: Callable[[Request], Json],
        reply_id: Callable[[Json], str],
    ) -> None:
        self.world = world
        self.shelf = Shelf()
        self._bad, self._model, self._body, self._reply_id = bad, model, body, reply_id
        self._tasks: dict[str, Task] = {}

    def answer(self, request: Request, account: str, path: str) -> Reply | None:
        """None for an address that is not of these."""
        match request.method, path:
            case "POST", "/images/generations" | "/async/images/generations":
                body = self._body(request)
                model = self._model(body, "image")
                return self.image(request, account, model, body, self._reply_id(body), later=path.startswith("/async"))
            case "GET", one if one.startswith("/async-result/"):
                return self.result(request, account, one.removeprefix("/async-result/"))
            case "POST", "/audio/speech":
                body = self._body(request)
                return self.speech(account, self._model(body, "speech"), body, self._reply_id(body))
            case "POST", "/audio/transcriptions":
                return self.transcription(request, account)
        return None

    # ---- images ----

    def image(self, request: Request, account: str, model: Model, body: Json, reply_id: str, *, later: bool) -> Reply:
        """POST /images/generations, and /async/images/generations where `later`"""
        wide, high = self._checked(model, body, later=later)
        if not later:
            url = self.shelf.put(request, png(body["prompt"], wide, high), "image/png")
            self.world.charge_units("zhipu", account, model.id, images=1)
            told = {"created": int(self.world.now()), "data": [{"url": url}], "content_filter": [{"role": "assistant", "level": 3}]}
            return json_reply(200, told)
        self._tasks[reply_id] = Task(account, model.id, 1, (wide, high), body["prompt"])
        return json_reply(200, {"id": reply_id, "request_id": reply_id, "model": model.id, "task_status": "PROCESSING"})

    def _checked(self, model: Model, body: Json, *, later: bool) -> tuple[int, int]:
        for field in body.keys() - IMAGE_FIELDS:
            raise self._bad(f"{field}: 不支持的参数")
        prompt, family = body.get("prompt"), "glm-image" if model.id.startswith("glm-image") else "cogview"
        if not isinstance(prompt, str) or not prompt:
            raise self._bad("prompt: 该参数不能为空", "1213")
        if UNSAFE_INPUT in prompt:
            raise self._bad("系统检测到输入或生成内容可能包含不安全或敏感内容", "1301")
        if later and family != "glm-image":
            raise self._bad("当前模型不支持异步调用", "1212")
        if body.get("quality", "hd") not in (("hd",) if family == "glm-image" else ("hd", "standard")):
            raise self._bad("quality: 参数非法", "1214")
        wanted = body.get("size", SIZES[family][0])
        found = edges(wanted, "x")
        least, step, pixels = (1024, 32, 2**22) if family == "glm-image" else (512, 16, 2**21)
        if found is None or (wanted not in SIZES[family] and not self._custom(found, least, step, pixels)):
            raise self._bad("size: 参数非法", "1214")
        return found

    @staticmethod
    def _custom(found: tuple[int, int], least: int, step: int, pixels: int) -> bool:
        return all(least <= edge <= 2048 and not edge % step for edge in found) and found[0] * found[1] <= pixels

    def result(self, request: Request, account: str, task_id: str) -> Reply:
        """GET /async-result/{id}"""
        task = self._tasks.get(task_id)
        if task is None or task.account != account:
            raise self._bad("任务不存在", "1210")
        told: Json = {"id": task_id, "request_id": task_id, "model": task.model}
        if task.looks:
            task.looks -= 1
            return json_reply(200, {**told, "task_status": "PROCESSING"})
        if not task.url:
            task.url = self.shelf.put(request, png(task.prompt, *task.size), "image/png")
            self.world.charge_units("zhipu", account, task.model, images=1)
        return json_reply(200, {**told, "task_status": "SUCCESS", "image_result": [{"url": task.url}]})

    # ---- sound ----

    def speech(self, account: str, model: Model, body: Json, reply_id: str) -> Reply:
        """POST /audio/speech"""
        for field in body.keys() - SPEECH_FIELDS:
            raise self._bad(f"{field}: 不支持的参数")
        text, form, speed = body.get("input"), body.get("response_format", "pcm"), body.get("speed", 1.0)
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_INPUT:
            raise self._bad("input: 文本长度应为 1 到 1024", "1214")
        if body.get("voice", "tongtong") not in VOICES:
            raise self._bad("voice: 参数非法", "1214")
        if form not in ("wav", "pcm") or body.get("encode_format", "base64") not in ("base64", "hex"):
            raise self._bad("response_format: 参数非法", "1214")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.5 <= speed <= 2:
            raise self._bad("speed: 参数非法", "1214")
        if UNSAFE_INPUT in text:
            raise self._bad("系统检测到输入或生成内容可能包含不安全或敏感内容", "1301")
        if body.get("stream") and form != "pcm":
            raise self._bad("response_format: 流式仅支持 pcm", "1214")
        self.world.charge_units("zhipu", account, model.id, characters=len(text))
        if body.get("stream"):
            return sse_reply(self._frames(text, speed, body.get("encode_format", "base64"), reply_id))
        return Reply(200, spoken(text, form, speed), {"content-type": f"audio/{form}"})

    async def _frames(self, text: str, speed: float, encoding: str, reply_id: str) -> AsyncIterator[bytes]:
        sound, head = samples(text, speed), {"id": reply_id, "request_id": reply_id, "created": int(self.world.now())}
        for at in range(0, len(sound), PIECE):
            piece = sound[at : at + PIECE]
            content = piece.hex() if encoding == "hex" else b64encode(piece).decode()
            choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": None}
            yield data({**head, "choices": [choice]})
        yield data({**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]})
        yield b"data: [DONE]\n\n"

    def transcription(self, request: Request, account: str) -> Reply:
        """POST /audio/transcriptions, a form."""
        found = read_form(request)
        if found is None:
            raise self._bad("请求体不是合法的表单")
        fields, files = found
        model, reply_id = self._model(dict(fields), "transcription"), self._reply_id(dict(fields))
        for field in fields.keys() - TRANSCRIPTION_FIELDS:
            raise self._bad(f"{field}: 不支持的参数")
        if files.keys() != {"file"}:
            raise self._bad("file: 该参数不能为空", "1213")
        name, sound = files["file"]
        said = heard(sound)
        if not name.lower().endswith((".wav", ".mp3")) or said is None or len(sound) > LARGEST_SOUND:
            raise self._bad("file: 仅支持 wav、mp3", "1214")
        if said.seconds > LONGEST_SOUND:
            raise self._bad("file: 音频时长不超过 30 秒", "1214")
        self.world.charge_units("zhipu", account, model.id, seconds=ceil(said.seconds))
        head: dict[str, Any] = {"id": reply_id, "created": int(self.world.now()), "request_id": reply_id, "model": model.id}
        if fields.get("stream") == "true":
            return sse_reply(self._events(said.text, head))
        return json_reply(200, {**head, "text": said.text})

    async def _events(self, text: str, head: Json) -> AsyncIterator[bytes]:
        for at in range(0, len(text), 4):
            yield data({**head, "type": "transcript.text.delta", "delta": text[at : at + 4]})
        yield data({**head, "type": "transcript.text.done", "text": text})
        yield b"data: [DONE]\n\n"
