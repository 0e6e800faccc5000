"""Responses in the background: queued, polled, followed, cancelled, and made all the same when the gateway is killed meanwhile."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx
import pytest
from openai import BadRequestError, InternalServerError, NotFoundError, OpenAI
from openai.types.responses import Response

from gateway.api.responses.background import job_of
from providers.base import Json
from tests.conftest import NO_TLS, PATIENCE, TEAM, Background
from tests.gateway.api.responses.keeping import BLUE, Desk, Open, client_of, desk, words
from tests.gateway.provider import HOLD, Make, Provider, failed, route, said
from tests.journeys.processes import Failed, banjia

__all__ = ["desk"]

T = TypeVar("T")
ADMIN = "an-admin-key-of-a-test"


def at(desk: Open, one: Provider, **more: Any) -> Desk:
    return desk({"providers": {"p": one.account()}, "models": route("p/x")}, {**TEAM, **more}, BLUE, jobs=True)


def once(look: Callable[[], Any]) -> Any:
    """What it gives, once it gives something."""
    until = monotonic() + PATIENCE
    while not (found := look()):
        assert monotonic() < until
        sleep(0.05)
    return found


def over(client: OpenAI, id: str) -> Response:
    """The response, once it has ended."""

    def ended() -> Response | None:
        response = client.responses.retrieve(id)
        return response if response.status not in ("queued", "in_progress") else None

    found: Response = once(ended)
    return found


def test_a_response_in_the_background_is_made_as_any_other(desk: Open, provider: Make) -> None:
    one = provider((HOLD, *said("One")), said("Two"))
    here = at(desk, one)
    conversation = here.red.conversations.create().id

    queued = here.red.responses.create(model="m", input="First", background=True, metadata={"topic": "move"}, conversation=conversation)
    with pytest.raises(BadRequestError, match="is still"):
        here.red.responses.create(model="m", input="Second", previous_response_id=queued.id)
    assert one.reached.wait(PATIENCE)
    under_way = here.red.responses.retrieve(queued.id)
    one.let_go()
    made = over(here.red, queued.id)

    assert (queued.status, queued.background, queued.output) == ("queued", True, [])
    assert (under_way.status, under_way.output) == ("in_progress", [])
    assert (made.status, made.output_text, made.metadata) == ("completed", "One", {"topic": "move"})
    assert (made.id, made.created_at, made.background) == (queued.id, queued.created_at, True)
    assert made.usage is not None
    assert made.usage.total_tokens == 5
    assert words(here.red.responses.input_items.list(made.id)) == ["First"]

    items = list(here.red.conversations.items.list(conversation, order="asc"))
    assert words(items) == ["First", "One"]
    records = [here.served.records.get() for _ in range(here.served.records.qsize())]
    assert [record.usage["total_tokens"] for record in records if record.usage] == [5]  # one line of the log, and one in the metrics
    assert here.red.responses.create(model="m", input="Second", previous_response_id=made.id).output_text == "Two"
    assert [turn["content"] for turn in one.requests[-1].json["messages"]] == ["First", "One", "Second"]
    with pytest.raises(NotFoundError):
        here.blue.responses.retrieve(queued.id)


def test_it_is_followed_by_its_events_and_from_any_of_them_on(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("One"))).red

    events = list(client.responses.create(model="m", input="First", background=True, stream=True))
    assert events[0].type == "response.created"
    rest = list(client.responses.retrieve(events[0].response.id, stream=True, starting_after=4))

    assert [event.type for event in events] == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))
    assert rest == events[5:]


@pytest.mark.parametrize("way", ["cancel", "delete"])
def test_one_that_is_not_wanted_any_more_is_broken_off(desk: Open, provider: Make, way: str) -> None:
    one = provider((HOLD, *said("Too late")))
    client = at(desk, one).red
    id = client.responses.create(model="m", input="First", background=True).id
    assert one.reached.wait(PATIENCE)

    if way == "cancel":
        assert client.responses.cancel(id).status == "cancelled"
    else:
        client.responses.delete(id)

    assert one.left.wait(PATIENCE)
    if way == "cancel":
        assert client.responses.cancel(id).status == client.responses.retrieve(id).status == "cancelled"
        assert [event.type for event in client.responses.retrieve(id, stream=True)][-1] == "response.failed"
    else:
        with pytest.raises(NotFoundError):
            client.responses.retrieve(id)


def test_one_that_is_refused_has_failed_and_says_why(desk: Open, provider: Make) -> None:
    one = provider(failed(400, "no such thing"), said("One"))
    here = at(desk, one, limits={"rpm": 2})

    refused = over(here.red, here.red.responses.create(model="m", input="First", background=True).id)
    made = over(here.red, here.red.responses.create(model="m", input="First", background=True).id)
    limited = over(here.red, here.red.responses.create(model="m", input="First", background=True).id)

    assert (refused.status, refused.output) == ("failed", [])
    assert refused.error is not None
    assert (refused.error.code, refused.error.message) == ("invalid_prompt", "no such thing")
    assert made.status == "completed"
    assert limited.error is not None
    assert limited.error.code == "rate_limit_exceeded"
    assert len(one.requests) == 2


def test_what_is_not_to_be_stored_is_not_made_in_the_background(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("One"))).red

    with pytest.raises(BadRequestError, match="needs 'store' to be true"):
        client.responses.create(model="m", input="First", background=True, store=False)


class Twice:
    """Steps of which each is done, and done again as after a crash."""

    async def do(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        await work()
        return await work()


class Asleep:
    """Jobs that are started and never run."""

    async def start(self, job: str, given: Any = None, *, id: str) -> None:
        pass


def test_a_step_that_is_done_again_does_nothing_twice(desk: Open, provider: Make, background: Background) -> None:
    one = provider(said("One"))
    here = at(desk, one)
    conversation = here.red.conversations.create().id
    here.served.app.serving.jobs = Asleep()  # type: ignore[assignment]
    id = here.red.responses.create(model="m", input="First", background=True, conversation=conversation).id

    async def run() -> Any:
        return await job_of(lambda: here.served.app.serving).run(Twice(), {"id": id, "team": "red"})

    status = background.run(run())

    assert status == here.red.responses.retrieve(id).status == "completed"
    assert len(one.requests) == 1
    items = list(here.red.conversations.items.list(conversation, order="asc"))
    assert words(items) == ["First", "One"]


@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_what_a_process_had_under_way_is_made_by_the_next(tmp_path: Path, provider: Make, way: str) -> None:
    one = provider((HOLD,), said("One"))
    config = tmp_path / "config"
    (config / "teams").mkdir(parents=True)
    gateway: Json = {
        "schema": "banjia/v1",
        "server": {"pre_stop": "0s", "drain": "2s"},
        "admin": {"key": ADMIN},
        "storage": {"url": f"sqlite:///{tmp_path}/banjia.db"},
        "providers": {"p": one.account()},
        "models": {"m": "p/x"},
    }
    (config / "gateway.yaml").write_text(json.dumps(gateway))
    (config / "teams" / "red.yaml").write_text(json.dumps(TEAM))
    key = TEAM["keys"][0]["key"]

    with suppress(Failed), banjia("serve", "--config", str(config), "--port", "0") as first:
        with client_of(first.url, key) as client:
            queued = once(lambda: created(client))
        assert one.reached.wait(PATIENCE)
        getattr(first.process, way)()
    with banjia("serve", "--config", str(config), "--port", "0") as second:
        with client_of(second.url, key) as client:
            made = over(client, queued.id)
        tokens = tokens_written(second.url)

    assert (made.status, made.output_text) == ("completed", "One")
    assert len(one.requests) == 2
    assert tokens == 3  # of one answer


def created(client: OpenAI) -> Response | None:
    """None while jobs are being started."""
    try:
        return client.responses.create(model="m", input="First", background=True)
    except InternalServerError as refused:
        if refused.code != "store_unavailable":
            raise
        return None


def tokens_written(url: str) -> int:
    """Tokens of prompts in the table of usage."""
    reply = httpx.get(
        f"{url}/admin/v1/usage", params={"group_by": "team"}, headers={"authorization": f"Bearer {ADMIN}"}, trust_env=False, verify=NO_TLS
    )
    rows: list[Json] = reply.json()["data"]
    return sum(row["prompt_tokens"] for row in rows)
