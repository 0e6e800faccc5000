"""A provider's words without what is nobody's business: secrets, hosts and addresses, what was signed, where its code broke.

Only errors come through here, so it may take its time. Field names, model names, times of day and request ids stay: they are what helps.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "***"
LONGEST_MESSAGE = 2000
LONGEST_READ = 8_000
"""Characters that are looked at; a provider's page of HTML may be a megabyte."""
SHORTEST_SECRET = 6
SHORTEST_PART = 12
"""A half of a secret is only looked for where it is too long to be a word."""

# Letters before and after are asked for as ASCII: Chinese ones are letters too, and stand against a key without a space.
LEFT, RIGHT = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
KEY = r"[A-Za-z0-9_./+=*~-]"
ZONES = (
    "com|cn|net|org|io|ai|hk|sg|tw|jp|us|eu|uk|de|co|cc|me|dev|app|info|cloud|tech|xyz|asia|aws|azure|local|internal|intranet|lan|corp|svc"
)
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
HEX = "[0-9a-f]{1,4}"
PATTERNS = (
    r"(?s:Traceback \(most recent call last\).*)",
    r"(?s:(?:string[ _-]?to[ _-]?sign|canonical[ _-]?(?:request|string|headers|query)).*)",  # what is signed goes on to the end
    r"bce-auth-v1/[!-~]+",
    LEFT + r"[a-z][a-z0-9+.-]{1,15}://[!-~]+",
    LEFT + rf"Bearer\s+{KEY}{{6,}}",
    LEFT + rf"(?:sk|fk|ALTAK|bce-v3)[-_/]{KEY}{{6,}}",
    LEFT + rf"(?:ak|rk|pk|tp|gsk|sess)[-_/](?=[a-z_./+=*~-]*[0-9*]){KEY}{{6,}}",
    LEFT + r"(?:fk|sk|LTAI|AKID|AKIA|AKLT|ALTAK)[A-Za-z0-9]{12,}",
    LEFT + r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}",  # a JSON web token, whole or not
    LEFT + r"[0-9a-f]{32}\.[A-Za-z0-9]{8,}",  # Zhipu's
    LEFT + r"2[45]\.[0-9a-f]{16,}[A-Za-z0-9.-]*",  # Baidu's tokens
    LEFT + r"[0-9a-f]{40,}" + RIGHT,  # digests
    r"(?<![A-Za-z0-9+/])(?=[a-z+/]*[0-9])[A-Za-z0-9+/]{40,}={0,2}",
    LEFT + r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.){1,8}(?:" + ZONES + r")(?![A-Za-z0-9_-])(?::\d{1,5})?(?:/[!-~]*)?",
    LEFT + r"localhost(?::\d{1,5})?(?:/[!-~]*)?" + RIGHT,
    LEFT + r"(?<![0-9.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9.]*[0-9])(?::\d{1,5})?(?:/[!-~]*)?",
    rf"(?<![A-Za-z0-9:])(?:(?:{HEX}:){{7}}{HEX}|(?:{HEX}:){{1,6}}(?::{HEX}){{1,6}}|::{HEX}(?::{HEX}){{0,6}}|(?:{HEX}:){{1,7}}:)(?![A-Za-z0-9:])",
)
SECRETS = re.compile("|".join(PATTERNS), re.I)
NAMED = re.compile(
    LEFT + r"((?:access[_-]?token|refresh[_-]?token|security[_-]?token|session[_-]?(?:key|secret)|api[_-]?key|x-api-key|app[_-]?key"
    r"|(?:client|app|access[_-]?key|secret)[_-]?secret|secret[_-]?(?:access[_-]?)?key|access[_-]?key(?:[_-]?id)?|signature|authorization"
    r"|credential|password|passwd|token|secret|nonce)(?:\\?[\"'`])?\s*[=:]\s*(?:\\?[\"'`])?)(?=[A-Za-z_./+=*~%-]{0,64}[0-9*])[A-Za-z0-9_./+=*~%-]{8,}",
    re.I,
)
"""A value that is told to be a secret: its name stays."""


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """At most LONGEST_MESSAGE printable characters of what a provider said. `secrets`: the account's own, whatever they look like."""
    if len(text) > LONGEST_READ:
        text = text[:LONGEST_READ].rstrip(VISIBLE) + HIDDEN  # half a secret would not look like one
    for secret in secrets:
        for form in _forms(secret):
            text = text.replace(form, HIDDEN)
    text = SECRETS.sub(HIDDEN, NAMED.sub(rf"\1{HIDDEN}", text))
    return _printable(text)[:LONGEST_MESSAGE]


def _forms(secret: str) -> list[str]:
    """A secret as it may be said again: as it is, escaped, or one half of it. The longest first."""
    if len(secret) < SHORTEST_SECRET:
        return []
    halves = [part for part in re.split(r"[./:]", secret) if len(part) >= SHORTEST_PART]
    return sorted({secret, quote(secret, safe=""), *halves}, key=len, reverse=True)


def _printable(text: str) -> str:
    """Control characters, and those that turn the direction of text, become spaces; a line's end stays one."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text).strip()
