"""Files of examples: lines whose decoding would keep everybody else from being served."""

import pytest

from gateway.tuning.lines import LONGEST, Unfit, examples

GOOD = b'{"prompt":"a","completion":"b"}\n'


@pytest.mark.parametrize(
    "line",
    [b'{"prompt":"a","completion":"b","x":[' + b"[]," * 150_000 + b"1]}", b'{"prompt":"a","completion":"' + b"b" * LONGEST + b'"}'],
    ids=["many-lists", "long"],
)
def test_an_example_that_would_take_long_to_decode_is_none(line: bytes) -> None:
    with pytest.raises(Unfit, match="Line 2: it is longer, or has more parts"):
        examples(GOOD + line + b"\n" + GOOD * 10, "supervised")


def test_lines_count_also_where_they_say_nothing_and_the_last_needs_no_end() -> None:
    assert len(examples(b"\xef\xbb\xbf" + GOOD + b"\n \r\n" + GOOD * 9 + GOOD.strip(), "supervised")) == 11

    with pytest.raises(Unfit, match="Line 4: it is not a JSON object"):
        examples(GOOD + b"\n \n[", "supervised")
