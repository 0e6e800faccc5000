"""No request, however odd, is a fault of the gateway's: what is refused is refused in OpenAI's form, what is served has its shape.

`ODD=5000` in the environment sends so many requests instead of a few hundred, `ODD_SEED=7` others. They go over a bare connection, so that
nothing on the way puts them right.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.odd import Odd, Request
from tests.contract.replies import EDITORS, HEARERS, MAKERS, SPEAKERS
from tests.contract.schema import misshapen
from tests.contract.serving import client_of, serving, things
from tests.journeys.processes import Running

COUNT = int(os.environ.get("ODD", "480"))
SEED = int(os.environ.get("ODD_SEED", "1"))
pytestmark = pytest.mark.timeout(180 + COUNT)
VENDORS = ("zhipu", "baidu", "baidu-legacy", "sensetime", "alibaba", "alibaba-native", "openai", "azure", "vllm")
SURFACES = (
    "/chat", "/completions", "/embeddings", "/moderations", "/responses", "/conversations",
    "/files", "/uploads", "/batches", "/fine_tuning", "/images", "/audio",
)  # fmt: skip
MODELS = {
    "POST /chat/completions": ("gpt-4o", "o3", "gpt-4-vision-preview"),
    "POST /responses": ("gpt-4o", "o3", "gpt-4-vision-preview"),
    "POST /responses/compact": ("gpt-4o",),
    "POST /responses/input_tokens": ("gpt-4o",),
    "POST /completions": ("gpt-3.5-turbo-instruct",),
    "POST /embeddings": ("text-embedding-3-small",),
    "POST /moderations": ("omni-moderation-latest",),
    "POST /fine_tuning/jobs": ("gpt-4o-mini",),
    "POST /images/generations": MAKERS,
    "POST /images/edits": EDITORS,
    "POST /audio/speech": SPEAKERS,
    "POST /audio/transcriptions": HEARERS,
}
MESSAGES = [[{"role": "user", "content": "Hello"}], [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Count to 5"}]]
INPUT: dict[str, list[Any]] = {"input": ["Hello", *MESSAGES]}
PLAIN: dict[str, dict[str, list[Any]]] = {
    "POST /chat/completions": {"messages": MESSAGES},
    "POST /responses": INPUT,
    "POST /responses/compact": INPUT,
    "POST /responses/input_tokens": INPUT,
}
"""What a request says where it is to be odd in something else."""

ECHOED = re.compile(r"\b(tools/\d|tool_choice)")
"""Where in a reply there are tools, and what is said of their choice: those that only OpenAI hosts are told again as they
came, whatever was said of them."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("odd")) as running:
        yield running


@pytest.fixture
def client(gateway: Running) -> Iterator[httpx.Client]:
    with client_of(gateway, "zhipu") as made:
        yield made


@pytest.mark.parametrize("surface", SURFACES)
def test_odd_requests(gateway: Running, client: httpx.Client, surface: str) -> None:
    connection = HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
    odd = Odd(SEED, _known(client))
    routes = [route for route in odd.routes if route.partition(" ")[2].startswith(surface)]
    statuses: Counter[int] = Counter()
    wrong: dict[str, str] = {}

    for _, request in zip(range(COUNT // len(SURFACES)), odd.requests(routes), strict=False):
        status, media, text = _sent(connection, request, odd.random.choice(VENDORS))
        statuses[status] += 1
        found = [f"{status}: {text[:300]}"] if status >= 500 else misshapen(request.route, status, media, text)
        wrong |= {f"{request.route} {fault}": request.told() for fault in found if not ECHOED.search(fault)}
        if request.method == "DELETE" and status == 200:
            odd.known = _known(client)
    connection.close()

    assert wrong == {}, statuses
    assert {200, 400} <= statuses.keys(), statuses
    assert not [line for line in gateway.said if '"level":"error"' in line]


def _known(client: httpx.Client) -> dict[str, dict[str, list[Any]]]:
    known: dict[str, dict[str, list[Any]]] = {route: {"model": list(models)} for route, models in MODELS.items()}
    known[""] = things(client)
    for route, plain in PLAIN.items():
        known.setdefault(route, {}).update(plain)
    return known


def _sent(connection: HTTPConnection, request: Request, vendor: str) -> tuple[int, str, str]:
    """(status, media type, text)."""
    headers = {"authorization": f"Bearer sk-{vendor}", **({"content-type": request.type} if request.type else {})}
    connection.request(request.method, request.target, request.body, headers)
    reply = connection.getresponse()
    return reply.status, reply.headers["content-type"] or "", reply.read().decode(errors="replace")
