"""LlamaIndex's OpenAI classes. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from importlib import import_module
from typing import Any

OpenAI: Any = import_module("llama_index.llms.openai").OpenAI
OpenAIEmbedding: Any = import_module("llama_index.embeddings.openai").OpenAIEmbedding
llms: Any = import_module("llama_index.core.llms")
FunctionTool: Any = import_module("llama_index.core.tools").FunctionTool
Json = dict[str, Any]


def get_weather(city: str) -> str:
    """The weather of a city today"""
    return f"晴 in {city}"


def main() -> None:
    question = json.load(sys.stdin)
    told: Json = {}
    for key in question["keys"]:
        llm = OpenAI(model="gpt-4o", api_base=question["base_url"], api_key=key, max_retries=0)
        told[key] = {
            "complete": llm.complete(question["text"]).text,
            "chat": llm.chat(
                [llms.ChatMessage(role="system", content="Be kind."), llms.ChatMessage(role="user", content=question["text"])]
            ).message.content,
            "stream_complete": "".join(part.delta for part in llm.stream_complete(question["text"])),
            "stream_chat": "".join(part.delta or "" for part in llm.stream_chat([llms.ChatMessage(role="user", content=question["text"])])),
            "predict_and_call": calls(llm, question["weather"]),
            "streamed_calls": streamed_calls(llm, question["weather"]),
        }
    for key in question["embedding"]:
        model = OpenAIEmbedding(
            model="text-embedding-3-small", api_base=question["base_url"], api_key=key, max_retries=0, embed_batch_size=10
        )
        told[key]["embeddings"] = [numbers[:4] for numbers in model.get_text_embedding_batch(question["texts"])]
        told[key]["query"] = model.get_query_embedding(question["texts"][1])[:4]
    print(json.dumps(told))  # noqa: T201


def calls(llm: Any, text: str) -> list[Any]:
    """What the tools gave, each called as the model said."""
    answer = llm.predict_and_call([FunctionTool.from_defaults(get_weather)], text, allow_parallel_tool_calls=True)
    return [[source.tool_name, source.raw_input["kwargs"], source.raw_output] for source in answer.sources]


def streamed_calls(llm: Any, text: str) -> list[Any]:
    tools = [FunctionTool.from_defaults(get_weather)]
    *_, last = llm.stream_chat_with_tools(tools, text, allow_parallel_tool_calls=True)
    return [[call.tool_name, call.tool_kwargs] for call in llm.get_tool_calls_from_response(last)]


main()
