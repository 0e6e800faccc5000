"""The native surface's side of the wire: a stream says everything again unless increments are asked for. See simulator.py."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from providers.alibaba.compatible_simulator import check_texts, check_width
from providers.alibaba.simulator_answers import Budgeted, Meter, all_in_all, fragments, logprobs
from providers.alibaba.simulator_checks import PARAMETERS, Question, Refusal, bad, read_question, unsafe
from providers.base import Json, Model, encode
from providers.simulation import Answer, Call, End, Reply, Text, Thought, World, count, json_reply, openai_calls, sse_reply, vector, whole

FIELDS = PARAMETERS | {"result_format", "incremental_output", "ocr_options", "output_format"}
PART_TYPES = {"text": "text", "image": "image_url", "audio": "input_audio", "video": "video"}


def error(refusal: Refusal, request_id: str) -> Json:
    """The native surface's error body."""
    return {"code": refusal.native, "message": refusal.message, "request_id": request_id}


def frame(number: int, kind: str, status: int, body: Json) -> bytes:
    return b"id:%d\nevent:%s\n:HTTP_STATUS/%d\ndata:%s\n\n" % (number, kind.encode(), status, encode(body))


def error_stream(refusal: Refusal, request_id: str, status: int) -> Reply:
    """An error in a stream's form, under the error's status or under 200."""
    body = frame(1, "error", refusal.status, error(refusal, request_id))
    return Reply(status, body, {"content-type": "text/event-stream;charset=UTF-8"})


