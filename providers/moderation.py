"""Moderation: OpenAI's thirteen categories, and a reply of its form out of what somebody has found."""

from collections.abc import Iterable, Mapping

from providers.base import Json

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/instructions",
    "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
FLAGGED = 0.5
"""From this score on a category is told as true."""


def result(scores: Mapping[str, float], looked_at: Mapping[str, Iterable[str]]) -> Json:
    """One of OpenAI's results. `scores`: from 0 to 1 by category, 0 for those left out. `looked_at`: kinds of input, `text` or `image`, by
    category; nothing for one that nobody has looked for."""
    categories = {name: scores.get(name, 0.0) >= FLAGGED for name in CATEGORIES}
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": {name: float(scores.get(name, 0.0)) for name in CATEGORIES},
        "category_applied_input_types": {name: sorted(looked_at.get(name, ())) for name in CATEGORIES},
    }


def joined(results: Iterable[Json]) -> Json:
    """What several have found in one input, or in parts of it: the worst of it. Raises one of SHAPELESS for what is no result."""
    scores: dict[str, float] = {}
    looked_at: dict[str, set[str]] = {}
    true: set[str] = set()
    flagged = False
    for one in results:
        flagged = flagged or one["flagged"] is True
        for name in CATEGORIES:
            scores[name] = max(scores.get(name, 0.0), one["category_scores"].get(name) or 0.0)
            looked_at.setdefault(name, set()).update((one.get("category_applied_input_types") or {}).get(name) or ())
            true |= {name} if one["categories"].get(name) else set()
    told = result(scores, looked_at)
    return {**told, "flagged": flagged, "categories": {name: name in true for name in CATEGORIES}}
