"""The catalog: what is shipped holds together, and a deployer's rows go over it."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from gateway.accounting.prices import Rate, Rates, cost
from gateway.catalog import Catalog, ExchangeFile, Filing, FilingsFile, ModelsFile, shipped
from gateway.config import load_catalog
from gateway.globs import matches
from gateway.yaml_file import Problem, load_yaml
from providers.load import load
from tests.conftest import catalog

TODAY = date(2026, 11, 23)
MODELS = [ModelsFile.model_validate(load_yaml(path).data) for path in sorted(shipped().glob("catalog/models/*.yaml"))]
FILINGS = [FilingsFile.model_validate(load_yaml(path).data) for path in sorted(shipped().glob("catalog/filings/*.yaml"))]
ROWS = {name: row for file in FILINGS for name, row in file.filings.items()}


def loaded(folder: Path, **files: str) -> tuple[Catalog, str]:
    """The shipped catalog with these files over it, by their paths with `__` for `/`; and what is wrong with them."""
    problems: list[Problem] = []
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return load_catalog(folder, problems), "\n".join(map(str, problems))


def own(folder: Path, **files: str) -> Catalog:
    found, problems = loaded(folder, **files)
    assert not problems
    return found


def told(folder: Path, **files: str) -> str:
    return loaded(folder, **files)[1]


# ---- prices ----


def model(price: str, kind: str = "chat") -> str:
    return f"""
schema: banjia/models.v1
vendor: zhipu
models:
  glm-5.2: {{kind: {kind}, price: {{currency: CNY, source: contract, as_of: 2026-11-02, tiers: {price}}}}}
"""


def test_every_price_of_the_shipped_rows_is_compiled() -> None:
    for file in MODELS:
        assert set(catalog().prices[file.vendor]) == {name for name, row in file.models.items() if row.price}


def test_a_price_is_compiled_as_its_row_says() -> None:
    assert catalog().prices["alibaba"]["qwen3.7-plus"] == Rates(
        "CNY",
        (Rate(256000, 2_000_000_000, 8_000_000_000, 400_000_000), Rate(0, 6_000_000_000, 24_000_000_000, 1_200_000_000)),
        "2026-08-31",
    )


def test_every_shipped_price_names_a_source_that_its_file_has() -> None:
    for file in MODELS:
        used = {row.price.source for row in file.models.values() if row.price} | {row.source for row in file.models.values() if row.source}
        assert used <= set(file.sources), file.vendor


def test_a_cached_token_costs_as_any_other_where_no_price_of_it_is_known(tmp_path: Path) -> None:
    found = own(tmp_path, models__own=model('[{input: "6", output: "21"}]'))

    assert found.prices["zhipu"]["glm-5.2"].tiers == (Rate(0, 6 * 10**9, 21 * 10**9, 6 * 10**9),)


def test_what_an_embedding_has_no_price_for_costs_nothing(tmp_path: Path) -> None:
    found = own(tmp_path, models__own=model('[{input: "0.5"}]', "embedding"))

    assert cost(found.prices["zhipu"]["glm-5.2"], 1_000_000, 0, 7) == 500_000_000


def test_a_deployers_row_takes_the_place_of_the_shipped_price(tmp_path: Path) -> None:
    found = own(tmp_path, models__own=model('[{up_to: 1000, input: "1", output: "2"}, {input: "3", cached: "0", output: "4"}]'))

    assert found.prices["zhipu"]["glm-5.2"].tiers == (Rate(1000, 10**9, 2 * 10**9, 10**9), Rate(0, 3 * 10**9, 4 * 10**9, 0))
    assert found.prices["zhipu"]["glm-4.6"] == catalog().prices["zhipu"]["glm-4.6"]


def test_a_deployers_row_without_a_price_leaves_none(tmp_path: Path) -> None:
    found = own(tmp_path, models__own="schema: banjia/models.v1\nvendor: zhipu\nmodels: {glm-5.2: {kind: chat}}\n")

    assert "glm-5.2" not in found.prices["zhipu"]


def test_a_deployer_can_retire_a_shipped_model_whose_price_stays_known(tmp_path: Path) -> None:
    row = model('[{input: "6", output: "21"}]').replace("kind: chat", "kind: chat, retired: 2026-01-01")

    found = own(tmp_path, models__own=row)

    assert "glm-5.2" not in found.models["zhipu"]
    assert found.prices["zhipu"]["glm-5.2"].tiers[0].input == 6 * 10**9


@pytest.mark.parametrize(
    ("price", "why"),
    [
        ("[]", "tiers, for tokens, or units"),
        ("[{input: 0.8, output: '2'}]", "string"),
        ("[{input: '0,8', output: '2'}]", "expected an amount"),
        ("[{input: '-1', output: '2'}]", "expected an amount"),
        ("[{input: '1'}]", "what its output costs"),
        ("[{up_to: 1000, input: '1', output: '2'}]", "leave out its up_to"),
        ("[{input: '1', output: '2'}, {input: '1', output: '2'}]", "larger up_to"),
        ("[{up_to: 9, input: '1', output: '2'}, {up_to: 9, input: '1', output: '2'}, {input: '1', output: '2'}]", "larger up_to"),
        ("[{up_to: 0, input: '1', output: '2'}, {input: '1', output: '2'}]", "greater than 0"),
    ],
)
def test_a_price_that_cannot_be_computed_with_is_told(tmp_path: Path, price: str, why: str) -> None:
    problem = told(tmp_path, models__own=model(price))

    assert "own.yaml:5" in problem
    assert why in problem


# ---- currencies ----


def test_the_shipped_rates_reach_every_currency_of_the_shipped_prices() -> None:
    currencies = {rates.currency for models in catalog().prices.values() for rates in models.values()}

    assert currencies == {"CNY", "USD"}
    assert all(catalog().in_common(10**9, currency) for currency in currencies)


def test_every_shipped_rate_has_a_source_and_a_day() -> None:
    file = ExchangeFile.model_validate(load_yaml(shipped() / "catalog" / "exchange.yaml").data)

    assert file.common == "CNY"
    assert all(row.source in file.sources and row.as_of <= TODAY for row in file.rates.values())


EXCHANGE = """
schema: banjia/exchange.v1
common: CNY
sources: {bank: {what: our bank, read: 2026-11-20}}
rates:
  EUR: {rate: "7.9", source: bank, as_of: 2026-11-20}
  USD: {rate: "6.5", source: bank, as_of: 2026-11-20}
