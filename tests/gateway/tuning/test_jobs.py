"""Tuning jobs through OpenAI's SDK: from a file to a model that answers, at every vendor that tunes; and what can go wrong on the way."""

from typing import Any

import openai
import pytest

from providers.base import Json
from tests.conftest import snapshot_of
from tests.gateway.provider import Make, answer
from tests.gateway.tuning.conftest import LINES, Tuner


@pytest.mark.parametrize("model", ["gpt-4o-mini", "qwen"])
def test_a_file_becomes_a_model_that_its_team_can_call(tuning: Tuner, model: str) -> None:
    job = tuning.sdk.fine_tuning.jobs.create(model=model, training_file=tuning.file(), suffix="mine", hyperparameters={"n_epochs": 2})
    assert (job.status, job.fine_tuned_model, job.object) == ("validating_files", None, "fine_tuning.job")

    done = tuning.over(job.id)

    assert done.status == "succeeded", done.error
    assert done.fine_tuned_model == f"ft:{model}:red:mine:{job.id[-8:]}"
    assert done.trained_tokens
    assert done.finished_at
    said = tuning.sdk.chat.completions.create(model=done.fine_tuned_model, messages=[{"role": "user", "content": "Say: hello"}])
    assert said.choices[0].message.content == "hello"
    assert done.fine_tuned_model in [one.id for one in tuning.sdk.models.list()]
    (checkpoint,) = tuning.sdk.fine_tuning.jobs.checkpoints.list(job.id)
    assert checkpoint.fine_tuned_model_checkpoint == done.fine_tuned_model


def test_another_team_can_neither_see_the_job_nor_call_the_model(tuning: Tuner) -> None:
    job = tuning.over(tuning.sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=tuning.file()).id)
    blue = tuning.sdk.with_options(api_key="sk-of-the-other-team")

    with pytest.raises(openai.NotFoundError):
        blue.fine_tuning.jobs.retrieve(job.id)
    with pytest.raises(openai.NotFoundError):
        blue.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "Hi"}])
    assert list(blue.fine_tuning.jobs.list()) == []


def test_events_tell_what_happened_and_what_did_not_carry_over(tuning: Tuner) -> None:
    lines = [*LINES, {**LINES[0], "tools": [{"type": "function", "function": {"name": "f"}}]}]

    job = tuning.sdk.fine_tuning.jobs.create(
        model="gpt-4o-mini", training_file=tuning.file(lines), seed=7, hyperparameters={"n_epochs": 40},
        integrations=[{"type": "wandb", "wandb": {"project": "p"}}],
    )  # fmt: skip
    tuning.over(job.id)

    said = tuning.says(job.id)
    for expected in (
        f"Created fine-tuning job: {job.id}",
        "seed was dropped: no provider offers it",
        "integrations was dropped: no provider offers it",
        "training_file: `tools` is dropped (1 line)",
        "n_epochs was clamped (10): as the provider has it",
        "Fine-tuning job started",
        "The job has successfully completed",
    ):
        assert expected in said
    assert said[-1] == "The job has successfully completed"
    metrics = [one for one in tuning.sdk.fine_tuning.jobs.list_events(job.id, limit=100) if one.type == "metrics"]
    assert [one.data["loss"] for one in metrics] == [0.5]  # type: ignore[index]


def test_what_baidu_trained_is_left_to_the_operator_to_deploy(tuning: Tuner) -> None:
    job = tuning.over(tuning.sdk.fine_tuning.jobs.create(model="ernie", training_file=tuning.file()).id)

    assert job.status == "succeeded"
    assert "deploy it in Qianfan's console, and route this name to the deployment's API name" in " ".join(tuning.says(job.id))
    with pytest.raises(openai.NotFoundError):
        tuning.sdk.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "Hi"}])


def test_preferences_are_tuned_by_where_the_vendor_does(tuning: Tuner) -> None:
    line = {
        "input": {"messages": [{"role": "user", "content": "Hello"}]},
        "preferred_output": [{"role": "assistant", "content": "Hi"}],
        "non_preferred_output": [{"role": "assistant", "content": "What?"}],
    }
    file = tuning.file([line] * 10)

    job = tuning.over(
        tuning.sdk.fine_tuning.jobs.create(
            model="ernie", training_file=file, method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
        ).id
    )

    assert job.status == "succeeded", job.error
    with pytest.raises(openai.BadRequestError, match="zhipu does not tune by dpo"):
        tuning.sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file, method={"type": "dpo"})


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (LINES[:3], "The file has 3 examples, but must have at least 10"),
        ([*LINES, {"messages": []}], "Line 13: `messages` is missing, or no list of messages"),
        ([{"text": "x"}, *LINES], "Line 1: `messages` is missing"),
        ([*LINES, {"messages": [{"role": "user", "content": "a"}]}], "Line 13: `messages` has no message of the assistant's to learn from"),
        ([*LINES, {"messages": [{"role": "robot", "content": "a"}]}], "Line 13: `messages[0]` has no known role"),
        (b'{"messages": \n' * 12, "Line 1: it is not a JSON object"),
        ([*LINES, {"messages": [{"role": "user", "content": "a", "weight": 1}]}], "Line 13: `messages[0]`.weight has to be 0 or 1"),
    ],
    ids=["few", "empty", "no-messages", "no-answer", "role", "json", "weight"],
)
def test_a_file_that_is_no_data_set_fails_the_job_and_says_which_line(tuning: Tuner, lines: Any, why: str) -> None:
    job = tuning.over(tuning.sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=tuning.file(lines)).id)

    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert why in job.error.message
    assert job.fine_tuned_model is None


