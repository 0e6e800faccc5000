"""Questions to every surface that OpenAI has, as data: what is asked, and of which route's shape the answer is to be."""

from base64 import b64encode
from typing import Any

from msgspec import Struct

from providers.media_simulation import png, spoken
from tests.journeys.brain import TOOLS

Json = Any
PICTURE = png("before", 64, 64)
SOUND = spoken("The bridge is red.", "wav")
DATA_URL = "data:image/png;base64," + b64encode(PICTURE).decode()
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
TOLD = {"role": "user", "content": "What is the weather in Paris and Tokyo?"}
FLAT = [{"type": "function", **tool["function"], "strict": False} for tool in TOOLS]


class Question(Struct, frozen=True):
    """`files`: of a form, whose fields are in `body`. `status`: of an error, whose shape all errors share. `like`: the document's
    route, where `route` has ids in it."""

    name: str
    route: str
    body: Json
    files: Json = None
    status: int = 200
    like: str = ""


def chat(name: str, content: Any = "Hello", /, model: str = "gpt-4o", **more: Any) -> Question:
    body = {"model": model, "messages": [{"role": "user", "content": content}], **more}
    return Question(name, "POST /chat/completions", body)


CALLED = [
    TOLD,
    {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]
SEEN = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
CHAT = (
    chat("plain"),
    chat("streamed", stream=True),
    chat("streamed with usage", stream=True, stream_options={"include_usage": True}),
    chat("tools", TOLD["content"], tools=TOOLS),
    chat("tools streamed", TOLD["content"], tools=TOOLS, stream=True, parallel_tool_calls=True),
    chat("results of tools", messages=CALLED, tools=TOOLS),
    chat("an old function", TOLD["content"], functions=[tool["function"] for tool in TOOLS]),
    chat("an old function streamed", TOLD["content"], functions=[tool["function"] for tool in TOOLS], stream=True),
    chat("a JSON schema", "Ann is 7", response_format=SCHEMA),
    chat("a JSON schema streamed", "Ann is 7", response_format=SCHEMA, stream=True),
    chat("a JSON object", "Say JSON", response_format={"type": "json_object"}),
    chat("an end by length", "Count to 500", max_completion_tokens=16),
    chat("an end by length streamed", "Count to 500", max_completion_tokens=16, stream=True),
    chat("a stop", "Count to 9", stop=["5"]),
    chat("several answers", n=2),
    chat("several answers streamed", n=2, stream=True),
    chat("log probabilities", logprobs=True, top_logprobs=2),
    chat("log probabilities streamed", logprobs=True, top_logprobs=2, stream=True),
    chat("an image", SEEN, model="gpt-4-vision-preview"),
    chat("reasoning", model="o3", reasoning_effort="high"),
    chat("reasoning streamed", model="o3", reasoning_effort="high", stream=True),
    chat("harmful words", "UNSAFE_INPUT"),
    chat("a harmful answer", "Say UNSAFE_OUTPUT"),
    chat("a harmful answer streamed", "Say UNSAFE_OUTPUT", stream=True),
    chat("many fields", temperature=2, logit_bias={"50256": -100}, seed=7, user="u", store=True, metadata={"a": "b"}, service_tier="auto"),
)


def response(name: str, content: Any = "Hello", /, model: str = "gpt-4o", **more: Any) -> Question:
    return Question(name, "POST /responses", {"model": model, "input": content, **more})


TYPED = [
    {"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": DATA_URL}]},
]
RESULTS = [
    TOLD,
    {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
]
NAMED = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
RESPONSES = tuple(
    one
    for name, content, more in (
        ("plain", "Hello", {}),
        ("tools", TOLD["content"], {"tools": FLAT}),
        ("results", RESULTS, {"tools": FLAT}),
        ("a JSON schema", "Ann is 7", {"text": NAMED}),
        ("an end by length", "Count to 500", {"max_output_tokens": 16}),
        ("an image", TYPED, {"model": "gpt-4-vision-preview"}),
        ("reasoning", "Hello", {"model": "o3", "reasoning": {"effort": "high", "summary": "auto"}}),
        ("kept nowhere", "Hello", {"store": False, "include": ["reasoning.encrypted_content"], "metadata": {"a": "b"}}),
        ("log probabilities", "Hello", {"top_logprobs": 2, "include": ["message.output_text.logprobs"]}),
        ("a harmful answer", "Say UNSAFE_OUTPUT", {}),
        ("harmful words", "UNSAFE_INPUT", {}),
        ("a custom tool", TOLD["content"], {"tools": [{"type": "custom", "name": "get_weather", "description": "weather of a city"}]}),
        ("a choice", TOLD["content"], {"tools": FLAT, "tool_choice": {"type": "function", "name": "get_weather"}}),
        ("in the background", "Hello", {"background": True}),
    )
    for one in (response(name, content, **more), response(f"{name} streamed", content, **more, stream=True))
)
OTHERS = (
    Question("completions", "POST /completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}),
    Question(
        "completions of several", "POST /completions", {"model": "gpt-3.5-turbo-instruct", "prompt": ["a", "b"], "n": 2, "echo": True}
    ),
    Question("completions streamed", "POST /completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello", "stream": True}),
    Question("completions with logprobs", "POST /completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello", "logprobs": 2}),
    Question(
        "completions streamed with usage",
        "POST /completions",
        {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello", "stream": True, "stream_options": {"include_usage": True}},
    ),
    Question("embeddings", "POST /embeddings", {"model": "text-embedding-3-small", "input": "Hello"}),
    Question("embeddings of several", "POST /embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"]}),
    Question("models", "GET /models", None),
    Question("a model", "GET /models/gpt-4o", None, like="GET /models/{model}"),
    Question("no such model", "GET /models/none", None, status=404),
    Question("input tokens", "POST /responses/input_tokens", {"model": "gpt-4o", "input": "Hello"}),
    Question("compact", "POST /responses/compact", {"model": "gpt-4o", "input": [TOLD]}),
    Question("compact with results", "POST /responses/compact", {"model": "gpt-4o", "input": RESULTS}),
    Question("no model", "POST /chat/completions", {"messages": [TOLD]}, status=400),
    Question("an unknown model", "POST /chat/completions", {"model": "none", "messages": [TOLD]}, status=404),
    Question("no such response", "GET /responses/resp_none", None, status=404),
    Question("no such path", "GET /none", None, status=404),
    Question("another method", "DELETE /embeddings", None, status=405),
)
MAKERS = ("cogview", "wan", "qwen-image", "irag", "u1", "gpt-image", "azure-image")
EDITORS = ("wan-edit", "qwen-edit", "irag-edit", "gpt-image", "azure-image")
SPEAKERS = ("glm-tts", "cosyvoice", "qwen-tts", "tts-o")
HEARERS = ("glm-asr", "qwen-asr", "whisper", "gpt-4o-transcribe-o")
IMAGE_FILE = {"image": ("a.png", PICTURE, "image/png")}
SOUND_FILE = {"file": ("a.wav", SOUND, "audio/wav")}


