"""What is written down of requests and what bounds them, over sockets and with a real database."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import openai
import pytest

from gateway.accounting.books import Books
from gateway.keyring import Ring
from gateway.state.memory import Memory
from gateway.store import keys
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from providers.base import Json
from tests.conftest import KEY, PATIENCE, TEAM, Background, Served
from tests.gateway.provider import END, HOLD, RESET, STREAM, Make, failed, said, streamed, word

Serve = Callable[..., Served]
ZHIPU = {"vendor": "zhipu", "api_key": "id.secret"}


class Stored:
    """Gateways with a database in a file."""

    def __init__(self, gateway: Serve, path: Path) -> None:
        self._gateway = gateway
        self._path = path / "usage.db"

    def serve(self, config: Json, *teams: Json) -> Served:
        self.store = Store(f"sqlite:///{self._path}")
        ring = Ring(self.store, every=0.05)
        return self._gateway(config, *teams, books=Books(Memory(), StoreLedger(self.store)), beside=(self.store, ring), ring=ring)

    def rows(self) -> list[dict[str, Any]]:
        with sqlite3.connect(self._path) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM usage ORDER BY time")]

    def row(self) -> dict[str, Any]:
        (one,) = self.rows()
        return one


@pytest.fixture
def stored(gateway: Serve, tmp_path: Path) -> Stored:
    return Stored(gateway, tmp_path)


def config(**accounts: Json) -> Json:
    first, *others = accounts
    return {
        "providers": accounts,
        "models": {"m": {"serve": f"{first}/x", "fallback": [f"{name}/x" for name in others], "retry": {"max": 0}}},
    }


def glm(of: Any) -> Json:
    """A config whose model has a price: 8 and 28 CNY a million tokens."""
    return {"providers": {"z": of.account(**ZHIPU)}, "models": {"m": "z/glm-5.2"}}


# ---- records ----


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_written_down_before_its_end_is_seen(stored: Stored, provider: Make, *, stream: bool) -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
    one = provider((STREAM, word("Hi"), END, usage, b"data: [DONE]\n\n") if stream else said())
    served = stored.serve(glm(one))

    assert served.chat(stream=stream, user="alice", metadata={"project": "p1"}).status_code == 200

    row = stored.row()
    told = (
        "team",
        "key",
        "user",
        "model",
        "account",
        "served_model",
        "kind",
        "status",
        "finish",
        "attempts",
        "endpoint",
        "tags",
        "jurisdiction",
    )
    assert [row[name] for name in told] == [
        "red", "main", "alice", "m", "z", "glm-5.2", "ok", 200, "stop", 1, "chat", '{"project":"p1"}', "cn-mainland",
    ]  # fmt: skip
    assert (row["prompt_tokens"], row["completion_tokens"], row["estimated"]) == (3, 2, 0)
    assert (row["cost"], row["currency"]) == (3 * 8000 + 2 * 28000, "CNY")
    assert 0 < row["first_token_ms"] <= row["total_ms"]
    assert "Hi" not in str(row)


@pytest.mark.parametrize(
    ("steps", "kind", "status"),
    [
        ((failed(500), said()), "failed_over", 200),
        ((failed(500), failed(500)), "failed", 502),
        ((failed(400),), "failed", 400),
    ],
)
def test_what_became_of_a_request(stored: Stored, provider: Make, steps: tuple[Any, ...], kind: str, status: int) -> None:
    accounts = {name: provider(step).account() for name, step in zip("pq", steps, strict=False)}

    stored.serve(config(**accounts)).chat()

    row = stored.row()
    assert (row["kind"], row["attempts"]) == (kind, len(steps))
    assert row["status"] in (status, 503)


def test_what_the_gateway_refuses_itself_is_written_down_too(stored: Stored, provider: Make) -> None:
    served = stored.serve(config(p=provider(said()).account()))

    assert served.chat("unknown").status_code == 404
    assert served.chat(temperature="hot").status_code == 400
    assert served.chat(headers={"authorization": "Bearer wrong"}).status_code == 401

    assert [(row["kind"], row["status"], row["attempts"]) for row in stored.rows()] == [("refused", 404, 0), ("refused", 400, 0)]


def test_a_stream_that_breaks_is_booked_with_what_was_said(stored: Stored, provider: Make) -> None:
    served = stored.serve(config(p=provider((STREAM, word("One two three"), RESET)).account()))

    assert "error" in served.chat(stream=True).text

    row = stored.row()
    assert (row["kind"], row["status"], row["estimated"]) == ("failed", 200, 1)
    assert row["completion_tokens"] > 0


def test_a_client_that_leaves_is_booked_with_what_it_has_seen(stored: Stored, provider: Make) -> None:
    one = provider((STREAM, word("One two three"), HOLD))
    served = stored.serve(config(p=one.account()))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}

    with served.client.stream("POST", "/v1/chat/completions", json=body) as reply:
        next(reply.iter_raw())
    assert one.left.wait(PATIENCE)
    served.record()
    stored_rows = wait_for(stored.rows)

    assert [row["kind"] for row in stored_rows] == ["aborted"]
    assert stored_rows[0]["completion_tokens"] > 0


def wait_for(rows: Callable[[], list[Any]]) -> list[Any]:
    """Its writing is not waited for by anybody: the record comes with the next transaction."""
    until = monotonic() + PATIENCE
    while not (found := rows()) and monotonic() < until:
        pass
    return found


def test_an_answer_that_is_gone_on_with_is_one_record(stored: Stored, provider: Make) -> None:
    one, two = provider((STREAM, word("One "), RESET)), provider(streamed("two"))
    accounts = {"p": one.account(vendor="deepseek"), "q": two.account(vendor="deepseek")}
    route = {"serve": "p/deepseek-chat", "fallback": "q/deepseek-chat", "retry": {"max": 0}, "stream": {"on_cut": "continue"}}
    served = stored.serve({"providers": accounts, "models": {"m": route}})

    assert "[DONE]" in served.chat(stream=True).text

    row = stored.row()
    assert (row["kind"], row["status"], row["account"]) == ("continued", 200, "q")


def test_embeddings_are_booked(stored: Stored, provider: Make) -> None:
    answer: Json = {"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    one = provider(said(**answer))
    served = stored.serve(config(p=one.account()))

    assert served.client.post("/v1/embeddings", json={"model": "m", "input": "x"}).status_code == 200

    row = stored.row()
    assert (row["endpoint"], row["prompt_tokens"], row["completion_tokens"]) == ("embeddings", 4, 0)


def test_the_loser_of_a_race_is_booked_too(stored: Stored, provider: Make) -> None:
    slow, fast = provider((HOLD,)), provider(said())
    accounts = {"p": slow.account(**ZHIPU), "q": fast.account(**ZHIPU)}
    route = {"serve": "p/glm-5.2", "fallback": "q/glm-5.2", "retry": {"max": 0}, "hedge": "20ms"}
    served = stored.serve({"providers": accounts, "models": {"m": route}})

    assert served.chat(text="word " * 100).status_code == 200
    rows = sorted(wait_for(lambda: found if len(found := stored.rows()) == 2 else []), key=lambda row: str(row["kind"]))

    assert [(row["kind"], row["account"], row["estimated"]) for row in rows] == [("attempt", "p", 1), ("failed_over", "q", 0)]
    assert rows[0]["request_id"] == rows[1]["request_id"]
    assert rows[0]["cost"] == rows[0]["prompt_tokens"] * 8000 > 0


# ---- bounds ----


def limited(stored: Stored, provider: Make, step: Any = None, **team: Any) -> Served:
    return stored.serve(glm(provider(step or said())), {**TEAM, **team})


def test_requests_beyond_the_limit_are_told_when_to_come_again(stored: Stored, provider: Make) -> None:
    served = limited(stored, provider, limits={"rpm": 2})

    first, second, third = (served.chat() for _ in range(3))

    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in (first, second, third)] == ["1", "0", "0"]
    assert (third.status_code, third.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(third.headers["retry-after"]) <= 61
    assert [row["kind"] for row in stored.rows()] == ["ok", "ok", "refused"]
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=KEY, max_retries=0) as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])


def test_tokens_are_reckoned_before_and_counted_after(stored: Stored, provider: Make) -> None:
    served = limited(stored, provider, limits={"tpm": 1000})

    first = served.chat(max_tokens=900)
    second = served.chat(max_tokens=900)  # the first has used 5 of what it might have
    large = served.chat(max_tokens=1200)

    assert [first.status_code, second.status_code, large.status_code] == [200, 200, 429]
    assert "x-should-retry" in large.headers


def test_a_keys_and_a_users_limits_hold_beside_the_teams(stored: Stored, provider: Make) -> None:
    keys_ = [{"name": "main", "key": KEY, "limits": {"rpm": 3}}, {"name": "other", "key": "sk-other"}]
    served = limited(stored, provider, keys=keys_, limits={"rpm": 6}, per_user={"limits": {"rpm": 2}})

    of_alice = [served.chat(user="alice").status_code for _ in range(3)]
    of_key = [served.chat(user=f"u{number}").status_code for number in range(2)]
    of_team = [served.chat(headers={"authorization": "Bearer sk-other"}).status_code for _ in range(4)]

    assert (of_alice, of_key, of_team) == ([200, 200, 429], [200, 429], [200, 200, 200, 429])


def test_as_many_at_once_as_may_be(stored: Stored, provider: Make) -> None:
    one = provider((HOLD, *said()))
    served = stored.serve(glm(one), {**TEAM, "limits": {"concurrent": 1}})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(served.chat)
        assert one.reached.wait(PATIENCE)

        beside = served.chat()
        one.let_go()

        assert running.result(PATIENCE).status_code == 200
    assert beside.status_code == 429
    assert served.chat().status_code == 200


def test_a_budget_that_is_used_up_is_no_matter_of_waiting(stored: Stored, provider: Make) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 1000, "total_tokens": 1100}  # 0.0288 CNY
    served = limited(stored, provider, said(usage=usage), budget={"amount": "0.05 CNY", "per": "day"})

    codes = [served.chat(max_tokens=10).status_code for _ in range(3)]
    told = served.chat(max_tokens=10)

    assert codes == [200, 200, 429]
    assert told.json()["error"]["code"] == "insufficient_quota"
    assert told.headers["x-should-retry"] == "false"
    assert sum(row["cost"] for row in stored.rows()) == 2 * 28_800_000


def test_what_was_spent_before_a_restart_counts(stored: Stored, provider: Make, background: Background) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 1000, "total_tokens": 1100}
    budget = {"budget": {"amount": "2000 tokens", "per": "month"}}
    first = limited(stored, provider, said(usage=usage), **budget)
    assert first.chat(max_tokens=10).status_code == 200
    background.run(first.app.close())

    again = limited(stored, provider, said(usage=usage), **budget)

    assert [again.chat(max_tokens=10).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("user", ["alice", "a" * 100, "a" * 1000])
def test_what_a_user_has_spent_before_a_restart_counts(stored: Stored, provider: Make, background: Background, user: str) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 1000, "total_tokens": 1100}
    budget = {"per_user": {"budget": {"amount": "2000 tokens", "per": "month"}}}
    first = limited(stored, provider, said(usage=usage), **budget)
    assert first.chat(max_tokens=10, user=user).status_code == 200
    background.run(first.app.close())

    again = limited(stored, provider, said(usage=usage), **budget)

    assert [again.chat(max_tokens=10, user=user).status_code for _ in range(2)] == [200, 429]


def test_a_grant_pays_for_each_of_the_answers_that_are_asked_for(stored: Stored, provider: Make) -> None:
    """What is held of it is what all of them may use, so that it is never overspent."""
    usage = {"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40}
    account = provider(said(usage=usage)).account(**ZHIPU)
    grant = {"account": "z", "tokens": 1000, "expires": "2099-01-01T00:00:00+08:00"}
    served = stored.serve({"providers": {"z": account}, "models": {"m": "z/glm-5.2"}, "grants": [grant]})
    grants, held = served.app.serving.books.grants, []
    draw = grants.draw

    async def noted(*asked: Any, **sizes: Any) -> Any:
        held.append(sizes["completion"])
        return await draw(*asked, **sizes)

    grants.draw = noted  # type: ignore[method-assign]
    assert served.chat(max_tokens=10, n=3).status_code == 200

    assert held == [30]


def test_a_team_that_requires_it_is_not_served_while_usage_cannot_be_written(stored: Stored, provider: Make) -> None:
    served = limited(stored, provider, usage="required")
    assert served.chat().status_code == 200

    stored.store.writer.degraded = "a test"
    reply = served.chat()

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "usage_unavailable")
    assert served.client.get("/readyz").json()["degraded"] == "a test"


# ---- keys ----


def test_a_key_that_is_made_holds_until_it_is_revoked(stored: Stored, provider: Make, background: Background) -> None:
    served = stored.serve(config(p=provider(said()).account()))
    made, secret = background.run(keys.create(stored.store, "red", "new"))
    ring = served.app.serving.ring
    assert isinstance(ring, Ring)

    background.run(ring.refresh())
    before = served.chat(headers={"authorization": f"Bearer {secret}"})
    background.run(keys.revoke(stored.store, made.id))
    background.run(ring.refresh())
    after = served.chat(headers={"authorization": f"Bearer {secret}"})

    assert (before.status_code, after.status_code) == (200, 401)
    assert stored.row()["key"] == "new"


# ---- grants ----


def gifted(of: Any, **more: Any) -> Json:
    grants = [{"name": "gift", "account": "z", "tokens": 12, "expires": "2199-01-01T00:00:00+08:00", **more}]
    return {**glm(of), "grants": grants}


def test_what_a_grant_pays_for_costs_nothing_and_not_one_token_more(stored: Stored, provider: Make, background: Background) -> None:
    one = provider(said())  # 3 and 2 tokens
    served = stored.serve(gifted(one))

    for _ in range(4):
        assert served.chat(max_tokens=5).status_code == 200
    (standing,) = background.run(served.app.serving.books.grants.standings())

    rows = stored.rows()
    assert (standing.used, standing.held, standing.left) == (12, 0, 0)
    assert [row["granted"] for row in rows] == ['{"gift":5}', '{"gift":5}', '{"gift":2}', ""]
    assert [row["cost"] for row in rows] == [0, 0, 1 * 8000 + 2 * 28000, 3 * 8000 + 2 * 28000]


def test_what_a_grant_has_paid_is_known_after_a_restart(stored: Stored, provider: Make, background: Background) -> None:
    first = stored.serve(gifted(provider(said())))
    assert first.chat(max_tokens=5).status_code == 200
    background.run(first.app.close())

    again = stored.serve(gifted(provider(said())))
    again.chat(max_tokens=5)

    (standing,) = background.run(again.app.serving.books.grants.standings())
    assert standing.used == 10


def test_grants_first_spends_the_soonest_to_expire_and_then_pays(stored: Stored, provider: Make) -> None:
    accounts = {name: provider(said()).account(**ZHIPU) for name in "abc"}
    route = {"serve": [f"{name}/glm-5.2" for name in accounts], "pick": "grants_first"}
    grants = [
        {"name": f"of-{name}", "account": name, "tokens": 5, "expires": f"{year}-01-01T00:00:00Z"}
        for name, year in (("b", 2199), ("c", 2198))
    ]
    served = stored.serve({"providers": accounts, "models": {"m": route}, "grants": grants})

    who = [served.chat(max_tokens=2).headers["x-banjia-provider"] for _ in range(4)]

    assert who == ["c", "b", "a", "a"]


def test_an_attempt_that_fails_spends_no_grant(stored: Stored, provider: Make, background: Background) -> None:
    served = stored.serve(gifted(provider(failed(500))))
    served.chat(max_tokens=5)

    (standing,) = background.run(served.app.serving.books.grants.standings())
    assert (standing.used, standing.held, standing.left) == (0, 0, 12)
