"""Files and uploads as OpenAI's SDK uses them."""

import hashlib
import os
import resource
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from gateway.accounting.books import Books
from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import FileStore
from gateway.state.memory import Memory
from gateway.store.engine import Store
from gateway.store.ledger import StoreLedger
from gateway.store.objects import StoredObjects
from providers.base import Json
from tests.conftest import NO_TLS, TEAM, Served

CONFIG: Json = {"providers": {"one": {"vendor": "openai_compatible", "jurisdiction": "cn-mainland", "base_url": "http://127.0.0.1:9/v1"}}}
OTHER: Json = {**TEAM, "team": "blue", "keys": [{"name": "main", "key": "sk-of-the-blue-team"}]}


@pytest.fixture
def serve(gateway: Callable[..., Served], tmp_path: Path) -> Callable[..., Served]:
    """A gateway that keeps files; keywords go to FileStore."""

    def start(**limits: Any) -> Served:
        store = Store(f"sqlite:///{tmp_path}/b.db", tmp_path / "pending")
        files = FileStore(LocalBlobs(tmp_path / "files"), **{"spool": f"{tmp_path}/files", **limits})
        books = Books(Memory(), StoreLedger(store))
        return gateway(CONFIG, TEAM, OTHER, objects=StoredObjects(store), books=books, beside=(store,), files=files)

    return start


@pytest.fixture
def sdk() -> Iterator[Callable[..., OpenAI]]:
    made: list[OpenAI] = []

    def client(served: Served, key: str = "") -> OpenAI:
        http = httpx2.Client(trust_env=False, verify=NO_TLS)
        made.append(OpenAI(api_key=key or served.key, base_url=f"{served.url}/v1", max_retries=0, http_client=http))
        return made[-1]

    yield client
    for one in made:
        one.close()


def test_a_file_is_kept_told_listed_read_and_deleted(serve: Any, sdk: Any, tmp_path: Path) -> None:
    client: OpenAI = sdk(serve())
    data = bytes(range(256)) * 10_000

    made = client.files.create(file=("Größe 中.bin", data), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600})

    assert (made.filename, made.bytes, made.purpose, made.status) == ("Größe 中.bin", len(data), "user_data", "processed")
    assert made.expires_at == made.created_at + 3600
    assert client.files.wait_for_processing(made.id) == made == client.files.retrieve(made.id)
    answer = client.files.content(made.id)
    assert answer.content == data
    assert answer.response.headers["content-disposition"].endswith("Gr%C3%B6%C3%9Fe%20%E4%B8%AD.bin")
    assert [file.id for file in client.files.list()] == [made.id]
    assert client.files.delete(made.id).deleted
    with pytest.raises(NotFoundError):
        client.files.content(made.id)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_files_of_other_teams_are_not_there(serve: Any, sdk: Any) -> None:
    served = serve()
    mine, others = sdk(served), sdk(served, "sk-of-the-blue-team")
    made = mine.files.create(file=b"mine", purpose="assistants")

    for ask in (others.files.retrieve, others.files.content, others.files.delete):
        with pytest.raises(NotFoundError) as caught:
            ask(made.id)
        assert f"No file found with id '{made.id}'." in str(caught.value)
    assert list(others.files.list()) == []
    assert mine.files.content(made.id).content == b"mine"


def test_lists_are_paged_ordered_and_narrowed(serve: Any, sdk: Any) -> None:
    client: OpenAI = sdk(serve())
    ids = [client.files.create(file=("a.jsonl", b"{}"), purpose=purpose).id for purpose in ("batch", "vision", "batch", "evals")]

    assert [file.id for file in client.files.list(limit=3)] == ids[::-1]  # the SDK asks for the next page by itself
    assert [file.id for file in client.files.list(order="asc").data] == ids
    assert [file.id for file in client.files.list(purpose="batch")] == [ids[2], ids[0]]
    page = client.files.list(limit=2, order="asc", after=ids[0])
    assert ([file.id for file in page.data], page.has_more) == (ids[1:3], True)


def test_files_of_batches_expire_after_30_days(serve: Any, sdk: Any) -> None:
    made = sdk(serve()).files.create(file=("a.jsonl", b"{}"), purpose="batch")

    assert made.expires_at == made.created_at + 30 * 86_400


@pytest.mark.parametrize(
    ("fields", "file", "param", "words"),
    [
        ({}, ("a", b"x"), "purpose", "'purpose' is a required property"),
        ({"purpose": "fun"}, ("a", b"x"), "purpose", "'fun' is not one of ['assistants', 'batch', 'fine-tune'"),
        ({"purpose": "batch"}, ("a.txt", b"x"), "file", "Invalid file format for Batch API. Must be .jsonl"),
        ({"purpose": "evals"}, ("a", b""), "file", "The file is empty."),
        ({"purpose": "evals"}, None, "file", "Expected one file as 'file': it is missing."),
        ({"purpose": "evals", "file": "text"}, None, "file", "it came as a text: give it a filename"),
        ({"purpose": "evals", "expires_after[seconds]": "5000"}, ("a", b"x"), "expires_after.anchor", "has to be 'created_at'"),
        (
            {"purpose": "evals", "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"},
            ("a", b"x"),
            "expires_after.seconds",
            "from 3600 to 2592000",
        ),
    ],
)
def test_what_is_no_file_is_refused_by_name(serve: Any, fields: Json, file: Any, param: str, words: str) -> None:
    files = {"file": file} if file else {"other": ("b", b"")}

    answer = serve().client.post("/v1/files", data=fields, files=files)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert words in error["message"]


