"""What the files say of keeping responses: for how long, whether at all, and how many in the background at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI, RateLimitError

from providers.base import Json
from tests.conftest import PATIENCE, TEAM, Background
from tests.gateway.api.responses.keeping import BLUE, Desk, Open, desk
from tests.gateway.api.responses.test_background import once, over
from tests.gateway.provider import HOLD, Make, Provider, route, said

__all__ = ["desk"]

HOUR = 3600.0


def at(desk: Open, one: Provider, *, responses: Json | None = None, jobs: bool = False, keep: Json | None = None, **more: Any) -> Desk:
    config: Json = {"providers": {"p": one.account()}, "models": route("p/x"), **({"responses": keep} if keep else {})}
    return desk(config, {**TEAM, **({"responses": responses} if responses else {}), **more}, BLUE, jobs=jobs)


def post(here: Desk, path: str = "/v1/responses", **body: Any) -> httpx.Response:
    headers = body.pop("headers", {})
    return here.served.client.post(path, json=body, headers=headers)


def rows(here: Desk, background: Background) -> int:
    objects: Any = here.served.app.serving.objects

    async def count() -> int:
        kinds = ("response", "response_item", "response_queued", "conversation", "conversation_item")
        return sum([await objects.count(kind, "red") for kind in kinds])

    return background.run(count())


def test_a_response_is_kept_for_as_long_as_the_file_says(desk: Open, provider: Make) -> None:
    here = at(desk, provider(said("One"), said("Two")), keep={"keep": "2h", "keep_conversations": "4h"})
    conversation = here.red.conversations.create().id
    made = here.red.responses.create(model="m", input="Hello", conversation=conversation)

    here.clock.ahead = 1.9 * HOUR
    assert here.red.responses.retrieve(made.id).id == made.id
    here.clock.ahead = 2.1 * HOUR
    with pytest.raises(NotFoundError):
        here.red.responses.retrieve(made.id)
    here.clock.ahead = 3.9 * HOUR
    assert here.red.conversations.retrieve(conversation).id == conversation
    here.clock.ahead = 4.1 * HOUR
    with pytest.raises(NotFoundError):
        here.red.conversations.retrieve(conversation)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "told"), [({}, "store=clamped:false"), ({"store": True}, "store=clamped:false"), ({"store": False}, None)]
)
def test_of_a_team_that_keeps_nothing_no_response_is_kept_and_that_is_told(
    desk: Open, provider: Make, background: Background, asked: Json, told: str | None, stream: bool
) -> None:
    here = at(desk, provider(said("One")), responses={"store": False})

    reply = post(here, model="m", input="Hello", stream=stream, **asked)

    assert reply.status_code == 200
    assert ('"store":false' in reply.text, '"store":true' in reply.text) == (True, False)
    assert reply.headers.get("x-banjia-changes") == told
    assert rows(here, background) == 0


@pytest.mark.parametrize(
    ("asked", "param", "words"),
    [
        ({"background": True}, "background", "wait for the answer, or have it streamed"),
        ({"background": True, "store": False}, "background", "wait for the answer"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "send the earlier items in 'input'"),
        ({"conversation": "conv_1"}, "conversation", "send the earlier items in 'input'"),
        ({"headers": {"idempotency-key": "once"}}, None, "leave out `Idempotency-Key`"),
    ],
    ids=["background", "background unstored", "previous", "conversation", "idempotency"],
)
def test_what_needs_something_kept_is_refused_to_a_team_that_keeps_nothing(
    desk: Open, provider: Make, background: Background, asked: Json, param: str | None, words: str
) -> None:
    one = provider(said("One"))
    here = at(desk, one, responses={"store": False}, jobs=True)

    reply = post(here, model="m", input="Hello", **asked)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "storage_not_allowed", param)
    assert words in error["message"]
    assert "`red`" in error["message"]
    assert "responses.store" in error["message"]
    assert (rows(here, background), one.requests) == (0, [])


def test_a_team_that_keeps_nothing_has_no_conversations_but_deletes_those_it_had(desk: Open, provider: Make) -> None:
    one = provider(said("One"))
    before = at(desk, one).red.conversations.create().id
    here = at(desk, one, responses={"store": False})

    for path, body in (("/v1/conversations", {}), (f"/v1/conversations/{before}/items", {"items": [{"role": "user", "content": "Hello"}]})):
        reply = post(here, path, **body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "storage_not_allowed")
    assert here.red.conversations.delete(before).deleted


def test_a_strict_team_that_keeps_nothing_is_refused_only_what_it_asks_for(desk: Open, provider: Make) -> None:
    here = at(desk, provider(said("One")), responses={"store": False}, policy={"fidelity": "strict"})

    refused, taken = post(here, model="m", input="Hello", store=True), post(here, model="m", input="Hello")

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "store")
    assert (taken.status_code, taken.json()["store"], taken.headers.get("x-banjia-changes")) == (200, False, None)


def test_a_team_has_as_many_in_the_background_as_its_file_says(desk: Open, provider: Make) -> None:
    one = provider((HOLD, *said("One")), said("Two"), said("Three"))
    here = at(desk, one, responses={"background": 2}, jobs=True)
    client = here.red
    first, second = (client.responses.create(model="m", input="First", background=True).id for _ in range(2))

    with pytest.raises(RateLimitError, match="as it may, 2") as refused:
        client.responses.create(model="m", input="Third", background=True)
    assert refused.value.code == "too_many_background_responses"
    assert refused.value.response.headers["retry-after"] == "10"
    assert "cancel" in refused.value.message
    assert here.blue.responses.create(model="m", input="Another team's", background=True).status == "queued"

    client.responses.cancel(second)
    third = client.responses.create(model="m", input="Third", background=True).id
    assert one.reached.wait(PATIENCE)
    one.let_go()
    assert [over(client, id).status for id in (first, third)] == ["completed", "completed"]
    once(lambda: begins(client))


def begins(client: OpenAI) -> bool:
    """Whether there is a place for one more: it is free a moment after the answer is seen."""
    try:
        client.responses.create(model="m", input="One more", background=True)
    except RateLimitError:
        return False
    return True


def test_of_those_that_come_at_once_no_more_are_taken_than_may_be(desk: Open, provider: Make, background: Background) -> None:
    here = at(desk, provider((HOLD, *said("One"))), responses={"background": 3}, jobs=True)

    def asked(_: int) -> int:
        return post(here, model="m", input="Hello", background=True).status_code

    with ThreadPoolExecutor(12) as pool:
        statuses = [*pool.map(asked, range(12))]

    assert sorted(statuses) == [200] * 3 + [429] * 9
    assert rows(here, background) == 6


def test_with_none_allowed_there_is_nothing_in_the_background(desk: Open, provider: Make) -> None:
    client = at(desk, provider(said("One")), responses={"background": 0}, jobs=True).red

    with pytest.raises(RateLimitError):
        client.responses.create(model="m", input="First", background=True)
    with pytest.raises(BadRequestError, match="'store' to be true"):
        client.responses.create(model="m", input="First", background=True, store=False)
