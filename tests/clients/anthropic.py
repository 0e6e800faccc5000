"""Anthropic's SDK. Reads a question as JSON; prints {account: {check: what was found, or {"error": how it failed}}} as JSON."""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Awaitable
from importlib import import_module
from traceback import format_exc
from typing import Any

from pydantic import BaseModel

anthropic: Any = import_module("anthropic")
Json = dict[str, Any]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city today",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO = [{"role": "user", "content": "Hello"}]


class Person(BaseModel):
    """A person with an age"""

    name: str
    age: int


@anthropic.beta_async_tool  # type: ignore[untyped-decorator]
async def get_weather(city: str) -> str:
    """The weather of a city today

    Args:
        city: Its name.
    """
    return f"晴 in {city}"


class Checks:
    """What is asked with one account's key."""

    def __init__(self, question: Json, key: str) -> None:
        self.question = question
        self.base = question["base_url"].removesuffix("/v1")
        self.client = self.client_of(key)
        self.troubled = self.client_of(f"{key}-quota")
        self.asked: Json = {"model": "gpt-4o", "max_tokens": 900, "system": "Be kind.", "messages": self.user(question["text"])}
        self.weather: Json = {"model": "gpt-4o", "max_tokens": 900, "messages": self.user(question["weather"]), "tools": [WEATHER]}

    def client_of(self, key: str) -> Any:
        return anthropic.AsyncAnthropic(base_url=self.base, api_key=key, max_retries=0)

    @staticmethod
    def user(content: Any) -> list[Json]:
        return [{"role": "user", "content": content}]

    async def plain(self) -> Json:
        return report(await self.client.messages.create(**self.asked))

    async def bearer(self) -> Json:
        client = anthropic.AsyncAnthropic(base_url=self.base, auth_token=self.client.api_key, api_key=None, max_retries=0)
        return report(await client.messages.create(**self.asked))

    async def events(self) -> Json:
        """The names of the events as they come, each run of the same once; and the words."""
        names: list[str] = []
        words = ""
        async for event in await self.client.messages.create(**self.asked, stream=True):
            if not names or names[-1] != event.type:
                names.append(event.type)
            if event.type == "content_block_delta":
                words += event.delta.text
        return {"names": names, "text": words}

    async def helper(self) -> Json:
        async with self.client.messages.stream(**self.asked) as stream:
            words = [text async for text in stream.text_stream]
            return {**report(await stream.get_final_message()), "said": "".join(words)}

    async def tools(self) -> Json:
        return report(await self.client.messages.create(**self.weather))

    async def streamed_tools(self) -> Json:
        async with self.client.messages.stream(**self.weather) as stream:
            return report(await stream.get_final_message())

    async def tool_turn(self) -> Json:
        first = await self.client.messages.create(**self.weather)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": f"晴 in {block.input['city']}"}]}
            for block in first.content
            if block.type == "tool_use"
        ]
        history = [*self.weather["messages"], first.to_param(), *self.user(results)]
        return report(await self.client.messages.create(**{**self.weather, "messages": history}))

    async def runner(self) -> Json:
        """The SDK's own loop of calls."""
        asked = {name: value for name, value in self.weather.items() if name != "tools"}
        runner = self.client.beta.messages.tool_runner(**asked, tools=[get_weather])
        return report(await runner.until_done())

    async def streamed_runner(self) -> Json:
        asked = {name: value for name, value in self.weather.items() if name != "tools"}
        runner = self.client.beta.messages.tool_runner(**asked, tools=[get_weather], stream=True)
        async for stream in runner:
            last = await stream.get_final_message()
        return report(last)

    async def forced(self) -> Json:
        choice = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
        return report(await self.client.messages.create(**self.weather, tool_choice=choice))

    async def stopped(self) -> Json:
        asked = {"model": "gpt-4o", "max_tokens": 900, "messages": self.user("Count to 20"), "stop_sequences": ["nine", " 7"]}
        plain = report(await self.client.messages.create(**asked))
        async with self.client.messages.stream(**asked) as stream:
            streamed = report(await stream.get_final_message())
        return {"plain": plain, "streamed": streamed}

    async def cut(self) -> Json:
        return report(await self.client.messages.create(model="gpt-4o", max_tokens=9, messages=self.user("Count to 50")))

    async def parsed(self) -> Json:
        asked = {"model": "gpt-4o", "max_tokens": 900, "messages": self.user(self.question["person"])}
        answer = await self.client.messages.parse(**asked, output_format=Person)
        return dict(answer.parsed_output.model_dump())

    async def counted(self) -> int:
        asked = {name: value for name, value in self.asked.items() if name != "max_tokens"}
        return int((await self.client.messages.count_tokens(**asked)).input_tokens)

    async def models(self) -> Json:
        listed = [model.id async for model in self.client.models.list()]
        one = await self.client.models.retrieve("gpt-4o")
        return {"listed": "gpt-4o" in listed, "one": [one.id, one.type, one.display_name], "year": one.created_at.year}

    async def sees(self) -> Json:
        data = b64encode(bytes.fromhex(self.question["picture"])).decode()
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        asked = self.user([{"type": "text", "text": "What is this?"}, image])
        return report(await self.client.messages.create(model="gpt-4-vision-preview", max_tokens=900, messages=asked))

    async def thinks(self) -> Json:
        """The second turn sends the thoughts back."""
        asked = {"model": "o3", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2048}}
        async with self.client.messages.stream(**asked, messages=self.user(self.question["text"])) as stream:
            first = await stream.get_final_message()
        history = [*self.user(self.question["text"]), first.to_param(), *self.user(self.question["text"])]
        second = report(await self.client.messages.create(**asked, messages=history))
        return {"streamed": report(first), "plain": second}

    async def refused(self) -> Json:
        return await refusal(self.troubled.messages.create(model="gpt-4o", max_tokens=9, messages=HELLO))

    async def refused_in_a_stream(self) -> Json:
        return await refusal(self.troubled.messages.create(model="gpt-4o", max_tokens=9, messages=HELLO, stream=True))

    async def a_stranger(self) -> Json:
        return await refusal(self.client_of("sk-wrong").messages.create(model="gpt-4o", max_tokens=9, messages=HELLO))

    async def no_model(self) -> Json:
        return await refusal(self.client.messages.create(model="no-such-model", max_tokens=9, messages=HELLO))

    async def no_result(self) -> Json:
        call = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]}
        return await refusal(self.client.messages.create(model="gpt-4o", max_tokens=9, messages=[*HELLO, call, *HELLO]))


