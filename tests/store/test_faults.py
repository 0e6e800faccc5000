"""Databases that are locked, full, read-only, gone, replaced and stopped: serving goes on, and every record is written once afterwards."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from gateway.store.engine import Store
from gateway.store.errors import StoreLost
from tests.store.postgres import Postgres
from tests.store.stores import Clock, opened, record, records, until, written

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("journal", "memory")
"""The latter if the disk of a busy machine takes longer than the writer's patience."""
END_ALL = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'banjia'"


async def degraded_and_back(store: Store, first: int = 0) -> None:
    """Some records while the database is not there. They are kept elsewhere at once."""
    kept = [await done for done in [store.writer.write(one) for one in records(first + 200)[first:]]]
    assert set(kept) == {"journal"}, store.degraded
    assert store.degraded
    assert store.writer.pending == 200


def test_sqlite_locked_by_another_process_keeps_nobody_waiting(tmp_path: Path, journal: Path) -> None:
    path = tmp_path / "banjia.db"

    async def main() -> None:
        async with opened(f"sqlite:///{path}", journal) as store:
            await store.writer.write(record(prompt_tokens=0))
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            assert await store.writer.write(record(prompt_tokens=1)) == "journal"
            assert "locked" in store.degraded

            loop = asyncio.get_running_loop()
            began = loop.time()
            for number in range(2, 50):
                assert await store.writer.write(record(prompt_tokens=number)) == "journal"
            assert loop.time() - began < 10  # nobody waits for the lock again
            assert (await store.ping()) < 5  # it can be read

            other.execute("COMMIT")
            other.close()
            await until(lambda: not store.degraded)
            assert await written(store) == [*range(50)]

    asyncio.run(main())


def test_postgresql_that_makes_everybody_wait_is_not_waited_for(server: Postgres, journal: Path) -> None:
    async def main() -> None:
        url = server.create()
        async with opened(url, journal, patience=1.0) as store:
            await until(lambda: not store.degraded)
            other = await asyncpg.connect(url)
            lock = other.transaction()
            await lock.start()
            await other.execute("LOCK TABLE usage IN ACCESS EXCLUSIVE MODE")

            loop = asyncio.get_running_loop()
            assert await store.writer.write(record(prompt_tokens=0)) in ELSEWHERE
            began = loop.time()
            for number in range(1, 50):
                assert await store.writer.write(record(prompt_tokens=number)) in ELSEWHERE
            assert loop.time() - began < 10  # nobody waits for the table again

            await lock.rollback()
            await other.close()
            await until(lambda: not store.degraded)
            assert await written(store) == [*range(50)]

    asyncio.run(main())


def test_postgresql_stopped_and_started_again(server: Postgres, journal: Path) -> None:
    async def main() -> None:
        async with opened(server.create(), journal) as store:
            await store.writer.write(record(prompt_tokens=0))
            await asyncio.to_thread(server.stop)
            try:
                kept = [await store.writer.write(one) for one in records(300)[1:]]
            finally:
                await asyncio.to_thread(server.start)
            assert set(kept) == {"journal"}

            loop = asyncio.get_running_loop()
            began = loop.time()
            await until(lambda: not store.degraded)
            assert loop.time() - began < 5
            assert await written(store) == [*range(300)]
            assert await store.writer.write(record()) == "database"

    asyncio.run(main())


def test_a_start_without_postgresql_serves_and_catches_up_with_the_schema_too(server: Postgres, journal: Path) -> None:
    async def main() -> None:
        url = server.create()
        await asyncio.to_thread(server.stop)
        try:
            store = Store(url, journal, now=Clock())
            await store.open()
            assert store.degraded
            await degraded_and_back(store)
        finally:
            await asyncio.to_thread(server.start)
        await until(lambda: not store.degraded)
        assert await written(store) == [*range(200)]
        await store.close()

    asyncio.run(main())


def test_connections_that_postgresql_ends_are_made_again(server: Postgres, journal: Path) -> None:
    async def main() -> None:
        async with opened(server.create(), journal) as store:
            for round_ in range(3):
                await store.writer.write(record(prompt_tokens=2 * round_))
                await store.ping()
                await asyncio.to_thread(
                    server.query,
                    "postgres",
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'banjia'",
                )
                await store.writer.write(record(prompt_tokens=2 * round_ + 1))
                await until(lambda: not store.degraded)
                assert await store.ping() < 5
            assert await written(store) == [*range(6)]

    asyncio.run(main())


