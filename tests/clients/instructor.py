"""instructor's ways to an object.

Reads a question as JSON; prints {account: {check: what was found, or {"error": how it failed}}} as JSON.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable
from importlib import import_module
from traceback import format_exc
from typing import Any

from pydantic import BaseModel, field_validator

instructor: Any = import_module("instructor")
InstructorRetryException: Any = import_module("instructor.core.exceptions").InstructorRetryException
openai: Any = import_module("openai")
Json = dict[str, Any]


class Person(BaseModel):
    """A person with an age"""

    name: str
    age: int


class Checks:
    """Named WAY_MODE, what is asked of one account and in which of instructor's modes; `refused` has none."""

    def __init__(self, question: Json, key: str) -> None:
        self.messages = [{"role": "user", "content": question["person"]}]
        self.openai = openai.AsyncOpenAI(base_url=question["base_url"], api_key=key, max_retries=0)
        self.troubled = openai.AsyncOpenAI(base_url=question["base_url"], api_key=f"{key}-quota", max_retries=0)

    def client(self, mode: str) -> Any:
        return instructor.from_openai(self.openai, mode=instructor.Mode[mode], model="gpt-4o")

    async def create(self, mode: str) -> Json:
        person, answer = await self.client(mode).create_with_completion(self.messages, response_model=Person, max_retries=0)
        return {"person": person.model_dump(), "tokens": answer.usage.total_tokens > 0}

    async def partial(self, mode: str) -> Json:
        parts = [part.model_dump() async for part in self.client(mode).create_partial(Person, messages=self.messages)]
        return {"person": parts[-1], "grew": parts == sorted(parts, key=lambda part: sum(value is not None for value in part.values()))}

    async def iterable(self, mode: str) -> list[Json]:
        people = self.client(mode).create_iterable(messages=self.messages, response_model=Person)
        return [person.model_dump() async for person in people]

    async def retried(self, mode: str) -> Json:
        """The first object is not valid, of which the model is told."""
        seen: list[str] = []

        class Doubted(Person):
            @field_validator("name")
            @classmethod
            def doubt(cls, name: str) -> str:
                seen.append(name)
                if len(seen) < 2:
                    raise ValueError("this is not the whole name")
                return name

        person = await self.client(mode).create(messages=self.messages, response_model=Doubted, max_retries=1)
        return {"tries": len(seen), "kinds": {key: type(value).__name__ for key, value in person.model_dump().items()}}

    async def refused(self, _: str) -> Json:
        client = instructor.from_openai(self.troubled, mode=instructor.Mode.TOOLS, model="gpt-4o")
        try:
            await client.create(messages=self.messages, response_model=Person, max_retries=0)
        except InstructorRetryException as error:
            return {"class": type(error.__cause__).__name__, "code": getattr(error.__cause__, "code", None)}
        return {}


async def told(check: Awaitable[Any]) -> Any:
    try:
        return await check
    except Exception:
        return {"error": format_exc()[-2000:]}


async def main() -> None:
    question = json.load(sys.stdin)

    async def one(account: Json) -> tuple[str, Json]:
        checks = Checks(question, account["key"])
        found: Json = {}
        for name in account["checks"]:
            way, _, mode = name.partition("_")
            found[name] = await told(getattr(checks, way)(mode))
        return account["id"], found

    print(json.dumps(dict(await asyncio.gather(*map(one, question["accounts"])))))  # noqa: T201


asyncio.run(main())
