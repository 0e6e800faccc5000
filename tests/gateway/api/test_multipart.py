"""Forms as bytes: whatever they are cut into, and whatever is wrong with them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.api import multipart
from gateway.api.multipart import HELD, PARTS, TEXT, Form, form
from gateway.api.wire import Refusal
from tests.conftest import Background

PLAIN = (
    b"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
    b"--b\r\nContent-Disposition: form-data; name=\"list[]\"\r\n\r\none\r\n"
    b"--b\r\nContent-Disposition: form-data; name=\"list[]\"\r\n\r\ntwo\r\n"
    b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\xe4\xb8\xad.bin\"\r\nContent-Type: text/x\r\n\r\nab\r\n--c\r\n-\r\n"
    b"--b--\r\nignored too"
)  # fmt: skip


class Given:
    """What a form reads of an exchange."""

    def __init__(self, *pieces: bytes, kind: bytes = b"multipart/form-data; boundary=b") -> None:
        self.headers = {b"content-type": kind}
        self.size = 0
        self._pieces = pieces

    async def pieces(self, most: int) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@pytest.fixture
def read(background: Background, tmp_path: Path) -> Callable[..., Form]:
    def whole(*pieces: bytes, **more: Any) -> Form:
        given: Any = Given(*pieces, **more)
        return background.run(form(given, 1 << 30, folder=str(tmp_path / "spool")))

    return whole


def part(head: str, data: bytes = b"x") -> bytes:
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


FILE = 'Content-Disposition: form-data; name="file"; filename="a"'


@pytest.mark.parametrize("cut", range(len(PLAIN)))
def test_a_form_may_be_cut_anywhere(read: Callable[..., Form], background: Background, cut: int) -> None:
    with read(PLAIN[:cut], PLAIN[cut : cut + 2], PLAIN[cut + 2 :]) as given:
        file = given.file()

        assert given.fields == {"purpose": ["batch"], "list[]": ["one", "two"]}
        assert (file.name, file.type, file.size) == ("中.bin", "text/x", 10)
        assert background.run(file.read()) == b"ab\r\n--c\r\n-"


def test_large_files_wait_on_disk_without_a_name(read: Callable[..., Form], background: Background, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    body = part(FILE, data) + b"--b--"

    with read(*(body[at : at + 65_000] for at in range(0, len(body), 65_000))) as given:
        file = given.file()

        assert file.size == len(data) > HELD
        assert len(file._held) == 0
        assert background.run(file.read()) == data
        assert list((tmp_path / "spool").iterdir()) == []


def test_a_name_may_be_said_as_requests_does(read: Callable[..., Form]) -> None:
    head = "Content-Disposition: form-data; name=\"file\"; filename*=utf-8''%E4%B8%AD.txt"

    assert read(part(head) + b"--b--").file().name == "中.txt"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "ends before its last boundary"),
        (PLAIN[:-20], "ends before its last boundary"),
        (part("Content-Type: text/plain") + b"--b--", "its part 1 has no name"),
        (part("Content-Disposition: attachment; name=x") + b"--b--", "its part 1 has no name"),
        (part(f"{FILE}\r\nContent-Transfer-Encoding: base64") + b"--b--", "its part 1 is encoded"),
        (part('Content-Disposition: form-data; name="x"', b"\xff") + b"--b--", "'x' is not UTF-8"),
        (part('Content-Disposition: form-data; name="x"') * (PARTS + 1) + b"--b--", f"more than {PARTS} parts"),
        (part('Content-Disposition: form-data; name="x"', bytes(TEXT + 1)) + b"--b--", f"more than {TEXT} bytes"),
        (part("Content-Disposition: form-data; name=" + "x" * 2000) + b"--b--", "a name has more than 1000 bytes"),
        (part("X: " + "x" * 5000) + b"--b--", "Header size"),
        (part("\r\n".join(f"X-{number}: 1" for number in range(20))) + b"--b--", "header"),
        (b"--b\rx", "LF"),
    ],
)
def test_what_is_no_form_is_refused(read: Callable[..., Form], body: bytes, words: str) -> None:
    with pytest.raises(Refusal, match="not a multipart form that can be read") as caught:
        read(body)

    assert caught.value.status == 400
    assert words.lower() in str(caught.value).lower()


@pytest.mark.parametrize(
    ("kind", "status"),
    [(b"", 415), (b"application/json", 415), (b"multipart/form-data", 400), (b"multipart/form-data; boundary=" + b"x" * 300, 400)],
)
def test_only_forms_with_a_boundary_are_read(read: Callable[..., Form], kind: bytes, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        read(PLAIN, kind=kind)

    assert caught.value.status == status


def test_one_file_is_one(read: Callable[..., Form]) -> None:
    given = read(part(FILE) * 2 + b"--b--")

    with pytest.raises(Refusal, match="Expected one file as 'file': there are 2"):
        given.file()
    assert len(given.files["file"]) == 2
    assert given.field("nothing") is None


def test_a_disk_that_is_full_is_told(read: Callable[..., Form], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").write_text("not a folder")
    monkeypatch.setattr(multipart, "HELD", 10)

    with pytest.raises(Refusal, match="This is for the gateway's operator to mend") as caught:
        read(part(FILE, bytes(100)) + b"--b--")

    assert caught.value.status == 507
