"""A gateway with every surface on, before the simulators of all vendors, both as commands: a key for each account of the journeys."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import NO_TLS
from tests.gateway.api.media.conftest import config
from tests.journeys.accounts import gateway_yaml, teams_yaml
from tests.journeys.processes import Running, banjia, until_jobs_run


@contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """From the moment that jobs run, too."""
    with ExitStack() as stack:
        simulators = stack.enter_context(banjia("simulate", "--port", "0"))
        at = _config(folder, simulators.url)
        gateway = stack.enter_context(banjia("serve", "--config", str(at), "--port", "0"))
        until_jobs_run(gateway.url, "sk-zhipu")
        yield gateway


def client_of(gateway: Running, account: str) -> httpx.Client:
    return httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer sk-{account}"}, timeout=30, trust_env=False, verify=NO_TLS)


def things(client: httpx.Client) -> dict[str, list[Any]]:
    """One of everything that a gateway keeps, newly made: ids by where they stand in paths and bodies."""

    def made(path: str, **body: Any) -> Any:
        reply = client.post(f"/v1/{path}", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def file(purpose: str, lines: list[Any]) -> Any:
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return client.post("/v1/files", data={"purpose": purpose}, files={"file": ("a.jsonl", data)}).json()["id"]

    said = {"role": "user", "content": "Hi"}
    chat = {"model": "gpt-4o", "messages": [said]}
    batched = file("batch", [{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": chat}])
    trained = file("fine-tune", [{"messages": [said, {"role": "assistant", "content": "Yes"}]}] * 10)
    batch = made("batches", input_file_id=batched, endpoint="/v1/chat/completions", completion_window="24h")["id"]
    job = made("fine_tuning/jobs", model="gpt-4o-mini", training_file=trained)["id"]
    response = made("responses", model="gpt-4o", input="Hello")["id"]
    talk = made("conversations", items=[said])["id"]
    items = [item["id"] for item in client.get(f"/v1/conversations/{talk}/items").json()["data"]]
    upload = made("uploads", filename="a.txt", bytes=3, purpose="user_data", mime_type="text/plain")["id"]
    files = [batched, trained]
    return {
        "{file_id}": files, "input_file_id": [batched], "training_file": [trained], "file_id": files,
        "{batch_id}": [batch], "{fine_tuning_job_id}": [job], "{upload_id}": [upload],
        "{response_id}": [response], "previous_response_id": [response],
        "{conversation_id}": [talk], "conversation": [talk, {"id": talk}], "{item_id}": items,
        "{model}": ["gpt-4o"], "after": [response, batched, batch, items[0]],
    }  # fmt: skip


def _config(folder: Path, simulators: str) -> Path:
    told, media = gateway_yaml(simulators, simulators), config(simulators)
    told |= {"storage": {"url": f"sqlite:///{folder}/banjia.db"}, "files": {"url": f"file:///{folder}/files"}}
    told["server"] |= {"pre_stop": "0s", "drain": "1s", "log": "errors"}
    told["providers"] |= media["providers"]
    told["models"] = {**media["models"], "omni-moderation-latest": "zhipu/moderation"}
    at = folder / "config"
    (at / "teams").mkdir(parents=True)
    (at / "gateway.yaml").write_text(json.dumps(told))
    (at / "teams" / "journeys.yaml").write_text(json.dumps(teams_yaml()["journeys"]))
    return at
