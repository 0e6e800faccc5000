"""Baidu's side of tuning: a bucket of the object store, and the console's jobs and tasks, which move on each time they are looked at."""

import re
from typing import Any

from msgspec import Struct, json

from providers.base import Json
from providers.simulation import UNSAFE_INPUT, End, Reply, Request, World, count, json_reply, read_body

BUCKET = "/bos/"
"""Before the name of a bucket, whose hosts are not simulated by name."""
MODES = {"SFT": ("ERNIE-Speed-8K", "ERNIE-Lite-8K"), "DPO": ("ERNIE-Speed-8K",)}
NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
HYPER: list[Json] = [
    {"key": "epoch", "type": "int", "checkType": "range", "checkValue": [1, 50], "default": 1},
    {"key": "learningRate", "type": "float", "checkType": "range", "checkValue": [0.000001, 0.00004], "default": 0.00003},
    {"key": "maxSeqLen", "type": "int", "checkType": "choice", "checkValue": [512, 1024, 2048, 4096, 8192], "default": 4096},
]
STEPS = ("Waiting", "Running", "Running", "Done")


class Refused(Exception):
    """What the console answers instead: its code and message, under HTTP 400."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Work(Struct):
    account: str
    told: Json
    texts: list[str] = []
    looks: int = 0


class Tuning:
    """One for all accounts; each sees only its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.jobs: dict[str, Work] = {}
        self.tasks: dict[str, Work] = {}

    def put(self, account: str, request: Request) -> Reply:
        """PUT /bos/BUCKET/KEY"""
        if request.method != "PUT":
            return json_reply(405, {"code": "MethodNotAllowed", "message": "The method is not allowed.", "requestId": "5f0c"})
        self.objects[request.path.removeprefix(BUCKET)] = (account, request.body)
        return Reply(200, b"", {"etag": '"0"'})

    def console(self, account: str, request: Request) -> Reply:
        """POST /v2/finetuning?Action=…"""
        body = read_body(request)
        actions = {
            "DescribeFineTuningSupportModels": self.supported,
            "CreateFineTuningJob": self.create_job,
            "CreateFineTuningTask": self.create_task,
            "DescribeFineTuningJobs": self.list_jobs,
            "DescribeFineTuningTasks": self.list_tasks,
            "DescribeFineTuningTask": self.look,
            "StopFineTuningTask": self.stop,
        }
        action = actions.get(request.query.get("Action", ""))
        try:
            if action is None:
                raise Refused("InvalidAction", "the action is not simulated")
            if body is None or request.method != "POST":
                raise Refused("InappropriateJSON", "The JSON you provided was well-formed but invalid.")
            return json_reply(200, {"requestId": "5f0c2a51-simulated", "result": action(account, body)})
        except Refused as refused:
            return json_reply(400, {"requestId": "5f0c2a51-simulated", "code": refused.code, "message": str(refused)})

    def supported(self, account: str, body: Json) -> list[Json]:
        names = sorted({name for models in MODES.values() for name in models})
        return [
            {
                "model": name,
                "modelType": "text2text",
                "supportTrainMode": [
                    {
                        "trainMode": mode,
                        "supportParameterScale": [{"parameterScale": "LoRA", "supportHyperParameterConfig": HYPER}],
                    }
                    for mode, models in MODES.items()
                    if name in models
                ],
            }
            for name in names
        ]

    def create_job(self, account: str, body: Json) -> Json:
        for field in body.keys() - {"name", "model", "trainMode", "description", "parameterScale", "hyperParameterConfig"}:
            raise invalid(field)
        if not isinstance(body.get("name"), str) or not NAME.fullmatch(body["name"]):
            raise invalid("name")
        if body.get("model") not in MODES.get(str(body.get("trainMode")), ()):
            raise invalid("model")
        if any(job.account == account and job.told["name"] == body["name"] for job in self.jobs.values()):
            raise Refused("NameDuplicated", "the name is taken")
        id = f"job-{len(self.jobs) + 1:012x}"
        self.jobs[id] = Work(account, {"jobId": id, "name": body["name"], "model": body["model"], "trainMode": body["trainMode"]})
        return {"jobId": id}

    def create_task(self, account: str, body: Json) -> Json:
        for field in body.keys() - {"jobId", "parameterScale", "hyperParameterConfig", "datasetConfig"}:
            raise invalid(field)
        job = self.own(self.jobs, account, body.get("jobId"), "jobId")
        if body.get("parameterScale") != "LoRA":
            raise invalid("parameterScale")
        known: dict[str, Json] = {one["key"]: one for one in HYPER}
        for name, value in body.get("hyperParameterConfig", {}).items():
            if name not in known or not fits(value, known[name]):
                raise invalid(name)
        data = body.get("datasetConfig") or {}
        if data.get("sourceType") != "Bos" or not 0 <= data.get("splitRatio", -1) <= 100:
            raise invalid("splitRatio")
        texts: list[str] = []
        for version in data.get("versions") or [{}]:
            uri = str(version.get("versionBosUri"))
            owner, raw = self.objects.get(uri.removeprefix("bos:/"), ("", b""))
            found = lines_of(raw, job.told["trainMode"]) if owner == account else None
            if found is None:
                raise invalid("versions")
            texts += found
        id = f"task-{len(self.tasks) + 1:012x}"
        told = {
            "taskId": id, "jobId": body["jobId"], "jobName": job.told["name"], "model": job.told["model"],
            "trainMode": job.told["trainMode"], "parameterScale": "LoRA", "runStatus": STEPS[0], "runProgress": "0%",
            "finishDate": "0000-00-00T00:00:00Z", "hyperParameterConfig": body.get("hyperParameterConfig", {}),
        }  # fmt: skip
        self.tasks[id] = Work(account, told, texts)
        return {"jobId": body["jobId"], "taskId": id}

    def list_jobs(self, account: str, body: Json) -> Json:
        return {"jobList": [job.told for job in self.jobs.values() if job.account == account], "pageInfo": {"isTruncated": False}}

    def list_tasks(self, account: str, body: Json) -> Json:
        self.own(self.jobs, account, body.get("jobId"), "jobId")
        found = [task.told for task in self.tasks.values() if task.told["jobId"] == body["jobId"]]
        return {"taskList": found, "pageInfo": {"isTruncated": False}}

    def look(self, account: str, body: Json) -> Json:
        task = self.own(self.tasks, account, body.get("taskId"), "taskId")
        told = task.told
        if told["runStatus"] in ("Waiting", "Running"):
            task.looks += 1
            told["runStatus"] = STEPS[min(task.looks, len(STEPS) - 1)]
            told["runProgress"] = f"{30 * task.looks}%"
            if task.looks > 1 and any(UNSAFE_INPUT in text for text in task.texts):
                told["runStatus"] = "Failed"
            elif told["runStatus"] == "Done":
                del told["runProgress"]
                told |= {"finishDate": "2026-11-23T03:15:02Z", "metrics": {"BLEU-4": "16.5%"}}
                tokens = sum(map(count, task.texts)) * int(told["hyperParameterConfig"].get("epoch", 1))
                self.world.charge("baidu", account, told["model"], End("stop", tokens, 0))
        return told

    def stop(self, account: str, body: Json) -> bool:
        task = self.own(self.tasks, account, body.get("taskId"), "taskId")
        if task.told["runStatus"] not in ("Waiting", "Running"):
            raise Refused("TaskStatusInvalid", "the task is over")
        task.told["runStatus"] = "Stopped"
        return True

    def own(self, among: dict[str, Work], account: str, id: Any, field: str) -> Work:
        found = among.get(str(id))
        if found is None or found.account != account:
            raise invalid(field)
        return found


def invalid(field: str) -> Refused:
    return Refused("InappropriateJSON", f"The JSON you provided was well-formed but invalid. param[{field}] invalid.")


def fits(value: Any, known: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    allowed = known["checkValue"]
    return bool(allowed[0] <= value <= allowed[1]) if known["checkType"] == "range" else value in allowed


def lines_of(raw: bytes, mode: str) -> list[str] | None:
    """The words of each line; None where one is of another form than the mode's."""
    texts: list[str] = []
    try:
        for line in raw.decode().splitlines():
            told = ""
            turns = json.decode(line)
            for at, turn in enumerate(turns):
                last = at == len(turns) - 1
                keys = {"prompt", "response"} if mode == "SFT" else {"user", "chosen", "rejected"} if last else {"user", "assistant"}
                if set(turn) != keys:
                    return None
                told += turn["prompt"] + turn["response"][0][0] if mode == "SFT" else "".join(turn.values())
            texts.append(told)
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    return texts or None
