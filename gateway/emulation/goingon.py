"""A stream that has broken off, gone on with by another hop: what can be, and what is asked for."""

import asyncio

from gateway import tokens
from gateway.routing.health import FAILURES
from providers.base import Fault, Json

LIMITS = ("max_tokens", "max_completion_tokens")


def may_go_on(body: Json, fault: Fault, said: str, *, called: bool) -> bool:
    """Whether what is left of an answer can be had from elsewhere: plain words of a single one, of which some have been said."""
    free = body.get("response_format", {}).get("type", "text") == "text" and not body.get("logprobs")
    return fault.kind in FAILURES and bool(said) and not called and free and body.get("n", 1) == 1


async def what_is_left(body: Json, said: str, tokenizer: str) -> Json | None:
    """The request with its limits less by what has been said; None if nothing is left."""
    limits = {name: body[name] for name in LIMITS if name in body}
    if not limits:
        return body
    spent = await asyncio.to_thread(tokens.count, [said], tokenizer)
    left = {name: most - spent for name, most in limits.items()}
    return {**body, **left} if min(left.values()) > 0 else None
