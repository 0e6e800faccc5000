"""Tuning: each vendor's translator against its simulator, from a data set to a model, and what becomes of lines and hyperparameters."""

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest
from msgspec import json

from providers.alibaba import adapter as alibaba
from providers.alibaba.simulator import SIMULATOR as ALIBABA
from providers.baidu import adapter as baidu
from providers.baidu.simulator import SIMULATOR as BAIDU
from providers.base import Change, Fault, Json, Model, Target
from providers.simulation import UNSAFE_INPUT, Reply, Request
from providers.tuning import Asks, Progress, Tuning, Wanted
from providers.zhipu import adapter as zhipu
from providers.zhipu.simulator import SIMULATOR as ZHIPU
from tests.providers.roundtrip import HOST, Pair, fault, read

T = TypeVar("T")
LINES: list[Json] = [
    {"messages": [{"role": "user", "content": f"Question {n}"}, {"role": "assistant", "content": f"Answer {n}"}]} for n in range(12)
]
PREFERENCES: list[Json] = [
    {
        "input": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]},
        "preferred_output": [{"role": "assistant", "content": "Hi"}],
        "non_preferred_output": [{"role": "assistant", "content": "Good day to you, dear"}],
    }
]
BUCKET = f"{HOST}/bos/my-bucket"


