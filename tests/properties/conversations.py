"""Generated conversations, in OpenAI's form: whatever OpenAI would take. Each text in one is found nowhere else in it."""

from typing import Any

from hypothesis import strategies as st

from providers.base import Json, encode

SIGNS = st.text(st.sampled_from("abz 09,.!?中文字é🙂👍🏽ß{}[]:<>/&%"), max_size=12)
PICTURE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Json] = [
    {"type": "function", "function": {"name": name, "description": f"tells the {name}", "parameters": SCHEMA}}
    for name in ("weather", "time_of_day")
]
FORM: Json = {"type": "json_schema", "json_schema": {"name": "place", "schema": {**SCHEMA, "additionalProperties": False}, "strict": True}}


@st.composite
def bodies(draw: Any, *, images: bool, tools: bool) -> Json:
    """A request of several turns with some of OpenAI's fields."""
    number = 0

    def text() -> str:
        nonlocal number
        number += 1
        return f"t{number}t {draw(SIGNS)}".strip()

    def content(picture: bool = False) -> Any:
        if picture:
            return [{"type": "text", "text": text()}, *[PICTURE] * draw(st.integers(1, 2))]
        if draw(st.booleans()):
            return text()
        return [{"type": "text", "text": text()} for _ in range(draw(st.integers(1, 2)))]

    turns: list[Json] = []
    called = False
    for kind in draw(
        st.lists(st.sampled_from(("system", "developer", "user", "user", "assistant", "picture", "calls")), min_size=1, max_size=6)
    ):
        match kind:
            case "picture" if images:
                turns.append({"role": "user", "content": content(picture=True)})
            case "calls" if tools:
                called = True
                ids = [f"call_{len(turns)}_{at}" for at in range(draw(st.integers(1, 3)))]
                calls = [{"id": id_, "type": "function", "function": {"name": draw(st.sampled_from(("weather", "time_of_day"))),
                          "arguments": encode({"city": text()}).decode()}} for id_ in ids]  # fmt: skip
                turns.append({"role": "assistant", "content": draw(st.sampled_from((None, text()))), "tool_calls": calls})
                turns += [{"role": "tool", "tool_call_id": id_, "content": content()} for id_ in draw(st.permutations(ids))]
            case _:
                turns.append({"role": "user" if kind in ("picture", "calls") else kind, "content": content()})
    body: Json = {"messages": turns}
    if tools and (called or draw(st.booleans())):
        body["tools"] = TOOLS[: 2 if called else draw(st.integers(1, 2))]
        body |= draw(st.fixed_dictionaries({}, optional={"parallel_tool_calls": st.booleans(), "tool_choice": st.sampled_from(CHOICES)}))
    elif draw(st.booleans()):
        body["response_format"] = draw(st.sampled_from(({"type": "text"}, {"type": "json_object"}, FORM)))
        if body["response_format"]["type"] == "json_object":
            turns.append({"role": "user", "content": f"{text()} in JSON"})
    return {**body, **draw(FIELDS)}


CHOICES: tuple[Any, ...] = (
    "auto", "none", "required", {"type": "function", "function": {"name": "weather"}},
    {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]}},
)  # fmt: skip
FIELDS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from([1, 16, 600]),
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "top_p": st.sampled_from([0, 0.5, 1]),
        "stop": st.sampled_from(["§", ["§", "¶"], ["§", "¶", "†", "‡"]]),
        "n": st.integers(1, 3),
        "seed": st.integers(0, 9),
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
        "user": st.just("someone"),
        "presence_penalty": st.sampled_from([-1, 0, 1]),
    },
)
