"""What a vendor that has batches of its own gives the gateway: pure translation, as everything in this package.

    upload ── find, submit ── look, look, … ── content

They are OpenAI's batches with differences, which are data here.
"""

from msgspec import Struct

from providers.base import JSON_BODY, Fault, Json, Outgoing, Target, decode, encode
from providers.tuning import form_data

OVER = frozenset(("completed", "failed", "expired", "cancelled"))
STATES = OVER | {"validating", "in_progress", "finalizing", "cancelling"}


class Standing(Struct, frozen=True):
    """How a batch stands."""

    state: str
    """OpenAI's word."""
    output: str = ""
    errors: str = ""
    """The ids of files; "" for none."""
    why: str = ""
    """Of one that has failed."""

    @property
    def over(self) -> bool:
        return self.state in OVER


class Batches(Struct, frozen=True):
    """A vendor's batches of chat. All that reads a reply raises Fault for one that is of no known form."""

    line_url: str
    """What stands in each line, and in the batch itself."""
    percent: int
    """What a line costs of its usual price."""
    windows: tuple[int, int] | None = None
    """Hours that it may take, at least and at most; None where that cannot be said."""
    fields: Json = {}
    """What else a batch is asked with."""
    most_lines: int = 5000
    most_bytes: int = 32 << 20
    """Of a file of lines: what it says in reply has to be held."""

    def line(self, number: int, body: Json) -> bytes:
        return encode({"custom_id": f"line-{number}", "method": "POST", "url": self.line_url, "body": body}) + b"\n"

    def upload(self, name: str, data: bytes, target: Target) -> Outgoing:
        return form_data(f"{target.base_url}/files", {"purpose": "batch"}, ("file", f"{name}.jsonl", data))

    def submit(self, file: str, hours: int, target: Target) -> Outgoing:
        asked = {"input_file_id": file, "endpoint": self.line_url, **self.fields}
        if self.windows is not None:
            low, high = self.windows
            asked["completion_window"] = f"{min(max(hours, low), high)}h"
        return Outgoing(f"{target.base_url}/batches", encode(asked), JSON_BODY)

    def listed(self, target: Target) -> Outgoing:
        return Outgoing(f"{target.base_url}/batches?limit=100", b"", {}, method="GET")

    def look(self, batch: str, target: Target) -> Outgoing:
        return Outgoing(f"{target.base_url}/batches/{batch}", b"", {}, method="GET")

    def cancel(self, batch: str, target: Target) -> Outgoing:
        return Outgoing(f"{target.base_url}/batches/{batch}/cancel", b"{}", JSON_BODY)

    def content(self, file: str, target: Target) -> Outgoing:
        return Outgoing(f"{target.base_url}/files/{file}/content", b"", {}, method="GET")

    # ---- replies ----

    def id_in(self, reply: bytes) -> str:
        """Of the file or the batch that was made."""
        id = decode(reply).get("id")
        if not isinstance(id, str) or not id:
            raise Fault("broken", "the provider names nothing that it has made")
        return id

    def found(self, reply: bytes, file: str) -> str:
        """The batch of that file; "" if there is none."""
        return next((one["id"] for one in decode(reply)["data"] if one.get("input_file_id") == file), "")

    def standing(self, reply: bytes) -> Standing:
        told = decode(reply)
        if told.get("status") not in STATES:
            raise Fault("broken", "the provider's batch has a status of no known kind")
        errors = (told.get("errors") or {}).get("data") or []
        why = "; ".join(str(error.get("message")) for error in errors[:5])
        return Standing(told["status"], told.get("output_file_id") or "", told.get("error_file_id") or "", why)
