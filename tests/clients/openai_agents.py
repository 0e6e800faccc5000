"""OpenAI's agents SDK. Reads a question as JSON; prints {account: {check: what was found, or {"error": how it failed}}} as JSON."""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Awaitable
from importlib import import_module
from traceback import format_exc
from typing import Any

from pydantic import BaseModel

agents: Any = import_module("agents")
openai: Any = import_module("openai")
Reasoning: Any = import_module("openai.types.shared").Reasoning
Json = dict[str, Any]

agents.set_tracing_disabled(True)  # nothing is told to anybody


class Person(BaseModel):
    """A person with an age"""

    name: str
    age: int


class Forecast(BaseModel):
    """What is to be told"""

    city: str


@agents.function_tool  # type: ignore[untyped-decorator]
def get_weather(city: str) -> str:
    """The weather of a city today

    Args:
        city: Its name.
    """
    return f"晴 in {city}"


class Checks:
    """What agents do with one account's key."""

    model = agents.OpenAIChatCompletionsModel

    def __init__(self, question: Json, key: str) -> None:
        self.question = question
        self.openai = openai.AsyncOpenAI(base_url=question["base_url"], api_key=key, max_retries=0)
        self.troubled = openai.AsyncOpenAI(base_url=question["base_url"], api_key=f"{key}-quota", max_retries=0)

    def agent(self, model: str = "gpt-4o", *, name: str = "assistant", **more: Any) -> Any:
        settings = agents.ModelSettings(include_usage=True, **more.pop("settings", {}))
        return agents.Agent(name=name, model=self.model(model, self.openai), model_settings=settings, **more)

    async def plain(self) -> Json:
        return report(await agents.Runner.run(self.agent(instructions="Be kind."), self.question["text"]))

    async def stream(self) -> Json:
        run = agents.Runner.run_streamed(self.agent(instructions="Be kind."), self.question["text"])
        raw = [event.data async for event in run.stream_events() if event.type == "raw_response_event"]
        parts = [data.delta for data in raw if data.type == "response.output_text.delta"]
        return {**report(run), "said": "".join(parts)}

    async def session(self) -> str:
        """A second turn, which sends the first one again."""
        session, agent = agents.SQLiteSession("s"), self.agent()
        await agents.Runner.run(agent, "Hello", session=session)
        return str((await agents.Runner.run(agent, self.question["text"], session=session)).final_output)

    async def tools(self) -> Json:
        return report(await agents.Runner.run(self.agent(tools=[get_weather]), self.question["weather"]))

    async def streamed_tools(self) -> Json:
        return await streamed(self.agent(tools=[get_weather]), self.question["weather"])

    async def one_tool_at_a_time(self) -> Json:
        agent = self.agent(tools=[get_weather], settings={"parallel_tool_calls": False})
        return report(await agents.Runner.run(agent, self.question["weather"]))

    async def a_tool_that_it_must_use(self) -> Json:
        agent = self.agent(tools=[get_weather], settings={"tool_choice": "required"}, tool_use_behavior="stop_on_first_tool")
        return report(await agents.Runner.run(agent, 'Hello "Oslo"'))

    async def an_agent_as_a_tool(self) -> Json:
        inner = self.agent(name="forecaster", tools=[get_weather])
        tool = inner.as_tool("ask_forecaster", "Tells the weather of a city")
        return report(await agents.Runner.run(self.agent(tools=[tool]), 'What is the weather in "Oslo"?'))

    async def handoff(self) -> Json:
        return report(await agents.Runner.run(self._triage(), self.question["handoff"]))

    async def streamed_handoff(self) -> Json:
        return await streamed(self._triage(), self.question["handoff"])

    def _triage(self) -> Any:
        forecaster = self.agent(name="forecaster", instructions="Tell the weather.", tools=[get_weather])
        return self.agent(name="triage", instructions="Hand over.", handoffs=[forecaster])

    async def output(self) -> Json:
        run = await agents.Runner.run(self.agent(output_type=Person), self.question["person"])
        return dict(run.final_output.model_dump())

    async def streamed_output(self) -> Json:
        run = agents.Runner.run_streamed(self.agent(output_type=Person), self.question["person"])
        async for _ in run.stream_events():
            pass
        return dict(run.final_output.model_dump())

    async def output_after_tools(self) -> Json:
        run = await agents.Runner.run(self.agent(output_type=Forecast, tools=[get_weather]), "What is the weather in Oslo?")
        return {**report(run), "text": run.final_output.model_dump()}

    async def sees(self) -> str:
        picture = "data:image/png;base64," + b64encode(bytes.fromhex(self.question["picture"])).decode()
        parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": picture, "detail": "auto"}]
        run = await agents.Runner.run(self.agent("gpt-4-vision-preview"), [{"role": "user", "content": parts}])
        return str(run.final_output)

    async def thinks(self) -> Json:
        return report(await agents.Runner.run(self._thinker(), self.question["text"]))

    async def thinks_aloud(self) -> Json:
        return await streamed(self._thinker(), self.question["text"])

    def _thinker(self) -> Any:
        return self.agent("o3", settings={"reasoning": Reasoning(effort="medium")})

    async def refused(self) -> Json:
        agent = agents.Agent(name="assistant", model=agents.OpenAIChatCompletionsModel("gpt-4o", self.troubled))
        try:
            await agents.Runner.run(agent, "Hello")
        except openai.RateLimitError as error:
            return {"class": type(error).__name__, "status": error.status_code, "code": error.code}
        return {}


class ResponsesChecks(Checks):
    """The same over the Responses API."""

    model = agents.OpenAIResponsesModel


async def streamed(agent: Any, text: str) -> Json:
    run = agents.Runner.run_streamed(agent, text)
    async for _ in run.stream_events():
        pass
    return report(run)


def report(run: Any) -> Json:
    items = [item.raw_item for item in run.new_items if item.type == "tool_call_item"]
    usage = run.context_wrapper.usage
    return {
        "text": run.final_output,
        "agent": run.last_agent.name,
        "calls": [[item.name, json.loads(item.arguments)] for item in items],
        "thought": any(item.type == "reasoning_item" for item in run.new_items),
        "requests": usage.requests,
        "tokens": [usage.input_tokens, usage.output_tokens],
    }


async def told(check: Awaitable[Any]) -> Any:
    try:
        return await check
    except Exception:
        return {"error": format_exc()[-2000:]}


async def main() -> None:
    question = json.load(sys.stdin)

    async def one(account: Json) -> tuple[str, Json]:
        ways = {"": Checks(question, account["key"]), "responses": ResponsesChecks(question, account["key"])}
        found = {}
        for check in account["checks"]:
            way, _, name = check.rpartition(" ")
            found[check] = await told(getattr(ways[way], name)())
        return account["id"], found

    print(json.dumps(dict(await asyncio.gather(*map(one, question["accounts"])))))  # noqa: T201


asyncio.run(main())
