"""The vendors' own SDKs, unchanged, rank documents and tune models at the simulators."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from providers.simulation import count, relevance
from tests.journeys.judges import judge
from tests.journeys.test_vendor_sdks import _baidu

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
QUERY = "a red bridge"
DOCUMENTS = ["nothing of it", "the bridge is red", "a red bridge"]
RANKED: list[Any] = [[at, relevance(QUERY, DOCUMENTS[at])] for at in (2, 1)]


@pytest.fixture
def data(tmp_path: Path) -> str:
    lines = [{"messages": [{"role": "user", "content": f"Question {n}"}, {"role": "assistant", "content": "Yes"}]} for n in range(10)]
    file = tmp_path / "train.jsonl"
    file.write_bytes(b"\n".join(map(json.encode, lines)))
    return str(file)


def test_alibabas_ranks_and_tunes_and_calls_what_it_has_deployed(simulators: str, data: str) -> None:
    rerank = {"model": "gte-rerank-v2", "query": QUERY, "documents": DOCUMENTS, "top_n": 2, "return_documents": True}

    told = judge("dashscope", {"url": simulators, "key": "sk-of-the-judge", "rerank": rerank, "file": data, "base": "qwen-plus"})

    assert told["ranked"] == [[at, score, {"text": DOCUMENTS[at]}] for at, score in RANKED]
    assert told["tokens"] == sum(count(QUERY) + count(text) for text in DOCUMENTS)
    assert told["refused"] == [400, "InvalidParameter"]
    assert told["listed"] == 1
    assert told["states"] == ["RUNNING", "RUNNING", "SUCCEEDED"]
    assert told["standing"] == ["DEPLOYING", "RUNNING"]
    assert told["said"] == "hello"


def test_zhipus_older_one_tunes_and_calls_what_it_has_tuned(simulators: str, data: str) -> None:
    told = judge("zhipuai", {"url": simulators, "file": data, "base": "glm-4-flash-250414"})

    assert told["listed"] == 1
    assert told["states"] == ["validating_files", "queued", "running", "succeeded"]
    assert told["events"] == ["训练完成", "训练中"]
    assert told["said"] == "hello"


def test_baidus_ranks_and_makes_jobs(simulators: str, tmp_path: Path) -> None:
    rerank = {"query": QUERY, "documents": DOCUMENTS, "top_n": 2}
    variables = _baidu(simulators, tmp_path, QIANFAN_ACCESS_KEY="ak", QIANFAN_SECRET_KEY="sk")

    told = judge("qianfan", {"url": simulators, "rerank": rerank}, **variables)

    assert told["ranked"] == RANKED
    assert told["models"] == ["ERNIE-Lite-8K", "ERNIE-Speed-8K"]
    assert told["listed"] == 1
    assert "param[versions] invalid" in told["refused"]