"""


def test_an_amount_is_brought_to_the_common_currency_and_rounded_half_up(tmp_path: Path) -> None:
    found = own(tmp_path, exchange=EXCHANGE)

    assert found.in_common(1, "CNY") == 1
    assert found.in_common(1, "USD") == 7
    assert found.in_common(2_000_000_000, "USD") == 13_000_000_000
    assert found.in_common(10**9, "EUR") == 7_900_000_000
    assert found.in_common(10**9, "XXX") is None


def test_rates_of_another_common_currency_take_the_place_of_all(tmp_path: Path) -> None:
    text = EXCHANGE.replace("common: CNY", "common: EUR").replace("EUR: {", "CNY: {").replace("7.9", "0.13").replace("  USD", "  JPY")

    found = own(tmp_path, exchange=text)

    assert found.in_common(10**9, "EUR") == 10**9
    assert found.in_common(10**9, "CNY") == 130_000_000
    assert found.in_common(10**9, "USD") is None, "the shipped rate is of another currency"


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ("6.5", "6.5000000005", "no more than 9 decimals"),
        ("6.5", "0", "a rate of 0"),
        ("EUR", "euro", "rates.euro"),
        ("source: bank", "source: nobody", "not under sources: nobody"),
    ],
)
def test_a_mistake_in_the_rates_is_told(tmp_path: Path, was: str, becomes: str, why: str) -> None:
    problem = told(tmp_path, exchange=EXCHANGE.replace(was, becomes))

    assert "exchange.yaml" in problem
    assert why in problem


# ---- filings ----


def test_filings_are_of_vendors_that_there_are_and_stand_under_one_name() -> None:
    assert {vendor for row in ROWS.values() for vendor in row.models} <= set(load())
    assert len(ROWS) == sum(len(file.filings) for file in FILINGS)


@pytest.mark.parametrize("name", ROWS)
def test_a_shipped_filing_says_what_it_does_not_know(name: str) -> None:
    row = ROWS[name]

    assert row.number or "number" in row.unconfirmed
    assert set(row.unconfirmed) <= set(type(row).model_fields)
    assert row.name
    assert row.company
    assert row.office
    assert date(2023, 8, 15) < row.date <= TODAY, "the Interim Measures are in force since 2023-08-15"
    assert row.models, "a filing of no model is of no use here"


@pytest.mark.parametrize("name", ROWS)
def test_the_office_is_that_of_the_numbers_prefix(name: str) -> None:
    row = ROWS[name]

    if row.number:
        assert row.number.partition("-")[0].lower() == row.office.lower()
        assert not row.number.startswith("网信算备"), "that is a number of an algorithm, from another register"


def test_no_model_id_of_the_catalog_is_in_two_filings() -> None:
    for vendor, models in catalog().models.items():
        for model_id in models:
            assert len({filing.name for glob, filing in catalog().filings.get(vendor, ()) if matches(glob, model_id)}) <= 1, model_id


@pytest.mark.parametrize(
    ("vendor", "model_id", "number"),
    [
        ("zhipu", "glm-5.2", "Beijing-ChatGLM-20230821"),
        ("baidu", "ernie-5.1", "Beijing-WenXinYiYan-20230821"),
        ("alibaba", "qwen3.7-plus", "ZheJiang-TongYiQianWen-20230901"),
        ("alibaba", "deepseek-v3.2", "Beijing-DeepseekChat-202404280016"),
        ("sensetime", "SenseChat-5", "Shanghai-RiRiXin-20230821"),
        ("baichuan", "Baichuan4-Turbo", "Beijing-BaiYing-20230821"),
        ("qihoo360", "360gpt-pro", "Tianjin-360ZhiNaoDaMoXing-20230831"),
        ("volcengine", "doubao-seed-2-1-pro-260915", "Beijing-YunQue-20230821"),
        ("minimax", "MiniMax-M2.5", "Shanghai-MiniMax-202505230046"),
        ("stepfun", "step-1o-turbo-vision", "Shanghai-JieYueDuoMoTai-202505230047"),
    ],
)
def test_a_makers_model_is_filed(vendor: str, model_id: str, number: str) -> None:
    found = catalog().filed(vendor, model_id, TODAY)

    assert found is not None
    assert (found.number, found.scope) == (number, "filing")
    assert found.source


@pytest.mark.parametrize(
    ("vendor", "model_id"),
    [
        ("openai", "gpt-4o"),
        ("azure_openai", "gpt-4o"),
        ("openai_compatible", "Qwen/Qwen3-32B"),
        ("baidu", "llama-2-7b-chat"),
        ("qihoo360", "360zhinao-turbo-qwen-plus"),
        ("alibaba", "deepseek-r1-distill-llama-70b"),
        ("sensetime", "glm-5.2"),
        ("moonshot_intl", "kimi-k3"),
        ("zhipu", "my-glm-5.2"),
        ("nobody", "glm-5.2"),
    ],
)
def test_a_model_of_no_filing_is_not_filed(vendor: str, model_id: str) -> None:
    assert catalog().filed(vendor, model_id, TODAY) is None


def filings(row: str) -> str:
    return f"""
