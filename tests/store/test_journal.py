"""The journal: what was kept is found again, whatever happened to the file's end."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.record import Kind, UsageRecord, bounded_tags, cleaned, new_id
from gateway.store import journal as journal_module
from gateway.store.journal import Journal, line, read, record_of
from tests.store.stores import NOON, record, records

ROOT = Path(__file__).parents[2]
TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
NUMBER = st.integers(-(2**70), 2**70)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    float: st.floats(),
    int: NUMBER,
    bool: st.booleans(),
    Mapping[str, str]: st.dictionaries(TEXT, TEXT, max_size=3),
    Mapping[str, int]: st.dictionaries(TEXT, NUMBER, max_size=3),
    Kind: st.just("ok"),
}
OF_FIELDS = {name: VALUES[kind] for name, kind in get_type_hints(UsageRecord).items()}
RECORDS = st.builds(UsageRecord, **OF_FIELDS)
THREE = [record(NOON, id="a", changes="x\ny"), record(NOON, id="b", user="李\u2028"), record(NOON, id="c", tags={"k": "v"})]
DATA = b"".join(map(line, THREE))


@given(RECORDS)
def test_a_record_comes_back_as_it_was_but_for_what_no_database_takes(one: UsageRecord) -> None:
    written = line(one)

    assert written.count(b"\n") == 1
    assert record_of(written[:-1]) == cleaned(one)


@given(RECORDS)
def test_cleaning_leaves_alone_what_is_clean(one: UsageRecord) -> None:
    clean = cleaned(one)

    assert cleaned(clean) is clean
    for name in UsageRecord.__struct_fields__:
        value = getattr(clean, name)
        if isinstance(value, str):
            assert "\0" not in value
            value.encode()
        elif isinstance(value, int):
            assert -(2**63) < value < 2**63


@given(st.lists(RECORDS, max_size=5), st.binary(max_size=40).filter(lambda data: b"\n" not in data))
def test_what_comes_after_the_last_whole_line_is_left_out(some: list[UsageRecord], rest: bytes) -> None:
    found = read(b"".join(map(line, some)) + rest)

    assert found.records == [cleaned(one) for one in some]
    assert (found.damaged, found.torn) == (0, bool(rest))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_without_an_error(data: bytes) -> None:
    assert read(data).records == []


def test_a_journal_may_be_cut_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = tmp_path / "usage-1.journal"
    for cut in range(len(DATA)):
        left.write_bytes(DATA[:cut])
        caplog.clear()

        made = Journal(tmp_path)
        made.open()

        assert made.peek(10) == THREE[: DATA[:cut].count(b"\n")]
        torn = cut > 0 and DATA[cut - 1 : cut] != b"\n"
        assert [said.getMessage().partition(": ")[2] for said in caplog.records] == [
            "its last record was not written to its end, and is left out"
        ] * torn
        assert not left.exists()
        made.drop()
        made.close()


@pytest.mark.parametrize("place", range(0, len(DATA), 7))
def test_a_changed_byte_costs_the_record_it_is_in_and_no_other(place: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    damaged = bytearray(DATA)
    damaged[place] ^= 0x15
    (tmp_path / "usage-1.journal").write_bytes(damaged)
    hit = DATA[:place].count(b"\n")

    made = Journal(tmp_path)
    made.open()

    found = made.peek(10)
    assert all(one in THREE for one in found)
    assert {one.id for one in THREE} - {one.id for one in found} <= {THREE[hit].id, THREE[min(hit + 1, 2)].id}
    assert len(found) >= 1 if DATA[place : place + 1] == b"\n" else len(found) == 2
    if hit < 1 or (hit == 1 and DATA[place : place + 1] != b"\n"):  # else it is the last line that is not whole
        assert "cannot be read" in caplog.text
        assert (tmp_path / "usage-1.damaged").read_bytes() == damaged
    made.close()


def test_the_oldest_are_given_first_and_none_is_skipped(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.open()
    some = records(25)
    found = []

    made.append(some[:10])
    found += made.peek(4)
    made.drop()
    made.append(some[10:20])
    assert made.pending == 16
    found += made.peek(9)
    made.drop()
    assert made.peek(2) == some[13:15]  # looked at, not taken away
    while one := made.peek(5):
        found += one
        made.drop()
    made.append(some[20:])
    found += made.peek(5)
    made.drop()

    assert found == some
    assert made.pending == 0
    made.close()
    assert [*tmp_path.iterdir()] == []


def test_a_record_larger_than_what_is_read_at_a_time_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "AT_ONCE", 10)
    made = Journal(tmp_path)
    made.open()

    made.append(THREE)

    found = []
    while one := made.peek(2):
        found += one
        made.drop()
    assert found == THREE
    made.close()


def test_a_journal_in_use_is_left_alone_and_one_whose_process_has_died_is_taken_over(tmp_path: Path) -> None:
    first, second, third = Journal(tmp_path), Journal(tmp_path), Journal(tmp_path)
    first.open()
    first.append(THREE[:1])
    died = """
import os, sys
from pathlib import Path
from gateway.store.journal import Journal
from tests.store.test_journal import THREE
made = Journal(Path(sys.argv[1]))
made.open()
made.append(THREE[1:])
os._exit(9)
"""

    ended = subprocess.run([sys.executable, "-c", died, str(tmp_path)], cwd=ROOT, check=False)
    second.open()
    third.open()

    assert ended.returncode == 9
    assert [first.pending, second.pending, third.pending] == [1, 2, 0]
    assert second.peek(5) == THREE[1:]
    first.close()
    third.close()
    fourth = Journal(tmp_path)
    fourth.open()
    assert fourth.peek(5) == THREE[:1]
    second.close()
    fourth.close()


def test_a_journal_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MOST_BYTES", len(DATA))
    made = Journal(tmp_path)
    made.open()
    made.append(THREE)

    with pytest.raises(OSError, match="as many bytes as it may have"):
        made.append(THREE[:1])

    assert made.peek(10) == THREE
    made.drop()
    made.append(THREE[:1])
    assert made.peek(10) == THREE[:1]
    made.close()


def test_a_record_of_an_older_or_newer_version_is_read() -> None:
    body = b'{"id":"a","time":1.5,"of_a_later_version":[1]}'

    assert record_of(b"%08x %s" % (crc32(body), body)) == UsageRecord("a", 1.5)


def test_ids_are_unique_and_sort_by_time() -> None:
    made = [new_id(NOON + number) for number in range(1000)]

    assert sorted(made) == made
    assert len({new_id(NOON) for _ in range(10_000)}) == 10_000


def test_of_metadata_what_openai_takes_is_kept() -> None:
    assert bounded_tags({"a": "b", "c": 3, 4: "d", "k" * 100: "v" * 1000}) == {"a": "b", "k" * 64: "v" * 512}
    assert len(bounded_tags({str(number): "" for number in range(100)})) == 16
    assert bounded_tags(["a"]) == bounded_tags(None) == {}