def media(kind: str, route: str, models: tuple[str, ...], body: Json, files: Json = None) -> list[Question]:
    return [Question(f"{kind} by {model}", route, {"model": model, **body}, files) for model in models]


ADDRESS = {"response_format": "url"}
SUNG = {"input": "The bridge is red.", "voice": "alloy"}
MEDIA = (
    *media("an image", "POST /images/generations", MAKERS, {"prompt": "a red bridge"}),
    *media("an image as data", "POST /images/generations", MAKERS[:2], {"prompt": "a red bridge", "response_format": "b64_json", "n": 2}),
    *media("an image streamed", "POST /images/generations", ("cogview", "gpt-image"), {"prompt": "a red bridge", "stream": True}),
    *media("an address streamed", "POST /images/generations", ("wan", "gpt-image"), {"prompt": "a", "stream": True, **ADDRESS}),
    *media("an edit", "POST /images/edits", EDITORS, {"prompt": "make it blue"}, IMAGE_FILE),
    *media("an edit streamed", "POST /images/edits", EDITORS, {"prompt": "make it blue", "stream": "true"}, IMAGE_FILE),
    *media("speech streamed", "POST /audio/speech", SPEAKERS, {**SUNG, "stream_format": "sse"}),
    *media("words", "POST /audio/transcriptions", HEARERS, {}, SOUND_FILE),
    *media("words streamed", "POST /audio/transcriptions", HEARERS, {"stream": "true"}, SOUND_FILE),
    *media("words in full", "POST /audio/transcriptions", ("whisper",), {"response_format": "verbose_json"}, SOUND_FILE),
    Question("moderation", "POST /moderations", {"model": "omni-moderation-latest", "input": "Hello"}),
    Question("moderation of several", "POST /moderations", {"model": "omni-moderation-latest", "input": ["a", "UNSAFE_INPUT"]}),
)
