"""Server-sent events: bytes in pieces of any size in, whole events out. Knows nothing of sockets or of JSON."""

LIMIT = 16 << 20
"""The longest event we hold, in bytes."""


class EventTooLong(ValueError):
    """One event has grown past LIMIT."""


class EventReader:
    """Collects the `data:` payloads of a stream. Lines may end in LF, CRLF or CR; comments, ids and event names are passed over."""

    __slots__ = ("_held", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []  # pieces of an event that has not ended; joined only when a line end comes, so that a
        self._size = 0  # long event in many pieces is not copied again for each of them

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that this piece completes. Raises EventTooLong."""
        if self._held or b"\r" in data:
            self._held.append(data)
            self._size += len(data)
            if self._size > LIMIT:
                raise EventTooLong(f"one event of more than {LIMIT} bytes")
            if b"\n" not in data and b"\r" not in data:
                return []
            data = b"".join(self._held)
            if b"\r" in data:
                data = _unix_lines(data)
        *events, rest = data.split(b"\n\n")
        self._held = [rest] if rest else []
        self._size = len(rest)
        return [payload for event in events if (payload := _payload(event))]

    def end(self) -> list[bytes]:
        """The payload of an event that the body's end completes: some vendors leave out the last blank line."""
        rest = b"".join(self._held).replace(b"\r", b"\n")
        self._held, self._size = [], 0
        return [payload] if (payload := _payload(rest)) else []


def _unix_lines(data: bytes) -> bytes:
    """Line ends as LF. A CR at the very end stays: it may be half of a CRLF."""
    last = data[-1:] if data.endswith(b"\r") else b""
    return data[: len(data) - len(last)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + last


def _payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = event.split(b"\n")
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    if data:
        return b"\n".join(data)
    # Baidu's older API and some proxies put an error between events as bare JSON
    return event.strip() if event.lstrip().startswith(b"{") else b""