class Tuned:
    """One account at a simulated vendor, asked for tuning."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        tuning = pair.adapter.tuning
        assert tuning is not None
        self.tuning: Tuning = tuning
        self.changes: list[Change] = []
        base = pair.adapter.base_url.replace("https://", "").partition("/")[2]
        self.target = Target(f"{HOST}/{base}", next(iter(pair.world.models.values())))

    async def drive(self, asks: Asks[T]) -> T:
        try:
            outgoing = next(asks)
            while True:
                self.changes += outgoing.changes
                proof = self.tuning.sign(self.pair.secrets, outgoing, self.pair.now)
                if proof is None:
                    reply = await self.pair.send(outgoing, await self.pair.prove())
                else:
                    path, _, query = outgoing.url.removeprefix(HOST).partition("?")
                    asked = dict(part.split("=") for part in query.split("&") if part)
                    reply = await self.pair.simulator.handle(
                        Request(outgoing.method, path, asked, {**outgoing.headers, **proof}, outgoing.body)
                    )
                outgoing = asks.send(await self.body(reply))
        except StopIteration as done:
            came: T = done.value
            return came

    async def body(self, reply: Reply) -> bytes:
        raw = await read(reply)
        if reply.status >= 300:
            raise self.tuning.fault(reply.status, reply.headers, raw)
        return raw

    async def upload(self, lines: Iterable[Json] = LINES, method: Any = "supervised", name: str = "train") -> str:
        return await self.drive(self.tuning.upload(name, self.tuning.dataset(lines, method).body, self.target, BUCKET))

    async def submit(self, wanted: Wanted) -> str:
        return await self.drive(self.tuning.submit(wanted, self.target))

    async def looks(self, id: str) -> list[Progress]:
        found: list[Progress] = []
        while not found or found[-1].state in ("queued", "running"):
            found.append(await self.drive(self.tuning.look(id, self.target)))
        return found


def tuned(name: str) -> Tuned:
    match name:
        case "zhipu":
            return Tuned(Pair(zhipu.ADAPTER, ZHIPU, {"api_key": "id.secret"}, Model("glm-4-flash"), accounts={"id": "secret"}))
        case "alibaba":
            return Tuned(Pair(alibaba.ADAPTER, ALIBABA, {"api_key": "sk-ok"}, Model("qwen3-8b"), accounts={}))
    secrets = {"access_key_id": "ak", "access_key_secret": "sk"}
    return Tuned(Pair(baidu.V2, BAIDU, secrets, Model("ernie-speed-8k"), accounts={"ak": "sk"}, auth="iam_token"))


NAMES = ["zhipu", "alibaba", "baidu"]


@pytest.mark.parametrize("name", NAMES)
def test_a_job_goes_from_a_data_set_to_a_model_and_is_billed_for_what_was_read(name: str) -> None:
    async def go() -> tuple[Tuned, list[Progress]]:
        one = tuned(name)
        id = await one.submit(Wanted("job_1", await one.upload(), hyper={"n_epochs": 2}))
        return one, await one.looks(id)

    one, looks = asyncio.run(go())

    states = [look.state for look in looks]
    assert states[-1] == "succeeded"
    assert "running" in states
    assert looks[-1].model
    (owed,) = one.pair.bill.values()
    assert owed.prompt_tokens > 100
    if name != "baidu":
        assert looks[-1].tokens == owed.prompt_tokens


@pytest.mark.parametrize("name", NAMES)
def test_a_job_that_has_been_submitted_is_found_again_and_no_other(name: str) -> None:
    async def go() -> tuple[str, str, str]:
        one = tuned(name)
        first, second = await one.upload(name="a"), await one.upload(name="b")
        before = await one.drive(one.tuning.find(Wanted("job_1", first), one.target))
        id = await one.submit(Wanted("job_1", first))
        other = await one.drive(one.tuning.find(Wanted("job_2", second), one.target))
        assert before == other == ""
        return id, await one.drive(one.tuning.find(Wanted("job_1", first), one.target)), other

    id, found, _ = asyncio.run(go())

    assert found == id


@pytest.mark.parametrize("name", NAMES)
def test_a_cancelled_job_is_cancelled_and_one_that_is_over_cannot_be(name: str) -> None:
    async def go() -> tuple[Progress, Fault]:
        one = tuned(name)
        id = await one.submit(Wanted("job_1", await one.upload()))
        await one.drive(one.tuning.cancel(id, one.target))
        return (await one.looks(id))[-1], await fault(one.drive(one.tuning.cancel(id, one.target)))

    last, refused = asyncio.run(go())

    assert last.state == "cancelled"
    assert refused.kind == "bad_request"


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_that_the_vendor_finds_unsafe_fails_the_job(name: str) -> None:
    lines = [*LINES, {"messages": [{"role": "user", "content": UNSAFE_INPUT}, {"role": "assistant", "content": "Yes"}]}]

    async def go() -> Progress:
        one = tuned(name)
        return (await one.looks(await one.submit(Wanted("job_1", await one.upload(lines)))))[-1]

    last = asyncio.run(go())

    assert (last.state, last.model) == ("failed", "")
    assert last.error


def test_alibabas_model_is_called_once_it_is_deployed_and_deployed_once() -> None:
    async def go() -> tuple[list[bool], Json, str, str]:
        one = tuned("alibaba")
        done = (await one.looks(await one.submit(Wanted("job_1", await one.upload()))))[-1]
        assert (await fault(one.pair.chat({"messages": [{"role": "user", "content": "Hi"}]}, f"{done.model}-d"))).kind == "no_model"
        id = await one.drive(one.tuning.deploy(done.model, one.target))
        again = await one.drive(one.tuning.deploy(done.model, one.target))
        stands = [await one.drive(one.tuning.deployed(id, one.target)) for _ in range(3)]
        answer = await one.pair.chat({"messages": [{"role": "user", "content": "Say hello"}]}, stands[-1].model)
        return [one.ready for one in stands], answer, id, again

    ready, answer, id, again = asyncio.run(go())

    assert ready == [False, True, True]
    assert answer["choices"][0]["message"]["content"]
    assert id == again


def test_zhipus_model_is_called_as_it_is() -> None:
    async def go() -> tuple[str, Json]:
        one = tuned("zhipu")
        done = (await one.looks(await one.submit(Wanted("job_1", await one.upload()))))[-1]
        return await one.drive(one.tuning.deploy(done.model, one.target)), await one.pair.chat(
            {"messages": [{"role": "user", "content": "Say hello"}]}, done.model
        )

    deployment, answer = asyncio.run(go())

    assert deployment == ""
    assert answer["choices"][0]["message"]["content"]


def test_zhipu_tells_what_it_measures() -> None:
    async def go() -> Progress:
        one = tuned("zhipu")
        return (await one.looks(await one.submit(Wanted("job_1", await one.upload()))))[-1]

    told = asyncio.run(go()).told

    assert any(one.data.get("loss") == 0.5 for one in told)


def test_baidu_prefers_answers_to_others() -> None:
    async def go() -> tuple[Tuned, str]:
        one = tuned("baidu")
        ref = await one.upload(PREFERENCES, "dpo")
        return one, (await one.looks(await one.submit(Wanted("job_1", ref, method="dpo"))))[-1].state

    one, state = asyncio.run(go())

    assert state == "succeeded"
    assert json.decode(one.tuning.dataset(PREFERENCES, "dpo").body) == [
        {"user": "Be brief.\n\nHello", "chosen": "Hi", "rejected": "Good day to you, dear"}
    ]


@pytest.mark.parametrize(
    ("name", "hyper", "fates"),
    [
        ("zhipu", {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 1}, []),
        ("zhipu", {"n_epochs": 50, "beta": 0.1}, [("n_epochs", "clamped"), ("beta", "dropped")]),
        ("alibaba", {"n_epochs": 3, "batch_size": 8, "learning_rate": "1e-5"}, []),
        ("alibaba", {"learning_rate_multiplier": 2}, [("learning_rate_multiplier", "dropped")]),
        ("baidu", {"n_epochs": 3, "batch_size": 8}, [("n_epochs", "renamed"), ("batch_size", "dropped")]),
        ("baidu", {"learning_rate_multiplier": 9}, [("learning_rate_multiplier", "emulated"), ("learningRate", "clamped")]),
        ("baidu", {"n_epochs": 99, "odd": 1}, [("n_epochs", "renamed"), ("epoch", "clamped"), ("odd", "dropped")]),
    ],
)
def test_what_becomes_of_hyperparameters_is_told(name: str, hyper: Json, fates: list[tuple[str, str]]) -> None:
    async def go() -> Tuned:
        one = tuned(name)
        await one.submit(Wanted("job_1", await one.upload(), hyper=hyper))
        return one

    assert [(change.field, change.fate) for change in asyncio.run(go()).changes] == fates


CALL = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("line", "note"),
    [
        ({"messages": [{"role": "user", "content": "a"}, CALL]}, "left out: calls of tools are not taken (1 line)"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, {"role": "assistant", "content": "b"}]},
            "left out: only words are taken (1 line)",
        ),
        ({**LINES[0], "tools": [{}]}, "`tools` is dropped (1 line)"),
        ({**LINES[0], "parallel_tool_calls": False}, "`parallel_tool_calls` is dropped (1 line)"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]},
            "`weight` 0 is not known: the turn is trained on like the others (1 line)",
        ),
    ],
    ids=["call", "image", "tools", "parallel", "weight"],
)
def test_what_of_a_line_does_not_carry_over_is_told(name: str, line: Json, note: str) -> None:
    written = tuned(name).tuning.dataset([*LINES, line], "supervised")

    assert written.notes == (note,)
    assert written.lines == (12 if note.startswith("left out") else 13)


@pytest.mark.parametrize("name", NAMES)
def test_prompts_with_completions_are_conversations_of_two_turns(name: str) -> None:
    (line,) = tuned(name).tuning.dataset([{"prompt": "a", "completion": "b"}], "supervised").body.splitlines()

    assert json.decode(line) in (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        [{"prompt": "a", "response": [["b"]]}],
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_which_nothing_carries_over_is_refused(name: str) -> None:
    with pytest.raises(Fault, match="left out: calls of tools are not taken") as raised:
        tuned(name).tuning.dataset([{"messages": [CALL]}], "supervised")

    assert raised.value.param == "training_file"


def test_baidu_says_which_models_it_tunes() -> None:
    async def go() -> Fault:
        one = tuned("baidu")
        target = Target(one.target.base_url, Model("ernie-4.5-turbo-128k"))
        return await fault(one.drive(one.tuning.submit(Wanted("job_1", "bos:/b/k"), target)))

    refused = asyncio.run(go())

    assert refused.kind == "no_model"
    assert "it tunes: ERNIE-Lite-8K, ERNIE-Speed-8K" in refused.message


@pytest.mark.parametrize(
    ("name", "wanted", "kind"),
    [
        ("zhipu", Wanted("j", "file-none"), "bad_request"),
        ("alibaba", Wanted("j", "file-none"), "bad_request"),
        ("alibaba", Wanted("j", "", hyper={"n_epochs": 1.5}), "bad_request"),
        ("baidu", Wanted("j", "bos:/my-bucket/none"), "bad_request"),
        ("baidu", Wanted("no good name", "bos:/my-bucket/none"), "bad_request"),
    ],
)
def test_what_a_vendor_refuses_is_a_fault_of_its_kind(name: str, wanted: Wanted, kind: str) -> None:
    assert asyncio.run(fault(tuned(name).submit(wanted))).kind == kind


def test_several_turns_of_one_side_are_one_at_baidu() -> None:
    messages = [
        {"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "d"}, {"role": "user", "content": "e"},
        {"role": "assistant", "content": "f"}, {"role": "user", "content": "unanswered"},
    ]  # fmt: skip

    (line,) = tuned("baidu").tuning.dataset([{"messages": messages}], "supervised").body.splitlines()

    assert json.decode(line) == [{"prompt": "S\n\na\n\nb", "response": [["c\n\nd"]]}, {"prompt": "e", "response": [["f"]]}]
