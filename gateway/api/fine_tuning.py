"""/v1/fine_tuning/jobs: models tuned by whichever vendor serves them, in OpenAI's words. The work is in gateway/tuning/."""

import re
import time
from typing import Any

from gateway.api.auth import authenticate
from gateway.api.objects import list_of, lost_told, needed, new, paging_of
from gateway.api.serving import Routes, Serving, no_model
from gateway.api.validate import (
    Check,
    array,
    fields,
    integer,
    invalid,
    missing,
    model_name,
    number,
    obj,
    one_of,
    string,
    wrong_type,
)
from gateway.api.wire import Exchange, Refusal
from gateway.objects import Object, changed
from gateway.routing.facts import facts_of
from gateway.routing.plan import plan_of, resolve
from gateway.routing.preferences import Moment
from gateway.snapshot import Hop, Key, Snapshot
from gateway.tuning.table import PREFIX
from gateway.tuning.work import CHECKPOINT, EVENT, JOB, OVER, TUNED, Work
from providers.base import Json, encode

SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_METADATA = 16


def auto_or(check: Check) -> Check:
    def either(value: Any, path: str) -> None:
        if value != "auto":
            check(value, path)

    return either


hyperparameters = fields(
    {
        "n_epochs": auto_or(integer(1, 50)),
        "batch_size": auto_or(integer(1, 256)),
        "learning_rate_multiplier": auto_or(number(1e-9, 1e3)),
        "beta": auto_or(number(0, 2)),
    }
)
way = fields({"hyperparameters": hyperparameters})
method = fields({"type": one_of("supervised", "dpo", "reinforcement"), "supervised": way, "dpo": way}, required=("type",))
CHECKS: dict[str, Check] = {
    "model": model_name,
    "training_file": string,
    "validation_file": string,
    "suffix": string,
    "seed": integer(0, 2**31 - 1),
    "hyperparameters": hyperparameters,
    "method": method,
    "integrations": array(obj),
    "metadata": obj,
}


async def create(exchange: Exchange, serving: Serving) -> None:
    snapshot = serving.snapshot
    key = authenticate(exchange, snapshot, serving.ring)
    body = checked(await exchange.json(snapshot.max_body))
    exchange.model = body["model"]
    objects = needed(serving)
    jobs = serving.jobs
    if jobs is None:
        raise Refusal(503, "Jobs need a store, and the gateway runs without one.", kind="api_error", code="store_unavailable")
    kind = body.get("method", {}).get("type", "supervised")
    hop = chosen(body["model"], kind, key, snapshot, serving)
    with lost_told():
        for name in ("training_file", "validation_file"):
            if name in body:
                await file_is_there(serving, key.team, name, body[name])
        job = job_of(body, kind)
        hyper = {**body.get("hyperparameters", {}), **(body.get("method", {}).get(kind) or {}).get("hyperparameters", {})}
        base = body["model"] if body["model"].isascii() else hop.target.model.id
        suffix = f"{body['suffix']}:" if "suffix" in body else ""
        known = {
            "account": hop.account.name,
            "model": hop.target.model.id,
            "method": kind,
            "hyper": {name: value for name, value in hyper.items() if value is not None and value != "auto"},
            "name": f"{PREFIX}{base}:{key.team}:{suffix}{job['id'][-8:]}",
        }
        made = Object(job["id"], JOB, key.team, {"job": job, "work": known}, time.time())
        await objects.create(made)
        work = Work(objects, key.team, job["id"])
        await work.event("made", f"Created fine-tuning job: {job['id']}")
        for name in ("seed", "integrations"):
            if body.get(name):
                await work.event(f"dropped {name}", f"{name} was dropped: no provider offers it", level="warn")
        await jobs.start("tuning", {"team": key.team, "id": job["id"]}, id=job["id"])
    await exchange.answer(200, encode(job))


