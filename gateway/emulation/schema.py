"""Structured output where the provider has none: the words of an answer are held to a JSON schema."""

from typing import Any

import msgspec

from providers.base import Fault, Json

LONGEST_PROBLEM = 500
MOST_PROBLEMS = 5


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"the schema refers to {uri}, which is not a part of it")


class Form:
    """A schema that is ready to check with. CPU-bound: for large ones, call it off the event loop."""

    def __init__(self, schema: bytes) -> None:
        """Raises Fault("bad_request") for what is no JSON schema, or one that refers to places outside it."""
        import jsonschema_rs  # 3 MB for the few who need it

        try:
            self._validator = jsonschema_rs.validator_for(schema.decode(), retriever=_no_retrieval)
        except (ValueError, jsonschema_rs.ReferencingError) as exc:
            why = str(exc).partition("\n")[0][:LONGEST_PROBLEM]
            raise Fault("bad_request", f"Invalid schema for response_format: {why}", param="response_format") from exc

    def problem(self, text: str) -> str:
        """What keeps `text` from being of this form; "" if nothing does."""
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as exc:
            return f"it is not JSON: {exc}"
        problems: list[str] = []
        for error in self._validator.iter_errors(found):
            problems.append(f"at {path_of(error)}: {error.message}")
            if len(problems) == MOST_PROBLEMS:
                break
        return "; ".join(problems)[:LONGEST_PROBLEM]


def path_of(error: Any) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)


def words_of(choice: Json) -> str | None:
    """The JSON that a choice has to be, out of any code fence; None where it is not meant to be any: calls, refusals, answers cut short."""
    message = choice.get("message") or {}
    if message.get("tool_calls") or message.get("refusal") or choice.get("finish_reason") in ("length", "content_filter"):
        return None
    text: str = (message.get("content") or "").strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].removeprefix("json").strip()
    return text


def again(body: Json, text: str, problem: str) -> Json:
    """The request that asks for a better answer than `text`, which had a `problem`."""
    turns = [*body["messages"]]
    if text:
        turns.append({"role": "assistant", "content": text})
    turns.append({"role": "user", "content": f"That is not of the form that was asked for: {problem}. Answer again, with the JSON alone."})
    return {**{name: value for name, value in body.items() if name != "n"}, "messages": turns}
