"""Images and sound by the vendors' own SDKs, unchanged, against the simulators."""

from base64 import b64decode, b64encode
from typing import Any

import httpx
import pytest

from providers.media_simulation import heard, png_size, samples, spoken
from tests.journeys.conftest import Street
from tests.journeys.judges import judge
from tests.journeys.processes import bill, owed_since

pytestmark = pytest.mark.timeout(180)  # of which a cold import may take most, on a busy machine
TEXT = "The bridge is red."


def fetched(url: str) -> bytes:
    return httpx.get(url, trust_env=False).raise_for_status().content


def test_zhipus(street: Street) -> None:
    url = street.simulators.url
    before = bill(url)
    asked = {
        "image": {"model": "cogview-4", "prompt": "a red bridge", "size": "1344x768"},
        "task": {"model": "glm-image", "prompt": "a red bridge", "size": "1280x1280"},
        "speech": {"model": "glm-tts", "input": TEXT, "voice": "tongtong"},
        "transcription": {"model": "glm-asr-2512"},
    }

    told: Any = judge("zai", {"url": url, "media": asked})

    assert png_size(fetched(told["image"])) == (1344, 768)
    assert told["task"][0] == "SUCCESS"
    assert png_size(fetched(told["task"][1])) == (1280, 1280)
    sound = heard(b64decode(told["sound"]))
    assert sound is not None
    assert sound.text == told["heard"] == TEXT
    assert b64decode(told["pieces"]) == samples(TEXT)
    owed = owed_since(before, url)
    assert (owed["images"], owed["characters"], owed["seconds"]) == (2, 2 * len(TEXT), 2)


def test_alibabas(street: Street) -> None:
    url = street.simulators.url
    before = bill(url)
    asked = {
        "task": {"model": "wan2.2-t2i-plus", "prompt": "a red bridge", "n": 1, "size": "1024*1024"},
        "speech": {"model": "cosyvoice-v3-flash", "text": TEXT, "voice": "longanyang"},
        "tts": {"model": "qwen3-tts-flash", "text": TEXT, "voice": "Cherry"},
        "hears": "qwen3-asr-flash",
        "sound": f"data:audio/wav;base64,{b64encode(spoken(TEXT, 'wav')).decode()}",
    }

    told: Any = judge("dashscope", {"url": url, "key": "sk-0123456789abcdef", "media": asked})

    status, where, count = told["task"]
    assert (status, count) == ("SUCCEEDED", 1)
    assert png_size(fetched(where)) == (1024, 1024)
    assert told["cancelled"] == [200, "CANCELED"]
    assert [heard(fetched(told[name])).text for name in ("spoken", "tts")] == [TEXT, TEXT]  # type: ignore[union-attr]
    assert b64decode(told["pieces"]) == b64decode(told["last"]) == samples(TEXT)
    assert told["heard"] == TEXT
    owed = owed_since(before, url)
    assert (owed["images"], owed["characters"], owed["seconds"]) == (1, 3 * len(TEXT), 2)