class Native:
    def __init__(self, world: World) -> None:
        self.world = world

    def model(self, body: Json, kind: str) -> Model:
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise Refusal(400, "BadRequest.EmptyModel", "invalid_request_error", 'Required parameter "model" missing from request.')
        model = self.world.models.get(name)
        if model is None or model.kind != kind or (model.surfaces and "native" not in model.surfaces):
            raise bad("Model not exist.")
        if not isinstance(body.get("input"), dict):
            raise Refusal(400, "BadRequest.EmptyInput", "invalid_request_error", 'Required parameter "input" missing from request.')
        if not isinstance(body.get("parameters", {}), dict) or body.keys() - {"model", "input", "parameters"}:
            raise Refusal(400, "BadRequest.IllegalInput", "invalid_request_error", "The request body has model, input and parameters.")
        return model

    # ---- chat ----

    async def chat(self, account: str, body: Json, request_id: str, *, segment: str, stream: bool) -> Reply:
        try:
            question, form = self.read(body, segment, stream)
            if stream:
                return sse_reply(self.frames(account, question, form, request_id))
            brain = Budgeted(self.world.brain, question)
            answers = [await whole(brain, ask) for ask in question.asks]
            if question.unsafe_output:
                raise unsafe()
        except Refusal as refusal:
            if not stream:
                raise
            return error_stream(refusal, request_id, 200 if refusal.message.startswith("url error") else refusal.status)
        end = all_in_all([answer.end for answer in answers])
        self.world.charge("alibaba", account, question.model.id, end)
        output = form.output([form.choice(whole_message(answer), answer.end.reason, index) for index, answer in enumerate(answers)])
        return json_reply(200, {"request_id": request_id, "output": output, "usage": usage(end)})

    def read(self, body: Json, segment: str, stream: bool) -> tuple[Question, "Form"]:
        model = self.model(body, "chat")
        if segment != (model.endpoint or "text-generation"):
            raise bad("url error, please check url!")
        params = {name: value for name, value in body.get("parameters", {}).items() if value is not None}
        for field in params.keys() - FIELDS:
            raise bad(f"Unknown parameter: parameters.{field}")
        multimodal = segment == "multimodal-generation"
        question = read_question(
            {name: value for name, value in params.items() if name in PARAMETERS},
            read_messages(body["input"], multimodal=multimodal),
            model,
            stream=stream,
        )
        increments = params.get("incremental_output", False)
        if not isinstance(increments, bool):
            raise bad("incremental_output must be a boolean")
        if stream and question.thinks and not increments:
            raise bad('The incremental_output parameter must be "true" when enable_thinking is true')
        old = not model.id.startswith("qwen3") and not question.thinks and not multimodal
        shape = params.get("result_format", "text" if old else "message")
        if shape not in ("text", "message"):
            raise bad("result_format should be text or message")
        if shape == "text" and (params.get("tools") or multimodal or question.thinks):
            raise bad('tools and thinking need result_format "message"')
        return question, Form(question, plain=shape == "text", multimodal=multimodal, increments=increments)

    async def frames(self, account: str, question: Question, form: "Form", request_id: str) -> AsyncIterator[bytes]:
        """Usage is in every event and grows; of several answers each comes in events, and with usage, of its own."""
        number = 0
        ends: list[End] = []
        prompt = sum(count(message.text) + 3 for message in question.asks[0].messages)  # told while the true figure is not known
        for index, ask in enumerate(question.asks):
            said = Said(form)
            async for piece in Budgeted(self.world.brain, question).answer(ask):
                if question.unsafe_output and (said.begun or isinstance(piece, End)):
                    yield frame(number + 1, "error", 400, error(unsafe(), request_id))
                    return
                reason = "null"
                if isinstance(piece, End):
                    reason = piece.reason
                    ends.append(piece)
                    if index + 1 == len(question.asks):
                        self.world.charge("alibaba", account, question.model.id, all_in_all(ends))
                for message in said.messages(piece):
                    number += 1
                    told = usage(piece if isinstance(piece, End) else said.so_far(prompt))
                    event = {"output": form.output([form.choice(message, reason, index)]), "usage": told, "request_id": request_id}
                    yield frame(number, "result", 200, event)

    # ---- embeddings, models ----

    def embeddings(self, account: str, body: Json, request_id: str) -> Reply:
        model = self.model(body, "embedding")
        params = body.get("parameters", {})
        for field in params.keys() - {"text_type", "dimension", "output_type", "instruct"}:
            raise bad(f"Unknown parameter: parameters.{field}")
        if body["input"].keys() - {"texts"}:
            raise bad("input has texts alone")
        texts = check_texts(body["input"].get("texts"), model)
        width = check_width(params.get("dimension"), model)
        kind = params.get("output_type", "dense")
        if params.get("text_type", "document") not in ("query", "document") or kind not in ("dense", "sparse", "dense&sparse"):
            raise bad("text_type should be query or document, output_type dense, sparse or dense&sparse")
        if not isinstance(params.get("instruct", ""), str):
            raise bad("instruct should be a string")
        end = End("stop", sum(map(count, texts)), 0)
        self.world.charge("alibaba", account, model.id, end)
        vectors: list[Json] = []
        for index, text in enumerate(texts):
            dense = {"embedding": vector(text, width)} if kind != "sparse" else {}
            sparse = {"sparse_embedding": [{"index": 1, "value": 1.0, "token": text}]} if kind != "dense" else {}
            vectors.append({"text_index": index, **dense, **sparse})
        return json_reply(200, {"output": {"embeddings": vectors}, "usage": {"total_tokens": end.total}, "request_id": request_id})

    def models(self, request_id: str, query: Mapping[str, str]) -> Reply:
        page, size = whole_number(query.get("page_no"), 1), whole_number(query.get("page_size"), 10)
        named = [name for name in self.world.models if query.get("model") in (None, "", name)]
        models = [{"model": name, "source": "official", "provider": "qwen"} for name in named[(page - 1) * size : page * size]]
        output = {"models": models, "page_no": page, "page_size": size, "total": len(named)}
        return json_reply(200, {"request_id": request_id, "output": output})


