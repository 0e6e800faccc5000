"""Every field of OpenAI's requests at every vendor: what is sent is what the vendor's table of fates declares."""

import pytest

from providers.load import load
from tests.contract.fidelity import Surface, problems, spoken, target
from tests.contract.openai_fields import ENDPOINTS, fields
from tests.contract.surfaces import surfaces, translator
from tests.contract.tables import tables

every = pytest.mark.parametrize("surface", surfaces(), ids=lambda surface: f"{surface.vendor}-{surface.name}")


def test_every_surface_of_every_vendor_has_a_table_of_fates() -> None:
    declared = {(surface.vendor, surface.name): set(surface.rows) for surface in surfaces()}

    offered = {(vendor, name): adapter.endpoints.keys() for vendor, named in load().items() for name, adapter in named.items()}
    assert declared == {surface: endpoints & set(ENDPOINTS) for surface, endpoints in offered.items()}


@every
def test_what_is_sent_is_what_is_declared(surface: Surface) -> None:
    wrong = [
        f"{case.endpoint} {case.id} ({generation}): {problem}"
        for generation, case in spoken(surface)
        for problem in problems(surface, generation, case, translator(surface, case.endpoint))
    ]

    assert wrong == []


@every
def test_every_row_is_about_something(surface: Surface) -> None:
    names = {name for field in fields() for name in (field.name, *(case.id for case in field.cases))}

    for rows in surface.rows.values():
        for row in rows[0]:
            assert set(row.names) <= names
            assert set(row.generations) <= surface.generations.keys()


@every
def test_every_row_has_a_source_and_every_source_a_row(surface: Surface) -> None:
    used = {
        row.source for other in surfaces() if other.vendor == surface.vendor for rows in other.rows.values() for of in rows for row in of
    }

    assert used == surface.sources.keys()


@every
def test_every_field_has_a_rule_of_its_own(surface: Surface) -> None:
    """One that falls to the rule for unknown fields has been forgotten."""
    for endpoint in surface.rows:
        names = {field.top for field in fields() if field.endpoint == endpoint and not field.newer}
        for generation, told in surface.generations.items():
            if not told.of(endpoint):
                continue
            for table in tables(translator(surface, endpoint), target(surface, generation, endpoint).version):
                assert names - table.keys() == set()
