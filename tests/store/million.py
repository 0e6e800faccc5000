"""A million requests, made by the database itself."""

from sqlalchemy import text

from gateway.store.engine import Store
from tests.store.stores import DAY

DAYS = 40
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT :rows)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, CAST(:rows AS INTEGER) - 1))",
}
REST = """
INSERT INTO usage (id, time, team, key, "user", account, model, served_model, kind, currency, prompt_tokens, cached_tokens,
    completion_tokens, reasoning_tokens, cost, estimated, started, endpoint, jurisdiction, status, attempts, price_as_of, first_token_ms,
    total_ms, overhead_ms, finish, request_id, changes, decision, granted, tags)
{numbers}
SELECT 'id' || i, :first + i * CAST(:step AS DOUBLE PRECISION), CAST(:team AS TEXT) || (i % 10), 'key' || (i % 30), '', 'zhipu',
    'gpt-' || (i % 7), 'glm-5.2', 'ok', 'CNY', 100, 0, 50, 0, 1000000, false, :first, 'chat', 'cn-mainland', 200, 1, '2026-11-01',
    1, 2, 1, 'stop', 'req_' || i, '', :decision, '', ''
FROM n
"""


async def fill(store: Store, until: float, *, rows: int = 1_000_000, team: str = "team") -> None:
    """Requests of ten teams over the days before `until`: their names are `team` and a digit."""
    statement = text(REST.format(numbers=NUMBERS[store.location.dialect]))
    async with store.writing() as connection:
        values = {"first": until - DAYS * DAY, "step": (DAYS * DAY - 60) / rows, "decision": '{"config":"c","hops":["a/b"]}' * 4}
        await connection.execute(statement, {**values, "rows": rows, "team": team})
