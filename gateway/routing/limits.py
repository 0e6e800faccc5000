"""What accounts may be sent: requests and tokens a minute, and requests at once. Kept here, before the provider has to refuse."""

from collections.abc import Callable, Iterable
from time import monotonic

from msgspec import Struct

from gateway.snapshot import Account
from providers.base import Json, encode

MINUTE = 60.0
BYTES_OF_A_TOKEN = 4
USUAL_ANSWER = 500
"""Tokens that an answer without a limit is reckoned with, until it is known what it has used."""


class Window(Struct):
    """A minute that slides: what is left of the one before counts by its share."""

    since: float = 0.0
    before: float = 0.0
    now: float = 0.0

    def turn(self, moment: float) -> float:
        """The count of the last minute."""
        passed = moment - self.since
        if passed >= MINUTE:
            self.before = self.now if passed < 2 * MINUTE else 0.0
            self.since += MINUTE * (passed // MINUTE)
            self.now = 0.0
        return self.before * (1 - (moment - self.since) / MINUTE) + self.now

    def wait(self, amount: float, most: float, moment: float) -> float:
        """Seconds until `amount` more are within `most`; what is larger than all of it waits for an empty minute."""
        over = self.turn(moment) + min(amount, most) - most
        if over <= 0:
            return 0.0
        left = MINUTE - (moment - self.since)
        if self.before and over <= self.before * left / MINUTE:
            return over / self.before * MINUTE
        return left + max(0.0, (over - self.before * left / MINUTE) / max(self.now, 1.0)) * MINUTE


class Used(Struct):
    requests: Window
    tokens: Window
    running: int = 0


class Held(Struct, frozen=True):
    """What one attempt has taken of an account."""

    account: Account
    tokens: int


class Limits:
    """By account name, outside the snapshot: a reload changes the limits and not what has been used."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._used: dict[str, Used] = {}

    def wait(self, account: Account, body: Json) -> float:
        """Seconds until the account may be sent `body`; 0: now."""
        limits = account.limits
        if limits is None:
            return 0.0
        used, now = self._of(account), self._now()
        if limits.concurrent is not None and used.running >= limits.concurrent:
            return 1.0  # nobody knows when one of them ends
        waits = [0.0]
        if limits.rpm is not None:
            waits.append(used.requests.wait(1, limits.rpm, now))
        if limits.tpm is not None:
            waits.append(used.tokens.wait(reckoned(body), limits.tpm, now))
        return max(waits)

    def take(self, account: Account, body: Json) -> Held | None:
        """Counts one request; what is returned has to be given back. None where nothing is limited."""
        if account.limits is None:
            return None
        used, now = self._of(account), self._now()
        tokens = reckoned(body) if account.limits.tpm is not None else 0
        used.requests.turn(now)
        used.tokens.turn(now)
        used.requests.now += 1
        used.tokens.now += tokens
        used.running += 1
        return Held(account, tokens)

    def give_back(self, held: Iterable[Held], tokens: int) -> None:
        """The attempts are over; together they have used so many tokens."""
        for number, one in enumerate(held):
            used = self._of(one.account)
            used.running -= 1
            used.tokens.turn(self._now())
            used.tokens.now = max(0.0, used.tokens.now - one.tokens + (0 if number else tokens))

    def used(self, account: Account) -> tuple[int, int, int]:
        """Requests and tokens of the last minute, and requests under way; counted where the account has limits."""
        used, now = self._of(account), self._now()
        return round(used.requests.turn(now)), round(used.tokens.turn(now)), used.running

    def _of(self, account: Account) -> Used:
        if (known := self._used.get(account.name)) is None:
            known = self._used[account.name] = Used(Window(self._now()), Window(self._now()))
        return known


def reckoned(body: Json) -> int:
    """Tokens that a request may use, by its size and its limit."""
    answer = body.get("max_completion_tokens") or body.get("max_tokens") or (USUAL_ANSWER if "messages" in body else 0)
    said = body.get("messages") or body.get("input") or ""
    return len(encode(said)) // BYTES_OF_A_TOKEN + int(answer)
