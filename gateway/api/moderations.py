"""POST /v1/moderations: word lists of the config's own, a vendor's text safety, or both.

Lists always hold. What stands in for OpenAI's names by the catalog is asked only where there are no lists: texts of a deployer who has
lists stay here, unless a route of theirs sends them on.
"""

import asyncio
from secrets import token_hex
from typing import Any

from msgspec import Struct

from gateway.api import validate
from gateway.api.chat import deadline_of
from gateway.api.grammar import name_of
from gateway.api.idempotency import HEADER, once
from gateway.api.serving import Routes, Serving, planned, received
from gateway.api.validate import MOST_INPUTS, PART, array, empty, invalid, known, missing, obj, string, wrong_type
from gateway.api.wire import Exchange, Refusal, refusal_of
from gateway.routing.attempt import Attempts
from gateway.routing.facts import facts_of
from gateway.routing.plan import Plan, resolve
from gateway.snapshot import NO_WORDS, Hop, Key, Snapshot
from gateway.wordlists import WordLists
from providers.base import Fault, Json, encode
from providers.moderation import CATEGORIES, joined, result

LATEST = "omni-moderation-latest"
"""What is meant where no model is named."""
OPENAIS = ("omni-moderation", "text-moderation")
"""What OpenAI's names begin with; lists answer by these."""
MOST = 1_000_000
"""Characters of all inputs together: some ten times what OpenAI's own models read."""
SHORT, EACH = 4096, 64
"""Characters that are looked through at once, without a thread; and as how many more a text counts, however short."""
OVERLAP = 100
"""Characters that two parts of a text have in common, which was too long for one call."""
LISTS = "word-lists"


class Item(Struct, frozen=True):
    """One input, which gets one result."""

    text: str
    parts: list[Json] | None = None
    """What it was made of, if of parts; its text has their texts."""
    images: int = 0


async def moderations(exchange: Exchange, serving: Serving) -> None:
    key, snapshot = received("moderations", exchange, serving)
    body = checked(await exchange.json(snapshot.max_body))
    exchange.model = body["model"]
    if HEADER in exchange.headers:
        await once(exchange, serving, body, lambda: _moderations(exchange, serving, key, snapshot, body))
    else:
        await _moderations(exchange, serving, key, snapshot, body)


ROUTES: Routes = {"/v1/moderations": {"POST": moderations}}


async def _moderations(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, body: Json) -> None:
    items = items_of(body["input"])
    usage = {"characters": sum(len(item.text) for item in items)}
    team = snapshot.teams.get(key.team)
    lists = team.words if team is not None else NO_WORDS
    if vendor_asked(body["model"], key, snapshot, lists):
        told = await ask(exchange, serving, key, snapshot, body["model"], items)
        usage["calls"] = told.pop("calls")
    else:
        told = {"model": body["model"], "results": [None] * len(items)}
        await by_lists_alone(exchange, key, snapshot, body, items, lists)
    if lists:
        found = await by_lists(lists, items)
        told["results"] = [one if other is None else joined([one, other]) for one, other in zip(found, told["results"], strict=True)]
    exchange.usage = usage
    await exchange.answer(200, encode({"id": f"modr-{token_hex(16)}", **told}))


# ---- what is asked ----


def checked(body: Json) -> Json:
    """The request without nulls, with a model. Raises Refusal(400)."""
    body = known(body, {"model": validate.model_name}, required=("input",))
    given = body["input"]
    if isinstance(given, str):
        _text(given, "input")
    elif not isinstance(given, list):
        raise wrong_type("input", "a string or an array", given)
    elif not given:
        raise empty("input", "the array")
    elif len(given) > MOST_INPUTS:
        raise invalid("input", f"Invalid 'input': at most {MOST_INPUTS} inputs are taken, but got {len(given)}.", "array_above_max_length")
    else:
        array(_text if isinstance(given[0], str) else _part)(given, "input")
        images = sum(isinstance(part, dict) and part["type"] == "image_url" for part in given)
        if images > 1:
            raise invalid("input", f"Invalid 'input': at most 1 image is taken, but got {images}.", "array_above_max_length")
    if (length := sum(len(item.text) for item in items_of(given))) > MOST:
        message = f"Invalid 'input': at most {MOST} characters are taken in all, but got {length}."
        raise invalid("input", message, "string_above_max_length")
    return {"model": LATEST, **body}


def _text(value: Any, path: str) -> None:
    string(value, path)
    if not value:
        raise empty(path, "the string")


def _part(part: Any, path: str) -> None:
    obj(part, path)
    if part.get("type") is None:
        raise missing(f"{path}.type")
    validate.one_of("text", "image_url")(part["type"], f"{path}.type")
    PART[part["type"]](part, path)


