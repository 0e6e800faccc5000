"""Reranking: each vendor's adapter against its simulator, and what becomes of each field."""

import asyncio
from typing import Any

import pytest

from providers.alibaba import adapter as alibaba
from providers.alibaba import native
from providers.alibaba.simulator import SIMULATOR as ALIBABA
from providers.baidu import adapter as baidu
from providers.baidu import legacy
from providers.baidu.simulator import SIMULATOR as BAIDU
from providers.base import Adapter, Fault, Json, Model
from providers.load import presets
from providers.openai_compatible import adapter as servers
from providers.openai_compatible.simulator import SIMULATOR as SERVERS
from providers.preset_adapter import make_adapter
from providers.preset_simulator import PresetSimulator
from providers.simulation import World, relevance
from providers.zhipu import adapter as zhipu
from providers.zhipu.simulator import SIMULATOR as ZHIPU
from tests.providers.roundtrip import Pair, fault

QUERY = "a red bridge"
DOCUMENTS = ["nothing of it", "the bridge is red", "a bridge", "a red bridge"]
BEST = [3, 2, 1, 0]


def siliconflow(world: World) -> PresetSimulator:
    return PresetSimulator(presets()["siliconflow"], world)


class Selfhosted(Pair):
    """The servers stand under the names of their surfaces."""

    async def send(self, outgoing: Any, credential: Any) -> Any:
        from msgspec.structs import replace

        at = outgoing.url.index("/v1/")
        return await super().send(replace(outgoing, url=f"{outgoing.url[:at]}/{self.adapter.surface}{outgoing.url[at:]}"), credential)


def pair(name: str) -> Pair:
    match name:
        case "alibaba":
            return Pair(
                alibaba.ADAPTER, ALIBABA, {"api_key": "sk-ok"}, Model("qwen3-rerank", kind="rerank", batch=500, context=30000), accounts={}
            )
        case "alibaba-own-address":
            model = Model("gte-rerank-v2", kind="rerank", batch=500, context=30000, endpoint="text-rerank")
            return Pair(alibaba.ADAPTER, ALIBABA, {"api_key": "sk-ok"}, model, accounts={})
        case "alibaba-native":
            return Pair(native.NATIVE, ALIBABA, {"api_key": "sk-ok"}, Model("qwen3-rerank", kind="rerank", batch=500), accounts={})
        case "zhipu":
            return Pair(
                zhipu.ADAPTER, ZHIPU, {"api_key": "id.secret"}, Model("rerank", kind="rerank", batch=128), accounts={"id": "secret"}
            )
        case "baidu":
            model = Model("bce-reranker-base", kind="rerank", batch=64, surfaces=("v2", "legacy"), endpoint="bce_reranker_base")
            secrets = {"access_key_id": "ak", "access_key_secret": "sk"}
            return Pair(baidu.V2, BAIDU, secrets, model, accounts={"ak": "sk"}, auth="iam_token")
        case "baidu-legacy":
            model = Model("bce-reranker-base", kind="rerank", batch=64, surfaces=("v2", "legacy"), endpoint="bce_reranker_base")
            return Pair(legacy.LEGACY, BAIDU, {"access_key_id": "ak", "access_key_secret": "sk"}, model, accounts={"ak": "sk"})
        case "siliconflow":
            model = Model("BAAI/bge-reranker-v2-m3", kind="rerank")
            return Pair(make_adapter(presets()["siliconflow"]), siliconflow, {"api_key": "sk-ok"}, model, accounts={})
    adapter: Adapter = next(one for one in servers.SURFACES if one.surface == name)
    return Selfhosted(adapter, SERVERS, {"api_key": "sk-simulated"}, Model("BAAI/bge-reranker-v2-m3", kind="rerank"), accounts={})


NAMES = [
    "alibaba", "alibaba-own-address", "alibaba-native", "zhipu", "baidu", "baidu-legacy", "siliconflow", "vllm", "sglang", "llama_cpp",
]  # fmt: skip


def rank(one: Pair, **more: Any) -> Json:
    body = {"query": QUERY, "documents": DOCUMENTS, **more}
    return asyncio.run(_rank(one, body))


async def _rank(one: Pair, body: Json) -> Json:
    return one.adapter.endpoints["rerank"].response(await one._post("rerank", body, ""))


def refusal(one: Pair, **more: Any) -> Fault:
    return asyncio.run(fault(_rank(one, {"query": QUERY, "documents": DOCUMENTS, **more})))


@pytest.mark.parametrize("name", NAMES)
def test_documents_come_back_in_the_order_of_their_relevance(name: str) -> None:
    told = rank(pair(name))

    assert [one["index"] for one in told["results"]] == BEST
    assert [one["relevance_score"] for one in told["results"]] == [relevance(QUERY, DOCUMENTS[at]) for at in BEST]


