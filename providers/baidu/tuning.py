"""Qianfan's tuning jobs: the console's API of v2, signed with an access key. Facts from qianfan 0.4.12.3 and bce-python-sdk 0.9.79, read
2026-11-23.

A job has tasks, of which one is made here. Data sets are read from a bucket of the account's own in the object store (BOS). What has been
trained is deployed by hand: a deployment is bought for a time beforehand, which is not for a gateway to do.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from providers.baidu.errors import ERRORS
from providers.baidu.iam import sign
from providers.base import Change, Fault, Json, Outgoing, Target, encode
from providers.faults import make_fault
from providers.openai_like import read_json
from providers.tuning import Asks, Deployed, Method, Notes, Progress, State, Wanted, Written, plain_turns, post, written

STATES: Mapping[str, State] = {
    "Waiting": "queued",
    "Running": "running",
    "Done": "succeeded",
    "Failed": "failed",
    "Stopped": "cancelled",
}
NAMES = {"n_epochs": "epoch"}
"""OpenAI's hyperparameters that have another name here."""
MODES: Mapping[Method, str] = {"supervised": "SFT", "dpo": "DPO"}
SCALE = "LoRA"
PAGE = 100


class BaiduTuning:
    methods: tuple[Method, ...] = ("supervised", "dpo")
    bucket = True
    secrets: tuple[str, ...] = ("access_key_id", "access_key_secret")
    by_hand = "deploy it in Qianfan's console, and route this name to the deployment's API name"

    def dataset(self, lines: Iterable[Json], method: Method) -> Written:
        notes, kept = Notes(), []
        for line in lines:
            for field in ("tools", "functions", "parallel_tool_calls"):
                if (line.get("input") or line).get(field) is not None:
                    notes.add(f"`{field}` is dropped")
            told = pairs_preferred(line, notes) if method == "dpo" else pairs(line, notes)
            if told:
                kept.append(encode(told))
        return written(kept, notes)

    def hyper(self, wanted: Json) -> tuple[Json, tuple[Change, ...]]:
        out = {NAMES.get(name, name): value for name, value in wanted.items() if name not in ("batch_size", "learning_rate_multiplier")}
        changes = [Change(name, "renamed", NAMES[name]) for name in wanted if name in NAMES]
        if "batch_size" in wanted:
            changes.append(Change("batch_size", "dropped", why="not offered"))
        if "learning_rate_multiplier" in wanted:
            changes.append(Change("learning_rate_multiplier", "emulated", "learningRate", "a multiple of the model's usual rate"))
        return out, tuple(changes)

    def upload(self, name: str, data: bytes, target: Target, bucket: str) -> Asks[str]:
        key = f"banjia-tuning/{name}.jsonl"
        yield Outgoing(f"{bucket.rstrip('/')}/{key}", data, {"content-type": "application/octet-stream"}, method="PUT")
        return f"bos:/{urlsplit(bucket).path.rstrip('/').rpartition('/')[2]}/{key}"

    def find(self, wanted: Wanted, target: Target) -> Asks[str]:
        """By the job's name; one without a task was not submitted wholly, and is not ours any more."""
        found = result((yield action(target, "DescribeFineTuningJobs", {"maxKeys": PAGE})))
        for job in found.get("jobList") or ():
            if job.get("name", job.get("jobName")) == wanted.name:
                tasks = result((yield action(target, "DescribeFineTuningTasks", {"jobId": job["jobId"]})))
                return next((str(task["taskId"]) for task in tasks.get("taskList") or ()), "")
        return ""

    def submit(self, wanted: Wanted, target: Target) -> Asks[str]:
        mode = MODES[wanted.method]
        models = result_list((yield action(target, "DescribeFineTuningSupportModels", {})))
        model = next((one for one in models if one["model"].lower() == target.model.id.lower()), None)
        known = scale_of(model, mode)
        if model is None or known is None:
            able = ", ".join(one["model"] for one in models if scale_of(one, mode) is not None)
            raise Fault("no_model", f"Baidu does not tune {target.model.id} by {mode}; it tunes: {able or 'none'}", param="model")
        hyper, changes = self.fitted(wanted.hyper, known)
        job = result((yield action(target, "CreateFineTuningJob", {"name": wanted.name, "model": model["model"], "trainMode": mode})))
        task: Json = {
            "jobId": job["jobId"],
            "parameterScale": SCALE,
            "hyperParameterConfig": hyper,
            "datasetConfig": {"sourceType": "Bos", "versions": [{"versionBosUri": wanted.training}], "splitRatio": 0},
        }
        if wanted.validation:
            changes = (*changes, Change("validation_file", "dropped", why="not offered: a part of the training file can be kept back"))
        made = result((yield action(target, "CreateFineTuningTask", task, changes)))
        return str(made["taskId"])

    def fitted(self, wanted: Json, known: Mapping[str, Json]) -> tuple[Json, tuple[Change, ...]]:
        """Hyperparameters as the vendor says that the model takes them."""
        hyper, changes = self.hyper(wanted)
        out: Json = {}
        if (factor := wanted.get("learning_rate_multiplier")) is not None and "learningRate" in known:
            hyper["learningRate"] = float(known["learningRate"]["default"]) * factor
        for name, value in hyper.items():
            if name not in known:
                changes = (*changes, Change(name, "dropped", why="not a parameter of this model"))
                continue
            out[name] = fit = kept(value, known[name])
            if fit != value:
                changes = (*changes, Change(name, "clamped", str(fit)))
        return out, changes

    def look(self, id: str, target: Target) -> Asks[Progress]:
        task = result((yield action(target, "DescribeFineTuningTask", {"taskId": id})))
        state = STATES.get(task["runStatus"], "running")
        return Progress(state, str(task["taskId"]) if state == "succeeded" else "", error="" if state != "failed" else "the task failed")

    def cancel(self, id: str, target: Target) -> Asks[None]:
        yield action(target, "StopFineTuningTask", {"taskId": id})

    def deploy(self, model: str, target: Target) -> Asks[str]:
        return ""
        yield

    def deployed(self, id: str, target: Target) -> Asks[Deployed]:
        return Deployed(False)
        yield

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return make_fault(ERRORS, status, headers, body)

    def sign(self, secrets: Mapping[str, str], outgoing: Outgoing, now: float) -> Mapping[str, str]:
        url = urlsplit(outgoing.url)
        headers = {"host": url.netloc, "x-bce-date": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"}
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        proof = sign(secrets["access_key_id"], secrets["access_key_secret"], outgoing.method, url.path, query, headers, now)
        return {**headers, "authorization": proof}


def action(target: Target, name: str, body: Json, changes: tuple[Change, ...] = ()) -> Outgoing:
    return post(f"{target.base_url}/finetuning?Action={name}", body, changes)


def result(body: bytes) -> Json:
    told = read_json(body).get("result")
    if not isinstance(told, dict):
        raise make_fault(ERRORS, 200, {}, body)
    return told


def result_list(body: bytes) -> list[Json]:
    told = read_json(body).get("result")
    if not isinstance(told, list):
        raise make_fault(ERRORS, 200, {}, body)
    return told


def scale_of(model: Json | None, mode: str) -> Mapping[str, Json] | None:
    """The hyperparameters, by name, that a model takes in that way of training; None where it is not trained so."""
    for way in (model or {}).get("supportTrainMode") or ():
        if way["trainMode"] == mode:
            for scale in way["supportParameterScale"]:
                if scale["parameterScale"] == SCALE:
                    return {one["key"]: one for one in scale["supportHyperParameterConfig"]}
    return None


def kept(value: Any, known: Json) -> Any:
    """A value within what the vendor takes; of a choice the nearest that is not larger."""
    allowed: list[Any] = known.get("checkValue") or []
    if known.get("checkType") == "range" and len(allowed) == 2:
        return min(max(value, allowed[0]), allowed[1])
    if known.get("checkType") == "choice" and allowed and value not in allowed:
        return known["default"]
    return value


# ---- lines ----


def pairs(line: Json, notes: Notes) -> list[Json] | None:
    """[{"prompt", "response": [["…"]]}, …]: each prompt with its answer; what the system says stands before the first prompt."""
    if "messages" not in line:
        return [{"prompt": line.get("prompt", ""), "response": [[line.get("completion", "")]]}]
    turns = plain_turns(line["messages"], notes)
    if turns is None:
        return None
    told = [{"prompt": asked, "response": [[said]]} for asked, said in exchanges(turns)]
    if not told:
        notes.add("left out: no prompt of the user's is answered")
    return told or None


def pairs_preferred(line: Json, notes: Notes) -> list[Json] | None:
    """[{"user", "assistant"}, …, {"user", "chosen", "rejected"}]"""
    before = plain_turns((line.get("input") or {}).get("messages") or (), notes)
    chosen = plain_turns(line.get("preferred_output") or (), notes)
    rejected = plain_turns(line.get("non_preferred_output") or (), notes)
    if not before or not chosen or not rejected:
        return None
    answered = exchanges([*before, {"role": "assistant", "content": ""}])
    if not answered:
        notes.add("left out: no prompt of the user's is answered")
        return None
    told: list[Json] = [{"user": asked, "assistant": said} for asked, said in answered[:-1]]
    return [*told, {"user": answered[-1][0], "chosen": chosen[-1]["content"], "rejected": rejected[-1]["content"]}]


def exchanges(turns: list[Json]) -> list[tuple[str, str]]:
    """What was asked and what was said to it; several turns of one side are one."""
    found: list[tuple[str, str]] = []
    asked: list[str] = []
    answered = False
    for turn in turns:
        if turn["role"] != "assistant":
            if answered:
                answered = False
            asked.append(turn["content"])
        elif answered and found:
            found[-1] = (found[-1][0], f"{found[-1][1]}\n\n{turn['content']}")
        elif asked:
            found.append(("\n\n".join(asked), turn["content"]))
            asked, answered = [], True
    return found
