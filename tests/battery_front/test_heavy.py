"""Requests that are heavy: refused with the limit in words, or answered; and nobody else waits for them."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import pytest

from tests.battery_front.conftest import config_of
from tests.battery_front.service import Service, serving
from tests.battery_front.speaking import LAST, ask, body_of, good, post, refused
from tests.battery_front.vendor import Vendor


@pytest.fixture(scope="module")
def service(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("heavy") / "config", config_of(vendor)) as one:
        yield one


def function(name: str, **properties: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}


def saying(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "100000-messages": ({"messages": [{"role": "user", "content": "Hello"}] * 100_000}, "request_too_complex", "100000"),
    "5000-tools": ({"tools": [function(f"f{number}") for number in range(5000)]}, "array_above_max_length", "at most 128"),
    "a-schema-of-10-mb": (
        {"tools": [function("f", **{f"p{number}": {"type": "string"} for number in range(320_000)})]}, "request_too_complex", "100000"
    ),
    "a-million-lists": ({"x": [[]] * 1_000_000}, "request_too_complex", "100000"),
    "a-million-numbers": ({"x": [1] * 1_000_000}, "request_too_complex", "500000"),
}  # fmt: skip
ANSWERED: dict[str, dict[str, Any]] = {
    "one-message-of-20-mb": saying("word " * 4_000_000),
    "20-mb-of-chinese": saying("你好世界" * 1_600_000),
    "1000-images": saying([IMAGE] * 1000),
    "20000-messages": {"messages": [{"role": "user", "content": "Hello"}] * 20_000},
    "20000-parts": saying([{"type": "text", "text": "x"}] * 20_000),
    "a-schema-of-10-mb-of-words": {"tools": [function("f", **{f"p{number}": {"description": "d" * 1000} for number in range(10_000)})]},
}


def beside(service: Service, sent: bytes) -> tuple[Any, list[float]]:
    """The answer to a heavy request, and the seconds of ordinary calls beside it: sent three times, so that there are many of these."""
    calls = []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: [ask(service.url, sent) for _ in range(3)])
        while not asked.done():
            calls.append(service.call())
    return asked.result()[-1], calls


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_too_heavy_is_refused_with_the_limit_in_words(service: Service, case: str) -> None:
    fields, code, limit = REFUSED[case]

    answer, calls = beside(service, post(json.dumps({**json.loads(body_of()), **fields}).encode(), LAST))

    assert limit in refused(answer, 400, code)["message"]
    assert median(calls) < 0.2
    assert max(calls) < 1


@pytest.mark.parametrize("case", ANSWERED)
def test_what_is_large_is_answered_and_makes_nobody_wait(service: Service, case: str) -> None:
    sent = json.dumps({**json.loads(body_of()), **ANSWERED[case]}, ensure_ascii=False).encode()

    answer, calls = beside(service, post(sent, LAST))

    good(answer)
    assert median(calls) < 0.2
    assert max(calls) < 1


def test_no_single_request_takes_the_whole_process_for_long(service: Service) -> None:
    """CPU of a request that is refused, whatever the clock says on a busy machine."""
    sent = post(json.dumps({**json.loads(body_of()), **REFUSED["100000-messages"][0]}).encode(), LAST)
    before = service.cpu()

    for _ in range(10):
        refused(ask(service.url, sent), 400, "request_too_complex")

    assert (service.cpu() - before) / 10 < 0.1
