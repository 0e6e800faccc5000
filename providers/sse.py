"""Server-sent events: bytes in pieces of any size in, whole events out. Knows nothing of sockets or of JSON."""

LIMIT = 8 << 20
"""The longest event we hold, in bytes."""


LARGE = 256 << 10
"""Bytes from which on an event's parts are counted."""
MOST_PARTS = 100_000
"""Objects, lists and fields of an event, which take some 40 ms to decode, as those of a request may."""


class EventTooLong(ValueError):
    """One event has grown past LIMIT, or has more than MOST_PARTS."""


MARK = b"\xef\xbb\xbf"
"""The byte order mark, which a stream may begin with."""


class EventReader:
    """Collects the `data:` payloads of a stream. Lines may end in LF, CRLF or CR; comments, ids and event names are passed over."""

    __slots__ = ("_cr", "_held", "_size", "_start")

    def __init__(self) -> None:
        self._held: list[bytes] = []  # pieces of an event that has not ended; joined only when a blank line comes, so that a
        self._size = 0  # long event in many pieces is not copied again for each of them
        self._cr = False  # the last piece ended in a CR: an LF that comes now belongs to it
        self._start: bytes | None = b""  # of the stream, as long as it may be a byte order mark

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that this piece completes. Raises EventTooLong."""
        if self._start is not None:
            data = self._unmarked(self._start + data)
        elif not self._held and not self._cr and is_one(data):
            return [data[6:-2]]
        if self._cr or data.find(b"\r") >= 0:
            data = self._unix_lines(data)
        if not data:
            return []
        if self._held:
            self._size += len(data)
            if self._size > LIMIT:
                raise EventTooLong(f"one event of more than {LIMIT} bytes")
            whole = data.find(b"\n\n") >= 0 or (data.startswith(b"\n") and self._held[-1].endswith(b"\n"))
            self._held.append(data)
            if not whole:
                return []
            data = b"".join(self._held)
        _weigh(data)
        *events, rest = data.split(b"\n\n")
        self._held = [rest] if rest else []
        self._size = len(rest)
        return [payload for event in events if (payload := _payload(event))]

    def end(self) -> list[bytes]:
        """The payload of an event that the body's end completes: some vendors leave out the last blank line. Raises EventTooLong."""
        rest = b"".join(self._held)
        _weigh(rest)
        self._held, self._size = [], 0
        return [payload] if (payload := _payload(rest)) else []

    def _unmarked(self, start: bytes) -> bytes:
        """The stream's beginning without its mark."""
        if len(start) < len(MARK) and MARK.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(MARK)

    def _unix_lines(self, data: bytes) -> bytes:
        """Line ends as LF. A CR ends its line at once, whatever follows: an event is not held until the next one comes."""
        if self._cr and data:
            data = data.removeprefix(b"\n")
            self._cr = False
        if data:
            self._cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _weigh(data: bytes) -> None:
    """Raises EventTooLong. Signs within texts count too: to tell them apart takes longer than it is worth."""
    if len(data) > LARGE and data.count(b"{") + data.count(b"[") + data.count(b'":') > MOST_PARTS:
        raise EventTooLong(f"events of more than {MOST_PARTS} parts at once")


def is_one(data: bytes) -> bool:
    """Whether a piece is one event of one line, as most are. `in` is slow on bytes in CPython 3.11, so nothing here is asked by it."""
    end = len(data) - 2
    return end > 6 and data.startswith(b"data: ") and data.endswith(b"\n\n") and data.find(b"\n") == end and data.find(b"\r") < 0


def _payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and event.find(b"\n") < 0:
        return event[6:]
    lines = event.split(b"\n")
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    if data:
        return b"\n".join(data)
    # Baidu's older API and some proxies put an error between events as bare JSON, others a page of HTML
    return event.strip() if event.lstrip().startswith((b"{", b"<")) else b""