def test_too_large_and_too_many_files_are_refused(serve: Any, sdk: Any) -> None:
    client = sdk(serve(max_file=1000, max_files=1))

    for size in (1001, 200_000):
        with pytest.raises(Exception, match="413"):
            client.files.create(file=b"x" * size, purpose="evals")
    client.files.create(file=b"x" * 1000, purpose="evals")
    with pytest.raises(BadRequestError, match="delete some"):
        client.files.create(file=b"x", purpose="evals")


def test_a_large_file_is_held_on_disk_and_not_in_memory(serve: Any, sdk: Any) -> None:
    client = sdk(serve())
    size = 100 << 20

    class Zeros:
        """A file that nobody has to hold."""

        name = "zeros"

        def __init__(self) -> None:
            self.left = size

        def read(self, most: int = -1) -> bytes:
            some = min(self.left, most if most >= 0 else self.left)
            self.left -= some
            return bytes(some)

        def fileno(self) -> int:
            raise OSError

        def seek(self, offset: int, whence: int = 0) -> int:
            self.left = 0 if whence == os.SEEK_END else size - offset
            return size - self.left

        def tell(self) -> int:
            return size - self.left

        def __iter__(self) -> Any:
            return iter(lambda: self.read(1 << 16), b"")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    http = client._client
    answer = http.post(
        f"{client.base_url}files",
        headers={"authorization": f"Bearer {client.api_key}"},
        data={"purpose": "user_data"},
        files={"file": ("zeros", Zeros())},
        timeout=60,
    )
    made = answer.json()
    got = 0
    with client.files.with_streaming_response.content(made["id"]) as answer:
        for piece in answer.iter_bytes(1 << 20):
            got += len(piece)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert made["bytes"] == got == size
    assert grown < 30_000  # KiB, of client and gateway together


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_download_says_how_long_it_is(serve: Any, sdk: Any, size: int) -> None:
    served = serve()
    data = os.urandom(size)
    id = sdk(served).files.create(file=("a.bin", data), purpose="user_data").id

    for _ in range(2):  # over one connection
        answer = served.client.get(f"/v1/files/{id}/content")
        assert (answer.headers["content-length"], answer.content == data) == (str(size), True)
        assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize("left", [1_500_000, 5_000_000], ids=["shorter", "longer"])
def test_a_download_that_is_not_as_long_as_it_should_be_breaks_off(serve: Any, sdk: Any, tmp_path: Path, left: int) -> None:
    served = serve()
    id = sdk(served).files.create(file=("a.bin", bytes(3_000_000)), purpose="user_data").id
    [path] = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    os.truncate(path, left)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        served.client.get(f"/v1/files/{id}/content")

    assert served.client.get("/v1/files").status_code == 200


def test_an_upload_in_parts_becomes_a_file(serve: Any, sdk: Any) -> None:
    client: OpenAI = sdk(serve())
    data = os.urandom(200_000)

    done = client.uploads.upload_file_chunked(
        file=data, filename="a.jsonl", bytes=len(data), mime_type="text/jsonl", purpose="batch", part_size=70_000,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
    )  # fmt: skip

    assert done.status == "completed"
    assert done.file is not None
    assert client.files.content(done.file.id).content == data
    assert client.files.retrieve(done.file.id).filename == "a.jsonl"
    with pytest.raises(BadRequestError, match="not pending any more: it is completed"):
        client.uploads.cancel(done.id)


def test_an_upload_is_checked_when_it_is_completed(serve: Any, sdk: Any, tmp_path: Path) -> None:
    client: OpenAI = sdk(serve())
    upload = client.uploads.create(bytes=6, filename="a", mime_type="text/plain", purpose="evals")
    parts = [client.uploads.parts.create(upload.id, data=BytesIO(some)).id for some in (b"abc", b"def", b"again")]

    for ids, more, words in (
        (["part_none"], {}, "is not a part of this upload"),
        (parts, {}, "have 11 bytes together, but the upload was announced with 6"),
        (parts[:1] * 2, {}, "stands there twice"),
        ([], {}, "expected a list"),
        (parts[:2], {"md5": "0" * 32}, "MD5"),
    ):
        with pytest.raises(BadRequestError, match=words):
            client.uploads.complete(upload.id, part_ids=ids, **more)  # type: ignore[arg-type]
    first = client.uploads.complete(upload.id, part_ids=parts[1::-1])
    again = client.uploads.complete(upload.id, part_ids=parts[1::-1])

    assert first == again
    assert first.file is not None
    assert client.files.content(first.file.id).content == b"defabc"
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


def test_a_cancelled_upload_leaves_nothing_and_takes_no_parts(serve: Any, sdk: Any, tmp_path: Path) -> None:
    client: OpenAI = sdk(serve())
    upload = client.uploads.create(bytes=6, filename="a", mime_type="text/plain", purpose="evals")
    client.uploads.parts.create(upload.id, data=b"abc")

    assert client.uploads.cancel(upload.id).status == "cancelled"

    with pytest.raises(BadRequestError, match="it is cancelled"):
        client.uploads.parts.create(upload.id, data=b"abc")
    with pytest.raises(NotFoundError):
        client.uploads.parts.create("upload_none", data=b"abc")
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
