"""That the tests of fates would notice: a rule taken away, or a row taken away, makes one of them fail."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from providers.base import Translator
from tests.contract.fidelity import Row, Surface, problems, spoken, target
from tests.contract.openai_fields import ENDPOINTS, Case, fields
from tests.contract.surfaces import surfaces, translator
from tests.contract.tables import tables, without

every = pytest.mark.parametrize("surface", surfaces(), ids=lambda surface: f"{surface.vendor}-{surface.name}")
OURS = {endpoint: {field.top for field in fields() if field.endpoint == endpoint and not field.newer} for endpoint in ENDPOINTS}


def touched(surface: Surface, endpoint: str, top: str) -> Iterator[tuple[str, Case]]:
    return ((generation, case) for generation, case in spoken(surface) if case.endpoint == endpoint and case.top == top)


def fails(surface: Surface, endpoint: str, top: str, mutant: Translator) -> bool:
    """Whether any case of the field is found to be wrong, or does not come through at all."""
    try:
        return any(problems(surface, generation, case, mutant) for generation, case in touched(surface, endpoint, top))
    except (KeyError, TypeError, AttributeError):
        return True


@every
def test_a_rule_that_is_missing_is_noticed(surface: Surface) -> None:
    """By what is sent or reported; or, where the rule for unknown fields would do the same, as a field that has been forgotten."""
    unnoticed = [
        f"{endpoint} {name}"
        for endpoint in surface.rows
        for name in rules(surface, endpoint) & OURS[endpoint]
        if not fails(surface, endpoint, name, without(translator(surface, endpoint), name))
        and not (fares_as_unknown(surface, endpoint, name) and name in forgotten(surface, endpoint, name))
    ]

    assert unnoticed == []


def fares_as_unknown(surface: Surface, endpoint: str, name: str) -> bool:
    """Whether a field is declared to be dropped, or let through, in every case: as one that no table names."""
    fates = {(row.fate, row.silent) for generation, case in touched(surface, endpoint, name) if (row := surface.row(case, generation))}
    return fates in ({("dropped", "")}, {("native", "")})


def rules(surface: Surface, endpoint: str) -> set[str]:
    versions = {target(surface, generation, endpoint).version for generation, told in surface.generations.items() if told.of(endpoint)}
    return {name for version in versions for table in tables(translator(surface, endpoint), version) for name in table}


def forgotten(surface: Surface, endpoint: str, name: str) -> set[str]:
    """The fields without a rule of their own in the table without `name`: what test_every_field_has_a_rule_of_its_own looks for."""
    versions = {target(surface, generation, endpoint).version for generation, told in surface.generations.items() if told.of(endpoint)}
    mutant = without(translator(surface, endpoint), name)
    return {missing for version in versions for table in tables(mutant, version) for missing in OURS[endpoint] - table.keys()}


@every
def test_a_row_that_is_missing_is_noticed(surface: Surface) -> None:
    unnoticed = [
        f"{endpoint} {row.fate} {name} {row.generations}"
        for endpoint, rows in surface.rows.items()
        for row in rows[0]
        for name in row.names
        if not any(
            problems(shorter(surface, endpoint, row, name), generation, case, translator(surface, endpoint))
            for generation, case in spoken(surface)
            if case.endpoint == endpoint and name in (case.id, case.field)
        )
    ]

    assert unnoticed == []


def shorter(surface: Surface, endpoint: str, row: Row, name: str) -> Surface:
    """The surface as if nothing had been said of `name` in that row."""
    own, *below = surface.rows[endpoint]
    rows = tuple(replace(row, names=tuple(other for other in row.names if other != name)) if one is row else one for one in own)
    return replace(surface, rows={**surface.rows, endpoint: (rows, *below)})
