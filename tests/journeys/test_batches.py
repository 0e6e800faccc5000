"""A batch and kill -9, with the real command, jobs and database. For 10,000 lines: `python -m tests.journeys.killed_batch 10000 3`."""

from pathlib import Path

from tests.journeys.killed_batch import survived

LINES, KILLS, AT_ONCE = 300, 2, 4


def test_a_batch_survives_kills_with_every_line_answered_and_billed_once(tmp_path: Path, simulators: str) -> None:
    it = survived(tmp_path, simulators, lines=LINES, kills=KILLS, at_once=AT_ONCE)

    assert it.batch["status"] == "completed"
    assert it.batch["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
    assert set(it.answered.values()) == {1}
    assert len(it.answered) == LINES
    assert set(it.rows.values()) == {1}
    assert len(it.rows) == LINES
    assert it.billed <= LINES + KILLS * AT_ONCE, "more was asked again than was under way or on its way into the database"
