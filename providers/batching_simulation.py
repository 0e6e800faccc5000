"""What vendors' own batches have in common, as simulators have it: files of lines, and batches that move on each time they are looked at.
Each line is served as the vendor's simulator serves a request of chat, and billed so."""

from collections.abc import Awaitable, Callable

from msgspec import DecodeError, Struct, ValidationError

from providers.base import Json, decode, encode
from providers.form_simulation import read_form
from providers.simulation import Reply, Request, World, json_reply

Refuse = Callable[[int, str], Exception]
"""(HTTP status, message) → the vendor's own refusal."""
Serve = Callable[[str, Json], Awaitable[Reply]]
"""Serves a line's body for an account. Raises nothing."""
OVER = ("completed", "failed", "expired", "cancelled")


class Rules(Struct, frozen=True):
    """What a vendor takes."""

    line_url: str
    fields: frozenset[str]
    """Of a batch."""
    windows: tuple[int, int] | None
    """Hours; None where it takes no window."""
    most_lines: int
    most_bytes: int
    one_model: bool
    flat: bool = False
    """Counts stand in the batch itself, beside what OpenAI has."""


class File(Struct):
    account: str
    told: Json
    data: bytes


class Batch(Struct):
    account: str
    told: Json
    lines: list[Json]


class Batches:
    """One for all accounts; each sees only its own."""

    def __init__(self, world: World, rules: Rules, serve: Serve, refuse: Refuse) -> None:
        self.world = world
        self.rules = rules
        self.serve = serve
        self.refuse = refuse
        self.files: dict[str, File] = {}
        self.batches: dict[str, Batch] = {}

    async def answer(self, account: str, request: Request, path: str) -> Reply | None:
        """None for an address that is not ours. `path`: after the version."""
        match request.method, path.removeprefix("/").split("/"):
            case "POST", ["files"] if (form := read_form(request)) is not None and form[0].get("purpose") == "batch":
                return json_reply(200, self.upload(account, form[1]))
            case "GET", ["files", id, "content"]:
                return Reply(200, self.file(account, id).data, {"content-type": "application/octet-stream"})
            case "GET", ["files", id]:
                return json_reply(200, self.file(account, id).told)
            case "POST", ["batches"]:
                return json_reply(200, self.create(account, self.body(request)))
            case "GET", ["batches"]:
                most = int(request.query.get("limit", "20"))
                mine = [batch.told for batch in self.batches.values() if batch.account == account][::-1]
                return json_reply(200, {"object": "list", "data": mine[:most], "has_more": len(mine) > most})
            case "GET", ["batches", id]:
                return json_reply(200, await self.look(self.batch(account, id)))
            case "POST", ["batches", id, "cancel"]:
                return json_reply(200, self.cancel(self.batch(account, id)))
        return None

    def body(self, request: Request) -> Json:
        try:
            return decode(request.body)
        except (DecodeError, ValidationError) as error:
            raise self.refuse(400, "the body is not a JSON object") from error

    def upload(self, account: str, files: dict[str, tuple[str, bytes]]) -> Json:
        if "file" not in files:
            raise self.refuse(400, "file is required")
        name, data = files["file"]
        if not name.endswith(".jsonl") or not data or len(data) > self.rules.most_bytes:
            raise self.refuse(400, f"the file has to be .jsonl, with up to {self.rules.most_bytes} bytes")
        return self.keep(account, name, data, "batch")

    def keep(self, account: str, name: str, data: bytes, purpose: str) -> Json:
        id = f"file-batch-{len(self.files) + 1:016x}"
        told = {"id": id, "object": "file", "bytes": len(data), "created_at": int(self.world.now()), "filename": name, "purpose": purpose}
        self.files[id] = File(account, told, data)
        return told

    def file(self, account: str, id: str) -> File:
        file = self.files.get(id)
        if file is None or file.account != account:
            raise self.refuse(404, f"file {id} does not exist")
        return file

    def batch(self, account: str, id: str) -> Batch:
        batch = self.batches.get(id)
        if batch is None or batch.account != account:
            raise self.refuse(404, f"batch {id} does not exist")
        return batch

    def create(self, account: str, body: Json) -> Json:
        rules = self.rules
        if unknown := sorted(body.keys() - rules.fields):
            raise self.refuse(400, f"{unknown[0]} is not a parameter of a batch")
        if body.get("endpoint") != rules.line_url:
            raise self.refuse(400, f"endpoint has to be {rules.line_url}")
        if rules.windows is not None:
            hours = str(body.get("completion_window", "")).removesuffix("h")
            if not hours.isdigit() or not rules.windows[0] <= int(hours) <= rules.windows[1]:
                raise self.refuse(400, f"completion_window has to be from {rules.windows[0]}h to {rules.windows[1]}h")
        self.file(account, str(body.get("input_file_id")))
        counts = {"total": 0, "completed": 0, "failed": 0}
        told = {
            "id": f"batch_{len(self.batches) + 1:020x}", "object": "batch", "endpoint": body["endpoint"], "errors": None,
            "input_file_id": body["input_file_id"], "completion_window": body.get("completion_window", "24h"), "status": "validating",
            "output_file_id": None, "error_file_id": None, "created_at": int(self.world.now()), "metadata": body.get("metadata"),
            **(counts if rules.flat else {"request_counts": counts}),
        }  # fmt: skip
        self.batches[told["id"]] = Batch(account, told, [])
        return told

    async def look(self, batch: Batch) -> Json:
        match batch.told["status"]:
            case "validating":
                self.check(batch)
            case "in_progress":
                await self.run(batch)
            case "cancelling":
                batch.told["status"] = "cancelled"
        return batch.told

    def check(self, batch: Batch) -> None:
        errors: list[Json] = []
        models: set[str] = set()
        ids: set[str] = set()
        raw = [line for line in self.files[batch.told["input_file_id"]].data.split(b"\n") if line.strip()]
        for row, text in enumerate(raw, 1):
            try:
                line = decode(text)
                id, model = line["custom_id"], line["body"]["model"]
            except (DecodeError, ValidationError, KeyError, TypeError):
                errors.append({"code": "invalid_line", "line": row, "message": "the line is not a request"})
                continue
            if line.get("method") != "POST" or line.get("url") != self.rules.line_url:
                errors.append({"code": "invalid_url", "line": row, "message": "the url does not match the endpoint"})
            if id in ids:
                errors.append({"code": "duplicate_custom_id", "line": row, "message": "the custom_id is a duplicate"})
            ids.add(id)
            models.add(model)
            if self.rules.one_model and len(models) > 1:
                errors.append({"code": "mismatched_model", "line": row, "message": "all lines have to name one model"})
                break
            batch.lines.append(line)
        if len(raw) > self.rules.most_lines:
            errors.append({"code": "too_many_lines", "line": None, "message": f"a file has up to {self.rules.most_lines} lines"})
        self.count(batch, total=len(raw))
        if errors:
            batch.told |= {"status": "failed", "errors": {"object": "list", "data": errors}}
        else:
            batch.told["status"] = "in_progress"

    async def run(self, batch: Batch) -> None:
        """All lines, of which the last stands first in what comes of them: the order is not the input's."""
        good: list[bytes] = []
        bad: list[bytes] = []
        for number, line in enumerate(batch.lines[::-1]):
            reply = await self.serve(batch.account, line["body"])
            assert isinstance(reply.body, bytes)
            response = {"status_code": reply.status, "request_id": f"{batch.told['id']}-{number}", "body": decode(reply.body)}
            told = {"id": f"{batch.told['id']}-{number}", "custom_id": line["custom_id"], "response": response, "error": None}
            (good if reply.status == 200 else bad).append(encode(told))
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                batch.told[name] = self.keep(batch.account, f"{name}.jsonl", b"\n".join(lines), "batch_output")["id"]
        self.count(batch, completed=len(good), failed=len(bad))
        batch.told["status"] = "completed"

    def count(self, batch: Batch, **more: int) -> None:
        (batch.told if self.rules.flat else batch.told["request_counts"]).update(more)

    def cancel(self, batch: Batch) -> Json:
        if batch.told["status"] in OVER:
            raise self.refuse(400, f"a batch that is {batch.told['status']} cannot be cancelled")
        batch.told["status"] = "cancelling"
        return batch.told
