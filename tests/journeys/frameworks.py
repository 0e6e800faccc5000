"""What today's frameworks are all asked, at every account, and how it is read what they found."""

import struct
import zlib
from collections.abc import Iterable
from typing import Any

from tests.journeys.accounts import ACCOUNTS, Account
from tests.journeys.brain import Json
from tests.journeys.conftest import Street
from tests.journeys.processes import Failed

TEXT = "Say 你好 and be naïve 🙂"
WEATHER = "What is the weather in Paris and Tokyo?"
HANDOFF = "Use transfer_to_forecaster, then get_weather: is it dry in Oslo?"
PERSON = '"Ada" is 36'
ADA = {"name": "Ada", "age": 36}
TEXTS = ["moving house", "搬家"]

THOSE_THAT_SEE = [account for account in ACCOUNTS if account.seer]
THOSE_THAT_THINK = [account for account in ACCOUNTS if account.thinker]
THOSE_THAT_EMBED = [account for account in ACCOUNTS if account.embeddings]
THOSE_THAT_BILL = [account for account in ACCOUNTS if not account.own]
"""Whose quota may be used up."""


def picture() -> bytes:
    """A grey PNG of 64 by 64 pixels: some vendors take none that is smaller than 10 by 10."""
    head = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * 64) * 64)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def question(
    street: Street, checks: Iterable[str], *, sees: Iterable[str] = (), thinks: Iterable[str] = (), embeds: Iterable[str] = ()
) -> Json:
    """For a client program: every account with the names of its checks, those of `sees`, `thinks` and `embeds` where it can.

    The check `refused` has a quota that is used up, and is for THOSE_THAT_BILL.
    """

    def checks_of(account: Account) -> list[str]:
        more = [(account.seer, sees), (account.thinker, thinks), (account.embeddings, embeds), (not account.own, ["refused"])]
        return [*checks, *(check for able, names in more if able for check in names)]

    return {
        "base_url": street.base_url,
        "accounts": [{"id": account.id, "key": account.key, "checks": checks_of(account)} for account in ACCOUNTS],
        "text": TEXT,
        "weather": WEATHER,
        "handoff": HANDOFF,
        "person": PERSON,
        "texts": TEXTS,
        "picture": picture().hex(),
    }


def found(answers: Any, account: Account, check: str) -> Any:
    """What a check has found. Raises Failed with its traceback if it has not run to its end."""
    value = answers[account.id][check]
    if isinstance(value, dict) and "error" in value:
        raise Failed(f"{check} at {account.id}: {value['error']}")
    return value


def cities(account: Account) -> list[str]:
    """Of WEATHER, those that a model of the account asks for in one go."""
    return ["Paris", "Tokyo"] if account.parallel else ["Paris"]


def check_told(text: str, account: Account) -> None:
    """The results of the function are in the last words."""
    assert text.startswith("The tools say: ")
    assert all(f"晴 in {city}" in text for city in cities(account))
