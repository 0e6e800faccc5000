"""pydantic-ai's agents. Reads a question as JSON; prints {account: {check: what was found, or {"error": how it failed}}} as JSON."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from traceback import format_exc
from typing import Any

from pydantic import BaseModel

ai: Any = import_module("pydantic_ai")
models: Any = import_module("pydantic_ai.models.openai")
OpenAIProvider: Any = import_module("pydantic_ai.providers.openai").OpenAIProvider
Embedder: Any = import_module("pydantic_ai.embeddings").Embedder
OpenAIEmbeddingModel: Any = import_module("pydantic_ai.embeddings.openai").OpenAIEmbeddingModel
AsyncOpenAI: Any = import_module("openai").AsyncOpenAI
Json = dict[str, Any]


class Person(BaseModel):
    """A person with an age"""

    name: str
    age: int


class Forecast(BaseModel):
    """What is to be told"""

    city: str


def get_weather(city: str) -> str:
    """The weather of a city today

    Args:
        city: Its name.
    """
    return f"晴 in {city}"


class Checks:
    """What an agent does with one account's key."""

    def __init__(self, question: Json, key: str) -> None:
        self.question = question
        self.provider = OpenAIProvider(openai_client=AsyncOpenAI(base_url=question["base_url"], api_key=key, max_retries=0))
        self.troubled = OpenAIProvider(openai_client=AsyncOpenAI(base_url=question["base_url"], api_key=key + "-quota", max_retries=0))

    def agent(self, model: str = "gpt-4o", **more: Any) -> Any:
        return ai.Agent(models.OpenAIChatModel(model, provider=self.provider), **more)

    async def plain(self) -> Json:
        run = await self.agent(instructions="Be kind.").run(self.question["text"])
        reply = run.all_messages()[-1]
        return {"text": run.output, "finish": reply.finish_reason, "tokens": [run.usage.input_tokens, run.usage.output_tokens]}

    async def stream(self) -> Json:
        async with self.agent(instructions="Be kind.").run_stream(self.question["text"]) as run:
            text = "".join([part async for part in run.stream_text(delta=True, debounce_by=None)])
        return {"text": text, "finish": run.response.finish_reason, "tokens": [run.usage.input_tokens, run.usage.output_tokens]}

    async def history(self) -> str:
        """A second turn, which sends the first one again."""
        agent = self.agent()
        first = await agent.run("Hello")
        return str((await agent.run(self.question["text"], message_history=first.all_messages())).output)

    async def tools(self) -> Json:
        run = await self.agent(tools=[get_weather]).run(self.question["weather"])
        return {"calls": calls_of(run.all_messages()), "text": run.output, "requests": run.usage.requests}

    async def streamed_tools(self) -> Json:
        async with self.agent(tools=[get_weather]).run_stream(self.question["weather"]) as run:
            text = await run.get_output()
        return {"calls": calls_of(run.all_messages()), "text": text, "requests": run.usage.requests}

    async def streamed_events(self) -> list[str]:
        async with self.agent(tools=[get_weather]).run_stream_events(self.question["weather"]) as events:
            return [type(event).__name__ async for event in events if "Tool" in type(event).__name__]

    async def output_by_tool(self) -> Json:
        return dumped(await self.agent(output_type=ai.ToolOutput(Person)).run(self.question["person"]))

    async def output_by_schema(self) -> Json:
        return dumped(await self.agent(output_type=ai.NativeOutput(Person)).run(self.question["person"]))

    async def output_by_prompt(self) -> Json:
        return dumped(await self.agent(output_type=ai.PromptedOutput(Person)).run(self.question["person"]))

    async def output_of_one_of_two(self) -> Json:
        return dumped(await self.agent(output_type=[Person, Forecast]).run("Use final_result_Person: " + self.question["person"]))

    async def streamed_output_by_tool(self) -> Json:
        return await self._streamed(ai.ToolOutput(Person))

    async def streamed_output_by_schema(self) -> Json:
        return await self._streamed(ai.NativeOutput(Person))

    async def _streamed(self, output: Any) -> Json:
        async with self.agent(output_type=output).run_stream(self.question["person"]) as run:
            *_, last = [part async for part in run.stream_output(debounce_by=None)]
        return {"output": last.model_dump(), "requests": run.usage.requests}

    async def output_after_tools(self) -> Json:
        """A function's result comes first, then an answer that has to be a call of the output's tool."""
        run = await self.agent(tools=[get_weather], output_type=Forecast).run("What is the weather in Oslo?")
        return {**dumped(run), "calls": calls_of(run.all_messages())}

    async def output_at_the_second_try(self) -> Json:
        """The first answer is turned down, and the model told why."""
        agent, seen = self.agent(output_type=Person), []

        @agent.output_validator  # type: ignore[untyped-decorator]
        def doubt(person: Person) -> Person:
            seen.append(person)
            if len(seen) < 2:
                raise ai.ModelRetry("Are you sure? Look again.")
            return person

        return dumped(await agent.run(self.question["person"]))

    async def sees(self) -> str:
        picture = ai.BinaryContent(bytes.fromhex(self.question["picture"]), media_type="image/png")
        return str((await self.agent("gpt-4-vision-preview").run(["What is this?", picture])).output)

    async def thinks(self) -> Json:
        run = await self.agent("o3", model_settings={"openai_reasoning_effort": "medium"}).run(self.question["text"])
        (thought,) = [part for part in run.all_messages()[-1].parts if part.part_kind == "thinking"]
        return {"text": run.output, "thought": bool(thought.content), "tokens": run.usage.output_tokens}

    async def thinks_aloud(self) -> Json:
        async with self.agent("o3", model_settings={"openai_reasoning_effort": "medium"}).run_stream(self.question["text"]) as run:
            text = await run.get_output()
        (thought,) = [part for part in run.all_messages()[-1].parts if part.part_kind == "thinking"]
        return {"text": text, "thought": bool(thought.content), "tokens": run.usage.output_tokens}

    async def embeds(self) -> list[list[float]]:
        embedder = Embedder(OpenAIEmbeddingModel("text-embedding-3-small", provider=self.provider))
        return [list(numbers[:4]) for numbers in (await embedder.embed_documents(self.question["texts"])).embeddings]

    async def refused(self) -> Json:
        try:
            await ai.Agent(models.OpenAIChatModel("gpt-4o", provider=self.troubled)).run("Hello")
        except ai.ModelHTTPError as error:
            return {"class": type(error).__name__, "status": error.status_code, "code": error.body["code"]}
        return {}


def dumped(run: Any) -> Json:
    return {"output": run.output.model_dump(), "requests": run.usage.requests}


def calls_of(messages: list[Any]) -> list[Any]:
    parts = [part for message in messages for part in message.parts if part.part_kind == "tool-call"]
    return [[part.tool_name, part.args_as_dict()] for part in parts if part.tool_name == "get_weather"]


async def told(check: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await check()
    except Exception:
        return {"error": format_exc()[-2000:]}


async def main() -> None:
    question = json.load(sys.stdin)

    async def one(account: Json) -> tuple[str, Json]:
        checks = Checks(question, account["key"])
        return account["id"], {name: await told(getattr(checks, name)) for name in account["checks"]}

    print(json.dumps(dict(await asyncio.gather(*map(one, question["accounts"])))))  # noqa: T201


asyncio.run(main())