def test_a_vendor_that_fails_the_training_fails_the_job(tuning: Tuner) -> None:
    lines = [*LINES, {"messages": [{"role": "user", "content": "[unsafe-input]"}, {"role": "assistant", "content": "Yes"}]}]

    job = tuning.over(tuning.sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=tuning.file(lines)).id)

    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "training_failed"


def test_a_job_that_is_cancelled_is_cancelled_at_the_vendor_too(tuning: Tuner, provider: Make) -> None:
    id = {"id": "ftjob-v", "status": "running"}
    vendor = provider(
        answer(200, {"id": "file-v"}),
        answer(200, id),
        answer(200, id),
        answer(200, {"data": []}),
        answer(200, id),
        answer(200, {"data": []}),
    )
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": vendor.url + "/v4", "api_key": "id.secret"}
    before = tuning.app.serving.snapshot
    tuning.app.swap(snapshot_of({"providers": {"z": account}, "models": {"m": "z/glm-4-flash"}}))
    job = tuning.sdk.fine_tuning.jobs.create(model="m", training_file=tuning.file())

    cancelled = tuning.sdk.fine_tuning.jobs.cancel(job.id)
    done = tuning.over(job.id)

    assert cancelled.status == done.status == "cancelled"
    submitted = any(asked.path.endswith("/fine_tuning/jobs") for asked in vendor.requests)
    assert any(asked.path.endswith("/fine_tuning/jobs/ftjob-v/cancel") for asked in vendor.requests) == submitted
    with pytest.raises(openai.BadRequestError, match="it cannot be cancelled"):
        tuning.sdk.fine_tuning.jobs.cancel(job.id)
    tuning.app.swap(before)


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "nobody"}, 404, "model"), ({"model": "none"}, 400, "model"), ({"training_file": "file-0"}, 400, "training_file"),
        ({"training_file": "file-a"}, 400, "training_file"), ({"validation_file": "file-0"}, 400, "validation_file"),
        ({"suffix": "s" * 65}, 400, "suffix"), ({"hyperparameters": {"n_epochs": 0}}, 400, "hyperparameters.n_epochs"),
        ({"method": {"type": "reinforcement"}}, 400, "method.type"), ({"seed": "x"}, 400, "seed"),
        ({"extra_body": {"odd": 1}}, 400, "odd"), ({"metadata": {"a": 1}}, 400, "metadata.a"),
    ],
    ids=str,
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused_by_name(tuning: Tuner, fields: Json, status: int, param: str) -> None:
    if fields == {"training_file": "file-a"}:
        fields = {"training_file": tuning.file(purpose="assistants")}
    with pytest.raises(openai.APIStatusError) as raised:
        tuning.sdk.fine_tuning.jobs.create(**{"model": "gpt-4o-mini", "training_file": tuning.file(), **fields})

    assert (raised.value.status_code, raised.value.body["param"]) == (status, param)  # type: ignore[index]


def test_jobs_and_events_are_listed_in_pages(tuning: Tuner) -> None:
    file = tuning.file(LINES[:2])
    made = [tuning.sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file).id for _ in range(3)]

    first = tuning.sdk.fine_tuning.jobs.list(limit=2)

    assert [one.id for one in first.data] == made[:0:-1]
    assert first.has_more
    assert [one.id for one in first][:3] == made[::-1]
    for id in made:
        tuning.over(id)
    assert len(list(tuning.sdk.fine_tuning.jobs.list_events(made[0], limit=1))) == len(tuning.says(made[0])) >= 3


def test_no_job_is_paused_or_resumed(tuning: Tuner) -> None:
    job = tuning.sdk.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=tuning.file())

    for call in (tuning.sdk.fine_tuning.jobs.pause, tuning.sdk.fine_tuning.jobs.resume):
        with pytest.raises(openai.BadRequestError, match="cancel it instead"):
            call(job.id)
    tuning.over(job.id)
