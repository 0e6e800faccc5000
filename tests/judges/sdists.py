"""What the tests in OpenAI's sdists come to here: which are run, and which are answered by a refusal, with its reason."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

from tests.journeys.processes import ROOT, Failed

GENERATIONS = {"1.35": "1.35.15", "1.109": "1.109.1", "2.54": "2.54.0", "3.54": "3.54.0"}
"""Folders of .judges/sdists/, and the version in each. Older sdists come without tests."""

ASYNC = ("3.54",)
"""Those whose tests are run with async too; to the gateway it is the same."""
SINCE_RESPONSES = ("1.109", "2.54", "3.54")
GROUPS: Mapping[str, Iterable[str]] = {
    "chat": GENERATIONS,
    "completions": GENERATIONS,
    "embeddings": GENERATIONS,
    "models": GENERATIONS,
    "moderations": GENERATIONS,
    "files": GENERATIONS,
    "uploads": SINCE_RESPONSES,
    "batches": GENERATIONS,
    "fine_tuning": GENERATIONS,
    "images": GENERATIONS,
    "audio": GENERATIONS,
    "responses": SINCE_RESPONSES,
    "conversations": SINCE_RESPONSES,
}
"""What is run, and of which generations: the file `test_NAME.py` and the folder `NAME` of each."""

LEFT = {
    "admin": "/v1/organization/users",
    "audio/test_voice_consents": "/v1/audio/voice_consents",
    "audio/test_voices": "/v1/audio/voices",
    "beta": "/v1/threads/thread_1",
    "chat/completions": "/v1/chat/completions/chatcmpl-1/messages",
    "containers": "/v1/containers",
    "content_provenance_checks": "/v1/content_provenance_checks",
    "decisions": "/v1/decisions",
    "evals": "/v1/evals",
    "fine_tuning/alpha": "/v1/fine_tuning/alpha/graders/run",
    "fine_tuning/checkpoints": "/v1/fine_tuning/checkpoints/ft:gpt-4o:a::1/permissions",
    "live": "/v1/live/sessions",
    "realtime": "/v1/realtime/sessions",
    "safety": "/v1/safety/cases",
    "skills": "/v1/skills",
    "vector_stores": "/v1/vector_stores/vs_1/files",
    "videos": "/v1/videos",
    "webhooks": "/v1/webhook_endpoints",
}
"""Those that are not run, since nothing of it is offered, and an address of theirs, which says so."""


class Row(Struct, frozen=True):
    """Tests that are not answered as OpenAI's mock would: why, and how."""

    tests: str
    """A glob of `chat/test_completions::test_method_list`."""
    told: str
    """Status and code of the refusal; or the error of the SDK; "" for none."""
    why: str
    only: str = "*"
    """A glob of the generations."""


AS_IT_STANDS = (
    Row("test_files::*_list_with_all_params", "", "there it has no `limit`", only="1.35"),
    Row("*::*_list*_with_all_params", "400 invalid_value", "a `limit` of 0"),
    Row("chat/test_completions::*_create_with_all_params_*", "400 integer_below_min_value", "`max_tokens` of 0"),
    Row("test_completions::*_with_all_params_*", "400 integer_below_min_value", "`best_of` and others of 0"),
    Row("test_embeddings::*_with_all_params", "400 unsupported_parameter", "vectors of one dimension, which the stand-in does not make"),
    Row("test_images::*_edit*", "400 invalid_image_format", "what should be edited is a few words"),
    Row("audio/test_transcriptions::*_with_all_params*", "400 invalid_value", "`timestamp_granularities` without `verbose_json`"),
    Row("audio/test_transcriptions::*", "400 invalid_request", "what should be heard is a few words"),
    Row("responses/test_input_tokens::*_with_all_params", "400 mutually_exclusive_parameters", "a conversation and a previous response"),
    Row("responses/test_input_tokens::*", "400 missing_required_parameter", "no `input`"),
    Row("test_responses::*_create_with_all_params_*", "400 integer_below_min_value", "`max_tool_calls`, or `max_output_tokens`, of 0"),
    Row("test_responses::*_create_*", "400 missing_required_parameter", "no `model`"),
    Row("test_responses::*_retrieve_with_all_params_overload_1", "400 invalid_value", "`starting_after` of what is not streamed"),
    Row("test_responses::*_compact_with_all_params", "400 previous_response_not_found", "a previous response that never was"),
    Row("test_responses::*_compact", "400 missing_required_parameter", "no `input`"),
    Row("test_uploads::*_create*", "400 invalid_value", "an upload of 0 `bytes`"),
    Row("test_uploads::*_complete_with_all_params", "400 invalid_value", "an `md5` of other bytes"),
)
"""What is told of values that nobody should take, by the first row that fits. Where a test has several of them, one is named. Then the
test goes on with values that are right."""

REFUSED = (
    Row("test_images::*_create_variation*", "404 unsupported_endpoint", "no vendor makes variations, and OpenAI's model for it is gone"),
    Row("audio/test_translations::*", "404 retired_endpoint", "no other vendor translates sound, and OpenAI ends it on 2027-02-26"),
    Row("audio/test_speech::test_method_create*", "not JSON", "the test wants its mock's JSON: it gets a sound"),
    Row("fine_tuning/test_jobs::*_pause", "400 unsupported_operation", "no vendor can"),
    Row("fine_tuning/test_jobs::*_resume", "400 unsupported_operation", "no vendor can"),
    Row("chat/test_completions::*_list*", "405 method_not_allowed", "answers of chat are not kept: those of /v1/responses are"),
    Row("chat/test_completions::*_retrieve", "404 unsupported_endpoint", "the same"),
    Row("chat/test_completions::*_update", "404 unsupported_endpoint", "the same"),
    Row("chat/test_completions::*_delete", "404 unsupported_endpoint", "the same"),
)
"""Tests that end with it."""

NOT_ASKED = ("chat/test_completions::test_method_create_disallows_pydantic",)
"""Tests of the SDK alone."""

LOOSE = ("test_embeddings::*_create",)
"""The SDK asks for vectors as base64 of its own accord, and where it is strict does not take what it has asked for."""


def row_of(rows: tuple[Row, ...], generation: str, test: str) -> Row | None:
    return next((row for row in rows if fnmatchcase(test, row.tests) and fnmatchcase(generation, row.only)), None)


def unpacked(generation: str) -> Path:
    """The folder of a generation's sdist. Raises Failed where it is not there."""
    folder = ROOT / ".judges" / "sdists" / f"openai-{generation}"
    if not (folder / ".installed").exists():
        name = f".judges/sdists/openai-{generation}/.installed"
        raise Failed(f"the sdist of openai {generation} is not unpacked: run `make {name}`, or `make test`, which unpacks all")
    return folder


def files_of(source: Path) -> dict[str, list[str]]:
    """The files of tests that are not left, without their ending: {"chat": ["chat/test_completions"], …}."""
    folder = source / "tests" / "api_resources"
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        file = path.relative_to(folder).with_suffix("").as_posix()
        group = file.partition("/")[0].removeprefix("test_")
        if group not in LEFT and not any(f"{file}/".startswith(f"{name}/") for name in LEFT):
            found.setdefault(group, []).append(file)
    return found