def report(message: Any) -> Json:
    kinds = [block.type for block in message.content]
    usage = message.usage
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "thought": "".join(block.thinking for block in message.content if block.type == "thinking"),
        "calls": [[block.name, block.input] for block in message.content if block.type == "tool_use"],
        "kinds": kinds,
        "reason": message.stop_reason,
        "stop": message.stop_sequence,
        "tokens": [usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens],
    }


async def refusal(call: Awaitable[Any]) -> Json:
    try:
        return {"answer": repr(await call)}
    except anthropic.APIStatusError as error:
        told = error.body
        kept = {"type": told["error"]["type"], "message": told["error"]["message"]}
        known = bool(error.request_id) and error.request_id == told["request_id"]
        return {"class": type(error).__name__, "status": error.status_code, "envelope": told["type"], "known": known, **kept}


async def told(check: Awaitable[Any]) -> Any:
    try:
        return await check
    except Exception:
        return {"error": format_exc()[-2000:]}


async def main() -> None:
    question = json.load(sys.stdin)

    async def one(account: Json) -> tuple[str, Json]:
        checks = Checks(question, account["key"])
        return account["id"], {name: await told(getattr(checks, name)()) for name in account["checks"]}

    print(json.dumps(dict(await asyncio.gather(*map(one, question["accounts"])))))  # noqa: T201


asyncio.run(main())
