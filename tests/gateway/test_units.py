"""Quantities as a deployer writes them: always with a unit, never by guess."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway import units


@pytest.mark.parametrize(
    ("text", "value"),
    [("300ms", 0.3), ("5s", 5.0), ("1.5s", 1.5), ("10m", 600.0), ("1h", 3600.0), ("2d", 172800.0), ("5 s", 5.0), ("0s", 0.0)],
)
def test_durations(text: str, value: float) -> None:
    assert units.seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("512B", 512), ("1KiB", 1024), ("32MiB", 33554432), ("1GiB", 1073741824), ("1KB", 1000), ("1.5MB", 1500000), ("1GB", 10**9)],
)
def test_sizes(text: str, value: int) -> None:
    assert units.bytes_of(text) == value


@pytest.mark.parametrize(("text", "value"), [(600, 600), ("600", 600), ("2M", 2000000), ("1.5K", 1500), ("1G", 10**9), (0, 0)])
def test_counts(text: Any, value: int) -> None:
    assert units.count(text) == value


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("3000 CNY", "CNY", 3000 * 10**9),
        ("0.5 USD", "USD", 5 * 10**8),
        ("0.000000001 CNY", "CNY", 1),
        ("50M tokens", "tokens", 50_000_000),
        ("7 tokens", "tokens", 7),
    ],
)
def test_allowances(text: str, unit: str, amount: int) -> None:
    assert units.allowance(text) == (unit, amount)


@pytest.mark.parametrize(("text", "part"), [("80%", 0.8), ("0%", 0.0), ("100%", 1.0), ("12.5%", 0.125)])
def test_shares(text: str, part: float) -> None:
    assert units.share(text) == part


@pytest.mark.parametrize("text", [0.8, "80", "101%", "-1%", "80 %", None])
def test_what_is_no_share_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match="such as 80%"):
        units.share(text)


@pytest.mark.parametrize("text", [5, 5.0, True, None, "", "5", "s", "5 minutes", "-5s", "5S", "1e3s", "5s5s", ["5s"]])
def test_what_is_no_duration_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match="such as 300ms, 5s or 10m"):
        units.seconds(text)


@pytest.mark.parametrize("text", [5, "32", "32mb", "32 mib", "-1B", None])
def test_what_is_no_size_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match="such as 512KiB or 32MiB"):
        units.bytes_of(text)


@pytest.mark.parametrize("text", ["2m", "two", True, 1.5, None, "-1", -1])
def test_what_is_no_count_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match="such as 600 or 2M"):
        units.count(text)


@pytest.mark.parametrize(
    "text", [3000, "3000", "3000CNY", "CNY 3000", "3000 cny", "-1 CNY", "3,000 CNY", "3M CNY", "0.0000000001 CNY", None]
)
def test_what_is_no_allowance_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match="such as 3000 CNY"):
        units.allowance(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (units.Seconds, "300ms"),
        (units.Seconds, "600s"),
        (units.Bytes, "32MiB"),
        (units.Allowed, "3000 CNY"),
        (units.Allowed, "1.5 CNY"),
        (units.Allowed, "7 tokens"),
        (units.Share, "80%"),
    ],
)
def test_a_value_that_is_shown_can_be_read_again(kind: Any, text: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    value = adapter.validate_python(text)

    assert adapter.validate_python(adapter.dump_python(value)) == value
