"""Several prompts of one request: each is a call of its own, to the same hop, and their answers are choices of one.

A stream of them is told when all of the answers are there.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gateway import usage
from gateway.emulation.whole import merged
from gateway.routing.asking import Asking, together
from gateway.routing.attempt import Attempts
from gateway.routing.begun import Begun, Told
from gateway.routing.plan import Plan
from gateway.snapshot import Hop
from providers.base import SHAPELESS, Fault, Json

T = TypeVar("T")
AT_ONCE = 8
"""Calls of one request that are under way at the same time."""


class Prompts(Attempts):
    """How they are tried."""

    def __init__(self, *parts: Any, bodies: Sequence[Json], n: int, **named: Any) -> None:
        """`n`: choices of each."""
        super().__init__(*parts, **named)
        self._bodies = [{name: value for name, value in body.items() if name not in ("stream", "stream_options")} for body in bodies]
        self._n = n

    async def plain(self, plan: Plan, bodies: Callable[[Hop], list[Json]], whole: Callable[[Hop, list[Json]], T]) -> T:
        """What `whole` makes of the one answer that all of them come to."""

        async def once(asking: Asking, hop: Hop) -> T:
            answers: list[Json] = []
            for start in range(0, len(self._bodies), AT_ONCE):
                answers += await together(self._one(asking, hop, body) for body in self._bodies[start : start + AT_ONCE])
            try:
                return whole(hop, [self._as_one(answers)])
            except SHAPELESS as exc:
                raise Fault("broken", "the provider's answer is of no known form") from exc

        return await self._over(plan, lambda hop: self._bodies, once)

    async def stream(self, plan: Plan, body: Json) -> Begun:
        return Told(await self.plain(plan, lambda hop: self._bodies, lambda hop, answers: answers[0]))

    async def _one(self, asking: Asking, hop: Hop, body: Json) -> Json:
        """The answer to one, with its usage: that of another would not be the whole's."""
        answer = await asking.answer(hop, body)
        if not answer.get("usage"):
            answer["usage"] = await usage.estimated(body, usage.texts_of(answer), hop.target.model.tokenizer)
        return answer

    def _as_one(self, answers: list[Json]) -> Json:
        """Their choices in the order of the prompts."""
        whole = merged(answers)
        at = 0
        for number, answer in enumerate(answers):
            for place, _ in enumerate(answer["choices"]):
                whole["choices"][at]["index"] = number * self._n + place
                at += 1
        return whole
