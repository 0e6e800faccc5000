"""What the tests of OpenAI's and Azure's adapters share."""

from typing import Any

from providers.base import Json, Model

WIDTHS = tuple(range(1, 1537))
MODELS = (
    Model("gpt-4o", context=128_000, output=16_384, input=("text", "image"), tools=True, json="schema", thinking="none"),
    Model("gpt-3.5-turbo", context=16_385, output=4096, tools=True, json="object", thinking="none"),
    Model("gpt-5", output=128_000, tools=True, json="schema", thinking="always"),
    Model("gpt-5.1", output=128_000, tools=True, json="schema", thinking="effort"),
    Model("gpt-5.4", output=128_000, input=("text", "image"), tools=True, json="schema", thinking="effort"),
    Model("gpt-5.6-sol", output=128_000, tools=True, json="schema", thinking="effort"),
    Model("gpt-6-astra", output=128_000, tools=False, json="schema", thinking="always"),
    Model("o3", output=100_000, tools=True, json="schema", thinking="always"),
    Model("text-embedding-3-small", kind="embedding", context=8191, dimensions=1536, allowed_dimensions=WIDTHS, batch=2048),
    Model("text-embedding-ada-002", kind="embedding", context=8191, dimensions=1536, batch=2048),
)
WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}  # fmt: skip
PERSON: Json = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
EVERYTHING: Json = {
    "messages": [
        {"role": "developer", "content": "Answer in JSON.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hi"}], "reasoning_content": "x"},
    ],
    "temperature": 2, "top_p": 0.5, "n": 2, "stop": ["zzz"], "max_tokens": 100, "max_completion_tokens": 200, "presence_penalty": 1,
    "frequency_penalty": -1, "logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 2, "seed": 7, "user": "u-1", "store": True,
    "metadata": {"a": "b"}, "service_tier": "flex", "modalities": ["text"], "prediction": {"type": "content", "content": "hi"},
    "reasoning_effort": "high", "verbosity": "low", "web_search_options": {}, "prompt_cache_key": "k", "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"}, "safety_identifier": "s", "moderation": {"model": "omni"}, "a_field_of_2030": 1,
    "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}},
}  # fmt: skip
"""Every field of OpenAI's chat that says something of an answer in words."""


def ask(text: str, **more: Any) -> Json:
    return {"messages": [{"role": "user", "content": text}], **more}
