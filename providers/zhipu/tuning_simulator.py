"""Zhipu's side of tuning: files, and jobs that move on each time they are looked at. See simulator.py; refusals are raised by whoever it is
given."""

from collections import ChainMap
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from providers.base import Json, Model, decode
from providers.form_simulation import read_form
from providers.simulation import UNSAFE_INPUT, End, Request, World, count

FIELDS = frozenset("model training_file validation_file hyperparameters suffix request_id extra_hyperparameters".split())
RANGES = {"n_epochs": (1, 10), "batch_size": (1, 32), "learning_rate_multiplier": (0, 5)}
STEPS = ("create", "validating_files", "queued", "running", "succeeded")
LARGEST = 100 << 20
Bad = Callable[..., Exception]
"""(message, code) → a refusal under HTTP 400."""


class File(Struct):
    account: str
    tokens: int
    unsafe: bool


class Work(Struct):
    account: str
    told: Json
    events: list[Json]
    looks: int = 0


class Tuning:
    """One for all accounts; each sees only its own."""

    def __init__(self, world: World, bad: Bad, refuse: Callable[[int, str, str], Exception]) -> None:
        self.world = world
        self.bad = bad
        self.refuse = refuse
        self.tuned: dict[str, Model] = {}
        world.models = ChainMap(self.tuned, dict(world.models))
        self.files: dict[str, File] = {}
        self.jobs: dict[str, Work] = {}

    def answer(self, account: str, method: str, path: str, request: Request, body: Callable[[], Json]) -> Json | None:
        """None for an address that is not ours."""
        match method, path.removeprefix("/").split("/"):
            case "POST", ["files"]:
                return self.upload(account, request)
            case "POST", ["fine_tuning", "jobs"]:
                return self.create(account, body())
            case "GET", ["fine_tuning", "jobs"]:
                found = [job.told for job in self.jobs.values() if job.account == account][::-1]
                most = int(request.query.get("limit", "20"))
                return {"object": "list", "data": found[:most], "has_more": len(found) > most}
            case "GET", ["fine_tuning", "jobs", id]:
                return self.look(self.own(account, id))
            case "GET", ["fine_tuning", "jobs", id, "events"]:
                return {"object": "list", "data": self.own(account, id).events[::-1], "has_more": False}
            case "POST", ["fine_tuning", "jobs", id, "cancel"]:
                return self.cancel(self.own(account, id))
        return None

    def own(self, account: str, id: str) -> Work:
        job = self.jobs.get(id)
        if job is None or job.account != account:
            raise self.refuse(404, "1222", "微调任务不存在")
        return job

    def upload(self, account: str, request: Request) -> Json:
        form = read_form(request)
        if form is None or "file" not in form[1] or form[0].get("purpose") != "fine-tune":
            raise self.bad("purpose: 参数非法，请检查文档", "1214")
        name, data = form[1]["file"]
        texts = lines_of(data)
        if texts is None or not name.endswith(".jsonl") or len(data) > LARGEST:
            raise self.bad("文件内容格式错误", "1214")
        id = f"file-{len(self.files) + 1:024x}"
        self.files[id] = File(account, sum(map(count, texts)), any(UNSAFE_INPUT in text for text in texts))
        head = {"id": id, "object": "file", "bytes": len(data), "created_at": int(self.world.now())}
        return {**head, "filename": name, "purpose": "fine-tune"}

    def create(self, account: str, body: Json) -> Json:
        for field in body.keys() - FIELDS:
            raise self.bad(f"{field}: 不支持的参数", "1210")
        base = self.world.models.get(str(body.get("model")))
        if base is None or base.kind != "chat" or base.id in self.tuned:
            raise self.bad("模型不存在，请检查模型代码。", "1211")
        for name in ("training_file", "validation_file"):
            file = self.files.get(str(body.get(name)))
            if (name in body or name == "training_file") and (file is None or file.account != account):
                raise self.bad(f"{name}: 文件不存在", "1214")
        hyper: Any = body.get("hyperparameters", {})
        for name, value in hyper.items():
            low, high = RANGES.get(name, (None, None))
            if low is None or high is None or (value != "auto" and not low <= value <= high):
                raise self.bad(f"hyperparameters.{name}: 取值范围为 [{low}, {high}]", "1214")
        id = f"ftjob-{len(self.jobs) + 1:020x}"
        told = {
            "id": id, "request_id": body.get("request_id", id), "object": "fine_tuning.job", "model": base.id, "fine_tuned_model": None,
            "status": STEPS[0], "created_at": int(self.world.now()), "finished_at": None, "hyperparameters": hyper,
            "training_file": body["training_file"], "validation_file": body.get("validation_file"), "result_files": [],
            "trained_tokens": None, "error": None,
        }  # fmt: skip
        self.jobs[id] = Work(account, told, [])
        return told

    def look(self, job: Work) -> Json:
        told, file = job.told, self.files[job.told["training_file"]]
        if told["status"] in ("succeeded", "failed", "cancelled"):
            return told
        job.looks += 1
        told["status"] = STEPS[min(job.looks, len(STEPS) - 1)]
        if told["status"] == "running":
            if file.unsafe:
                told |= {"status": "failed", "error": {"code": "1301", "message": "训练数据包含敏感内容", "param": "training_file"}}
                return told
            data = {"epoch": 1, "current_steps": 10, "total_steps": 10, "loss": 0.5, "acc": 0.8, "trained_tokens": file.tokens}
            self.event(job, "训练中", data)
        elif told["status"] == "succeeded":
            epochs = told["hyperparameters"].get("n_epochs", 3)
            tokens = file.tokens * (epochs if epochs != "auto" else 3)
            name = f"{told['model']}:{job.account}:{told['id'][-8:]}"
            told |= {"fine_tuned_model": name, "trained_tokens": tokens, "finished_at": int(self.world.now())}
            self.tuned[name] = replace(self.world.models[told["model"]], id=name)
            self.world.charge("zhipu", job.account, told["model"], End("stop", tokens, 0))
            self.event(job, "训练完成", {})
        return told

    def event(self, job: Work, message: str, data: Json) -> None:
        id = f"{job.told['id']}-event-{len(job.events)}"
        head = {"object": "fine_tuning.job.event", "id": id, "type": "metrics" if data else "message", "created_at": int(self.world.now())}
        job.events.append({**head, "level": "info", "message": message, "data": data})

    def cancel(self, job: Work) -> Json:
        if job.told["status"] in ("succeeded", "failed", "cancelled"):
            raise self.bad("任务已结束，不能取消", "1214")
        job.told["status"] = "cancelled"
        return job.told


def lines_of(data: bytes) -> list[str] | None:
    """The words of each line of a data set; None where one is no conversation in words."""
    texts: list[str] = []
    try:
        for line in data.decode().splitlines():
            messages = decode(line.encode())["messages"]
            if not messages or {message["role"] for message in messages} - {"system", "user", "assistant"}:
                return None
            texts.append("".join(message["content"] for message in messages))
    except (KeyError, TypeError, ValueError):
        return None
    return texts or None