@pytest.mark.parametrize("name", NAMES)
def test_no_more_come_back_than_are_asked_for(name: str) -> None:
    assert [one["index"] for one in rank(pair(name), top_n=2)["results"]] == BEST[:2]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sglang"])
def test_usage_is_what_the_vendor_bills(name: str) -> None:
    one = pair(name)

    told = rank(one)

    (owed,) = one.bill.values()
    assert told["usage"] == {"prompt_tokens": owed.prompt_tokens, "total_tokens": owed.prompt_tokens}
    assert owed.prompt_tokens > 0


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("alibaba", "https://vendor.test/compatible-api/v1/reranks"),
        ("alibaba-own-address", "https://vendor.test/api/v1/services/rerank/text-rerank/text-rerank"),
        ("alibaba-native", "https://vendor.test/api/v1/services/rerank/text-rerank/text-rerank"),
        ("zhipu", "https://vendor.test/api/paas/v4/rerank"),
        ("baidu", "https://vendor.test/v2/rerank"),
        ("baidu-legacy", "https://vendor.test/rpc/2.0/ai_custom/v1/wenxinworkshop/reranker/bce_reranker_base"),
        ("siliconflow", "https://vendor.test/v1/rerank"),
        ("vllm", "https://vendor.test/v1/rerank"),
    ],
)
def test_each_vendor_is_asked_at_its_own_address(name: str, url: str) -> None:
    one = pair(name)

    rank(one)

    assert one.sent[0].url == url


@pytest.mark.parametrize(
    ("name", "field", "value", "fates"),
    [
        ("alibaba", "user", "u", [("user", "dropped")]),
        ("alibaba", "instruct", "Find it.", []),
        ("alibaba-native", "instruction", "Find it.", [("instruction", "renamed")]),
        ("zhipu", "user", "u", [("user", "renamed")]),
        ("zhipu", "query", "q" * 5000, [("query", "clamped")]),
        ("baidu", "user", "u", []),
        ("baidu", "query", "q" * 1601, [("query", "clamped")]),
        ("baidu", "documents", ["d" * 4097, "d"], [("documents", "clamped")]),
        ("baidu-legacy", "user", "u", [("user", "renamed")]),
        ("siliconflow", "max_chunks_per_doc", 3, []),
        ("siliconflow", "max_tokens_per_doc", 3, [("max_tokens_per_doc", "dropped")]),
        ("vllm", "truncate_prompt_tokens", 100, []),
        ("llama_cpp", "user", "u", [("user", "dropped")]),
        ("sglang", "odd", 1, [("odd", "dropped")]),
    ],
)
def test_the_fate_of_each_field_is_told(name: str, field: str, value: Any, fates: list[tuple[str, str]]) -> None:
    one = pair(name)

    rank(one, **{field: value})

    assert [(change.field, change.fate) for change in one.sent[0].changes] == fates


@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        ("alibaba", {"documents": ["a"] * 501}, "bad_request"),
        ("alibaba", {"documents": ["a " * 3999] * 8}, "too_long"),
        ("alibaba-own-address", {"top_n": 0}, "bad_request"),
        ("zhipu", {"documents": ["a"] * 129}, "bad_request"),
        ("baidu", {"documents": ["a"] * 65}, "bad_request"),
        ("baidu-legacy", {"documents": ["a"] * 65}, "bad_request"),
        ("siliconflow", {"top_n": -1}, "bad_request"),
        ("llama_cpp", {"documents": []}, "bad_request"),
    ],
)
def test_what_a_vendor_refuses_is_a_fault_of_its_kind(name: str, more: Json, kind: str) -> None:
    assert refusal(pair(name), **more).kind == kind


def test_a_server_without_a_reranker_says_so() -> None:
    one = Selfhosted(servers.LLAMA_CPP, SERVERS, {"api_key": "sk-simulated"}, Model("m"), accounts={})

    assert refusal(one).kind == "unsupported"


def test_vllm_refuses_a_model_that_is_none() -> None:
    one = Selfhosted(servers.VLLM, SERVERS, {"api_key": "sk-simulated"}, Model("m"), accounts={})

    assert refusal(one).kind == "unsupported"


@pytest.mark.parametrize("name", ["alibaba", "alibaba-native", "baidu", "zhipu"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"results": 1}', b'{"output": {}}', b'{"error": {"code": "x"}}', b"<html>"])
def test_what_is_no_ranking_is_a_fault(name: str, body: bytes) -> None:
    with pytest.raises(Fault):
        pair(name).adapter.endpoints["rerank"].response(body)
