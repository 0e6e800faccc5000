"""Model Studio's side of tuning: files, jobs that move on each time they are looked at, and deployments. See simulator.py."""

import re
from collections import ChainMap
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from providers.alibaba.simulator_checks import Refusal, bad
from providers.base import Json, Model, decode
from providers.form_simulation import read_form
from providers.simulation import UNSAFE_INPUT, End, Reply, Request, World, count, json_reply, read_body

FIELDS = frozenset("model training_file_ids validation_file_ids hyper_parameters training_type model_name finetuned_output".split())
HYPER = {"n_epochs": (1, 200), "batch_size": (1, 1024)}
NAME = re.compile(r"[a-z0-9_-]{1,64}", re.IGNORECASE)
STEPS = ("PENDING", "RUNNING", "RUNNING", "SUCCEEDED")
DEPLOYING = ("PENDING", "DEPLOYING", "RUNNING")


class File(Struct):
    account: str
    name: str
    tokens: int
    unsafe: bool


class Work(Struct):
    """A job, or a deployment."""

    account: str
    told: Json
    looks: int = 0


class Tuning:
    """One for all accounts; each sees only its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tuned: dict[str, Model] = {}
        world.models = ChainMap(self.tuned, dict(world.models))
        self.files: dict[str, File] = {}
        self.jobs: dict[str, Work] = {}
        self.deployments: dict[str, Work] = {}

    def answer(self, account: str, request: Request, request_id: str) -> Reply | None:
        """None for an address that is not ours. Raises Refusal."""
        parts = request.path.removeprefix("/api/v1/").split("/")
        match request.method, parts:
            case "POST", ["files"]:
                told: Json = {"data": self.upload(account, request)}
            case "POST", ["fine-tunes"]:
                told = {"output": self.create(account, asked(request))}
            case "GET", ["fine-tunes"]:
                told = {"output": listed("jobs", [job.told for job in self.jobs.values() if job.account == account], request)}
            case "GET", ["fine-tunes", id]:
                told = {"output": self.look(self.own(self.jobs, account, id))}
            case "POST", ["fine-tunes", id, "cancel"]:
                told = {"output": self.cancel(self.own(self.jobs, account, id))}
            case "POST", ["deployments"]:
                told = {"output": self.deploy(account, asked(request))}
            case "GET", ["deployments"]:
                standing = [one.told for one in self.deployments.values() if one.account == account]
                told = {"output": listed("deployments", standing, request)}
            case "GET", ["deployments", id]:
                told = {"output": self.stand(self.own(self.deployments, account, id))}
            case _:
                return None
        return json_reply(200, {"request_id": request_id, **told})

    def own(self, among: dict[str, Work], account: str, id: str) -> Work:
        found = among.get(id)
        if found is None or found.account != account:
            raise Refusal(404, "NotFound", "NotFound", f"{id} does not exist.")
        return found

    def upload(self, account: str, request: Request) -> Json:
        form = read_form(request)
        if form is None or "files" not in form[1] or form[0].get("purpose", "fine-tune") not in ("fine-tune", "fine_tune"):
            raise bad("files are required, and the purpose is fine-tune")
        name, data = form[1]["files"]
        texts = lines_of(data)
        if texts is None:
            failed = {"name": name, "code": "InvalidFile", "message": "each line should be a JSON object with messages"}
            return {"uploaded_files": [], "failed_uploads": [failed]}
        id = f"file-ali-{len(self.files) + 1:08x}"
        self.files[id] = File(account, name, sum(map(count, texts)), any(UNSAFE_INPUT in text for text in texts))
        return {"uploaded_files": [{"name": name, "file_id": id}], "failed_uploads": []}

    def create(self, account: str, body: Json) -> Json:
        for field in body.keys() - FIELDS:
            raise bad(f"Unknown parameter: {field}")
        base = self.world.models.get(str(body.get("model")))
        if base is None or base.kind != "chat" or base.id in self.tuned:
            raise bad("Model not exist.")
        ids = body.get("training_file_ids")
        if not isinstance(ids, list) or not ids:
            raise bad("training_file_ids should be a non-empty list")
        for id in (*ids, *(body.get("validation_file_ids") or ())):
            if id not in self.files or self.files[id].account != account:
                raise bad("File not found.")
        hyper: Any = body.get("hyper_parameters", {})
        for name, (low, high) in HYPER.items():
            value = hyper.get(name, low)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise bad(f"hyper_parameters.{name} should be in [{low}, {high}]")
        if body.get("training_type", "sft") not in ("sft", "efficient_sft"):
            raise bad("training_type is invalid")
        name = body.get("model_name", f"ft-{len(self.jobs) + 1}")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise bad("model_name is invalid")
        output = f"{base.id}-{name}"
        if any(job.told["finetuned_output"] == output for job in self.jobs.values()):
            raise Refusal(409, "Conflict", "Conflict", "The model name is taken.")
        job_id = f"ft-{len(self.jobs) + 1:012x}"
        told = {
            "job_id": job_id, "job_name": name, "status": STEPS[0], "model": base.id, "base_model": base.id, "finetuned_output": output,
            "training_file_ids": ids, "validation_file_ids": body.get("validation_file_ids"), "hyper_parameters": hyper,
            "training_type": body.get("training_type", "sft"), "create_time": "2026-11-23 10:00:00",
        }  # fmt: skip
        self.jobs[job_id] = Work(account, told)
        return told

    def look(self, job: Work) -> Json:
        if job.told["status"] not in ("SUCCEEDED", "FAILED", "CANCELED"):
            job.looks += 1
            files = [self.files[id] for id in job.told["training_file_ids"]]
            if job.looks > 1 and any(file.unsafe for file in files):
                job.told |= {"status": "FAILED", "message": "The training data has unsafe content."}
                return job.told
            job.told["status"] = STEPS[min(job.looks, len(STEPS) - 1)]
            if job.told["status"] == "SUCCEEDED":
                tokens = sum(file.tokens for file in files) * job.told["hyper_parameters"].get("n_epochs", 3)
                job.told |= {"usage": tokens, "end_time": "2026-11-23 11:00:00"}
                self.world.charge("alibaba", job.account, job.told["base_model"], End("stop", tokens, 0))
        return job.told

    def cancel(self, job: Work) -> Json:
        if job.told["status"] in ("SUCCEEDED", "FAILED", "CANCELED"):
            raise Refusal(400, "UnsupportedOperation", "UnsupportedOperation", "The job is over.")
        job.told["status"] = "CANCELED"
        return {"status": "success"}

    def deploy(self, account: str, body: Json) -> Json:
        if body.keys() - {"model_name", "capacity", "model_version", "suffix", "plan", "template_id"}:
            raise bad("Unknown parameter")
        done = [job for job in self.jobs.values() if job.account == account and job.told["status"] == "SUCCEEDED"]
        job = next((job for job in done if job.told["finetuned_output"] == body.get("model_name")), None)
        if job is None:
            raise bad("Model not exist.")
        if isinstance(body.get("capacity"), bool) or not isinstance(body.get("capacity"), int) or body["capacity"] < 1:
            raise bad("capacity should be a positive integer")
        name = body["model_name"] + (f"-{body['suffix']}" if body.get("suffix") else "-d")
        if name in self.deployments:
            raise Refusal(409, "Conflict", "Conflict", "The model is deployed under this name.")
        told = {
            "deployed_model": name, "status": DEPLOYING[0], "model_name": body["model_name"], "base_model": job.told["base_model"],
            "base_capacity": 1, "capacity": body["capacity"], "ready_capacity": 0,
        }  # fmt: skip
        self.deployments[name] = Work(account, told)
        return told

    def stand(self, deployment: Work) -> Json:
        deployment.looks += 1
        told = deployment.told
        told["status"] = DEPLOYING[min(deployment.looks, len(DEPLOYING) - 1)]
        if told["status"] == "RUNNING":
            told["ready_capacity"] = told["capacity"]
            self.tuned[told["deployed_model"]] = replace(self.world.models[told["base_model"]], id=told["deployed_model"])
        return told


def asked(request: Request) -> Json:
    body = read_body(request)
    if body is None:
        raise bad("Request body format invalid: it is not a JSON object")
    return {field: value for field, value in body.items() if value is not None}


def listed(name: str, all_of_them: list[Json], request: Request) -> Json:
    page, size = int(request.query.get("page_no", "1")), int(request.query.get("page_size", "10"))
    newest = all_of_them[::-1]
    return {"page_no": page, "page_size": size, "total": len(newest), name: newest[(page - 1) * size : page * size]}


def lines_of(data: bytes) -> list[str] | None:
    """The words of each line of a data set; None where one is no conversation that ends with the assistant's words."""
    texts: list[str] = []
    try:
        for line in data.decode().splitlines():
            messages = decode(line.encode())["messages"]
            if {message["role"] for message in messages} - {"system", "user", "assistant"} or messages[-1]["role"] != "assistant":
                return None
            texts.append("".join(message["content"] for message in messages))
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    return texts or None
