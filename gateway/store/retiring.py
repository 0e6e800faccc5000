"""Who still asks for names that are about to end, how often, and when they last did."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from gateway.store import usage as reports
from gateway.store.sums import DAY
from gateway.store.tables import usage, usage_daily
from gateway.store.usage import FILTERS, Asked

if TYPE_CHECKING:
    from gateway.store.engine import Store

WHO = ("team", "key", "model")


async def calls(store: "Store", asked: Asked) -> reports.Report:
    """By team, key and name: {"team", "key", "model", "requests", …, "last"}. `last`: unix seconds of the last request; where its own row
    is no longer kept, the end of its day. `asked.models`: the names. Raises StoreError."""
    by_name = await reports.report(store, Asked(**{**_fields(asked), "group_by": WHO}))
    last: dict[tuple[Any, ...], float] = {}
    async with store.reading() as connection:
        for table, when in ((usage_daily, (func.max(usage_daily.c.day) + 1) * DAY - 1), (usage, func.max(usage.c.time))):
            names = [table.c[name] for name in WHO]
            wanted = [table.c[name] == value for name in FILTERS if (value := getattr(asked, name)) is not None]
            time = table.c.day * DAY if table is usage_daily else table.c.time
            wanted += [table.c.model.in_(asked.models), time >= asked.since, time < asked.until]
            for row in await connection.execute(select(*names, when).where(*wanted).group_by(*names)):
                last[tuple(row[:-1])] = float(row[-1])
    return reports.Report([{**row, "last": last.get(tuple(row[name] for name in WHO))} for row in by_name.rows], by_name.more)


def _fields(asked: Asked) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Asked.__struct_fields__}
