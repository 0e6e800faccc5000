"""What a request's plan was made from, short enough for every line of the log: with the config of then, it can be made again."""

from msgspec import Struct

from gateway.routing.facts import Facts
from gateway.routing.plan import Plan, make_plan
from gateway.routing.preferences import Moment
from gateway.snapshot import Key, Snapshot

AT_ANY_TIME = Moment()


class Decision(Struct, frozen=True, omit_defaults=True):
    config: str
    """The revision of the config."""
    facts: Facts
    moment: Moment = AT_ANY_TIME
    hops: tuple[str, ...] = ()
    """The plan's, in their order."""
    on_refusal: tuple[str, ...] = ()


def decision_of(plan: Plan, facts: Facts, moment: Moment, revision: str) -> Decision:
    return Decision(revision, facts, moment, *plan.names)


def replayed(decision: Decision, key: Key, snapshot: Snapshot) -> Plan | None:
    """The plan that the config makes of the same request at the same moment."""
    return make_plan(decision.facts, key, snapshot, decision.moment)


def route_told(plan: Plan) -> str:
    """A plan for a header: `a/x, b/y; not c/z (jurisdiction); on refusal d/w`."""
    parts = [", ".join(hop.name for hop in plan.hops) or "none"]
    parts += [f"not {rejected.hop} ({rejected.code})" for rejected in plan.rejected]
    if plan.on_refusal:
        parts.append("on refusal " + ", ".join(hop.name for hop in plan.on_refusal))
    return "; ".join(parts)
