"""What a request costs: whole numbers that agree with exact arithmetic, and tiers that price a request as a whole."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.prices import Rate, Rates, cost, cost_of_units, expected, nano

FLAT = Rates("CNY", (Rate(0, nano("0.8"), nano("2"), nano("0.16")),), "2026-11-02")
TIERED = Rates(
    "CNY",
    (Rate(1000, nano("1"), nano("4"), nano("0.1")), Rate(2000, nano("3"), nano("12"), nano("0.3")), Rate(0, nano("5"), nano("20"), 0)),
    "",
)

amounts = st.decimals("0", "100000", places=9).map(lambda amount: f"{amount:f}")
counts = st.integers(0, 20_000_000)


@st.composite
def price_lists(draw: st.DrawFn) -> list[tuple[int, str, str, str]]:
    """(up_to, input, output, cached), as text; the last is without bound."""
    bounds = sorted(draw(st.sets(st.integers(1, 2_000_000), max_size=3)))
    return [(bound, draw(amounts), draw(amounts), draw(amounts)) for bound in (*bounds, 0)]


def rates(tiers: list[tuple[int, str, str, str]]) -> Rates:
    return Rates("CNY", tuple(Rate(bound, nano(a), nano(b), nano(c)) for bound, a, b, c in tiers), "2026-11-02")


@given(price_lists(), counts, counts, counts)
def test_a_cost_is_that_of_exact_arithmetic_rounded_half_up(
    tiers: list[tuple[int, str, str, str]], prompt: int, more: int, answer: int
) -> None:
    cached = more % (prompt + 1)
    _, fresh, output, read = next(tier for tier in tiers if tier[0] >= prompt or tier[0] == 0)
    exact = (Decimal(prompt - cached) * Decimal(fresh) + Decimal(cached) * Decimal(read) + Decimal(answer) * Decimal(output)) / 1_000_000

    assert cost(rates(tiers), prompt, cached, answer) == int((exact * 10**9).quantize(Decimal(1), ROUND_HALF_UP))


@given(price_lists(), counts, counts)
def test_what_is_expected_is_the_cost_with_nothing_cached(tiers: list[tuple[int, str, str, str]], prompt: int, answer: int) -> None:
    assert expected(rates(tiers), prompt, answer) == cost(rates(tiers), prompt, 0, answer)


@given(price_lists(), counts, counts, st.integers(1, 1000))
def test_a_longer_answer_never_costs_less(tiers: list[tuple[int, str, str, str]], prompt: int, answer: int, more: int) -> None:
    assert cost(rates(tiers), prompt, 0, answer + more) >= cost(rates(tiers), prompt, 0, answer)


def test_a_million_tokens_cost_what_the_list_says() -> None:
    assert cost(FLAT, 1_000_000, 0, 0) == 800_000_000
    assert cost(FLAT, 1_000_000, 1_000_000, 0) == 160_000_000
    assert cost(FLAT, 0, 0, 1_000_000) == 2_000_000_000
    assert cost(FLAT, 1000, 600, 50) == 400 * 800 + 600 * 160 + 50 * 2000


@pytest.mark.parametrize(
    ("prompt", "micro"),
    [(1, 1 + 4000), (1000, 1000 + 4000), (1001, 3003 + 12000), (2000, 6000 + 12000), (2001, 10005 + 20000), (10**7, 5 * 10**7 + 20000)],
)
def test_the_length_of_the_prompt_prices_the_whole_request(prompt: int, micro: int) -> None:
    assert cost(TIERED, prompt, 0, 1000) == micro * 1000


def test_half_a_nano_unit_is_rounded_up() -> None:
    penny = Rates("CNY", (Rate(0, nano("0.0005"), 0, 0),), "")

    assert cost(penny, 0, 0, 0) == 0
    assert cost(penny, 1, 0, 0) == 1
    assert cost(Rates("CNY", (Rate(0, 499_999, 0, 0),), ""), 1, 0, 0) == 0


@pytest.mark.parametrize(
    ("used", "nanos"),
    [({}, 3), ({"calls": 1}, 3), ({"calls": 4}, 12), ({"calls": 0}, 0), ({"images": 2}, 23), ({"calls": 2, "characters": 9}, 6)],
)
def test_a_call_is_one_where_nobody_tells_how_many(used: dict[str, int], nanos: int) -> None:
    assert cost_of_units(Rates("CNY", (), "", {"calls": 3, "images": 10}), used) == nanos


def test_no_more_of_a_prompt_is_cached_than_there_is() -> None:
    assert cost(FLAT, 100, 150, 0) == cost(FLAT, 100, 100, 0)


@pytest.mark.parametrize(
    ("text", "units"), [("0", 0), ("0.8", 800_000_000), ("12", 12 * 10**9), ("0.000000001", 1), ("00.10", 100_000_000)]
)
def test_an_amount_is_taken_to_the_last_decimal(text: str, units: int) -> None:
    assert nano(text) == units


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1.", ".5", "1e3", "1,5", "NaN", "Infinity", " 1", "1_000", "٣", "²", "0.0000000001"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        nano(text)
