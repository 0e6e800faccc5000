"""Names that OpenAI ends: what the list says of them, what answers say, and what is told at addresses that are gone."""

from collections.abc import Callable
from datetime import date
from typing import Any

import openai
import pytest
from openai import OpenAI

from gateway.api import retired
from gateway.catalog import RetirementsFile
from gateway.config import parse
from gateway.retirement import Retirement
from gateway.yaml_file import Document, Problem
from providers.base import Json
from tests.conftest import Served, catalog
from tests.gateway.provider import Make, failed, said, streamed

Gateway = Callable[..., Served]
HELLO: Any = [{"role": "user", "content": "Hello"}]
GPT_4O = {
    "deprecation": "@1791936000",
    "sunset": "Thu, 14 Jan 2027 00:00:00 GMT",
    "link": '</v1/models/gpt-4o>; rel="deprecation"; type="application/json"',
}
"""`date -d '2026-10-14 UTC' +%s`, and the day that OpenAI shuts it down."""


def told(headers: Any) -> dict[str, str]:
    return {name: headers[name] for name in GPT_4O if name in headers}


@pytest.fixture
def served(gateway: Gateway, provider: Make) -> Served:
    """gpt-4o answers plain, then as a stream, then no longer; `m` is nobody's name but ours."""
    account = provider(said("Hi"), streamed("Hi"), failed(400, "no", code="1210")).account(vendor="zhipu", api_key="id.secret")
    return gateway({"providers": {"z": account}, "models": {"gpt-4o": "z/glm-5.2", "m": "z/glm-5.2"}})


def test_every_answer_under_a_name_that_ends_says_so(served: Served) -> None:
    plain = served.chat("gpt-4o")
    stream = served.chat("gpt-4o", stream=True)
    error = served.chat("gpt-4o")

    assert (plain.status_code, stream.status_code, error.status_code) == (200, 200, 400)
    assert told(plain.headers) == told(stream.headers) == told(error.headers) == GPT_4O


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "Hello"}),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 5}),
        ("/openai/deployments/gpt-4o/chat/completions", {"messages": HELLO}),
    ],
)
def test_it_is_said_on_every_surface(served: Served, path: str, body: Json) -> None:
    reply = served.client.post(path, json={"model": "gpt-4o", **body})

    assert reply.status_code == 200, reply.text
    assert told(reply.headers) == GPT_4O


def test_other_names_say_nothing_of_it(served: Served) -> None:
    assert told(served.chat("m").headers) == {}


def test_the_link_leads_to_what_serves_the_name(served: Served) -> None:
    where = served.chat("gpt-4o").headers["link"].partition(">")[0].removeprefix("<")

    shown = served.client.get(where).json()

    assert shown["shutdown_date"] == "2027-01-14"
    assert shown["served_by"] == ["z/glm-5.2"]


def test_openais_sdk_finds_the_day_in_the_list_and_in_one_model(served: Served) -> None:
    with OpenAI(base_url=served.url + "/v1", api_key=served.key, max_retries=0) as client:
        every = {model.id: model.to_dict().get("shutdown_date") for model in client.models.list()}
        one = client.models.retrieve("gpt-4o").to_dict()

    assert every["gpt-4o"] == one["shutdown_date"] == "2027-01-14"
    assert every["m"] is None


def test_a_name_with_signs_of_its_own_cannot_break_the_header() -> None:
    headers = dict(Retirement(date(2026, 1, 1), date(2026, 7, 1)).headers('a>"/b\r\nc 模'))

    assert headers[b"link"] == b'</v1/models/a%3E%22%2Fb%0D%0Ac%20%E6%A8%A1>; rel="deprecation"; type="application/json"'


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"announced": "2026-06-01", "shutdown": "2026-05-01", "source": "a"}, "shutdown is before the day it was announced"),
        ({"announced": "2026-06-01", "shutdown": "2026-12-01", "source": "b"}, "a row's source is not under sources: b"),
        ({"shutdown": "2026-12-01", "source": "a"}, "is missing"),
    ],
)
def test_a_row_without_order_source_or_days_is_told(row: dict[str, str], message: str) -> None:
    data = {"schema": "banjia/retirements.v1", "sources": {"a": {"what": "a", "read": "2026-11-23"}}, "models": {"x": row}}
    problems: list[Problem] = []

    parse(RetirementsFile, Document("retirements.yaml", data, {}), problems)

    assert [problem.message for problem in problems] == [message]


def test_the_shipped_rows_hold_the_days_that_people_plan_by() -> None:
    ends = catalog().retirements

    assert {name: ends[name].shutdown.isoformat() for name in ("gpt-5", "o3", "tts-1", "gpt-4.1-mini", "whisper-1", "gpt-5.1")} == {
        "gpt-5": "2026-12-11",
        "o3": "2026-12-11",
        "tts-1": "2027-01-06",
        "gpt-4.1-mini": "2027-01-14",
        "whisper-1": "2027-02-26",
        "gpt-5.1": "2027-04-01",
    }


# ---- endpoints that are gone ----


def test_the_sdks_calls_of_what_is_gone_are_told_where_to_go(served: Served) -> None:
    with OpenAI(base_url=served.url + "/v1", api_key=served.key, max_retries=0) as client:
        asked: dict[str, Callable[[], Any]] = {
            "the Assistants API": lambda: client.post("/assistants", body={"model": "gpt-4o"}, cast_to=object),
            "threads": lambda: client.post("/threads/thread_1/runs", body={}, cast_to=object),
            "vector stores": lambda: client.vector_stores.create(name="a"),
            "the Videos API": lambda: client.post("/videos", body={"prompt": "a"}, cast_to=object),
            "the Evals platform": lambda: client.evals.list(),
        }
        for what, ask in asked.items():
            with pytest.raises(openai.NotFoundError) as refused:
                ask()
            assert what in refused.value.message
            assert "Instead: " in refused.value.message
            assert refused.value.code in ("retired_endpoint", "unsupported_endpoint")
            assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/assistants", "retired_endpoint"),
        ("/assistants/asst_1", "retired_endpoint"),
        ("/openai/v1/threads/t/messages", "retired_endpoint"),
        ("/v1/organization/usage/completions", "unsupported_endpoint"),
        ("/v1/realtime/sessions", "unsupported_endpoint"),
        ("/v1/chat/completions/chatcmpl-1/messages", "unsupported_endpoint"),
        ("/v1/fine_tuning/checkpoints/ft:gpt-4o:a::1/permissions", "unsupported_endpoint"),
        ("/v1/fine_tuning/checkpointsx", "unknown_url"),
        ("/v1/assistantsx", "unknown_url"),
        ("/v1/chat/assistants", "unknown_url"),
    ],
)
def test_what_is_below_a_gone_address_is_gone_too(served: Served, path: str, code: str) -> None:
    reply = served.client.get(path)

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, code)


def test_an_end_that_is_to_come_is_not_told_as_past() -> None:
    days = (date(2026, 11, 29), date(2026, 11, 30))
    before, after = (str(retired.refusal("/v1/evals", day)) for day in days)

    assert "shuts it down on 2026-11-30" in before
    assert "has shut it down on 2026-11-30" in after
