"""Zhipu's side of content safety. See simulator.py; the refusals are raised by whoever it is given. It finds what has the words of
UNSAFE_INPUT, which it rejects, and of UNSAFE_OUTPUT, which it would have reviewed."""

from collections.abc import Callable

from providers.base import Json, Model
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT, End, World

LONGEST = 2000
"""Characters of a text."""
Bad = Callable[[str, str], Exception]


def moderation(world: World, account: str, model: Model, body: Json, reply_id: str, bad: Bad) -> Json:
    """The reply. Raises what `bad` makes."""
    for field in body.keys() - {"model", "input"}:
        raise bad(f"{field}: 不支持的参数", "1210")
    text = body.get("input")
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST:
        raise bad(f"input: 参数非法，最大输入长度为 {LONGEST} 字符", "1214")
    world.charge("zhipu", account, model.id, End("stop", 0, 0))
    found: Json = {"content_type": "text", "risk_level": "PASS", "risk_type": []}
    if UNSAFE_INPUT in text:
        found = {**found, "risk_level": "REJECT", "risk_type": ["涉暴"]}
    elif UNSAFE_OUTPUT in text:
        found = {**found, "risk_level": "REVIEW", "risk_type": ["其他"]}
    head = {"id": reply_id, "created": int(world.now()), "request_id": reply_id}
    return {**head, "result_list": [found], "usage": {"moderation_text": {"call_count": 1}}}