def test_a_file_of_sqlite_that_is_moved_away_is_noticed(tmp_path: Path, journal: Path) -> None:
    path = tmp_path / "banjia.db"

    async def main() -> None:
        async with opened(f"sqlite:///{path}", journal) as store:
            await store.writer.write(record(prompt_tokens=0))
            for end in ("", "-wal", "-shm"):
                os.rename(f"{path}{end}", tmp_path / f"old.db{end}")

            assert await store.writer.write(record(prompt_tokens=1)) == "journal"

            await until(lambda: not store.degraded)
            assert await written(store) == [1]
            assert await store.writer.write(record(prompt_tokens=2)) == "database"

    asyncio.run(main())
    assert sqlite3.connect(tmp_path / "old.db").execute("SELECT prompt_tokens FROM usage").fetchall() == [(0,)]


def test_a_folder_that_is_missing_is_made_and_one_that_cannot_be_is_waited_for(tmp_path: Path, journal: Path) -> None:
    (tmp_path / "in the way").write_text("")

    async def main() -> None:
        async with opened(f"sqlite:///{tmp_path}/var/lib/banjia.db", journal) as store:
            assert await store.writer.write(record()) == "database"
        async with opened(f"sqlite:///{tmp_path}/in the way/banjia.db", journal) as store:
            await degraded_and_back(store)
            (tmp_path / "in the way").unlink()
            await until(lambda: not store.degraded)
            assert await written(store) == [*range(200)]

    asyncio.run(main())


FULL = """
import asyncio, json, resource, sys
from pathlib import Path
from tests.store.stores import opened, record, records, until, written

async def main():
    folder = Path(sys.argv[1])
    async with opened(f"sqlite:///{folder}/banjia.db", folder / "pending") as store:
        await store.writer.write(record(prompt_tokens=0))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, hard))
        kept = [await store.writer.write(one) for one in records(3000)[1:]]
        why = store.degraded
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await until(lambda: not store.degraded)
        print(json.dumps([kept, why, await written(store), store.writer.lost]))

asyncio.run(main())
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Files of this process may not grow over 250 kB for a while: first the database stops taking records, then the journal does."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True)

    kept, why, found, lost = json.loads(done.stdout)
    places = [place for number, place in enumerate(kept) if number == 0 or kept[number - 1] != place]
    assert places == ["database", "journal", "memory"]
    assert why
    assert found == [*range(3000)]
    assert lost == 0
    assert sqlite3.connect(tmp_path / "banjia.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


READ_ONLY = """
import asyncio, json, os, sys
from pathlib import Path
from tests.store.stores import opened, record, records, until, written

async def main():
    folder = Path(sys.argv[1])
    url, path = f"sqlite:///{folder}/db/banjia.db", folder / "db" / "banjia.db"
    (folder / "db").mkdir()
    (folder / "pending").mkdir(mode=0o777)
    (folder / "pending").chmod(0o777)
    async with opened(url, folder / "pending") as store:
        await store.writer.write(record(prompt_tokens=0))
    root = os.geteuid() == 0
    path.chmod(0o444)
    path.parent.chmod(0o555)
    if root:
        os.seteuid(65534)
    async with opened(url, folder / "pending") as store:
        kept = [await store.writer.write(one) for one in records(100)[1:]]
        why = store.degraded
        if root:
            os.seteuid(0)
        path.parent.chmod(0o755)
        path.chmod(0o644)
        await until(lambda: not store.degraded)
        print(json.dumps([kept, why, await written(store)]))

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="needs users and modes of files")
def test_a_read_only_database_loses_nothing() -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
        )
    finally:
        shutil.rmtree(folder)

    assert done.returncode == 0, done.stderr
    kept, why, found = json.loads(done.stdout)
    assert set(kept) == {"journal"}
    assert "readonly" in why or "read-only" in why or "unable to open" in why
    assert found == [*range(100)]


def test_without_the_database_a_reader_is_told_so(server: Postgres, journal: Path) -> None:
    async def main() -> None:
        async with opened(server.create(), journal) as store:
            await asyncio.to_thread(server.stop)
            try:
                with pytest.raises(StoreLost):
                    await store.ping()
            finally:
                await asyncio.to_thread(server.start)
            assert await store.ping() < 5

    asyncio.run(main())
