"""From a vendor's error to a Fault: rows, waits, and the tables themselves."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.faults import Errors, Row, make_fault, retry_after
from providers.load import FOLDERS

DATE = "Mon, 23 Nov 2026 08:00:00 GMT"
TABLED = ("zhipu", "baidu", "sensetime", "alibaba", "baichuan", "qihoo360")


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"retry-after": "7"}, 7.0),
    ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
    ({"retry-after": "Mon, 23 Nov 2026 08:00:30 GMT", "date": DATE}, 30.0),
    ({"retry-after": "Mon, 23 Nov 2026 16:00:30 +0800", "date": DATE}, 30.0),
    ({"retry-after": "Monday, 23-Nov-26 08:01:00 GMT", "date": DATE}, 60.0),
    ({"retry-after": "Mon, 23 Nov 2026 07:59:00 GMT", "date": DATE}, 0.0),
    ({"retry-after": "Mon, 30 Nov 2026 08:00:00 GMT", "date": DATE}, 86_400.0),
    ({"retry-after": "Mon, 23 Nov 2026 08:00:30 GMT"}, None),
    ({"retry-after": "Mon, 23 Nov 2026 08:00:30 GMT", "date": "today"}, None),
    ({"retry-after": "Mon, 23 Nov 2026 08:00:30", "date": DATE}, None),
    ({"retry-after": "soon", "date": DATE}, None),
    ({"retry-after": "-3", "date": DATE}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf", "date": DATE}, None),
    ({"retry-after": ""}, None),
    ({"date": DATE}, None),
    ({}, None),
])  # fmt: skip
def test_a_wait_is_read_in_seconds_or_as_a_time_of_day_by_the_replys_own_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40) | st.just(DATE)))
def test_no_header_of_a_provider_breaks_the_reading_of_it(headers: dict[str, str]) -> None:
    wait = retry_after(headers)

    assert wait is None or 0 <= wait <= 86_400


@given(st.integers(0, 86_400))
def test_a_time_of_day_is_worth_its_distance(seconds: int) -> None:
    now = datetime(2026, 11, 23, 8, tzinfo=UTC)
    then = format_datetime(now + timedelta(seconds=seconds), usegmt=True)

    assert retry_after({"retry-after": then, "date": format_datetime(now, usegmt=True)}) == seconds


TABLE: Errors = {
    "7": Row("rate_limited", "too much", 429, "docs", wait=3.0),
    "8": Row("auth", "old", 401, "docs", stale=True),
    "429:9": Row("quota", "no money", 429, "docs"),
    "9": Row("bad_request", "bad", 400, "docs"),
    "Family.*": Row("refused", "unsafe", 400, "docs"),
}


def test_a_row_says_kind_wait_and_words_where_the_reply_does_not() -> None:
    told = make_fault(TABLE, 200, {}, b'{"code": 7}')
    asked = make_fault(TABLE, 429, {"retry-after": "1"}, b'{"code": 7, "message": "slow"}')

    assert (told.kind, told.message, told.retry_after, told.code) == ("rate_limited", "too much", 3.0, "7")
    assert (asked.message, asked.retry_after) == ("slow", 1.0)
    assert make_fault(TABLE, 401, {}, b'{"code": "8"}').stale
    assert make_fault(TABLE, 429, {}, b'{"code": 9}').kind == "quota"
    assert make_fault(TABLE, 400, {}, b'{"code": 9}').kind == "bad_request"
    assert make_fault(TABLE, 400, {}, b'{"code": "Family.Member"}').kind == "refused"


def test_an_unknown_code_keeps_its_words_and_is_judged_by_its_status() -> None:
    fault = make_fault(TABLE, 503, {"retry-after": "2"}, b'{"error": {"code": "new", "message": "the roof is on fire"}}')

    assert (fault.kind, fault.message, fault.code, fault.retry_after) == ("overloaded", "the roof is on fire", "new", 2.0)


@pytest.mark.parametrize("vendor", TABLED)
def test_every_row_names_a_source_that_is_listed_and_every_source_is_used(vendor: str) -> None:
    module = import_module(f"providers.{vendor}.errors")
    rows = [row for table in getattr(module, "TABLES", {"": module.ERRORS}).values() for row in table.values()]

    assert {row.source for row in rows} == module.SOURCES.keys()
    assert all(row.means and (row.status == 0 or 200 <= row.status < 600) for row in rows)
    assert all(len(source.read) == len("2026-11-23") and source.title for source in module.SOURCES.values())


def test_every_vendor_with_a_folder_is_in_the_tests_of_tables() -> None:
    assert set(TABLED) <= set(FOLDERS)
