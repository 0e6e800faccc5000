"""The schema: what Alembic makes is what the code believes, and only one of many makes it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, update

import gateway.store.migrations
from gateway.store.connect import Location, location_of, make_engine
from gateway.store.engine import Store
from gateway.store.errors import StoreError, StoreNewer
from gateway.store.migrate import REVISIONS, VERSION, migrate, revision_of
from gateway.store.tables import metadata
from tests.store.stores import opened, record

ROOT = Path(__file__).parents[2]


def test_the_revisions_that_the_program_knows_are_those_that_there_are() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(gateway.store.migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    found = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]

    assert tuple(reversed(found)) == REVISIONS


def test_the_migrated_schema_is_that_of_the_tables(url: str) -> None:
    async def main() -> list[object]:
        engine = make_engine(location_of(url))
        assert await migrate(engine)
        assert not await migrate(engine)
        async with engine.connect() as connection:
            found: list[object] = await connection.run_sync(
                lambda inner: compare_metadata(MigrationContext.configure(inner, opts={"compare_type": True}), metadata)
            )
        await engine.dispose()
        return found

    assert asyncio.run(main()) == []


@pytest.mark.parametrize("revision", [*REVISIONS, "base"])
def test_one_can_go_back_to_every_revision_and_forward_again(url: str, revision: str) -> None:
    async def main() -> None:
        engine = make_engine(location_of(url))
        await migrate(engine)
        await migrate(engine, to=revision)
        await migrate(engine)
        async with engine.connect() as connection:
            assert await revision_of(connection) == REVISIONS[-1]
            names = await connection.run_sync(lambda inner: inspect(inner).get_table_names())
        await engine.dispose()
        assert set(metadata.tables) <= set(names)

    asyncio.run(main())


def test_a_database_of_a_newer_version_is_refused_with_words(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store, store.writing() as connection:
            await connection.execute(update(VERSION).values(version_num="9999"))
        store = Store(url, journal)
        with pytest.raises(StoreNewer, match=r"the database has schema 9999, this version of the program knows [0-9]{4} and older: run"):
            await store.open()

        async with make_engine(location_of(url)).connect() as connection:
            assert (await connection.execute(select(VERSION.c.version_num))).scalar() == "9999"
        await connection.engine.dispose()

    asyncio.run(main())


ALONE = """
import asyncio, sys
from gateway.store.connect import location_of, make_engine
from gateway.store.migrate import migrate

async def main():
    engine = make_engine(location_of(sys.argv[1]))
    print(await migrate(engine), "mako" in sys.modules, "pygments" in sys.modules)
    await engine.dispose()

asyncio.run(main())
"""


def test_a_start_that_migrates_does_not_load_what_colours_errors(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ALONE, f"sqlite:///{tmp_path}/usage.db"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "True True False\n"


TOGETHER = """
import asyncio, sys
from gateway.store.connect import location_of, make_engine
from gateway.store.migrate import migrate

async def main():
    import alembic.command, alembic.config
    engine = make_engine(location_of(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    print(await migrate(engine), flush=True)
    await engine.dispose()

asyncio.run(main())
"""


def test_of_three_that_start_together_exactly_one_migrates(url: str) -> None:
    command = [sys.executable, "-c", TOGETHER, url]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    ended = [one.communicate(timeout=40) for one in started]

    assert sorted(said for said, _ in ended) == ["False\n", "False\n", "True\n"], ended


def test_what_is_in_it_survives_another_start(url: str, journal: Path) -> None:
    async def main() -> None:
        async with opened(url, journal) as store:
            assert await store.writer.write(record()) == "database"
        async with opened(url, journal) as store:
            async with store.reading() as connection:
                found = await connection.exec_driver_sql("SELECT count(*) FROM usage")
                assert found.scalar() == 1
            assert 0 <= await store.ping() < 5

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["mysql://a", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?mode=ro", "postgresql://", "a.db", ""]
)
def test_a_url_that_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StoreError, match="expected"):
        location_of(url)


def test_what_is_said_of_a_database_has_no_password() -> None:
    assert str(location_of("postgresql://me:secret@db.example:5433/usage?sslmode=require")) == "postgresql://db.example:5433/usage"
    assert location_of("postgres://a/b") == Location("postgresql", "postgresql://a/b")
    assert str(location_of("sqlite:////var/a%20b.db")) == "sqlite:////var/a b.db"