async def list_jobs(exchange: Exchange, serving: Serving) -> None:
    key = authenticate(exchange, serving.snapshot, serving.ring)
    paging = paging_of(exchange)
    with lost_told():
        page = await needed(serving).list(JOB, key.team, **paging._asdict())
    await exchange.answer(200, encode(list_of(page, job_told)))


async def one_job(exchange: Exchange, serving: Serving, id: str) -> None:
    await exchange.answer(200, encode(job_told(await found(exchange, serving, id))))


async def cancel(exchange: Exchange, serving: Serving, id: str) -> None:
    """The job is over for the client at once; who runs it tells the provider."""
    job = await found(exchange, serving, id)
    now = int(time.time())

    def cancelled(body: Json) -> Json | None:
        if body["job"]["status"] in OVER:
            return None
        return {**body, "job": {**body["job"], "status": "cancelled", "finished_at": now, "estimated_finish": None}}

    with lost_told():
        objects = needed(serving)
        ended = await changed(objects, JOB, job.team, id, cancelled)
        if ended is None or ended.revision == job.revision or ended.body["job"]["status"] != "cancelled":
            raise Refusal(400, f"Job {id} is {job.body['job']['status']}: it cannot be cancelled.", code="invalid_status")
        await Work(objects, job.team, id).event("cancelled", "The job was cancelled")
    await exchange.answer(200, encode(job_told(ended)))


async def no_pause(exchange: Exchange, serving: Serving, id: str) -> None:
    await found(exchange, serving, id)
    raise Refusal(400, "No provider behind this gateway can pause or resume a tuning job: cancel it instead.", code="unsupported_operation")


async def events(exchange: Exchange, serving: Serving, id: str) -> None:
    await listed(exchange, serving, id, EVENT)


async def checkpoints(exchange: Exchange, serving: Serving, id: str) -> None:
    await listed(exchange, serving, id, CHECKPOINT)


async def delete_model(exchange: Exchange, serving: Serving, name: str) -> None:
    """Of a model that was tuned: the team's name for it is gone, and the model stays at its provider."""
    key = authenticate(exchange, serving.snapshot, serving.ring)
    with lost_told():
        if not name.startswith(PREFIX) or not await needed(serving).delete(TUNED, key.team, name):
            raise no_model(name, f"The model `{name[:200]}` is none that this team has had tuned.")
    if serving.tuned is not None:
        serving.tuned.forget(key.team, name)
    await exchange.answer(200, encode({"id": name, "object": "model", "deleted": True}))


ROUTES: Routes = {
    "/v1/fine_tuning/jobs": {"POST": create, "GET": list_jobs},
    "/v1/fine_tuning/jobs/{id}": {"GET": one_job},
    "/v1/fine_tuning/jobs/{id}/cancel": {"POST": cancel},
    "/v1/fine_tuning/jobs/{id}/pause": {"POST": no_pause},
    "/v1/fine_tuning/jobs/{id}/resume": {"POST": no_pause},
    "/v1/fine_tuning/jobs/{id}/events": {"GET": events},
    "/v1/fine_tuning/jobs/{id}/checkpoints": {"GET": checkpoints},
}


async def listed(exchange: Exchange, serving: Serving, id: str, kind: str) -> None:
    job = await found(exchange, serving, id)
    paging = paging_of(exchange)
    with lost_told():
        page = await needed(serving).list(kind, job.team, parent=id, **paging._asdict())
    await exchange.answer(200, encode(list_of(page, lambda one: one.body)))


async def found(exchange: Exchange, serving: Serving, id: str) -> Object:
    """The key's team's job. Raises Refusal."""
    key = authenticate(exchange, serving.snapshot, serving.ring)
    with lost_told():
        job = await needed(serving).get(JOB, key.team, id)
    if job is None:
        raise Refusal(404, f"Could not find fine tune: {id[:200]}", param="fine_tuning_job_id", code="fine_tune_not_found")
    return job


def job_told(job: Object) -> Json:
    told: Json = job.body["job"]
    return told


