"""Zhipu's tuning jobs. Facts from zhipuai 2.1.5 and LazyLLM, read 2026-11-23. The vendor's pages of today do not have them, and an account
must be let in."""

from collections.abc import Iterable, Mapping

from providers.base import Change, Fault, Json, Outgoing, Target
from providers.faults import make_fault
from providers.openai_like import read_json
from providers.tuning import Asks, Deployed, Measure, Method, Progress, State, Wanted, Written, bounded, chat_lines, form_data, get, post
from providers.zhipu.errors import ERRORS

STATES: Mapping[str, State] = {
    "create": "queued",
    "validating_files": "queued",
    "queued": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
RANGES = {"n_epochs": (1, 10), "batch_size": (1, 32), "learning_rate_multiplier": (0.000001, 5)}
PAGE = 100
"""Jobs that are looked through for one that may have been submitted."""


class ZhipuTuning:
    methods: tuple[Method, ...] = ("supervised",)
    bucket = False
    secrets: tuple[str, ...] = ()
    by_hand = ""

    def dataset(self, lines: Iterable[Json], method: Method) -> Written:
        return chat_lines(lines)

    def hyper(self, wanted: Json) -> tuple[Json, tuple[Change, ...]]:
        out: Json = {}
        changes: list[Change] = []
        for name, value in wanted.items():
            if name in RANGES:
                out[name] = bounded(*RANGES[name], value)
                if out[name] != value:
                    changes.append(Change(name, "clamped", f"{out[name]:g}"))
            else:
                changes.append(Change(name, "dropped", why="not offered"))
        return out, tuple(changes)

    def upload(self, name: str, data: bytes, target: Target, bucket: str) -> Asks[str]:
        reply = read_json((yield form_data(f"{target.base_url}/files", {"purpose": "fine-tune"}, ("file", f"{name}.jsonl", data))))
        return str(reply["id"])

    def find(self, wanted: Wanted, target: Target) -> Asks[str]:
        reply = read_json((yield get(f"{target.base_url}/fine_tuning/jobs?limit={PAGE}")))
        return next((str(job["id"]) for job in reply.get("data") or () if job.get("training_file") == wanted.training), "")

    def submit(self, wanted: Wanted, target: Target) -> Asks[str]:
        hyper, changes = self.hyper(wanted.hyper)
        body: Json = {"model": target.model.id, "training_file": wanted.training, "request_id": wanted.name}
        if wanted.validation:
            body["validation_file"] = wanted.validation
        if hyper:
            body["hyperparameters"] = hyper
        return str(read_json((yield post(f"{target.base_url}/fine_tuning/jobs", body, changes)))["id"])

    def look(self, id: str, target: Target) -> Asks[Progress]:
        url = f"{target.base_url}/fine_tuning/jobs/{id}"
        job = read_json((yield get(url)))
        events = read_json((yield get(f"{url}/events")))
        told = tuple(
            Measure(str(one["id"]), int(one["created_at"]), str(one["message"]), str(one.get("level") or "info"), one.get("data") or {})
            for one in events.get("data") or ()
        )
        error = job.get("error") or {}
        state = STATES.get(job["status"], "running")
        return Progress(state, job.get("fine_tuned_model") or "", job.get("trained_tokens"), str(error.get("message") or ""), told)

    def cancel(self, id: str, target: Target) -> Asks[None]:
        yield post(f"{target.base_url}/fine_tuning/jobs/{id}/cancel")

    def deploy(self, model: str, target: Target) -> Asks[str]:
        return ""
        yield

    def deployed(self, id: str, target: Target) -> Asks[Deployed]:
        return Deployed(True)
        yield

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return make_fault(ERRORS, status, headers, body)

    def sign(self, secrets: Mapping[str, str], outgoing: Outgoing, now: float) -> None:
        return None
