"""What a provider says where clients rely on a type: what is sane is kept; the rest is left out where that does no harm, else it breaks the
answer.
"""

from typing import Any

from providers.base import Fault, Json, encode

MOST = 2**53
"""No count and no time is as large: clients in JavaScript could not even read it."""
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def odd(what: str) -> Fault:
    return Fault("broken", f"the provider's answer has {what} of no known form")


def is_count(value: Any) -> bool:
    return value.__class__ is int and 0 <= value < MOST


def text(value: Any, what: str) -> Any:
    """A string or nothing. Raises Fault("broken")."""
    if value is None or value.__class__ is str:
        return value
    raise odd(what)


def usage_in(told: Any) -> Json | None:
    """Usage whose counts can be believed; None for any other, which is as good as none."""
    if told.__class__ is not dict:
        return None
    usage: Json = told
    known = False
    for name in COUNTS:
        value = usage.get(name)
        if value is None:
            continue
        known = True
        if value.__class__ is not int or not 0 <= value < MOST:
            if value.__class__ is not float or not value.is_integer() or not 0 <= value < MOST:
                return None
            usage = {**usage, name: int(value)}  # 5.0 is 5: JSON does not tell them apart
    if not known:
        return None
    for name in DETAILS:
        if (details := usage.get(name)) is not None:
            usage = {**usage, name: _counted(details)}
    return usage


def _counted(details: Any) -> Json | None:
    """Details without counts that are none."""
    if details.__class__ is not dict:
        return None
    return {name: value for name, value in details.items() if is_count(value) or not name.endswith("tokens")}


def logprobs_in(told: Any) -> Json | None:
    """Logprobs with both their lists, as far as those are lists of objects; None for any other."""
    if told.__class__ is not dict:
        return None
    lists = [told[name] for name in ("content", "refusal") if told.get(name) is not None]
    if all(tokens.__class__ is list and all(token.__class__ is dict for token in tokens) for tokens in lists):
        return {"content": None, "refusal": None, **told}
    return None


def function_call_in(told: Any) -> Json:
    """A call of OpenAI's oldest form, or a fragment of one. Raises Fault("broken")."""
    call = {name: told[name] for name in ("name", "arguments") if told.get(name) is not None}
    if call.get("arguments").__class__ is dict:  # an object where OpenAI has its text
        call["arguments"] = encode(call["arguments"]).decode()
    return {name: text(said, "a call") for name, said in call.items()}
