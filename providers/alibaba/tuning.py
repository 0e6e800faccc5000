"""Model Studio's tuning jobs and deployments, which are DashScope's own whichever surface an account has. Facts from dashscope 2.0.2 and
Model Studio's API reference, read 2026-11-23.

What has been tuned must be deployed before it can be called; a deployment is billed for as long as it stands.
"""

from collections.abc import Iterable, Mapping

from providers.alibaba.errors import fault_of
from providers.alibaba.rerank import MODE, OWN
from providers.base import Change, Fault, Json, Outgoing, Target
from providers.openai_like import read_json
from providers.tuning import Asks, Deployed, Method, Progress, State, Wanted, Written, chat_lines, form_data, get, post

STATES: Mapping[str, State] = {
    "PENDING": "queued",
    "QUEUING": "queued",
    "RUNNING": "running",
    "CANCELING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "cancelled",
}
PAGE = 100
CAPACITY = 1
"""The smallest deployment."""


class AlibabaTuning:
    methods: tuple[Method, ...] = ("supervised",)
    bucket = False
    secrets: tuple[str, ...] = ()
    by_hand = ""

    def dataset(self, lines: Iterable[Json], method: Method) -> Written:
        return chat_lines(lines)

    def hyper(self, wanted: Json) -> tuple[Json, tuple[Change, ...]]:
        """All but one have the same names; of rates there is only the rate itself, whose usual value differs by model."""
        out = {name: value for name, value in wanted.items() if name not in ("learning_rate_multiplier", "beta")}
        why = "the provider takes a `learning_rate`, and no multiple of its usual one"
        return out, tuple(Change(name, "dropped", why=why) for name in wanted if name not in out)

    def upload(self, name: str, data: bytes, target: Target, bucket: str) -> Asks[str]:
        reply = read_json((yield form_data(f"{own(target)}/files", {"purpose": "fine-tune"}, ("files", f"{name}.jsonl", data))))
        told = reply.get("data") or {}
        if not told.get("uploaded_files"):
            failed = (told.get("failed_uploads") or [{}])[0]
            why = str(failed.get("message") or "the file was not taken")
            raise Fault("bad_request", why, code=failed.get("code"), param="training_file")
        return str(told["uploaded_files"][0]["file_id"])

    def find(self, wanted: Wanted, target: Target) -> Asks[str]:
        """By the file, which is no other job's."""
        output = read_json((yield get(f"{own(target)}/fine-tunes?page_no=1&page_size={PAGE}")))["output"]
        return next((str(job["job_id"]) for job in output.get("jobs") or () if job.get("training_file_ids") == [wanted.training]), "")

    def submit(self, wanted: Wanted, target: Target) -> Asks[str]:
        hyper, changes = self.hyper(wanted.hyper)
        body: Json = {
            "model": target.model.id,
            "training_file_ids": [wanted.training],
            "validation_file_ids": [wanted.validation] if wanted.validation else None,
            "hyper_parameters": hyper,
            "training_type": "efficient_sft",
            "model_name": wanted.name,
        }
        return str(read_json((yield post(f"{own(target)}/fine-tunes", body, changes)))["output"]["job_id"])

    def look(self, id: str, target: Target) -> Asks[Progress]:
        reply = read_json((yield get(f"{own(target)}/fine-tunes/{id}")))
        job = reply["output"]
        state = STATES.get(job["status"], "running")
        error = str(job.get("message") or "") if state == "failed" else ""
        return Progress(state, str(job.get("finetuned_output") or "") if state == "succeeded" else "", job.get("usage"), error)

    def cancel(self, id: str, target: Target) -> Asks[None]:
        yield post(f"{own(target)}/fine-tunes/{id}/cancel")

    def deploy(self, model: str, target: Target) -> Asks[str]:
        """The same model is deployed once: one that stands is found first."""
        standing = read_json((yield get(f"{own(target)}/deployments?page_no=1&page_size={PAGE}")))["output"]
        for one in standing.get("deployments") or ():
            if one.get("model_name") == model and one.get("status") != "DELETING":
                return str(one["deployed_model"])
        reply = read_json((yield post(f"{own(target)}/deployments", {"model_name": model, "capacity": CAPACITY})))
        return str(reply["output"]["deployed_model"])

    def deployed(self, id: str, target: Target) -> Asks[Deployed]:
        output = read_json((yield get(f"{own(target)}/deployments/{id}")))["output"]
        if output["status"] in ("FAILED", "DELETING"):
            raise Fault("bad_request", f"the provider could not deploy the tuned model: {output['status']}")
        return Deployed(output["status"] in ("RUNNING", "SERVING"), str(output["deployed_model"]))

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(status, headers, body)

    def sign(self, secrets: Mapping[str, str], outgoing: Outgoing, now: float) -> None:
        return None


def own(target: Target) -> str:
    return target.base_url.replace(MODE, OWN)
