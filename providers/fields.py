"""Field rules: what becomes of one field of OpenAI's request at one vendor, as data.

A vendor's table names each field it knows: `native`, or a rule. A rule edits the outgoing body and returns the changes to report. A
field that the table does not name goes to the table's `others`, which for a vendor with a known interface is `drop`: nothing is sent
that the vendor would refuse, and nothing is lost unsaid.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from providers.base import Change, Copies, Json, StopAt, Target

Rule = Callable[[Json, str, Any, Target], tuple[Change, ...]]
"""(outgoing body, field, value, target) → what was changed. The value belongs to the client's request and is not edited."""

Fields = Mapping[str, Rule | None]
"""A rule by field; None: the field goes through as it is."""

native = None


def all_native(*fields: str) -> dict[str, Rule | None]:
    return dict.fromkeys(fields, native)


def all_dropped(why: str, *fields: str) -> dict[str, Rule | None]:
    return dict.fromkeys(fields, drop(why))


def rename(to: str) -> Rule:
    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        out[to] = value
        return (Change(field, "renamed", to),)

    return rule


def drop(why: str) -> Rule:
    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        return (Change(field, "dropped", why=why),)

    return rule


def drop_unless(default: Any, why: str) -> Rule:
    """Drops the field; without a word where the client only says what the vendor does anyhow."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        return () if value == default else (Change(field, "dropped", why=why),)

    return rule


def clamp(low: float | None, high: float | None, *, to: str = "") -> Rule:
    """Keeps a number within [low, high], under the vendor's name `to` if it has another."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        kept = value
        if low is not None and value < low:
            kept = low
        elif high is not None and value > high:
            kept = high
        out[to or field] = kept
        if kept != value:
            return (Change(field, "clamped", f"{kept:g}"),)
        return (Change(field, "renamed", to),) if to and to != field else ()

    return rule


def most_tokens(to: str, *, low: int = 1, high: int = 0) -> Rule:
    """A limit on the answer's length, kept within what the model can give (`high` where the catalog does not know), as field `to`."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        most = target.model.output or high or max(value, low)
        kept = min(max(value, low), most)
        out[to] = kept if to not in out else min(kept, out[to])
        if kept != value:
            return (Change(field, "clamped", str(kept)),)
        return (Change(field, "renamed", to),) if to != field else ()

    return rule


def one_of(allowed: Iterable[Any], *, otherwise: Any = None, why: str) -> Rule:
    """Passes the values the vendor takes; another becomes `otherwise`, or is dropped where there is none."""
    known = tuple(allowed)

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if value in known:
            out[field] = value
            return ()
        if otherwise is None:
            return (Change(field, "dropped", why=why),)
        out[field] = otherwise
        return (Change(field, "clamped", str(otherwise), why),)

    return rule


def stops(count: int, *, longest: int = 0) -> Rule:
    """`stop` as a list of at most `count` strings of at most `longest` characters (0: of any length); the gateway sees to the others.

    It then sees to all of them, since only it knows where the first of them stands.
    """

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        given = [value] if isinstance(value, str) else value
        sent = [stop for stop in given if not longest or len(stop) <= longest][:count]
        if sent:
            out[field] = sent
        if len(sent) == len(given):
            return ()
        most = f"at most {count}" + (f" of at most {longest} characters" if longest else "") if count else "not offered"
        return (Change(field, "emulated", "cut here", most, StopAt(tuple(given))),)

    return rule


def answers(most: int = 1) -> Rule:
    """`n` of at most `most` answers a call; for more, the gateway makes as many calls of one answer each."""

    def rule(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
        if value <= most:
            if most > 1:
                out[field] = value
            return ()
        return (Change(field, "emulated", f"{value} calls", f"at most {most} a call", Copies(value)),)

    return rule


def served_model(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`model` is what routing is for: not a change to report."""
    out["model"] = target.model.id
    return ()


def ask_for_usage(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """`stream`, where usage comes only if asked for: it is always asked for, since the call has to be accounted for."""
    out["stream"] = value
    if value:
        out["stream_options"] = {"include_usage": True}
    return ()


def kept_here(out: Json, field: str, value: Any, target: Target) -> tuple[Change, ...]:
    """For a field that the gateway itself sees to, such as `stream_options`, whatever the vendor does."""
    return ()


THINKING_BUDGETS = {"low": 2048, "medium": 8192}
"""Tokens of reasoning for an effort, where a vendor has a budget and no degrees. Higher efforts have no limit but the model's."""

LATE = ("tool_choice", "parallel_tool_calls", "response_format")
"""Fields whose rules look at what others have become, tools and messages. In this order: a choice may leave no tool to call."""


def apply(fields: Fields, others: Rule | None, body: Json, target: Target) -> tuple[Json, tuple[Change, ...]]:
    """The outgoing body for `body`, and every change. In the client's order of fields, those of LATE last."""
    out: Json = {}
    changes: tuple[Change, ...] = ()
    late = False
    for field, value in body.items():
        rule = fields.get(field, others)
        if rule is None:
            out[field] = value
        elif field in LATE:
            late = True
        else:
            changes += rule(out, field, value, target)
    if late:
        for field in LATE:
            if field in body and (rule := fields.get(field, others)):
                changes += rule(out, field, body[field], target)
    return out, changes
