"""What a request costs, in whole nano units of a currency: 1 CNY is 1,000,000,000. No fraction is lost on the way, and none is invented."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

NANO = 9
"""Decimals of an amount that are kept."""
MILLION = 1_000_000
CALLS = "calls"


class Rate(Struct, frozen=True):
    """What tokens cost in a request whose prompt has at most `up_to` tokens: nano units for a million of them."""

    up_to: int
    """0: as many as there are."""
    input: int
    output: int
    cached: int
    """Of the prompt, those that the provider had read before."""


FREE = Rate(0, 0, 0, 0)


class Rates(Struct, frozen=True):
    """A model's price list."""

    currency: str
    tiers: tuple[Rate, ...]
    """By rising `up_to`; the last has no bound."""
    as_of: str
    """The day for which the list was stated, as in 2026-11-02."""
    units: Mapping[str, int] = {}
    """What one image, second, character or call costs, in nano units."""

    def of(self, prompt: int) -> Rate:
        """The tier that prices a whole request with a prompt of that many tokens; the model costs nothing by tokens if it has none."""
        for tier in self.tiers:
            if prompt <= tier.up_to or not tier.up_to:
                return tier
        return self.tiers[-1] if self.tiers else FREE


def cost(rates: Rates, prompt: int, cached: int, completion: int) -> int:
    """What a request costs, in nano units, rounded half up. `cached` tokens are part of those of the prompt."""
    tiers = rates.tiers
    rate = tiers[0] if len(tiers) == 1 else rates.of(prompt)
    if cached > prompt:
        cached = prompt
    return ((prompt - cached) * rate.input + cached * rate.cached + completion * rate.output + MILLION // 2) // MILLION


def cost_of_units(rates: Rates, used: Mapping[str, int]) -> int:
    """What images, seconds, characters or calls cost, in nano units; those without a price cost nothing. One call where none are told."""
    return sum(used.get(unit, unit == CALLS) * price for unit, price in rates.units.items())


def expected(rates: Rates, prompt_tokens: int, answer_tokens: int) -> int:
    """What a request would cost of which the provider has read nothing before."""
    return cost(rates, prompt_tokens, 0, answer_tokens)


def nano(amount: str) -> int:
    """`0.8`: 800,000,000. Raises ValueError for what is no such amount, or has more decimals than are kept."""
    whole, _, decimals = amount.partition(".")
    if not (amount.isascii() and whole.isdecimal() and len(decimals) <= NANO and (decimals.isdecimal() or "." not in amount)):
        raise ValueError(f'expected an amount such as "0.8", with no more than {NANO} decimals')
    return int(Decimal(amount).scaleb(NANO))
