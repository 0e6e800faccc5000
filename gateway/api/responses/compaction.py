"""What a compaction item holds: the words that stand for a conversation, in the item itself.

Nothing is stored for it and no key is needed to read it: it goes on to hold after any lifetime and on any gateway. It is not signed either.
Whoever changes it changes what they themselves send to a model, as they can with every other item of their input.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from gateway.api.objects import new
from gateway.api.validate import invalid
from providers.base import Json

MARK = "bj1."
"""What ours begins with: the form and its version."""
LEAD = "Summary of the conversation so far:\n\n"


def compacted(summary: str) -> Json:
    """The item for a summary."""
    sealed = MARK + urlsafe_b64encode(summary.encode()).decode()
    return {"id": new("cmp_"), "type": "compaction", "encrypted_content": sealed}


def message_of(item: Json, path: str) -> Json:
    """What a model reads of it: a turn of the assistant. Raises Refusal(400) for an item of another maker."""
    sealed = item.get("encrypted_content")
    try:
        if not isinstance(sealed, str) or not sealed.startswith(MARK):
            raise ValueError("of another maker")
        summary = urlsafe_b64decode(sealed.removeprefix(MARK).encode()).decode()
    except (ValueError, Error) as error:
        raise invalid(
            f"{path}.encrypted_content",
            f"Invalid '{path}.encrypted_content': this gateway reads compactions of its own /v1/responses/compact alone. Send the items "
            "that it stood for.",
            "invalid_encrypted_content",
        ) from error
    named = {"id": item["id"]} if "id" in item else {}
    return {**named, "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": LEAD + summary}]}
