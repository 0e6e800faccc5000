"""Items as they are kept and listed: with an id and a status, and with content in parts where a client has sent a mere string."""

from collections.abc import Iterable
from typing import Any

from gateway.api.objects import new
from gateway.api.validate import array, fields, invalid, missing, obj, one_of, string, wrong_type
from providers.base import Json

PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "compaction": "cmp_",
    "web_search_call": "ws_",
    "file_search_call": "fs_",
    "computer_call": "cu_",
    "computer_call_output": "cuo_",
    "image_generation_call": "ig_",
    "code_interpreter_call": "ci_",
    "local_shell_call": "lsh_",
    "local_shell_call_output": "lsho_",
    "shell_call": "sh_",
    "shell_call_output": "sho_",
    "apply_patch_call": "apc_",
    "apply_patch_call_output": "apco_",
    "mcp_list_tools": "mcpl_",
    "mcp_approval_request": "mcpr_",
    "mcp_approval_response": "mcpa_",
    "mcp_call": "mcp_",
    "tool_search_call": "tsc_",
    "tool_search_output": "tso_",
    "additional_tools": "at_",
}
"""What the ids of a type begin with."""
WITHOUT_STATUS = frozenset(
    {"reasoning", "compaction", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "additional_tools"}
)
FILLED: dict[str, Json] = {
    "shell_call": {"environment": None},
    "shell_call_output": {"max_output_length": None},
    "tool_search_call": {"call_id": None, "execution": "client"},
    "tool_search_output": {"call_id": None, "execution": "client"},
}
"""What OpenAI tells of an item though a client may leave it out."""
LIMITS: Json = {"timeout_ms": None, "max_output_length": None}
"""The same of the action of a shell call."""
LONGEST_ID = 128
ROLES = ("user", "assistant", "system", "developer")

CHECKS = {
    "message": fields({"role": one_of(*ROLES), "phase": one_of("commentary", "final_answer")}, required=("role", "content")),
    "function_call": fields({"call_id": string, "name": string, "arguments": string}, required=("call_id", "name", "arguments")),
    "function_call_output": fields({"call_id": string}, required=("call_id", "output")),
    "custom_tool_call": fields({"call_id": string, "name": string, "input": string}, required=("call_id", "name", "input")),
    "custom_tool_call_output": fields({"call_id": string}, required=("call_id", "output")),
    "reasoning": fields({"summary": array(obj)}, required=("summary",)),
    "compaction": fields({"encrypted_content": string}, required=("encrypted_content",)),
}
"""Of the items that mean something here; those of tools that OpenAI hosts are kept as they are."""
part = fields({"type": string, "text": string, "image_url": string, "refusal": string}, required=("type",))


def type_of(item: Json) -> str:
    """A message may go without its type."""
    kind = item.get("type") or ("message" if "role" in item else "")
    return kind if isinstance(kind, str) else ""


def check(item: Any, path: str) -> None:
    """Raises Refusal(400) for what is no item that can be kept."""
    obj(item, path)
    kind = type_of(item)
    if not kind:
        raise missing(f"{path}.type")
    if kind not in PREFIXES:
        known = ", ".join(f"'{name}'" for name in PREFIXES)
        raise invalid(f"{path}.type", f"Invalid value: '{kind[:100]}'. Supported values are: {known}.", "invalid_value")
    if (id := item.get("id")) is not None:
        string(id, f"{path}.id")
        if not is_id(id):
            raise invalid(
                f"{path}.id", f"Invalid '{path}.id': an id has 1 to {LONGEST_ID} letters, digits, dashes and underscores.", "invalid_value"
            )
    if kind in CHECKS:
        CHECKS[kind](item, path)
    if kind == "message":
        _content(item["content"], f"{path}.content")
    elif kind.endswith("_call_output") and kind in CHECKS:
        _content(item["output"], f"{path}.output")


def _content(value: Any, path: str) -> None:
    if not isinstance(value, str | list):
        raise wrong_type(path, "a string or an array", value)
    if isinstance(value, list):
        array(part)(value, path)


def items_of(given: Any) -> list[Json]:
    """A request's input as items. Raises Refusal(400)."""
    if given is None:
        return []
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        raise wrong_type("input", "a string or an array", given)
    for at, item in enumerate(given):
        obj(item, f"input[{at}]")
        if type_of(item) != "item_reference":
            check(item, f"input[{at}]")
    return given


def is_id(id: Any) -> bool:
    return isinstance(id, str) and 0 < len(id) <= LONGEST_ID and id.isascii() and id.replace("-", "").replace("_", "").isalnum()


def listed(items: Iterable[Json], *, fresh: bool = False) -> list[Json]:
    """Items as they are kept. `fresh`: with new ids, whatever they came with."""
    return [_listed(item, fresh=fresh) for item in items]


def _listed(item: Json, *, fresh: bool) -> Json:
    kind = type_of(item)
    id = item.get("id")
    if fresh or not is_id(id):
        id = new(PREFIXES.get(kind, "item_"))
    given = {name: value for name, value in item.items() if name not in ("id", "type") and value is not None}
    kept = {"id": id, "type": kind, **FILLED.get(kind, {}), **given}
    if kind == "shell_call" and isinstance(kept.get("action"), dict):
        kept["action"] = {**LIMITS, **kept["action"]}
    if kind not in WITHOUT_STATUS and kept.get("status") not in ("completed", "incomplete"):
        kept["status"] = "completed"
    if kind == "message":
        kept["content"] = parts_of(item.get("role"), item.get("content"))
    return kept


def parts_of(role: Any, content: Any) -> list[Json]:
    """Content in parts, each with all that clients expect in it."""
    kind = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": kind, "text": content}] if isinstance(content, str) else content or []
    return [_part(one) for one in parts if isinstance(one, dict)]


def _part(one: Json) -> Json:
    if one.get("type") == "output_text":
        return {**one, "annotations": one.get("annotations") or [], "logprobs": one.get("logprobs") or []}
    if one.get("type") == "input_image":
        return {**one, "detail": one.get("detail") or "auto"}
    return one
