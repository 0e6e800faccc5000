"""What the endpoints are given to serve with, and the plan with its refusals in OpenAI's words."""

import random
from collections.abc import Callable

from msgspec import Struct

from gateway.api.wire import Refusal
from gateway.routing.health import Health
from gateway.routing.plan import Facts, Plan, make_plan
from gateway.snapshot import Key, Snapshot
from gateway.upstream import Upstream


class Serving(Struct):
    """One reference to the config of now, which a reload swaps, and the way to the providers. A request takes `snapshot` once."""

    snapshot: Snapshot
    upstream: Upstream
    health: Health


def plan_for(facts: Facts, key: Key, snapshot: Snapshot, draw: Callable[[], float] = random.random) -> Plan:
    """A plan with at least one hop. Raises Refusal."""
    plan = make_plan(facts, key, snapshot, draw())
    if plan is None:
        raise no_model(facts.model, f"The model `{facts.model}` is not known here, or not to this key.")
    if plan.hops:
        return plan
    if plan.refusal:
        raise no_model(facts.model, plan.refusal)
    codes = {rejected.code for rejected in plan.rejected}
    why = "; ".join(f"{rejected.hop}: {rejected.why}" for rejected in plan.rejected)
    if "incapable" in codes:
        raise Refusal(
            400, f"No model that serves `{facts.model}` can take this request ({why}).", param="model", code="unsupported_parameter"
        )
    if "jurisdiction" in codes:
        message = (
            f"model `{facts.model}` of team `{key.team}` has no hop that data of callers in {key.jurisdiction} may go to ({why}): "
            f"add one under models.{facts.model}.serve, or allow another place in policy.allow"
        )
        raise Refusal(403, message, kind="permission_error", param="model", code="jurisdiction_not_allowed")
    if "endpoint" in codes:
        raise no_model(facts.model, f"The model `{facts.model}` has no {facts.endpoint} ({why}).")
    raise no_model(facts.model, f"No account serves the model `{facts.model}` at present ({why}).")


def no_model(model: str, message: str) -> Refusal:
    return Refusal(404, message, param="model", code="model_not_found")
