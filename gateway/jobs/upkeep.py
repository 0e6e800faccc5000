"""What is done by itself: once for all replicas, by whichever comes first."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.accounting.books import Books
from gateway.jobs.base import Job, Steps
from gateway.store.engine import Store
from gateway.store.objects import forget as forget_objects
from gateway.store.replies import forget as forget_replies
from gateway.store.rollup import Kept, forget, roll_up

log = logging.getLogger(__name__)

Billed = Callable[[], Awaitable[Mapping[str, int]]]
"""Asks the vendors what each grant, by its name, has paid for: tokens since it was given."""


def upkeep(store: Store, books: Books, *, keep: float, billed: Billed | None = None) -> tuple[Job, ...]:
    """`keep`: seconds for which requests' own rows are kept. Without `billed` nothing is compared."""

    async def usage(steps: Steps, _: Any) -> Any:
        async def forgotten() -> int:
            return await forget(store, Kept(requests_days=max(1, round(keep / 86_400))))

        days = await steps.do("add up days that are over", lambda: roll_up(store))
        return {"days": days, "forgotten": await steps.do("forget requests", forgotten)}

    async def replies(steps: Steps, _: Any) -> Any:
        return await steps.do("forget answers", lambda: forget_replies(store))

    async def objects(steps: Steps, _: Any) -> Any:
        return await steps.do("forget objects", lambda: forget_objects(store))

    async def grants(steps: Steps, _: Any) -> Any:
        """A look at each grant: forecasts are made of what looks have seen."""

        async def look() -> dict[str, int]:
            return {one.grant.name: one.used for one in await books.grants.standings() if one.known}

        return await steps.do("look", look)

    jobs = (
        Job("usage", usage, "7 * * * *"),
        Job("replies", replies, "27 * * * *"),
        Job("objects", objects, "37 * * * *"),
        Job("grants", grants, "*/5 * * * *"),
    )
    if billed is None:
        return jobs

    async def bills(steps: Steps, _: Any) -> Any:
        """What the vendors have counted beside what we have. Nothing is changed by it: to adopt a bill is an administrator's decision."""
        told: Mapping[str, int] = await steps.do("ask", billed)

        async def compare() -> dict[str, int]:
            drifts = await books.grants.reconcile(told)
            for drift in drifts:
                if drift.tokens > 0:
                    log.warning("grant %s: the vendor has counted %d tokens, we have %d", drift.grant, drift.billed, drift.used)
            return {drift.grant: drift.tokens for drift in drifts}

        return await steps.do("compare", compare)

    return (*jobs, Job("bills", bills, "47 3 * * *"))
