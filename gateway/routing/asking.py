"""One hop asked once: the request translated, sent, and answered, with what the gateway itself has to do about it."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from email.utils import formatdate
from typing import Any, TypeVar

from msgspec.structs import replace

from gateway.api.weight import lightened, too_heavy, wordy
from gateway.deadline import Deadline
from gateway.emulation import schema
from gateway.emulation.duties import Duties, duties_of
from gateway.emulation.stops import Restrained, restrain
from gateway.emulation.whole import Gathered, added, images, merged
from gateway.routing.begun import SHAPELESS, Begun, Running, Together, Told, begin
from gateway.routing.tasks import Book, finished
from gateway.routing.trail import Trail
from gateway.snapshot import Hop
from gateway.upstream import Reply, Upstream
from providers.base import Deferred, Fault, Json, Outgoing, Stream

log = logging.getLogger(__name__)

T = TypeVar("T")
CHANGED = ("dropped", "clamped", "emulated")
"""Fates that `fidelity: strict` refuses."""
OK = range(200, 204)
"""Some servers answer 201 where OpenAI answers 200. What is no answer in spite of its status is found out by reading it."""
LARGEST_ERROR = 1 << 20
LARGE = 1 << 20
"""Bytes of a request or an answer that take a while to make, and again to send or to read."""
LARGEST_TEXT = 8 << 20
"""Bytes of an answer that are slow to decode, as many as an event of a stream may have. Images and sound have more, and are not."""
MOST_NUMBERS = 1_100_000
"""Values of an answer, which may be vectors: a million numbers are asked for at most."""
JSON = (b"", b"{", b"[")
"""How a body of JSON begins: some label their streams with its type."""
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class Asking:
    """How hops are asked for one request: under one deadline, noting what became of its fields."""

    def __init__(self, upstream: Upstream, deadline: Deadline, trail: Trail, *, strict: bool, book: Book | None = None) -> None:
        self._upstream = upstream
        self._deadline = deadline
        self._trail = trail
        self._strict = strict
        self._book = book

    def answer(self, hop: Hop, body: Json) -> Coroutine[Any, Any, Json]:
        """The whole answer. Raises Fault."""
        outgoing = self._request(hop, body)
        duties = duties_of(outgoing.changes) if outgoing.changes else None
        if duties is None:
            return self._sent(hop, outgoing)
        if duties.stops_told and not duties.whole and duties.copies == 1:
            return self._until(hop, body, outgoing)
        return self._dutiful(hop, body, outgoing, duties)

    async def stream(self, hop: Hop, body: Json) -> Begun:
        """The beginning of a streamed answer that has said something. The caller closes it. Raises Fault."""
        outgoing = self._request(hop, body)
        duties = duties_of(outgoing.changes)
        if duties is None:
            return await self._begin(hop, outgoing, None)
        if duties.whole:
            plain = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
            whole = self._request(hop, plain, of=body)
            self._trail.changes = outgoing.changes  # of what the client asked, which is a stream
            return Told(await self._dutiful(hop, plain, whole, duties))
        if duties.copies == 1:
            return await self._begin(hop, outgoing, Restrained(hop.translator.stream(), duties, body.get("n") or 1))
        calls = (self._begin(hop, outgoing, Restrained(hop.translator.stream(), duties, 1)) for _ in range(duties.copies))
        return Together(await together(calls), self._deadline)

    # ---- what the gateway does ----

    async def _until(self, hop: Hop, body: Json, plain: Outgoing) -> Json:
        """An answer up to one of its stops, read as a stream that is given up there: nobody has to wait and to pay for what comes after."""
        outgoing = self._request(hop, {**body, "stream": True}, of=body)
        duties = duties_of(outgoing.changes)
        self._trail.changes = plain.changes  # of what the client asked, which is no stream
        if duties is None or duties.whole:
            return await self._dutiful(hop, body, plain, duties_of(plain.changes) or Duties())
        begun = await self._begin(hop, outgoing, Restrained(hop.translator.stream(), duties, body.get("n") or 1))
        gathered = Gathered()
        try:
            gathered.add(begun.first)
            while (chunks := await begun.more()) is not None:
                gathered.add(chunks)
            gathered.add(begun.rest())
            self._deadline.stage("total", self._deadline.left())  # nothing more comes, and what has come may have to be counted
            return gathered.answer()
        except SHAPELESS as exc:
            raise Fault("broken", "the provider's answer is of no known form") from exc
        finally:
            begun.close()

    async def _dutiful(self, hop: Hop, body: Json, outgoing: Outgoing, duties: Duties) -> Json:
        answers = await together(self._sent(hop, outgoing) for _ in range(duties.copies))
        try:
            if "data" in answers[0]:
                return images(answers)
            whole = merged(answers) if len(answers) > 1 else answers[0]
            if duties.schema:
                whole = await self._of_form(hop, body, whole, duties.schema)
            return restrain(whole, duties)
        except SHAPELESS as exc:
            raise Fault("broken", "the provider's answer is of no known form") from exc

    async def _of_form(self, hop: Hop, body: Json, answer: Json, wanted: bytes) -> Json:
        """An answer whose words follow the schema: a choice that does not is asked for once more. Raises Fault if that does not help."""
        form = await asyncio.to_thread(schema.Form, wanted)
        choices: list[Json] = []
        usages = [answer.get("usage")]
        for choice in answer["choices"]:
            good, text, problem = await _checked(form, choice)
            if problem:
                log.info("%s gave no answer of the form asked for: %s", hop.name, problem)
                better = await self._sent(hop, self._request(hop, schema.again(body, text, problem)))
                usages.append(better.get("usage"))
                good, _, problem = await _checked(form, better["choices"][0])
                if problem:
                    raise Fault("unfit", f"the model's answer does not follow the schema, also when asked again: {problem}")
            choices.append({**good, "index": choice.get("index", len(choices))})
        return {**answer, "choices": choices, "usage": added(usages)}

    # ---- request, send, answer ----

    def _request(self, hop: Hop, body: Json, of: Json | None = None) -> Outgoing:
        """`of`: what the client asked, where `body` is not it."""
        asked = body if of is None else of
        try:
            outgoing = hop.translator.request({**hop.defaults, **body} if hop.defaults else body, hop.target)
        except RecursionError as exc:  # it could just be read
            raise Fault("bad_request", "the request is nested too deeply") from exc
        except SHAPELESS as exc:
            log.exception("a request could not be said to %s", hop.name)
            raise Fault("unsupported", f"the request cannot be said to {hop.name}") from exc
        if self._trail.own:
            outgoing = replace(outgoing, changes=self._trail.own + outgoing.changes)
        changes = outgoing.changes
        if hop.defaults and changes:  # what became of a field that the client did not send is no concern of the client's
            changes = tuple(change for change in changes if change.field in asked or change.field not in hop.defaults)
        self._trail.changes = changes
        if self._strict and changes:
            for change in changes:
                if change.fate in CHANGED:
                    why = f": {change.why}" if change.why else ""
                    raise Fault("unsupported", f"`{change.field}` would be {change.fate} at {hop.name}{why}", param=change.field)
        return outgoing

    def _open(self, hop: Hop, outgoing: Outgoing, *, stream: bool) -> Coroutine[Any, Any, Reply]:
        self._deadline.stage("first_token", hop.timeouts.first(stream=stream))
        if len(outgoing.body) > LARGE:
            return self._open_later(hop, outgoing)
        return self._upstream.send(hop.account, outgoing, hop.timeouts.connect)

    async def _open_later(self, hop: Hop, outgoing: Outgoing) -> Reply:
        await asyncio.sleep(0)  # the request has just been made, which took a while
        return await self._upstream.send(hop.account, outgoing, hop.timeouts.connect)

    async def _sent(self, hop: Hop, outgoing: Outgoing) -> Json:
        if self._book is not None and isinstance(hop.translator, Deferred):
            return await finished(hop, hop.translator, outgoing, self._read, self._deadline, self._book)
        raw = await self._read(hop, outgoing)
        if len(raw) > LARGE:
            raw = await readable(raw)
        try:
            answer = hop.translator.response(raw)
        except SHAPELESS as exc:
            raise Fault("broken", "the provider's answer is of no known form") from exc
        if len(raw) > LARGE:
            await asyncio.sleep(0)
        return answer

    async def _read(self, hop: Hop, outgoing: Outgoing) -> bytes:
        reply = await self._open(hop, outgoing, stream=False)
        try:
            if reply.status != 200 and reply.status not in OK:
                raise self._judged(hop, reply, await error_of(reply))
            return await reply.read()
        finally:
            reply.close()

    async def _begin(self, hop: Hop, outgoing: Outgoing, stream: Stream | None) -> Running:
        reply = await self._open(hop, outgoing, stream=True)
        try:
            if reply.status not in OK:
                raise self._judged(hop, reply, await error_of(reply))
            piece = b""
            if reply.headers.get("content-type", "").startswith("application/json"):
                piece = await reply.piece()
                if piece.lstrip()[:1] in JSON:  # where a stream was asked for: an error, whatever the status says, or all at once
                    raw = piece + await reply.read(LARGEST_ERROR)
                    if not is_answer(hop, raw):
                        raise self._judged(hop, reply, raw)
                    piece = b"data: " + raw.translate(ONE_LINE) + b"\n\n"
            return await begin(stream or hop.translator.stream(), reply, self._deadline, hop.timeouts.idle, piece)
        except BaseException:
            reply.close()
            raise

    def _judged(self, hop: Hop, reply: Reply, body: bytes) -> Fault:
        """What an error reply comes to."""
        headers = {"date": formatdate(usegmt=True), **{name.lower(): value for name, value in reply.headers.items()}}
        fault = hop.translator.fault(reply.status, headers, body)  # of a provider without a clock, our own time counts
        fault.spare = self._upstream.refused(hop.account, reply, fault)
        return fault


async def readable(raw: bytes) -> bytes:
    """A large answer, in a form that takes no long time to decode. Raises Fault where there is none."""
    await asyncio.sleep(0)  # it has just been put together
    raw = await lightened(raw)
    if await too_heavy(raw, MOST_NUMBERS) or (len(raw) > LARGEST_TEXT and await wordy(raw, LARGEST_TEXT)):
        raise Fault("broken", "the provider's answer has more parts than can be read")
    return raw


async def error_of(reply: Reply) -> bytes:
    """What a reply says of its error; nothing where that is too much or breaks off: the status tells enough."""
    try:
        return await reply.read(LARGEST_ERROR)
    except Fault:
        return b""


def is_answer(hop: Hop, raw: bytes) -> bool:
    """Whether a body is a whole answer in one piece."""
    try:
        return bool(hop.translator.response(raw))
    except (Fault, *SHAPELESS):
        return False


async def _checked(form: schema.Form, choice: Json) -> tuple[Json, str, str]:
    """(the choice with nothing but its JSON, its words, what is wrong with them)."""
    text = schema.words_of(choice)
    if text is None:
        return choice, "", ""
    problem = await asyncio.to_thread(form.problem, text)
    return {**choice, "message": {**choice["message"], "content": text}}, text, problem


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of the calls give. The first failure ends the others and is raised; what they hold is closed."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        for given in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(given, Running):
                given.close()
        raise