def items_of(given: Any) -> list[Item]:
    """A text is one input, a list of texts as many, parts are one together."""
    if isinstance(given, str):
        return [Item(given)]
    if isinstance(given[0], str):
        return [*map(Item, given)]
    texts = [part["text"] for part in given if part["type"] == "text"]
    return [Item("\n".join(texts), given, len(given) - len(texts))]


# ---- who is asked ----


def vendor_asked(model: str, key: Key, snapshot: Snapshot, lists: WordLists) -> bool:
    """Whether texts go to a provider."""
    resolved = resolve(model, "moderations", key, snapshot)
    if resolved is None:
        return False
    if not model.startswith(OPENAIS) or resolved.route.reject:
        return True
    return not lists or (bool(resolved.options) and not resolved.route.origin.startswith("catalog/"))


async def by_lists_alone(exchange: Exchange, key: Key, snapshot: Snapshot, body: Json, items: list[Item], lists: WordLists) -> None:
    """What is to be done where no provider is asked. Raises Refusal where there is nothing to moderate with, or a limit is reached."""
    model = body["model"]
    if not model.startswith(OPENAIS):
        raise Refusal(404, f"The model `{model}` is not known here, or not to this key.", param="model", code="model_not_found")
    if not lists:
        message = (
            f"Nothing here can moderate for team `{key.team}`: give it words under `moderation.lists` of gateway.yaml or of its own file, "
            f"or an account of a vendor that moderates, as in `models: {{{LATEST}: zhipu/moderation}}`."
        )
        raise Refusal(404, message, param="model", code="moderation_not_configured")
    if any(item.images for item in items):
        message = f"Word lists read no images: let a vendor moderate them, as in `models: {{{LATEST}: openai/{LATEST}}}`."
        raise Refusal(400, message, param="input", code="unsupported_parameter")
    exchange.more = [*exchange.more, (b"x-banjia-model", LISTS.encode())]
    if exchange.booking is not None and (no := await exchange.booking.admit(body, facts_of("moderations", body, exchange.size), Plan(()))):
        raise Refusal(no.status, no.message, kind=no.kind, code=no.code, headers=no.headers)


async def by_lists(lists: WordLists, items: list[Item]) -> list[Json]:
    """A result for each. A list tells what stands in a text and no probability: scores are 1 and 0."""
    if lists.ready() and sum(len(item.text) + EACH for item in items) <= SHORT:
        found = [lists.found(item.text) for item in items]
    else:
        found = await asyncio.to_thread(lambda: [lists.found(item.text) for item in items])
    looked_at = {category: ("text",) for category in CATEGORIES if category in lists.categories}
    return [result(dict.fromkeys(one, 1.0), looked_at) for one in found]


async def ask(exchange: Exchange, serving: Serving, key: Key, snapshot: Snapshot, model: str, items: list[Item]) -> Json:
    """{"model", "results", "calls"} of a provider. Raises Refusal."""
    parts = [{"content": item.parts} for item in items if item.parts is not None]
    plan = await planned("moderations", {"model": model, "messages": parts}, exchange, key, snapshot, serving)
    if exchange.keep is None:  # what is kept is not in vain if the client has left
        exchange.watch(drain=plan.hops[0].drains)
    deadline = deadline_of(exchange, plan)
    attempts = Attempts(serving.upstream, serving.health, deadline, exchange.trail, strict=key.strict, payer=exchange.booking)
    try:
        return await attempts.plain(
            plan,
            lambda hop: [{"model": model, "input": call} for calls in calls_of(items, hop) for call in calls],
            lambda hop, answers: whole(answers, [len(calls) for calls in calls_of(items, hop)], hop.target.model.id),
        )
    except Fault as fault:
        raise refusal_of(fault, exchange.trail) from fault
    finally:
        deadline.close()
        attempts.close(None)


def calls_of(items: list[Item], hop: Hop) -> list[list[Any]]:
    """For each input, what the hop is asked about: its parts where there is an image, else its text, in several calls if it is long."""
    most = hop.target.model.context
    return [[item.parts] if item.images else cut(item.text, most) for item in items]


def cut(text: str, most: int) -> list[str]:
    """Parts of a text that overlap somewhat, so that nothing is lost where it is cut. `most`: characters of each; 0: any."""
    if not most or len(text) <= most:
        return [text]
    overlap = min(OVERLAP, most // 2)
    return [text[at : at + most] for at in range(0, len(text) - overlap, most - overlap)]


def whole(answers: list[Json], counts: list[int], model: str) -> Json:
    """A result for each input out of those of its calls. Raises one of SHAPELESS for what is no result."""
    rest = iter(answers)
    results = [joined([next(rest)["results"][0] for _ in range(count)]) for count in counts]
    return {"model": name_of(answers[0].get("model")) or model, "results": results, "calls": len(answers)}
