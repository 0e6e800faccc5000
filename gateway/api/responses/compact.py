"""POST /v1/responses/compact: what users have said stays, and a summary by the model takes the place of all the rest.

The summary is asked for by the way of every other request, and counts as one. The items are given to the model as a text, so that every
model can read them, whatever tools they speak of; what has no words is only named.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.api.chat import answer_as
from gateway.api.grammar import Grammar
from gateway.api.objects import new
from gateway.api.responses import compaction
from gateway.api.responses.request import in_own_words
from gateway.api.responses.shown import listed, type_of
from gateway.api.responses.store import all_items
from gateway.api.serving import Routes, Serving, received
from gateway.api.validate import Check, invalid, known, model_name, string
from gateway.api.wire import Exchange, Refusal
from providers.base import Json, encode

TABLE: dict[str, Check] = {"model": model_name, "instructions": string, "previous_response_id": string}
TASK = """\
You are given the record of a conversation between a user and an assistant, with the calls of tools that the assistant made and what they \
gave. Write a summary by which the assistant can go on with it as if it had read the whole: what the user wants, what is settled, names, \
numbers and quotes that will be needed, what the tools gave, what is done and what is still to be done. Use the language of the \
conversation. Write the summary alone."""


async def compact(exchange: Exchange, serving: Serving) -> None:
    key, snapshot = received("responses", exchange, serving)
    body = known(await exchange.json(snapshot.max_body), TABLE, required=("model",))
    exchange.model = body["model"]
    items = await all_items(body, key.team, serving)
    if not items:
        raise invalid("input", "There is nothing to compact: send 'input' or 'previous_response_id'.", "missing_required_parameter")
    task = "\n\n".join(filter(None, (body.get("instructions"), TASK)))
    asked = {
        "model": body["model"],
        "messages": [{"role": "system", "content": task}, {"role": "user", "content": "\n\n".join(record_of(items))}],
    }
    exchange.size = len(encode(asked))
    exchange.says_no = in_own_words
    await answer_as(exchange, serving, key, snapshot, asked, CompactForm(items))


ROUTES: Routes = {"/v1/responses/compact": {"POST": compact}}


class CompactForm:
    """The answer of chat as a compaction."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[Json]) -> None:
        self._items = items

    def whole(self, answer: Json) -> Json:
        summary = answer["choices"][0]["message"].get("content")
        if not summary:
            raise Refusal(502, "The model has written no summary: ask again, or with another model.", kind="api_error", code="no_summary")
        users = [item for item in self._items if type_of(item) == "message" and item.get("role") == "user"]
        return {
            "id": new("resp_"),
            "object": "response.compaction",
            "created_at": int(time.time()),
            "output": [*listed(users), compaction.compacted(summary)],
            "usage": usage_told(answer["usage"]),
        }

    def stream(self, model: str) -> Grammar:
        raise NotImplementedError("a compaction is never streamed")

    async def over(self) -> None:
        pass


def usage_told(usage: Json) -> Json:
    prompt, answer = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": answer,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + answer,
    }


# ---- the record ----


def record_of(items: Iterable[Json]) -> Iterator[str]:
    """The items in words, a paragraph each."""
    for item in items:
        kind = type_of(item)
        if kind == "message":
            yield f"{item['role']}: {words_of(item['content'])}"
        elif kind in ("function_call", "custom_tool_call"):
            yield f"call {item['call_id']} of {item['name']}: {item.get('arguments') or item.get('input') or ''}"
        elif kind in ("function_call_output", "custom_tool_call_output"):
            yield f"result of {item['call_id']}: {words_of(item['output'])}"
        elif kind != "reasoning":  # what was thought is in what was said
            yield f"({kind})"


def words_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or part.get("refusal") or f"({part.get('type')})" for part in content)
