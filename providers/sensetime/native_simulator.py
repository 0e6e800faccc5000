"""SenseNova's own API: chat, embeddings and the list of models. The other endpoints of the SDK are not simulated."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Json, Model, encode
from providers.sensetime.simulator_ask import json_object, switch, understood
from providers.sensetime.simulator_checks import (
    Check,
    Refusal,
    above,
    anything,
    bad,
    check_fields,
    decimals,
    flag,
    inside,
    named,
    no_path,
    one_of,
    read,
    served,
    served_names,
    some_of,
    text,
    texts,
    thing,
    tokens,
    tools,
    whole,
)
from providers.simulation import (
    Ask,
    Call,
    End,
    Piece,
    Reply,
    Request,
    Text,
    Thought,
    World,
    count,
    json_reply,
    openai_calls,
    sse_reply,
    vector,
)
from providers.simulation import whole as whole_answer

UNSAFE = "the output contains sensitive content"

plugins = some_of(
    associated_knowledge=some_of(content=text, mode=one_of("concatenate", "override")),
    web_search=some_of(search_enable=flag, result_enable=flag),
)
FIELDS: Mapping[str, Check] = {
    "model": text,
    "messages": anything,
    "max_new_tokens": whole(1, 1 << 31),
    "n": whole(1, 4),
    "temperature": decimals(6, above(0, 2)),
    "top_p": inside(0, 1),
    "repetition_penalty": above(0, 2),
    "stream": flag,
    "user": text,
    "know_ids": texts,
    "knowledge_config": thing,
    "plugins": plugins,
    "tools": tools,
    "tool_choice": thing,
    "thinking": switch,
    "response_format": json_object,
}


class Turn(Struct, frozen=True):
    """A chat request on its way to its answers."""

    account: str
    model: Model
    id: str
    asks: tuple[Ask, ...]
    """One for each answer wanted."""
    knowledge: int
    plugins: Json
    unsafe: bool


class Native:
    def __init__(self, world: World) -> None:
        self.world = world

    def refuse(self, refusal: Refusal) -> Reply:
        return json_reply(refusal.status, {"error": {"code": refusal.code, "message": refusal.message, "details": []}})

    async def answer(self, account: str, request: Request, path: str, reply_id: str) -> Reply:
        match request.method, path:
            case "POST", "/chat-completions":
                return await self.chat(account, read(request), reply_id)
            case "POST", "/embeddings":
                return self.embeddings(account, read(request))
            case "GET", "/models":
                return json_reply(200, {"data": [{"id": name} for name in served_names(self.world, "native")]})
        raise no_path()

    # ---- chat ----

    async def chat(self, account: str, body: Json, reply_id: str) -> Reply:
        model = served(self.world, body, "native", "chat")
        check_fields(body, FIELDS)
        asked = understood(body, model, most=body.get("max_new_tokens"), choice=chosen(body))
        asks = tuple(replace(asked.ask, index=index) for index in range(body.get("n", 1)))
        turn = Turn(account, model, reply_id, asks, knowledge(body), found(body.get("plugins", {}).get("web_search", {})), asked.unsafe)
        return sse_reply(self.frames(turn)) if body.get("stream") else await self.plain(turn)

    async def plain(self, turn: Turn) -> Reply:
        answers = [await whole_answer(self.world.brain, ask) for ask in turn.asks]
        if turn.unsafe:
            raise Refusal(400, 18, UNSAFE)
        choices: list[Json] = []
        for index, answer in enumerate(answers):
            choice: Json = {"index": index, "role": "assistant", "message": answer.text, "finish_reason": answer.end.reason}
            if answer.calls:
                choice["tool_calls"] = [{"index": at, **call} for at, call in enumerate(openai_calls(answer.calls))]
            if answer.thought:
                choice["reasoning_content"] = answer.thought
            choices.append(choice)
        prompt, completion = answers[0].end.prompt, sum(answer.end.completion for answer in answers)
        self.charge(turn, prompt, completion)
        head = {"id": turn.id, "created": int(self.world.now()), "model": turn.model.id}
        told = {**head, "choices": choices, "usage": usage(prompt, turn.knowledge, completion), **turn.plugins}
        return json_reply(200, {"data": told})

    async def frames(self, turn: Turn) -> AsyncIterator[bytes]:
        """One answer after the other. The usage grows with each event: before an answer's end it is a guess by the words so far."""
        prompt, spent = tokens(turn.asks[0].messages), 0
        for index, ask in enumerate(turn.asks):
            calls = running = 0
            more: Json = {}
            async for piece in self.world.brain.answer(ask):
                choice: Json = {"index": index, "role": "assistant", "delta": "", "finish_reason": ""}
                running += length(piece)
                match piece:
                    case Thought():
                        choice["reasoning_content"] = piece.text
                    case Text():
                        choice["delta"] = piece.text
                    case Call():
                        choice["tool_calls"] = [{"index": calls, **openai_calls([piece])[0]}]
                        calls += 1
                    case End():
                        if turn.unsafe:
                            yield frame({"status": {"code": 18, "message": UNSAFE}})
                            return
                        choice["finish_reason"] = piece.reason
                        prompt, spent, running, more = piece.prompt, spent + piece.completion, 0, turn.plugins
                        if index == len(turn.asks) - 1:
                            self.charge(turn, prompt, spent)
                told = {"id": turn.id, "choices": [choice], "usage": usage(prompt, turn.knowledge, spent + running), **more}
                yield frame({"status": {"code": 0, "message": "ok"}, "data": told})
        yield b"data:[DONE]\n\n"

    def charge(self, turn: Turn, prompt: int, completion: int) -> None:
        """As the usage tells it: nothing is said of caches or of reasoning."""
        self.world.charge("sensetime", turn.account, turn.model.id, End("stop", prompt + turn.knowledge, completion))

    # ---- embeddings ----

    def embeddings(self, account: str, body: Json) -> Reply:
        model = served(self.world, body, "native", "embedding")
        check_fields(body, {"model": text, "input": texts})
        given: list[str] = body.get("input", [])
        if not given or not all(given) or (model.batch and len(given) > model.batch):
            raise bad(f"input must be a list of 1 to {model.batch} strings")
        if model.context and any(count(item) > model.context for item in given):
            raise Refusal(400, 17, f"an input has more than {model.context} tokens")
        spent = sum(map(count, given))
        self.world.charge("sensetime", account, model.id, End("stop", spent, 0))
        vectors = [{"index": at, "embedding": vector(item, model.dimensions), "status_code": 0} for at, item in enumerate(given)]
        return json_reply(200, {"embeddings": vectors, "usage": {"prompt_tokens": spent, "total_tokens": spent}})