def checked(body: Json) -> Json:
    """The request without nulls. Raises Refusal(400)."""
    for name in ("model", "training_file"):
        if body.get(name) is None:
            raise missing(name)
    body = {name: value for name, value in body.items() if value is not None}
    for name, value in body.items():
        if name not in CHECKS:
            raise invalid(name, f"Unrecognized request argument supplied: {name[:100]}", "unknown_parameter")
        CHECKS[name](value, name)
    if not SUFFIX.fullmatch(body.get("suffix", "-")):
        raise invalid("suffix", "Invalid 'suffix': 1 to 64 letters, digits, underscores and dashes are taken.", "invalid_value")
    if body.get("method", {}).get("type") == "reinforcement":
        raise invalid(
            "method.type", "No provider behind this gateway tunes by reinforcement: use 'supervised' or 'dpo'.", "unsupported_value"
        )
    for name, value in body.get("metadata", {}).items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{name}", "a string", value)
    if len(body.get("metadata", {})) > MOST_METADATA:
        raise invalid("metadata", f"Invalid 'metadata': at most {MOST_METADATA} keys are taken.", "object_above_max_properties")
    return body


def chosen(model: str, kind: str, key: Key, snapshot: Snapshot, serving: Serving) -> Hop:
    """The first hop of the model's route that may serve the team and whose vendor tunes. Raises Refusal."""
    resolved = resolve(model, "chat", key, snapshot)
    if resolved is None:
        raise no_model(model, f"The model `{model}` is not known here, or not to this key.")
    facts = facts_of("chat", {"model": model})
    plan = plan_of(resolved, facts, key, snapshot, Moment(0.0, time.time()))
    why: list[str] = [f"{one.hop}: {one.why}" for one in plan.rejected]
    for hop in plan.hops:
        tuning = hop.account.adapter.tuning
        if tuning is None:
            why.append(f"{hop.name}: {hop.account.vendor} is not known to tune models")
        elif kind not in tuning.methods:
            why.append(f"{hop.name}: {hop.account.vendor} does not tune by {kind}")
        elif lacking := [name for name in tuning.secrets if not hop.account.secrets.get(name)]:
            why.append(f"{hop.name}: the account needs {' and '.join(lacking)} for this")
        elif tuning.bucket and not hop.account.bucket:
            why.append(f"{hop.name}: the account needs a `bucket`")
        else:
            return hop
    message = f"No account that serves `{model}` can tune it ({'; '.join(why) or 'there is none'})."
    raise Refusal(400, message, param="model", code="model_not_available")


async def file_is_there(serving: Serving, team: str, name: str, id: str) -> None:
    file = await needed(serving).get("file", team, id)
    if file is None:
        raise Refusal(400, f"invalid {name}: {id[:200]}", param=name, code="invalid_file")
    purpose = file.body.get("purpose")
    if purpose != "fine-tune":
        message = f"The file {id} has the purpose '{purpose}': upload it with the purpose 'fine-tune'."
        raise Refusal(400, message, param=name, code="invalid_file_purpose")


def job_of(body: Json, kind: str) -> Json:
    """OpenAI's object of a new job."""
    own = (body.get("method", {}).get(kind) or {}).get("hyperparameters", {})
    names = ("n_epochs", "batch_size", "learning_rate_multiplier", *(("beta",) if kind == "dpo" else ()))
    hyper = dict.fromkeys(names, "auto") | body.get("hyperparameters", {}) | own
    return {
        "id": new("ftjob-"),
        "object": "fine_tuning.job",
        "model": body["model"],
        "created_at": int(time.time()),
        "finished_at": None,
        "estimated_finish": None,
        "fine_tuned_model": None,
        "organization_id": "",
        "result_files": [],
        "status": "validating_files",
        "validation_file": body.get("validation_file"),
        "training_file": body["training_file"],
        "hyperparameters": hyper,
        "method": {"type": kind, kind: {"hyperparameters": hyper}},
        "trained_tokens": None,
        "error": None,
        "integrations": [],
        "seed": body.get("seed", 0),
        "metadata": body.get("metadata", {}),
    }
