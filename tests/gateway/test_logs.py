"""What is written down: a line of JSON for each exchange, never a key, and never at the price of a request."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import logs
from gateway.api.wire import Record
from tests.conftest import Served
from tests.gateway.provider import Make, failed, route, said


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """(reading end, writing end)."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue  # the test has closed it


def record(**more: Any) -> Record:
    return Record(
        **{"time": 1.0, "request_id": "r", "method": "POST", "path": "/x", "status": 200, "seconds": 0.1, "overhead_ms": 1.0, **more}
    )


def write(lines: logs.Lines, *records: Record) -> None:
    async def main() -> None:
        for one in records:
            lines(one)

    asyncio.run(main())
    lines.close()


def test_each_exchange_is_a_line_of_json(pipe: tuple[int, int]) -> None:
    reading, writing = pipe

    write(logs.Lines(writing, failures_only=False), record(), record(status=500, error="no\nwords"))

    first, second = os.read(reading, 65536).decode().splitlines()
    assert json.loads(first)["status"] == 200
    assert json.loads(second)["error"] == "no\nwords"


def test_only_failures_are_written_where_only_they_are_wanted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe

    write(logs.Lines(writing, failures_only=True), record(), record(request_id="cut", error="cut"), record(request_id="bad", status=404))

    assert [json.loads(line)["request_id"] for line in os.read(reading, 65536).splitlines()] == ["cut", "bad"]


def test_lines_come_without_waiting_for_the_end(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    lines = logs.Lines(writing, failures_only=False)

    async def main() -> bytes:
        lines(record())
        return await asyncio.wait_for(asyncio.to_thread(os.read, reading, 65536), 10)

    assert asyncio.run(main()).count(b"\n") == 1
    lines.close()


def test_a_reader_that_stops_reading_makes_nobody_wait_and_losses_are_told(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pipe
    monkeypatch.setattr(logs, "MOST_WAITING", 2)
    lines = logs.Lines(writing, failures_only=False)

    async def fill() -> None:
        for _ in range(6):
            for _ in range(500):
                lines(record(error="x" * 200))
            lines.flush()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(fill(), 10))
    os.set_blocking(reading, False)
    text = b""
    while b"dropped_lines" not in text:
        try:
            text += os.read(reading, 1 << 20)
        except BlockingIOError:
            lines.flush() if lines._held else write_one(lines)
    lines.close()

    assert b'{"dropped_lines":' in text


def write_one(lines: logs.Lines) -> None:
    async def main() -> None:
        lines(record())
        lines.flush()

    asyncio.run(main())


def test_a_reader_that_has_gone_does_not_stop_the_gateway(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)

    write(logs.Lines(writing, failures_only=False), record(), record())


def test_no_key_and_no_word_of_a_prompt_is_in_a_record(gateway: Callable[..., Served], provider: Make) -> None:
    served = gateway(
        {"providers": {"p": provider(failed(401, "bad key sk-abcdef0123456789"), said("answer-words")).account()}, "models": route("p/x")}
    )

    served.chat(text="prompt-words")
    served.chat(text="prompt-words")

    for one in (served.record(), served.record()):
        text = str(one)
        assert "prompt-words" not in text
        assert "answer-words" not in text
        assert served.key not in text
        assert "provider-key" not in text
        assert "sk-abcdef" not in text


def test_the_gateways_own_log_is_lines_of_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.set_up()
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("gateway.test").exception("it failed: %s", "why")
        line = json.loads(capsys.readouterr().err)
    finally:
        root.handlers[:], level = before
        root.setLevel(level)

    assert (line["level"], line["from"], line["message"]) == ("error", "gateway.test", "it failed: why")
    assert "ValueError: two\nlines" in line["trace"]
