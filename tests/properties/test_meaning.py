"""OpenAI → vendor → OpenAI: the vendor has understood what was said, or a change says what it has not; and what it answers arrives."""

import asyncio
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.brain.scripted import Scripted
from providers.base import Fault, Json, Model
from providers.simulation import Answer, Ask, Message, whole
from tests.properties.conversations import bodies
from tests.properties.surfaces import BY_ID, STANDS_FOR, Surface, Told, ask

SYSTEMS = ("system", "developer")


def texts_of(message: Json) -> list[str]:
    content = message.get("content")
    return [content] if isinstance(content, str) else [part["text"] for part in content or () if part["type"] == "text"]


def stand_in_order(texts: Iterable[str], inside: str) -> bool:
    at = 0
    for text in texts:
        found = inside.find(text, at)
        if found < 0:
            return False
        at = found + len(text)
    return True


def of_roles(messages: tuple[Message, ...], *roles: str) -> str:
    return "\n".join(message.text for message in messages if not roles or message.role in roles)


def check_words(body: Json, understood: Ask) -> None:
    """Every text is there, those of the speakers in their order, and in nobody else's mouth but where a system's words have to be."""
    for roles, told in ((("user", "assistant"), body["messages"]), (SYSTEMS, body["messages"])):
        texts = [text for message in told if message["role"] in roles for text in texts_of(message)]
        assert stand_in_order(texts, of_roles(understood.messages))
    for role, others in (("user", SYSTEMS), ("assistant", ())):
        texts = [text for message in body["messages"] if message["role"] == role for text in texts_of(message)]
        assert stand_in_order(texts, of_roles(understood.messages, role, *others))


def check_calls(body: Json, understood: Ask) -> None:
    """Every call, with the result that answers it."""
    calls = [call for message in body["messages"] for call in message.get("tool_calls") or ()]
    results = {message["tool_call_id"]: texts_of(message) for message in body["messages"] if message["role"] == "tool"}
    heard = [(number, call) for number, message in enumerate(understood.messages) for call in message.calls]
    assert [(call.name, call.arguments) for _, call in heard] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in calls
    ]
    for call, (number, of) in zip(calls, heard, strict=True):
        later = understood.messages[number + 1 :]
        answers = [message for message in later if message.role in ("tool", "function") and message.call_id == of.id]
        assert answers
        assert all(text in answers[0].text for text in results[call["id"]])


def check_fields(body: Json, understood: list[Ask], changed: set[str]) -> None:
    first = understood[0]
    if "n" not in changed:
        assert len(understood) == body.get("n", 1)
    choice = body.get("tool_choice", "auto")
    if not changed & {"tools", "tool_choice"} and (isinstance(choice, str) or "function" in choice):
        offered = [(t["function"]["name"], t["function"]["description"], t["function"]["parameters"]) for t in body.get("tools", ())]
        heard = [(t.name, t.description, t.parameters) for t in first.tools]
        assert heard == offered or (choice == "none" and not heard)  # tools that may not be called need not be offered
        assert first.choice == (choice if isinstance(choice, str) else choice["function"]["name"]) or not first.tools
    if first.tools and "parallel_tool_calls" in body.keys() - changed:
        assert first.parallel == body["parallel_tool_calls"]
    if "stop" not in changed and "stop" in body:
        assert first.stop == ((body["stop"],) if isinstance(body["stop"], str) else tuple(body["stop"]))
    if "temperature" not in changed and "temperature" in body:
        assert first.temperature in (None, body["temperature"])
    if "response_format" not in changed:
        form = body.get("response_format", {"type": "text"})
        wanted: Any = {"text": None, "json_object": {}}.get(form["type"], form.get("json_schema", {}).get("schema"))
        assert first.schema == wanted


def check_limit(body: Json, understood: Ask, told: Told) -> None:
    """The same number of tokens, or the one that the change names."""
    if "max_tokens" not in body or understood.think:  # where a thought is counted too, the simulators say what is left for words
        return
    notes = {change.note for change in told.changes if change.field == "max_tokens" and change.fate == "clamped"}
    dropped = any(change.field == "max_tokens" and change.fate == "dropped" for change in told.changes)
    assert dropped or understood.most == (int(notes.pop()) if notes else body["max_tokens"])


def check_images(body: Json, understood: Ask, changed: set[str]) -> None:
    sent = sum(
        part["type"] == "image_url"
        for message in body["messages"]
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
    assert sum(message.images for message in understood.messages) == sent or "messages[].content[].image_url" in changed


def check_answer(surface: Surface, told: Told) -> None:
    """The brain's own words, calls, reasons and counts."""
    answer = surface.adapter.endpoints["chat"].response(told.raw)
    said = [asyncio.run(whole(Scripted(), understood)) for understood in told.asks]
    assert len(answer["choices"]) == len(said)
    for choice, meant in zip(answer["choices"], said, strict=True):
        check_choice(choice, meant)
    if any(understood.think and understood.most is not None for understood in told.asks):
        return  # the vendor has cut what the brain would have said
    usage = answer["usage"]
    assert usage["completion_tokens"] == sum(meant.end.completion for meant in said)
    assert usage["prompt_tokens"] in (said[0].end.prompt, sum(meant.end.prompt for meant in said))


def check_choice(choice: Json, meant: Answer) -> None:
    message = choice["message"]
    content = message.get("content") or ""
    if choice["finish_reason"] == "length" and message.get("reasoning_content"):  # some count the thought and some do not
        assert meant.text.startswith(content)
        return
    assert content == meant.text
    calls = message.get("tool_calls") or []
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
        (call.name, call.arguments) for call in meant.calls
    ]
    assert len({call["id"] for call in calls}) == len(calls)
    assert choice["finish_reason"] == meant.end.reason


def asked(surface: Surface, model: Model, body: Json) -> Told | None:
    """None where the adapter says beforehand that it cannot: too many images, or one as this vendor does not take it."""
    try:
        return ask(surface, model, body)
    except Fault as fault:
        if (fault.kind, fault.param) != ("unsupported", "messages"):
            raise
        return None


def check(surface: Surface, model: Model, body: Json) -> None:
    if surface.id in STANDS_FOR:  # such servers are told all, and refuse it themselves
        body = {name: value for name, value in body.items() if name != "reasoning_effort"}
    told = asked(surface, model, body)
    if told is None:
        return
    changed = {change.field for change in told.changes}
    for understood in told.asks:
        check_words(body, understood)
        check_calls(body, understood)
        check_images(body, understood, changed)
        check_limit(body, understood, told)
    check_fields(body, told.asks, changed)
    check_answer(surface, told)


@given(name=st.sampled_from(list(BY_ID)), number=st.integers(0, 3), data=st.data())
@settings(max_examples=1500)
def test_what_is_said_is_understood_and_what_is_answered_arrives(name: str, number: int, data: Any) -> None:
    surface = BY_ID[name]
    model = surface.models[number % len(surface.models)]

    check(surface, model, data.draw(bodies(images="image" in model.input, tools=model.tools is True), label="body"))
