"""SenseNova's compatible mode: OpenAI's shapes, the native API's models, content parts and errors."""

from collections.abc import Mapping

from providers.base import Json
from providers.sensetime.simulator_answers import Bill, Style, frames, spoken, together
from providers.sensetime.simulator_ask import json_object, switch, understood
from providers.sensetime.simulator_checks import (
    Check,
    Refusal,
    above,
    anything,
    check_fields,
    equals,
    flag,
    inside,
    no_path,
    read,
    served,
    some_of,
    text,
    tools,
    whole,
)
from providers.simulation import End, Reply, Request, World, json_reply, sse_reply
from providers.simulation import whole as whole_answer

FIELDS: Mapping[str, Check] = {
    "model": text,
    "messages": anything,
    "max_new_tokens": whole(1, 1 << 31),
    "max_tokens": whole(1, 1 << 31),
    "temperature": above(0, 2),
    "top_p": inside(0, 1),
    "frequency_penalty": above(0, 2),
    "stream": flag,
    "stream_options": some_of(include_usage=flag),
    "tools": tools,
    "tool_choice": equals("auto"),
    "thinking": switch,
    "response_format": json_object,
}


class Compatible:
    def __init__(self, world: World, *, reasoning: str) -> None:
        self.world = world
        self.style = Style(reasoning, unfinished=None, no_calls=False)

    def refuse(self, refusal: Refusal) -> Reply:
        return json_reply(refusal.status, envelope(refusal))

    async def answer(self, account: str, request: Request, path: str, reply_id: str) -> Reply:
        """There is no list of models here: the native API has it."""
        if (request.method, path) != ("POST", "/chat/completions"):
            raise no_path()
        body = read(request)
        model = served(self.world, body, "compatible", "chat")
        check_fields(body, FIELDS)
        asked = understood(body, model, most=body.get("max_new_tokens", body.get("max_tokens")), choice="auto")
        head: Json = {"id": reply_id, "object": "chat.completion", "created": int(self.world.now()), "model": model.id}

        def charge(end: End) -> Json:
            self.world.charge("sensetime", account, model.id, End(end.reason, end.prompt, end.completion))
            return {"prompt_tokens": end.prompt, "completion_tokens": end.completion, "total_tokens": end.total}

        if body.get("stream"):
            head["object"] = "chat.completion.chunk"
            bill = Bill(charge, bool(body.get("stream_options", {}).get("include_usage")))
            error = envelope(unsafe()) if asked.unsafe else None
            return sse_reply(frames(self.world.brain, [asked.ask], head, self.style, bill, error=error))
        answer = await whole_answer(self.world.brain, asked.ask)
        if asked.unsafe:
            raise unsafe()
        return json_reply(200, {**head, "choices": spoken([answer], self.style), "usage": charge(together([answer.end]))})


def unsafe() -> Refusal:
    return Refusal(400, 18, "the output contains sensitive content")


def envelope(refusal: Refusal) -> Json:
    return {"error": {"code": refusal.code, "message": refusal.message, "details": []}}
