"""What is stored of a batch, and how it changes. `told` is what the API says of it; the rest is how far it has come."""

from time import time
from typing import Any

from gateway.objects import Object
from providers.base import Json

KIND = "batch"
WINDOW = "batch.window"
ANSWERS = "batch.answers"
OPEN = "open"
"""The tag of those that are not over."""
OVER = "over"
"""The `end` of those that are."""
NO_USAGE: Json = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def made(
    id: str, team: str, key: str, *, endpoint: str, file: str, hours: int, metadata: Json | None, kept: int | None, vendor: bool = False
) -> Object:
    """A new one. `key`: the digest of the key that it is worked on with. `kept`: seconds for which its files are kept. `vendor`: whether
    the vendor's own batch is asked for."""
    now = time()
    told: Json = {
        "id": id,
        "object": "batch",
        "endpoint": endpoint,
        "model": None,
        "errors": None,
        "input_file_id": file,
        "completion_window": f"{hours}h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": int(now),
        "in_progress_at": None,
        "expires_at": int(now) + hours * 3600,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": NO_USAGE,
        "metadata": metadata,
    }
    body: Json = {
        "told": told,
        "key": key,
        "kept": kept,
        "started": now,
        "turn": 0,
        "owner": "",  # who works on it
        "next": 0,  # the first line that is in no part of the output, and where it begins
        "offset": 0,
        "parts": [],
        "sums": {"completed": 0, "failed": 0, "usage": NO_USAGE},  # of the parts
        "input": file,  # where the lines are that are left to the gateway
        "vendor": {"stage": "new", "hours": hours} if vendor else None,
        "end": "",  # what it will be when its files are made
    }
    return Object(id, KIND, team, body, now, tag=OPEN)


def stage(body: Json, status: str, **more: Any) -> Json:
    """The body with a new status, and the time of it."""
    told = body["told"]
    return {**body, "told": {**told, "status": status, f"{status}_at": told.get(f"{status}_at") or int(time()), **more}}


def counted(body: Json, sums: Json) -> Json:
    """The body with what the API says of its progress."""
    told = body["told"]
    counts = {**told["request_counts"], "completed": sums["completed"], "failed": sums["failed"]}
    return {**body, "told": {**told, "request_counts": counts, "usage": sums["usage"]}}


def added(usage: Json, answer: Json) -> Json:
    """A batch's usage with that of one answer."""
    told = answer.get("usage")
    if not isinstance(told, dict):
        return usage
    prompt = told.get("prompt_tokens", told.get("input_tokens")) or 0
    completion = told.get("completion_tokens", told.get("output_tokens")) or 0
    prompt_details = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
    completion_details = told.get("completion_tokens_details") or told.get("output_tokens_details") or {}
    cached = usage["input_tokens_details"]["cached_tokens"] + (prompt_details.get("cached_tokens") or 0)
    reasoning = usage["output_tokens_details"]["reasoning_tokens"] + (completion_details.get("reasoning_tokens") or 0)
    return {
        "input_tokens": usage["input_tokens"] + prompt,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": usage["output_tokens"] + completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": usage["total_tokens"] + prompt + completion,
    }