def whole_number(text: str | None, usual: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 and int(text) else usual


class Form:
    """The shape in which one request wants its answers."""

    def __init__(self, question: Question, *, plain: bool, multimodal: bool, increments: bool) -> None:
        self.likely = question.likely
        self.several = len(question.asks) > 1
        self.plain = plain
        self.multimodal = multimodal
        self.increments = increments

    def output(self, choices: list[Json]) -> Json:
        if not self.plain:
            return {"choices": choices}
        return {"text": choices[0]["message"]["content"], "finish_reason": choices[0]["finish_reason"]}

    def choice(self, message: Json, reason: str, index: int) -> Json:
        choice: Json = {"finish_reason": reason, "message": message}
        if self.several:
            choice["index"] = index
        if (likely := logprobs(message["content"], self.likely)) is not None:
            choice["logprobs"] = likely
        if self.multimodal:
            choice["message"] = {**message, "content": [{"text": message["content"]}] if message["content"] else []}
        return choice


class Said:
    """What has been said of one streamed answer: its next part alone, or all of it again."""

    def __init__(self, form: Form) -> None:
        self.increments = form.increments
        self.thought = ""
        self.text = ""
        self.calls: list[Json] = []
        self._thoughts, self._words, self._arguments = Meter(), Meter(), Meter()

    @property
    def begun(self) -> bool:
        return bool(self.thought or self.text or self.calls)

    def so_far(self, prompt: int) -> End:
        """As if it ended here."""
        reasoning = self._thoughts.tokens
        return End("stop", prompt, reasoning + self._words.tokens + self._arguments.tokens, reasoning)

    def messages(self, piece: Thought | Text | Call | End) -> list[Json]:
        """The messages that a piece comes in."""
        match piece:
            case Thought():
                self.thought += self._thoughts.take(piece.text)
                return [self._message(thought=piece.text)]
            case Text():
                self.text += self._words.take(piece.text)
                return [self._message(text=piece.text)]
            case Call():
                self._arguments.take(f" {piece.name} {piece.arguments}")
                return [self._message(call=call) for call in self._fragments(piece)]
        return [self._message()]

    def _fragments(self, piece: Call) -> Iterator[Json]:
        """A call bit by bit, all but the first without its id. What was said of it so far is in `calls`."""
        index, name = len(self.calls), {"name": piece.name, "arguments": ""}
        self.calls.append({"index": index, "id": piece.id, "type": "function", "function": name})
        yield self.calls[-1]
        for part in fragments(piece.arguments):
            whole = {"name": piece.name, "arguments": self.calls[-1]["function"]["arguments"] + part}
            self.calls[-1] = {**self.calls[-1], "function": whole}
            yield {"index": index, "id": "", "type": "function", "function": {"arguments": part}}

    def _message(self, *, thought: str = "", text: str = "", call: Json | None = None) -> Json:
        message: Json = {"role": "assistant", "content": text, "reasoning_content": thought}
        calls = [call] if call else []
        if not self.increments:
            message |= {"content": self.text, "reasoning_content": self.thought}
            calls = list(self.calls)
        return {**message, "tool_calls": calls} if calls else message


def whole_message(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.thought:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [{**call, "index": i} for i, call in enumerate(openai_calls(answer.calls))]
    return message


def usage(end: End) -> Json:
    told: Json = {"total_tokens": end.total, "input_tokens": end.prompt, "output_tokens": end.completion}
    told["prompt_tokens_details"] = {"cached_tokens": end.cached}
    if end.reasoning:
        told["output_tokens_details"] = {"reasoning_tokens": end.reasoning, "text_tokens": end.completion - end.reasoning}
    return told


# ---- messages ----


def read_messages(given: Json, *, multimodal: bool) -> Any:
    """The messages in the compatible surface's shape, in which both are checked. Raises Refusal for what is native in no way."""
    if given.keys() - {"messages", "prompt"}:
        raise bad("input has messages or prompt")
    if isinstance(prompt := given.get("prompt"), str) and prompt and not given.get("messages"):
        return [{"role": "user", "content": prompt}]
    turns = given.get("messages")
    if not isinstance(turns, list):
        raise bad("Required parameter 'messages' missing: input.messages")
    return [read_message(turn, multimodal=multimodal) for turn in turns]


def read_message(turn: Any, *, multimodal: bool) -> Any:
    content = turn.get("content") if isinstance(turn, dict) else None
    if not isinstance(content, list):
        return turn
    if not content and turn.get("tool_calls"):
        return {**turn, "content": ""}
    return {**turn, "content": [read_part(part, multimodal=multimodal) for part in content]}


def read_part(part: Any, *, multimodal: bool) -> Json:
    """A native part has no type: it is named by its key."""
    named = [key for key in PART_TYPES if key in part] if isinstance(part, dict) else []
    if len(named) != 1 or "type" in part:
        raise bad("content must be a string, or a list of text, image, audio or video: input.messages.content")
    key = named[0]
    if key != "text" and not multimodal:
        raise bad("text-generation takes text alone: input.messages.content")
    rest = {name: value for name, value in part.items() if name != key}
    match key:
        case "image":
            return {**rest, "type": "image_url", "image_url": {"url": part[key]}}
        case "audio":
            return {**rest, "type": "input_audio", "input_audio": {"data": part[key]}}
        case "video" if isinstance(part[key], str):
            return {**rest, "type": "video_url", "video_url": {"url": part[key]}}
    return {**rest, "type": key, key: part[key]}
