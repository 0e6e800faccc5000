"""Which fields each dated version of Azure OpenAI's API has, by the pages on its life cycle and its change notes (read 2026-11-23)."""

from providers.base import Json
from providers.openai.simulator_checks import CHAT
from providers.openai.simulator_values import bad

VERSIONS = frozenset(
    "2023-05-15 2023-12-01-preview 2024-02-01 2024-02-15-preview 2024-03-01-preview 2024-04-01-preview 2024-05-01-preview 2024-06-01 "
    "2024-07-01-preview 2024-08-01-preview 2024-09-01-preview 2024-10-01-preview 2024-10-21 2024-12-01-preview 2025-01-01-preview "
    "2025-02-01-preview 2025-03-01-preview 2025-04-01-preview".split()
)
FIRST = frozenset(
    "messages model stream temperature top_p n stop max_tokens presence_penalty frequency_penalty logit_bias user functions "
    "function_call".split()
)
ADDED = {
    "2023-12-01": "tools tool_choice seed response_format data_sources",
    "2024-02-15": "logprobs top_logprobs",
    "2024-09-01": "stream_options parallel_tool_calls max_completion_tokens",
    "2024-12-01": "reasoning_effort store metadata user_security_context",
    "2025-01-01": "prediction modalities audio",
}
"""By the day from which the versions have them."""
V1 = (CHAT | {"data_sources", "user_security_context"}) - {"moderation", "prompt_cache_options", "web_search_options"}


def fields_of(version: str) -> frozenset[str]:
    """Of a chat request. "" is v1."""
    if not version:
        return V1
    later = [field for since, fields in ADDED.items() if version[:10] >= since for field in fields.split()]
    return FIRST.union(later)


def check_version(body: Json, version: str) -> None:
    """Raises Refusal for a value that came later than the version. `body` is of the right form otherwise."""
    day = version[:10] or "9999"
    choice = body.get("tool_choice")
    if choice == "required" and day < "2024-06-01":
        raise bad("Invalid value for 'tool_choice': 'required' is not one of ['none', 'auto'].", "tool_choice", "invalid_value")
    if version and isinstance(choice, dict) and choice["type"] != "function":
        raise bad(f"Invalid value: '{choice['type']}'. Supported values are: 'function'.", "tool_choice.type", "invalid_value")
    if body.get("response_format", {}).get("type") == "json_schema" and day < "2024-08-01":
        words = "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later"
        raise bad(words, code="BadRequest")
    for number, tool in enumerate(body.get("tools", ())):
        if version and tool["type"] != "function":
            raise bad(f"Invalid value: '{tool['type']}'. Supported values are: 'function'.", f"tools[{number}].type", "invalid_value")
        if day < "2024-08-01" and "strict" in tool["function"]:
            raise bad(f"Unrecognized request argument supplied: tools[{number}].function.strict")


def knows_developers(version: str) -> bool:
    return not version or version[:10] >= "2024-12-01"
