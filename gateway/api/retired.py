"""Addresses of OpenAI's that nothing here serves: what they were, since when they are gone there, and where to go. A table, looked up where
no route has been found, so that a surface which comes to be served leaves its row without effect."""

from collections.abc import Mapping
from datetime import date

from msgspec import Struct

from gateway.api.wire import Refusal


class Gone(Struct, frozen=True):
    """Some addresses with the same beginning."""

    what: str
    instead: str
    since: date | None = None
    """When OpenAI has shut it down, or will; None: it is tied to OpenAI's own hosting."""


RESPONSES = "use POST /v1/responses, and /v1/conversations for what is to be remembered"
ADMIN = "teams, keys, usage and budgets are under /admin/v1 of this gateway"

GONE: Mapping[str, Gone] = {
    "/v1/assistants": Gone("the Assistants API", RESPONSES, date(2026, 8, 26)),
    "/v1/threads": Gone("threads of the Assistants API", RESPONSES, date(2026, 8, 26)),
    "/v1/vector_stores": Gone(
        "OpenAI's hosted vector stores",
        "keep vectors in a database of your own: POST /v1/embeddings makes them, POST /v1/rerank ranks",
    ),
    "/v1/videos": Gone("the Videos API (Sora)", "video models are asked at their vendors", date(2026, 9, 24)),
    "/v1/evals": Gone("the Evals platform", "run evaluations from your own code; POST /v1/batches does many requests", date(2026, 11, 30)),
    "/v1/prompts": Gone("stored prompts", "keep the text in your own code and send it in `instructions` or `messages`", date(2026, 11, 30)),
    "/v1/chatkit": Gone("ChatKit, OpenAI's hosted chat", RESPONSES),
    "/v1/realtime": Gone(
        "the Realtime API", "use POST /v1/audio/transcriptions, a model of /v1/chat/completions, and POST /v1/audio/speech"
    ),
    "/v1/live": Gone("live sessions hosted by OpenAI", RESPONSES),
    "/v1/agents": Gone("agents hosted by OpenAI", RESPONSES),
    "/v1/decisions": Gone("decisions of OpenAI's hosted agents", RESPONSES),
    "/v1/skills": Gone("skills of OpenAI's hosted agents", RESPONSES),
    "/v1/vaults": Gone("vaults of OpenAI's hosted agents", RESPONSES),
    "/v1/safety": Gone("OpenAI's safety records", "use POST /v1/moderations"),
    "/v1/containers": Gone("containers in which OpenAI runs code", "run code in your own tools: models call them by `tools`"),
    "/v1/organization": Gone("the administration of an account at OpenAI", ADMIN),
    "/v1/projects": Gone("the administration of projects at OpenAI", ADMIN),
    "/v1/audio/translations": Gone(
        "translation of speech", "use POST /v1/audio/transcriptions, and let a model of /v1/chat/completions translate", date(2027, 2, 26)
    ),
    "/v1/audio/voices": Gone("voices made at OpenAI", "name a voice that was cloned at a vendor, in `voice` of POST /v1/audio/speech"),
    "/v1/audio/voice_consents": Gone(
        "voices made at OpenAI", "name a voice that was cloned at a vendor, in `voice` of POST /v1/audio/speech"
    ),
    "/v1/images/variations": Gone("variations of images", "use POST /v1/images/edits, with the image and what should differ"),
    "/v1/content_provenance_checks": Gone("OpenAI's look-up of images that it has made", "only OpenAI can tell"),
    "/v1/chat/completions": Gone(
        "the storage of chat completions", "use POST /v1/responses, whose answers are kept and read again by GET /v1/responses/{id}"
    ),
    "/v1/fine_tuning/checkpoints": Gone("sharing tuned models among OpenAI's projects", "a tuned model is its team's alone"),
    "/v1/fine_tuning/alpha": Gone("graders of reinforcement at OpenAI", "tune with the method `supervised` or `dpo`"),
    "/v1/webhook_endpoints": Gone("webhooks of OpenAI's", "ask for the object again by its id until it is done"),
    "/v1/fine-tunes": Gone("the first fine-tuning API", "use POST /v1/fine_tuning/jobs", date(2024, 1, 4)),
    "/v1/edits": Gone("the Edits API of 2022", "use POST /v1/chat/completions"),
    "/v1/engines": Gone("engines, which models were called before 2022", "name the model in the body: GET /v1/models lists them"),
}
"""By the beginning of the address. Sources: OpenAI's deprecations page and its OpenAPI document 2.3.0, read 2026-11-23."""


def refusal(path: str, today: date) -> Refusal | None:
    """What is told at an address in its usual form; None for one that has never been OpenAI's."""
    parts = path.split("/")
    gone = GONE.get("/".join(parts[:3])) or GONE.get("/".join(parts[:4]))
    if gone is None:
        return None
    told = f"{path[:200]}: {gone.what} is not served here. "
    if gone.since is not None:
        told += f"OpenAI {'has shut it down on' if gone.since <= today else 'shuts it down on'} {gone.since.isoformat()}. "
    return Refusal(404, f"{told}Instead: {gone.instead}.", code="retired_endpoint" if gone.since else "unsupported_endpoint")
