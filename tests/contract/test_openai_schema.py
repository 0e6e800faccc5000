"""Every reply and every stream event of OpenAI's surfaces has the shape that OpenAI's OpenAPI document gives it, at several vendors."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.replies import CHAT, MEDIA, OTHERS, RESPONSES, Question
from tests.contract.schema import faults, misshapen
from tests.contract.serving import client_of, serving, things
from tests.gateway.api.media.conftest import until
from tests.journeys.processes import Running

pytestmark = pytest.mark.timeout(180)  # of which starting may take most, on a busy machine
VENDORS = ("zhipu", "baidu-legacy", "sensetime", "alibaba", "openai")
LAST = ("completed", "failed")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("schema")) as running:
        yield running


@pytest.fixture(scope="module")
def client(gateway: Running) -> Iterator[httpx.Client]:
    with client_of(gateway, "zhipu") as made:
        yield made


def wrong(client: httpx.Client, *questions: Question) -> dict[str, list[str]]:
    """What is wrong with the answers, by the question's name."""
    return {question.name: found for question in questions if (found := _wrong(client, question))}


def _wrong(client: httpx.Client, question: Question) -> list[str]:
    method, _, path = question.route.partition(" ")
    form: Any = {"data": question.body, "files": question.files} if question.files else {"json": question.body}
    reply = client.request(method, f"/v1{path}", **(form if question.body is not None else {}))
    if reply.status_code != question.status:
        return [f"{reply.status_code}: {reply.text[:300]}"]
    return misshapen(question.like or question.route, reply.status_code, reply.headers["content-type"], reply.text)


@pytest.mark.parametrize("vendor", VENDORS)
def test_chat(gateway: Running, vendor: str) -> None:
    with client_of(gateway, vendor) as client:
        assert wrong(client, *CHAT) == {}


@pytest.mark.parametrize("vendor", ["zhipu", "alibaba-native", "openai"])
def test_responses(gateway: Running, vendor: str) -> None:
    with client_of(gateway, vendor) as client:
        assert wrong(client, *RESPONSES) == {}


@pytest.mark.parametrize("vendor", ["zhipu", "alibaba"])
def test_what_is_beside_chat(gateway: Running, vendor: str) -> None:
    with client_of(gateway, vendor) as client:
        assert wrong(client, *OTHERS) == {}


def test_images_sound_and_moderation(client: httpx.Client) -> None:
    assert wrong(client, *MEDIA) == {}


def test_what_is_kept(client: httpx.Client) -> None:
    """Files, uploads, batches, tuning jobs, responses and conversations: made, listed, read and ended."""
    known = things(client)
    asked = [
        *[Question(f"all {kind}", f"GET /{kind}", None) for kind in ("files", "batches", "fine_tuning/jobs")],
        _about(known, "GET /files/{file_id}"),
        _about(known, "GET /batches/{batch_id}"),
        _about(known, "GET /fine_tuning/jobs/{fine_tuning_job_id}"),
        _about(known, "GET /fine_tuning/jobs/{fine_tuning_job_id}/events"),
        _about(known, "GET /fine_tuning/jobs/{fine_tuning_job_id}/checkpoints"),
        _about(known, "POST /fine_tuning/jobs/{fine_tuning_job_id}/cancel"),
        _about(known, "POST /uploads/{upload_id}/parts", {}, {"data": ("a.txt", b"abc", "text/plain")}),
        _about(known, "POST /uploads/{upload_id}/cancel"),
        _about(known, "GET /responses/{response_id}"),
        _about(known, "GET /responses/{response_id}/input_items"),
        _about(known, "GET /conversations/{conversation_id}"),
        _about(known, "POST /conversations/{conversation_id}", {"metadata": {"a": "b"}}),
        _about(known, "GET /conversations/{conversation_id}/items"),
        _about(known, "POST /conversations/{conversation_id}/items", {"items": [{"role": "user", "content": "Hi"}]}),
        _about(known, "GET /conversations/{conversation_id}/items/{item_id}"),
        _about(known, "DELETE /conversations/{conversation_id}/items/{item_id}"),
        _about(known, "DELETE /conversations/{conversation_id}"),
        _about(known, "GET /models/{model}"),
    ]

    assert wrong(client, *asked) == {}
    batch = until(lambda: _over(client, known["{batch_id}"][0]))
    assert batch["status"] == "completed"
    assert faults("GET /batches/{batch_id}", batch) == []
    assert wrong(client, _about(known, "DELETE /files/{file_id}"), _about(known, "POST /batches/{batch_id}/cancel", status=409)) == {}


def _about(known: dict[str, list[Any]], route: str, body: Any = None, files: Any = None, *, status: int = 200) -> Question:
    path = "/".join(known[part][0] if part.startswith("{") else part for part in route.split("/"))
    return Question(route, path, body, files, status, route)


def _over(client: httpx.Client, batch: str) -> Any:
    told = client.get(f"/v1/batches/{batch}").json()
    return told if told["status"] in LAST else None


def test_a_response_in_the_background_is_told_again_and_cancelled(client: httpx.Client) -> None:
    body = {"model": "gpt-4o", "input": "Count to 30", "background": True, "stream": True}
    told = client.post("/v1/responses", json=body).text
    id = json.loads(told.split("data: ", 1)[1].split("\n", 1)[0])["response"]["id"]

    again = Question("again", f"GET /responses/{id}?stream=true", None, like="POST /responses")
    ended = Question("cancelled", f"POST /responses/{id}/cancel", None, like="POST /responses/{response_id}/cancel")

    assert wrong(client, again, ended) == {}


@pytest.mark.parametrize(
    ("route", "value", "fault"),
    [
        ("GET /models/{model}", {"id": "m", "object": "model", "created": 1}, ': "owned_by" is a required property'),
        ("GET /models/{model}", {"id": "m", "object": "robot", "created": 1, "owned_by": "o"}, "object: "),
        ("GET /models/{model}", {"id": "m", "object": "model", "created": None, "owned_by": "o"}, "created: null is not of type"),
        ("errors", {"error": {"message": "m", "type": "t", "param": None}}, 'error: "code" is a required property'),
    ],
)
def test_a_reply_that_lacks_something_is_found_out(route: str, value: Any, fault: str) -> None:
    (found,) = faults(route, value)

    assert found.startswith(fault)
