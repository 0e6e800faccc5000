"""Bytes in a bucket of S3, or of what speaks like it: MinIO, Ceph, OSS, BOS, COS. The library is loaded with the first of them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from gateway.blobs.base import PIECE, Blob, BlobsLost, Missing, checked

if TYPE_CHECKING:
    from obstore.store import S3Store

PART = 8 << 20
"""Bytes of a part: what is smaller is sent at once. 10,000 parts make a file of 80 GiB."""
AT_ONCE = 2
RETRIES = 4


class S3Blobs:
    """Blobs in a bucket, under a prefix."""

    def __init__(self, bucket: str, prefix: str, *, endpoint: str = "", region: str = "", key_id: str = "", secret: str = "") -> None:
        """Without `key_id` and `secret` those of the environment count: AWS_ACCESS_KEY_ID and so on."""
        self._make: Callable[[], S3Store] = lambda: _store(bucket, prefix, endpoint, region, key_id, secret)
        self._made: S3Store | None = None

    @property
    def _store(self) -> "S3Store":
        if self._made is None:
            self._made = self._make()
        return self._made

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        checked(name)
        size, failure = 0, None
        first = bytearray()
        async for piece in pieces:
            first += piece
            if len(first) >= PART:
                break
        else:
            with _told():
                await self._store.put_async(name, bytes(first))
            return len(first)

        async def all() -> AsyncIterator[bytes]:
            nonlocal size, failure
            size = len(first)
            yield bytes(first)
            first.clear()
            try:
                async for piece in pieces:
                    size += len(piece)
                    yield piece
            except BaseException as error:
                failure = error  # the library makes an error of its own of it
                raise

        try:
            with _told():
                await self._store.put_async(name, all(), chunk_size=PART, max_concurrency=AT_ONCE)
        except Exception:
            if failure is not None:
                raise failure from None
            raise
        return size

    async def get(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        checked(name)
        if end is not None and end <= start:
            return
        with _told():
            if not start and end is None:
                found = await self._store.get_async(name)
            else:
                found = await self._store.get_async(name, options={"range": (start, end) if end is not None else {"offset": start}})
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)

    async def delete(self, name: str) -> None:
        with _told():
            try:
                await self._store.delete_async(checked(name))
            except FileNotFoundError:
                return

    async def all(self) -> AsyncIterator[Blob]:
        with _told():
            async for some in self._store.list():
                for one in some:
                    yield Blob(one["path"], one["size"], one["last_modified"].timestamp())


def s3_of(url: str, key_id: str = "", secret: str = "") -> S3Blobs:
    """`s3://BUCKET/PREFIX?endpoint=…&region=…`"""
    parts = urlsplit(url)
    told = dict(parse_qsl(parts.query))
    return S3Blobs(
        parts.netloc, parts.path.strip("/"), endpoint=told.get("endpoint", ""), region=told.get("region", ""), key_id=key_id, secret=secret
    )


def _store(bucket: str, prefix: str, endpoint: str, region: str, key_id: str, secret: str) -> "S3Store":
    from obstore.store import S3Store

    config: dict[str, str] = {"region": region or "us-east-1"}
    if endpoint:
        config["endpoint"] = endpoint
    if key_id:
        config |= {"access_key_id": key_id, "secret_access_key": secret}
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options={"allow_http": endpoint.startswith("http://"), "connect_timeout": "5s", "timeout": "60s"},
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=30)},
    )


@contextmanager
def _told() -> Iterator[None]:
    """What the library raises in our words."""
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise Missing(str(error)) from error
    except BaseError as error:
        raise BlobsLost(f"files: {error}") from error
