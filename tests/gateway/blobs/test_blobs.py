"""What holds wherever bytes are kept: a folder, and S3 as moto serves it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.blobs.base import Blob, Blobs, BlobsLost, Missing
from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import blobs_of
from gateway.blobs.s3 import PART, s3_of
from gateway.settings import Files
from tests.conftest import PATIENCE
from tests.journeys.judges import CLIENTS
from tests.journeys.processes import ROOT, Failed, environment

SCRIPT = CLIENTS / "moto.py"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a server that speaks S3."""
    folder = ROOT / ".judges" / "moto"
    if not (folder / ".installed").exists():
        raise Failed("the judge moto is not installed: run `make .judges/moto/.installed`, or `make test`, which installs all")
    there = environment(PYTHONPATH=str(folder), NO_PROXY="127.0.0.1")
    with subprocess.Popen(
        [sys.executable, "-S", "-P", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=there
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.communicate(timeout=PATIENCE)


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return LocalBlobs(tmp_path / "files")
    url = request.getfixturevalue("bucket")
    return blobs_of(Files(url=f"s3://bucket/{tmp_path.name}?endpoint={url}&region=cn-north-1", key_id="id", secret="secret"))


async def pieces(*given: bytes, failing: Exception | None = None) -> AsyncIterator[bytes]:
    for one in given:
        yield one
    if failing is not None:
        raise failing


async def read(blobs: Blobs, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in blobs.get(name, start, end)])


async def names(blobs: Blobs) -> list[Blob]:
    return sorted([blob async for blob in blobs.all()])


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_what_is_put_is_read_in_whole_and_in_part_and_deleted(blobs: Blobs) -> None:
    async def go() -> None:
        assert await blobs.put("red/file-1", pieces(b"hello ", b"", b"world")) == 11
        assert await blobs.put("red/file-2", pieces()) == 0
        assert await read(blobs, "red/file-1") == b"hello world"
        assert await read(blobs, "red/file-1", 6) == b"world"
        assert await read(blobs, "red/file-1", 2, 4) == b"ll"
        assert await read(blobs, "red/file-1", 3, 3) == b""
        assert await read(blobs, "red/file-2") == b""
        await blobs.put("red/file-1", pieces(b"other"))
        assert await read(blobs, "red/file-1") == b"other"
        assert [(blob.name, blob.size) for blob in await names(blobs)] == [("red/file-1", 5), ("red/file-2", 0)]
        assert all(abs(blob.time - time.time()) < 60 for blob in await names(blobs))
        await blobs.delete("red/file-1")
        await blobs.delete("red/file-1")
        with pytest.raises(Missing):
            await read(blobs, "red/file-1")

    run(go())


def test_large_ones_come_and_go_in_pieces(blobs: Blobs) -> None:
    data = os.urandom(2 * PART + 12_345)

    async def go() -> None:
        assert await blobs.put("red/large", pieces(*(data[at : at + 100_000] for at in range(0, len(data), 100_000)))) == len(data)
        got = [piece async for piece in blobs.get("red/large")]
        assert b"".join(got) == data
        assert max(map(len, got)) <= 3 << 20

    run(go())


@pytest.mark.parametrize("size", [10, 9 << 20])
def test_what_breaks_off_is_not_there(blobs: Blobs, size: int) -> None:
    async def go() -> None:
        with pytest.raises(ZeroDivisionError):
            await blobs.put("red/half", pieces(bytes(size), bytes(size), failing=ZeroDivisionError()))
        assert await names(blobs) == []
        with pytest.raises(Missing):
            await read(blobs, "red/half")

    run(go())


@pytest.mark.parametrize("name", ["../x", "red/../../x", "red", "red/.hidden", "/etc/passwd", "red/a/b", "red/a\0", "red/", "red/a\n", ""])
def test_no_name_leads_elsewhere(blobs: Blobs, name: str) -> None:
    async def ask(what: Callable[[], Any]) -> None:
        with pytest.raises(ValueError, match="not the name of a blob"):
            await what()

    async def go() -> None:
        await ask(lambda: blobs.put(name, pieces(b"x")))
        await ask(lambda: read(blobs, name))
        await ask(lambda: blobs.delete(name))

    run(go())


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lost = s3_of("s3://bucket?endpoint=http://127.0.0.1:9", "id", "secret")

    async def go() -> None:
        with pytest.raises(BlobsLost):
            await LocalBlobs(tmp_path / "file").put("red/x", pieces(b"x"))
        with pytest.raises(BlobsLost):
            await lost.delete("red/x")

    run(go())


def test_files_are_for_their_owner_alone_and_unfinished_ones_are_removed_in_the_end(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)

    async def go() -> None:
        await blobs.put("red/file-1", pieces(b"x"))
        old, new = tmp_path / "red" / ".part-old", tmp_path / "red" / ".part-new"
        for path in (old, new):
            path.write_text("")
        os.utime(old, (0, 0))
        assert [blob.name for blob in await names(blobs)] == ["red/file-1"]
        assert (old.exists(), new.exists()) == (False, True)

    run(go())
    assert (tmp_path / "red" / "file-1").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["files", "file://host/x", "file:///", "s3://", "s3://bucket?key=x", "http://x/y"])
def test_a_place_is_a_folder_or_a_bucket(url: str) -> None:
    with pytest.raises(ValueError, match="expected file:///FOLDER or s3://BUCKET"):
        Files(url=url)