schema: banjia/filings.v1
sources: {{ours: {{what: "letter of the office, 2026-10-08", read: 2026-10-09}}}}
filings:
{row}
"""


OURS = """
  our-assistant: {number: Shanghai-Assistant-202610080001, name: 助手, company: Ours, office: Shanghai, date: 2026-10-08, until: 2027-10-07,
    scope: registration, source: ours, models: {openai_compatible: ["qwen-ours*", "assistant-1"]}}
"""


def test_a_deployers_filing_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    found = own(tmp_path, filings__ours=filings(OURS))

    assert found.filed("openai_compatible", "qwen-ours-7b", TODAY) == Filing(
        "Shanghai-Assistant-202610080001",
        "助手",
        "Shanghai",
        date(2026, 10, 8),
        date(2027, 10, 7),
        "registration",
        "letter of the office, 2026-10-08",
    )
    assert found.filed("openai_compatible", "assistant-1", TODAY) is not None
    assert found.filed("openai_compatible", "assistant-10", TODAY) is None
    assert found.filed("zhipu", "glm-5.2", TODAY) is not None


@pytest.mark.parametrize(("day", "filed"), [("2026-10-07", False), ("2026-10-08", True), ("2027-10-07", True), ("2027-10-08", False)])
def test_a_filing_holds_from_its_day_to_the_day_of_its_withdrawal(tmp_path: Path, day: str, *, filed: bool) -> None:
    found = own(tmp_path, filings__ours=filings(OURS))

    assert (found.filed("openai_compatible", "assistant-1", date.fromisoformat(day)) is not None) == filed


def test_a_filing_that_holds_is_found_behind_a_more_specific_one_that_does_not(tmp_path: Path) -> None:
    row = "  later: {name: later, company: Ours, office: Beijing, date: 2027-01-01, source: ours, models: {zhipu: [glm-5.2]}}"
    found = own(tmp_path, filings__ours=filings(row))

    before, after = (found.filed("zhipu", "glm-5.2", date(2027, 1, 1) + timedelta(days)) for days in (-1, 0))

    assert before is not None
    assert before.number == "Beijing-ChatGLM-20230821"
    assert after is not None
    assert after.name == "later"


def test_a_deployers_row_takes_the_place_of_the_shipped_filing_of_that_name(tmp_path: Path) -> None:
    row = "  zhipu-qingyan: {name: 智谱清言, company: x, office: Beijing, date: 2023-08-31, source: ours, models: {zhipu: [glm-4.6]}}"
    found = own(tmp_path, filings__ours=filings(row))

    assert found.filed("zhipu", "glm-4.6", TODAY) is not None
    assert found.filed("zhipu", "glm-5.2", TODAY) is None
    assert found.filed("alibaba", "glm-5.2", TODAY) is None


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ("date: 2026-10-08", "day: 2026-10-08", "is missing"),
        ("scope: registration", "scope: rumour", "filing"),
        ("source: ours", "source: hearsay", "not under sources: hearsay"),
        ("until: 2027-10-07", "until: 2026-10-07", "before its date"),
    ],
)
def test_a_mistake_in_a_filing_is_told(tmp_path: Path, was: str, becomes: str, why: str) -> None:
    problem = told(tmp_path, filings__ours=filings(OURS.replace(was, becomes)))

    assert "ours.yaml" in problem
    assert why in problem


@pytest.mark.parametrize("name", ["gpt-3.5-turbo-instruct*", "davinci-002", "babbage-002"])
def test_what_ends_after_16_tokens_is_not_served_first_by_what_always_thinks(name: str) -> None:
    known = catalog()
    first = {vendor: known.facts(vendor, models[0]) for vendor, models in known.equivalents[name].items() if models}

    assert first
    assert [model.id for model in first.values() if model.thinking == "always"] == []
