"""When a gift will have been used up, and what will be left of it when it expires."""

import pytest

from gateway.accounting.forecast import DAY, Forecast, Track

NOW = 1_800_000_000.0
HOUR = 3600.0


def track(*seen: tuple[float, int]) -> Track:
    made = Track()
    for at, used in seen:
        made.saw(at, used)
    return made


def test_nothing_is_foretold_of_what_has_not_been_used() -> None:
    assert track((NOW, 500)).forecast(1000, NOW + DAY, NOW) == Forecast(0.0, None, 1000)


@pytest.mark.parametrize(
    ("left", "expires", "foretold"),
    [
        (24_000, NOW + 3 * DAY, Forecast(24_000.0, NOW + DAY, 0)),
        (24_000, NOW + DAY / 2, Forecast(24_000.0, None, 12_000)),
        (24_000, NOW - 1, Forecast(24_000.0, None, 24_000)),
        (0, NOW + DAY, Forecast(24_000.0, NOW, 0)),
    ],
)
def test_the_pace_of_late_goes_on(left: int, expires: float, foretold: Forecast) -> None:
    seen = track((NOW - 2 * HOUR, 1000), (NOW - HOUR, 1000), (NOW, 3000))

    assert seen.forecast(left, expires, NOW) == foretold


def test_only_the_last_day_counts() -> None:
    seen = track((NOW - 3 * DAY, 0), (NOW - DAY, 1_000_000), (NOW, 1_024_000))

    assert seen.forecast(24_000, NOW + 3 * DAY, NOW).a_day == 24_000


def test_a_correction_by_the_bill_is_no_use() -> None:
    seen = track((NOW - HOUR, 5000), (NOW - 60, 1000), (NOW, 1000))

    assert seen.forecast(24_000, NOW + DAY, NOW).a_day == 0


def test_looks_at_every_second_do_not_drive_the_older_ones_out() -> None:
    seen = track((NOW - HOUR, 0), *[(NOW - 1000 + second, 1000) for second in range(1000)])

    assert seen.forecast(24_000, NOW + 3 * DAY, NOW - 1).a_day == pytest.approx(24_000, rel=0.01)
