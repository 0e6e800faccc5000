"""The simulators' batches are as strict as the vendors' documents, each in its vendor's words."""

import json
from typing import Any

import httpx
import pytest

from providers.base import Json
from tests.conftest import NO_TLS, PATIENCE

BASES = {"zhipu": "/zhipu/api/paas/v4", "alibaba": "/alibaba/compatible-mode/v1", "baidu": "/baidu/v2"}
URLS = {"zhipu": "/v4/chat/completions", "alibaba": "/v1/chat/completions", "baidu": "/v2/chat/completions"}
KEYS = {"zhipu": "id.secret", "alibaba": "sk-simulated", "baidu": "bce-v3/ALTAK-demo/0123abcd"}
MODELS = {"zhipu": ("glm-5.2", "glm-4.7"), "alibaba": ("qwen3.7-plus", "qwen-plus"), "baidu": ("ernie-5.1", "ernie-4.5-turbo-128k")}


class Vendor:
    def __init__(self, name: str, simulators: str) -> None:
        self.name = name
        headers = {"authorization": f"Bearer {KEYS[name]}"}
        self.client = httpx.Client(base_url=simulators + BASES[name], headers=headers, trust_env=False, verify=NO_TLS, timeout=PATIENCE)

    def line(self, id: str = "a", model: int = 0, **more: Any) -> Json:
        body = {"model": MODELS[self.name][model], "messages": [{"role": "user", "content": "Hello"}]}
        return {"custom_id": id, "method": "POST", "url": URLS[self.name], "body": body, **more}

    def upload(self, *lines: Any, name: str = "x.jsonl") -> httpx.Response:
        data = "\n".join(json.dumps(line) for line in lines).encode()
        return self.client.post("/files", data={"purpose": "batch"}, files={"file": (name, data)})

    def begin(self, *lines: Any, **fields: Any) -> httpx.Response:
        file = self.upload(*lines).json()["id"]
        window = {} if self.name == "zhipu" else {"completion_window": "24h"}
        return self.client.post("/batches", json={"input_file_id": file, "endpoint": URLS[self.name], **window, **fields})

    def look(self, id: str) -> Json:
        told: Json = self.client.get(f"/batches/{id}").json()
        return told


@pytest.fixture(params=list(BASES))
def vendor(request: pytest.FixtureRequest, simulators: str) -> Any:
    made = Vendor(request.param, simulators)
    yield made
    made.client.close()


def test_a_batch_moves_on_with_each_look_and_has_its_lines_in_no_order(vendor: Vendor) -> None:
    id = vendor.begin(vendor.line("a"), vendor.line("b")).json()["id"]

    states = [vendor.look(id)["status"] for _ in range(2)]
    done = vendor.look(id)

    assert states == ["in_progress", "completed"]
    counts = done if vendor.name == "zhipu" else done["request_counts"]
    assert (counts["total"], counts["completed"], counts["failed"]) == (2, 2, 0)
    lines = [json.loads(line) for line in vendor.client.get(f"/files/{done['output_file_id']}/content").text.splitlines()]
    assert [line["custom_id"] for line in lines] == ["b", "a"]
    assert lines[0]["response"]["body"]["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "fields", [{"endpoint": "/v9/chat/completions"}, {"input_file_id": "file-none"}, {"priority": 1}, {"completion_window": "1h"}]
)
def test_what_is_no_batch_is_refused_in_the_vendors_words(vendor: Vendor, fields: Json) -> None:
    if vendor.name == "zhipu" and "completion_window" in fields:
        pytest.skip("Zhipu takes any window, and passes it over")

    reply = vendor.begin(vendor.line(), **fields)

    assert reply.status_code in (400, 404)
    error = reply.json()["error"]
    expected = {"zhipu": ("1214", "1222"), "alibaba": ("invalid_parameter_error",), "baidu": ("invalid_argument",)}[vendor.name]
    assert error["code"] in expected


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"url": "/v1/elsewhere"}, "invalid_url"), ({"method": "GET"}, "invalid_url"), ({"custom_id": "a"}, "duplicate_custom_id")],
)
def test_wrong_lines_fail_the_batch(vendor: Vendor, wrong: Json, code: str) -> None:
    id = vendor.begin(vendor.line("a"), {**vendor.line("b"), **wrong}).json()["id"]

    told = vendor.look(id)

    assert told["status"] == "failed"
    assert [(error["code"], error["line"]) for error in told["errors"]["data"]] == [(code, 2)]


def test_one_model_a_file_where_the_vendor_says_so(vendor: Vendor) -> None:
    id = vendor.begin(vendor.line("a"), vendor.line("b", model=1)).json()["id"]

    assert vendor.look(id)["status"] == ("in_progress" if vendor.name == "zhipu" else "failed")


def test_a_batch_is_cancelled_until_it_is_over(vendor: Vendor) -> None:
    id = vendor.begin(vendor.line()).json()["id"]

    assert vendor.client.post(f"/batches/{id}/cancel").json()["status"] == "cancelling"
    assert vendor.look(id)["status"] == "cancelled"
    assert vendor.client.post(f"/batches/{id}/cancel").status_code == 400
    assert vendor.upload(vendor.line(), name="x.txt").status_code == 400
    assert vendor.client.get("/batches/batch_none").status_code == 404
    assert id in [one["id"] for one in vendor.client.get("/batches").json()["data"]]
