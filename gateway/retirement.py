"""When OpenAI ends a name, and how answers under it say so: RFC 9745 (`Deprecation`), RFC 8594 (`Sunset`)."""

from datetime import UTC, date, datetime
from email.utils import format_datetime
from urllib.parse import quote

from msgspec import Struct

Headers = tuple[tuple[bytes, bytes], ...]


class Retirement(Struct, frozen=True):
    """Of one name. Days begin in UTC."""

    announced: date
    """When OpenAI gave notice."""
    shutdown: date
    """From when OpenAI no longer serves it."""

    def headers(self, name: str) -> Headers:
        """What answers under the name carry. The link is to where this gateway shows what serves the name."""
        link = f'</v1/models/{quote(name, safe="")}>; rel="deprecation"; type="application/json"'
        return (
            (b"deprecation", b"@%d" % midnight(self.announced).timestamp()),
            (b"sunset", format_datetime(midnight(self.shutdown), usegmt=True).encode()),
            (b"link", link.encode()),
        )


def midnight(day: date) -> datetime:
    """The moment at which it begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
