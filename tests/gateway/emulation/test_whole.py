"""A stream gathered into one answer is the answer that it was made of."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.emulation.whole import Gathered, as_chunks
from providers.base import Json

TEXT = st.text(min_size=1, max_size=5)
CALL = st.fixed_dictionaries({"id": TEXT, "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}).map(
    lambda call: {**call, "type": "function"}
)
MESSAGE = st.fixed_dictionaries(
    {"content": st.none() | TEXT},
    optional={"reasoning_content": TEXT, "refusal": TEXT, "tool_calls": st.lists(CALL, min_size=1, max_size=3)},
).map(lambda message: {"role": "assistant", **message})
ANSWER = st.fixed_dictionaries(
    {
        "id": st.just("c1"),
        "choices": st.lists(
            st.fixed_dictionaries({"message": MESSAGE, "finish_reason": st.sampled_from(["stop", "length"])}), min_size=1, max_size=3
        ),
    },
    optional={"model": TEXT, "usage": st.just({"prompt_tokens": 1})},
)


def gathered(*chunks: Json) -> Json:
    out = Gathered()
    for chunk in chunks:
        out.add([chunk])
    return out.answer()


@given(ANSWER)
def test_chunks_of_an_answer_come_to_it_again(answer: Json) -> None:
    for index, choice in enumerate(answer["choices"]):
        choice["index"] = index

    assert gathered(*as_chunks(answer)) == answer


@given(st.lists(TEXT, min_size=1), st.lists(TEXT, min_size=1))
def test_pieces_are_put_together(words: list[str], arguments: list[str]) -> None:
    calls = [{"index": 0, "id": "a", "function": {"name": "f"}}, *({"index": 0, "function": {"arguments": text}} for text in arguments)]
    deltas = [*({"content": text} for text in words), *({"tool_calls": [call]} for call in calls)]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}]}

    (choice,) = gathered(*({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas), last)["choices"]

    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "".join(arguments)}}
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(words), "tool_calls": [call]},
        "finish_reason": "stop",
        "stop_reason": "END",
    }
