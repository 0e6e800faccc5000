"""An answer of chat as a completion."""

from typing import Any

from gateway.api.completions.request import Asked
from providers.base import Json


def completion_of(answer: Json, asked: Asked) -> Json:
    """The completion for a complete chat completion with usage."""
    choices = [choice_of(choice, asked.prompt_of(choice["index"]), echo=asked.echo) for choice in answer["choices"]]
    return {**head_of(answer), "choices": choices, "usage": answer["usage"]}


def head_of(of_chat: Json) -> Json:
    """Of a whole answer, or of a chunk."""
    head = {
        "id": f"cmpl-{of_chat['id'].removeprefix('chatcmpl-')}",
        "object": "text_completion",
        "created": of_chat["created"],
        "model": of_chat["model"],
    }
    if fingerprint := of_chat.get("system_fingerprint"):
        head["system_fingerprint"] = fingerprint
    return head


def choice_of(choice: Json, prompt: str, *, echo: bool) -> Json:
    said = choice["message"]
    text = prompt * echo + (said.get("content") or "") + (said.get("refusal") or "")
    logprobs, _ = logprobs_of(choice.get("logprobs"), len(prompt))
    return {"text": text, "index": choice["index"], "logprobs": logprobs, "finish_reason": choice["finish_reason"]}


def logprobs_of(told: Json | None, offset: int) -> tuple[Json | None, int]:
    """(those of chat in the older form, where the next token's text begins). `offset`: where the first one's does; OpenAI counts
    from the beginning of the prompt, echoed or not."""
    entries = (told or {}).get("content") or ()
    if not entries:
        return None, offset
    said: Json = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for entry in entries:
        token = _text(entry.get("token"))
        said["tokens"].append(token)
        said["token_logprobs"].append(_number(entry.get("logprob")))
        top = [one for one in entry.get("top_logprobs") or () if isinstance(one, dict)]
        said["top_logprobs"].append({_text(one.get("token")): _number(one.get("logprob")) for one in top})
        said["text_offset"].append(offset)
        offset += len(token)
    return said, offset


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None
