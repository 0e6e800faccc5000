"""A request for completions as requests of chat, one for each prompt."""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway import tokens
from gateway.api.validate import (
    CHAT,
    MOST_TOKENS,
    Check,
    array,
    boolean,
    empty,
    integer,
    invalid,
    known,
    string,
    token_list,
    wrong_type,
)
from gateway.api.wire import Refusal
from providers.base import Change, Json

USUAL_TOKENS = 16
"""What an answer may have at most where the request does not say; so it is at OpenAI."""
MOST_PROMPTS = 128
MOST_CHOICES = 128
OF_CHAT = (
    "model", "temperature", "top_p", "n", "stream", "stream_options", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "user",
    "seed",
)  # fmt: skip
TAKEN: Mapping[str, Check] = {
    **{name: CHAT[name] for name in OF_CHAT},
    "max_tokens": integer(1, MOST_TOKENS),
    "best_of": integer(1, 20),
    "echo": boolean,
    "logprobs": integer(0, 5),
    "suffix": string,
}
OWN = frozenset({"prompt", "best_of", "echo", "logprobs", "suffix"})
"""What chat does not have under this name."""
FILL = (
    "You are given the beginning of a text, between <before> and </before>, and its end, between <after> and </after>. "
    "Answer with what is missing between the two and nothing else: no explanation, no tags, no code fence, nothing of the two repeated."
)


class Asked(Struct, frozen=True):
    """What is asked, in chat's words."""

    bodies: tuple[Json, ...]
    """For each prompt."""
    prompts: tuple[str, ...]
    n: int = 1
    """Choices for each prompt."""
    echo: bool = False
    changes: tuple[Change, ...] = ()

    @property
    def body(self) -> Json:
        """What stands for all of them where they are looked at as one: the longest, with the choices of all."""
        if len(self.bodies) == 1:
            return self.bodies[0]
        longest = max(range(len(self.bodies)), key=lambda at: len(self.prompts[at]))
        return {**self.bodies[longest], "n": self.n * len(self.bodies)}

    def prompt_of(self, choice: int) -> str:
        """The prompt that the choice at this index answers."""
        return self.prompts[choice // self.n % len(self.prompts)]


async def asked_of(body: Json) -> Asked:
    """Raises Refusal(400)."""
    body = known(body, TAKEN, required=("model", "prompt"))
    n = body.get("n", 1)
    echo = body.get("echo", False)
    if body.get("stream_options") and not body.get("stream"):
        raise invalid("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "invalid_value")
    if body.get("best_of", n) < n:
        raise invalid("best_of", f"Invalid 'best_of': it must not be less than 'n', which is {n}.", "invalid_value")
    if echo and "logprobs" in body:
        raise invalid("echo", "'echo' cannot be had with 'logprobs': nobody tells those of a prompt.", "unsupported_parameter")
    prompts = await prompts_of(body["prompt"])
    if n * len(prompts) > MOST_CHOICES:
        raise invalid(
            "n", f"Invalid 'n': a request has at most {MOST_CHOICES} choices, and this would have {n * len(prompts)}.", "invalid_value"
        )
    said = {"max_tokens": USUAL_TOKENS} | {name: value for name, value in body.items() if name not in OWN}
    if "logprobs" in body:
        said["logprobs"] = True
        if body["logprobs"]:
            said["top_logprobs"] = body["logprobs"]
    changes: list[Change] = []
    if body.get("best_of", n) > n:
        changes.append(Change("best_of", "dropped", why="nothing tells here which of whole answers is the best"))
    if suffix := body.get("suffix"):
        changes.append(Change("suffix", "emulated", "instruction"))
    bodies = tuple({**said, "messages": messages_of(prompt, suffix)} for prompt in prompts)
    return Asked(bodies, tuple(prompts), n, echo, tuple(changes))


def messages_of(prompt: str, suffix: str | None) -> list[Json]:
    if not suffix:
        return [{"role": "user", "content": prompt}]
    text = f"<before>{prompt}</before>\n<after>{suffix}</after>"
    return [{"role": "system", "content": FILL}, {"role": "user", "content": text}]


async def prompts_of(given: Any) -> list[str]:
    """The prompts, whichever of the four forms they come in: text, a list of texts, tokens, a list of lists of tokens."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise wrong_type("prompt", "a string or an array", given)
    if not given:
        raise empty("prompt", "the array")
    first = type(given[0])
    lists = [given] if first is int else given
    if len(lists) > MOST_PROMPTS:
        message = f"Invalid 'prompt': at most {MOST_PROMPTS} prompts are taken, but got {len(lists)}."
        raise invalid("prompt", message, "array_above_max_length")
    if first is str:
        array(string)(lists, "prompt")
        return list(lists)
    (token_list if first is int else array(token_list))(given, "prompt")
    try:
        return await asyncio.to_thread(tokens.decode, lists)
    except (KeyError, OverflowError) as exc:
        raise Refusal(400, "Invalid 'prompt': it has a token that is not of cl100k_base.", param="prompt", code="invalid_value") from exc
