"""Answers that have broken off, for vendors that go on with them: the words so far, as a last turn that is marked as unfinished."""

from collections.abc import Mapping
from typing import Any

from providers.base import Json

ANEW = ("reasoning_effort", "n")
"""Fields that are not said again: the thinking has been done."""


def unfinished(body: Json, said: str, mark: Mapping[str, Any], beside: Mapping[str, Any]) -> Json:
    """`body` with a last turn of `said`, which carries `mark`; the fields `beside` go with it."""
    kept = {name: value for name, value in body.items() if name not in ANEW}
    return {**kept, **beside, "messages": [*body["messages"], {"role": "assistant", "content": said, **mark}]}