def knowledge(body: Json) -> int:
    """Tokens of what the request brings along for the model to know; they are counted apart from the prompt."""
    return count(body.get("plugins", {}).get("associated_knowledge", {}).get("content", ""))


def chosen(body: Json) -> str:
    """An object in either of two forms."""
    value: Json = body.get("tool_choice", {"mode": "auto"})
    if value in ({"mode": "auto"}, {"mode": "none"}):
        return str(value["mode"])
    if wanted := named(value, body):
        return wanted
    raise bad("invalid value of tool_choice")


def found(search: Json) -> Json:
    """What the search plugin adds to an answer."""
    if not search.get("search_enable"):
        return {}
    told: Json = {"online_search_count": 1}
    if search.get("result_enable"):
        told["results"] = [{"index": 1, "url": "https://example.cn/", "url_source": "example.cn", "title": "Example", "icon": ""}]
    return {"plugins": {"web_search": told}}


def usage(prompt: int, knowledge: int, completion: int) -> Json:
    total = prompt + knowledge + completion
    return {"prompt_tokens": prompt, "knowledge_tokens": knowledge, "completion_tokens": completion, "total_tokens": total}


def length(piece: Piece) -> int:
    match piece:
        case Thought() | Text():
            return count(piece.text)
        case Call():
            return count(piece.name) + count(piece.arguments)
    return 0


def frame(event: Any) -> bytes:
    """Without the usual space."""
    return b"data:" + encode(event) + b"\n\n"
