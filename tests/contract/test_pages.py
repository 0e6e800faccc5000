"""The pages on compatibility are those that the tables make."""

from tests.contract.fidelity import ROOT
from tests.contract.pages import FOLDER, INDEX, pages
from tests.contract.surfaces import surfaces

PAGES = pages()


def test_the_pages_are_up_to_date() -> None:
    old = [str(path) for path, text in PAGES.items() if not (ROOT / path).exists() or (ROOT / path).read_text("utf-8") != text]

    assert old == [], "run `make docs`"


def test_there_is_no_page_of_a_vendor_that_is_no_more() -> None:
    assert {path.name for path in (ROOT / FOLDER).iterdir()} == {path.name for path in PAGES if path != INDEX}


def test_every_vendor_has_a_page_or_is_named_on_one() -> None:
    for surface in surfaces():
        assert FOLDER / f"{surface.vendor}.md" in PAGES or f"`{surface.vendor}`" in PAGES[INDEX]


def test_a_page_has_every_field_with_its_fate() -> None:
    page = PAGES[FOLDER / "zhipu.md"]

    assert "| `temperature` | `1.9`, `2` |  | clamped | `temperature`: `1.0` |" in page
    assert "| `max_completion_tokens` | `1`, `100` |  | renamed | `max_tokens` |" in page
    assert "| `logit_bias` | `given` |  | dropped |  | not offered |" in page
