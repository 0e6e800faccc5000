"""A gateway before the simulators of all vendors that have images and sound, and OpenAI's own SDK."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from gateway.accounting.books import Books
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from providers.media_simulation import png, spoken
from tests.conftest import NO_TLS, Served

Gateway = Callable[..., Served]
KEY = "sk-0123456789abcdef"


def config(simulators: str, **more: Any) -> dict[str, Any]:
    """Accounts at all vendors that have images or sound, and a name for each of their models."""
    place = {"jurisdiction": "cn-mainland"}
    keyed = {**place, "api_key": KEY}
    providers = {
        "z": {**place, "vendor": "zhipu", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"},
        "a": {**keyed, "vendor": "alibaba", "base_url": f"{simulators}/alibaba"},
        "n": {**keyed, "vendor": "alibaba", "base_url": f"{simulators}/alibaba", "surface": "native"},
        "b": {**place, "vendor": "baidu", "base_url": f"{simulators}/baidu", "access_key_id": "ak", "access_key_secret": "sk",
              "auth_url": f"{simulators}/baidu"},
        "s": {**keyed, "vendor": "sensetime", "base_url": f"{simulators}/sensetime/token/v1", "surface": "token_plan"},
        "o": {**keyed, "vendor": "openai", "base_url": f"{simulators}/openai"},
        "c": {**keyed, "vendor": "openai_compatible", "base_url": f"{simulators}/openai/v1"},
        "az": {**keyed, "vendor": "azure_openai", "base_url": f"{simulators}/azure_openai", "api_version": "2025-04-01-preview"},
    }  # fmt: skip
    models = {
        "cogview": "z/cogview-4", "glm-image": "z/glm-image", "glm-tts": "z/glm-tts", "glm-asr": "z/glm-asr-2512", "chat": "z/glm-4-plus",
        "wan": "a/wan2.2-t2i-plus", "qwen-image": "a/qwen-image-2.0", "wan-edit": "a/wan2.5-i2i-preview", "qwen-edit": "n/qwen-image-edit",
        "cosyvoice": "a/cosyvoice-v3-flash", "qwen-tts": "n/qwen3-tts-flash", "qwen-asr": "a/qwen3-asr-flash",
        "irag": "b/irag-1.0", "irag-edit": "b/ernie-irag-edit", "u1": "s/sensenova-u1.5-lite",
        "gpt-image": "o/gpt-image-1.5", "tts-o": "o/tts-1", "whisper": "o/whisper-1", "gpt-4o-transcribe-o": "o/gpt-4o-transcribe",
        "azure-image": "az/gpt-image-1.5", "azure-tts": "az/tts-1", "azure-whisper": "az/whisper-1",
        "any-image": "c/gpt-image-1.5", "any-voice": "c/tts-1", "any-ear": "c/whisper-1",
    }  # fmt: skip
    return {"providers": providers, "models": models, **more}


@pytest.fixture
def served(gateway: Gateway, simulators: str) -> Served:
    return gateway(config(simulators))


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with sdk(served) as made:
        yield made


def sdk(served: Served) -> OpenAI:
    http = httpx2.Client(trust_env=False, verify=NO_TLS)
    return OpenAI(api_key=served.key, base_url=f"{served.url}/v1", http_client=http, max_retries=0)


def stored(tmp_path: Path) -> tuple[Store, dict[str, Any]]:
    """(a store, what App takes to keep its books in it)."""
    store = Store(f"sqlite:///{tmp_path}/b.db", tmp_path / "pending")
    return store, {"objects": StoredObjects(store), "books": Books(Memory(), StoreLedger(store)), "beside": (store,)}


def until(found: Callable[[], Any]) -> Any:
    """What is found once there is anything: work goes on in the background's thread."""
    for _ in range(400):
        if told := found():
            return told
        Event().wait(0.025)
    raise AssertionError("it did not come to pass")


PNG = ("a.png", png("before", 64, 64), "image/png")
WAV = ("speech.wav", spoken("The bridge is red.", "wav"), "audio/wav")
