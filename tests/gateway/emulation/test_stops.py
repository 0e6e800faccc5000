"""Stop sequences that the gateway keeps: the same for a whole answer and for one in pieces of any size."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.emulation.duties import Duties
from gateway.emulation.stops import Restrained, restrain
from providers.base import Json

STOPS = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4).map(tuple)
WORDS = st.lists(st.text("abcd", max_size=5), min_size=1, max_size=12)


class Script:
    """A stream that gives what it is told, whatever it is fed."""

    def __init__(self, chunks: list[Json]) -> None:
        self.chunks = chunks

    def feed(self, data: bytes) -> list[Json]:
        return [self.chunks[data[0]]]

    def end(self) -> list[Json]:
        return []


def chunk(content: str, finish: str | None = None, index: int = 0, **more: object) -> Json:
    return {"choices": [{"index": index, "delta": {"content": content, **more}, "finish_reason": finish}]}


def streamed(chunks: list[Json], duties: Duties, choices: int = 1) -> tuple[str, list[str], Restrained]:
    """(what choice 0 says, its finish reasons, the stream)"""
    stream = Restrained(Script(chunks), duties, choices)
    said, ends = "", []
    for number in range(len(chunks)):
        for out in stream.feed(bytes([number])):
            for choice in out["choices"]:
                if choice["index"] == 0:
                    said += choice["delta"].get("content") or ""
                    ends += [choice["finish_reason"]] if choice["finish_reason"] else []
        if stream.over:
            break
    stream.end()
    return said, ends, stream


def plain(text: str, stops: tuple[str, ...]) -> tuple[str, str]:
    answer = {"choices": [{"message": {"content": text}, "finish_reason": "length"}]}
    choice = restrain(answer, Duties(stops=stops))["choices"][0]
    return choice["message"]["content"], choice["finish_reason"]


def as_generated(text: str, stops: tuple[str, ...]) -> tuple[str, str]:
    """As a model stops: it looks at what it has said after every letter."""
    for length in range(1, len(text) + 1):
        ends = [stop for stop in stops if text[:length].endswith(stop)]
        if ends:
            return text[: length - max(map(len, ends))], "stop"
    return text, "length"


@given(WORDS, STOPS)
def test_an_answer_ends_where_the_model_itself_would_have_stopped(words: list[str], stops: tuple[str, ...]) -> None:
    text = "".join(words)

    assert plain(text, stops) == as_generated(text, stops)


@given(WORDS, STOPS, st.booleans())
def test_a_stream_in_any_pieces_says_what_the_whole_says(words: list[str], stops: tuple[str, ...], apart: bool) -> None:
    last = [chunk("", "length")] if apart else []
    chunks = [chunk(word) for word in words] + last
    if not apart:
        chunks[-1]["choices"][0]["finish_reason"] = "length"

    said, ends, _ = streamed(chunks, Duties(stops=stops))

    assert (said, *ends) == as_generated("".join(words), stops)


def test_what_was_held_back_is_said_before_a_call() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}

    said, ends, _ = streamed([chunk("so EN"), chunk("", "tool_calls", tool_calls=[call])], Duties(stops=("END",)))

    assert (said, ends) == ("so EN", ["tool_calls"])


def test_thoughts_are_not_searched_for_stops() -> None:
    said, ends, _ = streamed([chunk("", reasoning_content="END"), chunk("ok", "stop")], Duties(stops=("END",)))

    assert (said, ends) == ("ok", ["stop"])


def test_a_stream_is_over_when_all_its_choices_have_stopped() -> None:
    assert not streamed([chunk("a!")], Duties(stops=("!",)), 2)[2].over
    assert streamed([chunk("a!"), chunk("b!", index=1), chunk("never")], Duties(stops=("!",)), 2)[2].over


def test_only_the_first_call_of_a_stream_is_passed_on() -> None:
    calls = [{"index": 0, "id": "c0"}, {"index": 1, "id": "c1"}]
    stream = Restrained(Script([chunk("", tool_calls=calls)]), Duties(one_call=True), 1)

    assert stream.feed(b"\0")[0]["choices"][0]["delta"]["tool_calls"] == calls[:1]
