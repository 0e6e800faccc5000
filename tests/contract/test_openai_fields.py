"""The list of OpenAI's fields against the types of OpenAI's own SDK, so that a new field there is noticed here."""

import re
import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any

import pytest
import typing_extensions
from openai.types.audio.speech_create_params import SpeechCreateParams
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsNonStreaming, TranscriptionCreateParamsStreaming
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.image_edit_params import ImageEditParamsNonStreaming, ImageEditParamsStreaming
from openai.types.image_generate_params import ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming

from providers.base import Model
from tests.contract.openai_fields import Case, as_served, cases, document, fields, leaves

MODEL = Model("a-model", dimensions=8)
TYPES = {
    "chat": (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming),
    "embeddings": (EmbeddingCreateParams,),
    "images": (ImageGenerateParamsNonStreaming, ImageGenerateParamsStreaming),
    "image_edits": (ImageEditParamsNonStreaming, ImageEditParamsStreaming),
    "speech": (SpeechCreateParams,),
    "transcriptions": (TranscriptionCreateParamsNonStreaming, TranscriptionCreateParamsStreaming),
}
FILES = ("file", "image", "mask", "markup")
"""Fields that the SDK takes files for, in several forms."""
MARKS = (typing_extensions.Required, typing_extensions.NotRequired, typing.Required, typing.NotRequired, typing.Annotated)
OPEN = "{}"
"""Ends the path of a value whose keys are the caller's own."""


def paths(told: Any, path: str = "", seen: tuple[Any, ...] = ()) -> Iterator[str]:
    """Every place of a type: `a.b`, `a[].b`, `a.b=word` for each word it may be, `a{}` for a map of anything."""
    origin, arguments = typing.get_origin(told), typing.get_args(told)
    if origin in MARKS:
        yield from paths(arguments[0], path, seen)
    elif typing_extensions.is_typeddict(told):
        if told not in seen:
            for name, inner in typing_extensions.get_type_hints(told).items():
                yield from paths(inner, f"{path}.{name}" if path else name, (*seen, told))
    elif origin in (typing.Union, UnionType):
        for inner in arguments:
            yield from paths(inner, path, seen)
    elif origin is typing.Literal:
        yield from (f"{path}={word}" for word in arguments)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield path + OPEN
    elif arguments:
        yield from paths(arguments[0], f"{path}[]", seen)
    elif told is not type(None):
        yield path


def known(endpoint: str) -> set[str]:
    every = {path for told in TYPES[endpoint] for path in paths(told) if not path.startswith("model=")}
    return {path.partition("[")[0] if path.partition("[")[0] in FILES else path for path in every}


def sent(case: Case) -> set[str]:
    """The places that a request of the list uses: each with its word, and without."""
    said = [(re.sub(r"\[\d+\]", "[]", path), value) for path, value in leaves(case.body).items()]
    files = {name for name in FILES if name in case.body}
    return files | {path for path, _ in said} | {f"{path}={value}" for path, value in said}


def is_shown(path: str, shown: set[str]) -> bool:
    place, _, word = path.partition("=")
    if place.endswith(OPEN):
        return any(at.startswith((place.removesuffix(OPEN) + ".", place.removesuffix(OPEN) + "=")) for at in shown)
    return path in shown or (bool(word) and place in document()["alike"] and place in shown)


@pytest.mark.parametrize("endpoint", TYPES)
def test_every_field_of_the_sdk_and_every_word_it_may_have_is_listed(endpoint: str) -> None:
    shown = {path for case in cases() if case.endpoint == endpoint for path in sent(case)}

    assert [path for path in sorted(known(endpoint)) if not is_shown(path, shown)] == []


@pytest.mark.parametrize("endpoint", TYPES)
def test_nothing_is_listed_that_the_sdk_does_not_know(endpoint: str) -> None:
    places = {path.partition("=")[0].partition(OPEN)[0] for path in known(endpoint)}
    usual = [case for field in fields() if field.endpoint == endpoint and not field.beyond for case in field.cases]

    for case in usual:
        for at in (path for path in sent(case) if "=" not in path):
            assert any(at == place or at.startswith((place + ".", place + "[]")) or place.startswith(at + ".") for place in places), (
                f"{case.id}: {at}"
            )


def test_a_new_field_of_the_sdk_is_noticed() -> None:
    class Newer(CompletionCreateParamsStreaming, total=False):
        something_new: str

    shown = {path for case in cases() if case.endpoint == "chat" for path in sent(case)}

    assert [path for path in paths(Newer) if not is_shown(path, shown) and not path.startswith("model=")] == ["something_new"]


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.endpoint}-{case.id}")
def test_every_request_of_the_list_is_one_that_is_taken(case: Case) -> None:
    before, after = case.served(MODEL)

    assert before != after


@pytest.mark.parametrize("case", [case for case in cases() if case.same], ids=lambda case: case.id)
def test_what_has_a_newer_name_is_said_by_it(case: Case) -> None:
    assert case.same is not None
    assert as_served(case.endpoint, case.body, MODEL) == as_served(case.endpoint, case.same, MODEL)
