"""SenseNova's token plan: OpenAI's shapes behind a list of fields. Its credit pools are simulated by a word in the key alone."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from providers.base import Json, Model
from providers.media_simulation import Shelf
from providers.sensetime.images_simulator import make
from providers.sensetime.simulator_answers import Bill, Style, frames, spoken, together
from providers.sensetime.simulator_checks import (
    Check,
    Refusal,
    address,
    anything,
    bad,
    base64_text,
    check_fields,
    check_messages,
    check_safety,
    check_tools,
    equals,
    exactly,
    flag,
    named,
    no_path,
    number,
    one_of,
    read,
    served,
    served_names,
    some_of,
    text,
    texts,
    tokens,
    tools,
    whole,
)
from providers.simulation import Ask, End, Reply, Request, World, json_reply, sse_reply, understand, understand_tools
from providers.simulation import whole as whole_answer

NOT_LISTED = "Errors in message queue response"
"""What the vendor says of any field that it does not know."""
KIMI = "kimi-k3"
LONGEST = 65536
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

FIELDS: Mapping[str, Check] = {
    "model": text,
    "messages": anything,
    "stream": flag,
    "stream_options": some_of(include_usage=flag),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "max_tokens": whole(1, 1 << 31),
    "n": whole(1, 128),
    "stop": lambda value: text(value) or texts(value),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "reasoning_effort": one_of(*EFFORTS),
    "tools": tools,
    "tool_choice": anything,
    "parallel_tool_calls": flag,
    "seed": whole(-(1 << 63), 1 << 63),
    "top_k": whole(-1, 1 << 31),
    "min_p": number(0, 1),
    "repetition_penalty": number(0, 2),
}
KIMI_FIELDS: Mapping[str, Check] = {
    **{field: check for field, check in FIELDS.items() if field != "max_tokens"},
    "max_completion_tokens": whole(1, 1 << 31),
    "temperature": lambda value: type(value) in (int, float) and value == 1,
    "top_p": lambda value: value == 0.95,
}


class TokenPlan:
    def __init__(self, world: World) -> None:
        self.world = world
        self.shelf = Shelf()

    def refuse(self, refusal: Refusal) -> Reply:
        return json_reply(refusal.status, envelope(refusal))

    async def answer(self, account: str, request: Request, path: str, reply_id: str) -> Reply:
        match request.method, path:
            case "POST", "/chat/completions":
                return await self.chat(account, read(request), reply_id)
            case "POST", "/images/generations" | "/images/edits":
                body, edit = read(request), path.endswith("edits")
                model = served(self.world, body, "token_plan", "image")
                return make(self.world, self.shelf, request, account, model, body, edit=edit)
            case "GET", "/models":
                listed = [described(self.world.models[name]) for name in served_names(self.world, "token_plan")]
                return json_reply(200, {"object": "list", "data": listed})
        raise no_path()

    async def chat(self, account: str, body: Json, reply_id: str) -> Reply:
        model = served(self.world, body, "token_plan", "chat")
        ask, unsafe = understood(body, model)
        asks = [replace(ask, index=index) for index in range(body.get("n", 1))]
        # the vendor's own models say `reasoning`, those of other makers `reasoning_content`
        style = Style("reasoning" if model.id.startswith("sensenova-") else "reasoning_content", unfinished="", no_calls=True)
        head: Json = {"id": reply_id, "object": "chat.completion", "created": int(self.world.now()), "model": model.id}

        def charge(end: End) -> Json:
            self.world.charge("sensetime", account, model.id, end)
            told = {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}
            return {**told, "prompt_tokens_details": {"cached_tokens": end.cached, "audio_tokens": 0}}

        if body.get("stream"):
            head["object"] = "chat.completion.chunk"
            bill = Bill(charge, bool(body.get("stream_options", {}).get("include_usage")))
            error = envelope(risk("output")) if unsafe else None
            return sse_reply(frames(self.world.brain, asks, head, style, bill, error=error))
        answers = [await whole_answer(self.world.brain, ask) for ask in asks]
        if unsafe:
            raise risk("output")
        usage = charge(together([answer.end for answer in answers]))
        return json_reply(200, {**head, "request_id": reply_id, "choices": spoken(answers, style), "usage": usage})


def understood(body: Json, model: Model) -> tuple[Ask, bool]:
    """(the request, whether its answer will be unsafe). Raises Refusal."""
    check_fields(body, KIMI_FIELDS if model.id == KIMI else FIELDS, unknown=NOT_LISTED)
    messages = check_messages(body.get("messages"), lambda content: check_content(content, model))
    check_tools(body, model)
    most = body.get("max_completion_tokens" if model.id == KIMI else "max_tokens")
    if (most or 0) > (model.output or LONGEST):
        raise bad(f"max_tokens must be in [1, {model.output or LONGEST}]")
    told = understand(messages)
    try:
        unsafe = check_safety(told)
    except Refusal as refusal:
        raise risk("input") from refusal
    if model.context and tokens(told) > model.context:
        raise bad(f"This model's maximum context length is {model.context} tokens")
    stop = body.get("stop", [])
    ask = Ask(
        told,
        understand_tools(body.get("tools")),
        choice=chosen(body),
        parallel=body.get("parallel_tool_calls", True),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        most=most or model.output or LONGEST,
        think=model.thinking not in ("", "none") and body.get("reasoning_effort") != "none",
        temperature=body.get("temperature"),
    )
    return ask, unsafe


text_part = exactly(type=equals("text"), text=text)
image_part = exactly(type=equals("image_url"), image_url=exactly(url=text))


def check_content(content: Any, model: Model) -> None:
    """A string, or OpenAI's parts: text, and images where the model sees."""
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not content:
        raise bad("content must be a string or a list of parts")
    for part in content:
        if text_part(part):
            continue
        if not image_part(part):
            raise bad(NOT_LISTED)
        if "image" not in model.input:
            raise bad(f"{model.id} takes no images")
        check_image(part["image_url"]["url"], model)


def check_image(url: str, model: Model) -> None:
    """Nothing is fetched here: an address stands for an image unless its host cannot exist (RFC 2606)."""
    if url.startswith("data:image/"):
        if not base64_text(url.partition(";base64,")[2]):
            raise bad("image down failed")
    elif model.id == KIMI:
        raise bad(f"{KIMI} takes images as data URLs only")
    elif not address(url) or url.split("/")[2].endswith(".invalid"):
        raise bad("image down failed")


def chosen(body: Json) -> str:
    value = body.get("tool_choice", "auto")
    if value in ("auto", "none", "required"):
        return str(value)
    if wanted := named(value, body):
        return wanted
    raise bad("invalid value of tool_choice")


def risk(where: str) -> Refusal:
    return Refusal(403, 7, f"the {where} was stopped by risk control")


def envelope(refusal: Refusal) -> Json:
    kind = TYPES.get(refusal.status, "server_error")
    return {"error": {"message": refusal.message, "type": kind, "code": str(refusal.code)}}


def described(model: Model) -> Json:
    return {
        "id": model.id,
        "name": model.id,
        "input_modalities": list(model.input),
        "output_modalities": ["text"],
        "context_length": model.context,
        "max_output_length": model.output,
        "pricing": {},
        "supported_features": ["tools"] if model.tools else [],
        "datacenters": [],
    }
