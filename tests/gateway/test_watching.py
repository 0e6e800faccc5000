"""Which changes of the config's folder are worth reading it again."""

import pytest
from watchfiles import Change

from gateway.server import is_config


@pytest.mark.parametrize(
    "name", ["gateway.yaml", "teams/red.yml", "teams", "catalog/models", "..data", "..2026_11_23_10_00_00.123", "..data_tmp"]
)
def test_config_and_the_links_that_it_is_swapped_by_are(name: str) -> None:
    assert is_config(Change.modified, f"/etc/banjia/{name}")


@pytest.mark.parametrize("name", ["usage.db", "usage.db-wal", "usage.db-shm", "usage.db.pending/usage-1.journal", ".gateway.yaml.swp"])
def test_a_database_in_the_same_folder_is_not(name: str) -> None:
    assert not is_config(Change.modified, f"/etc/banjia/{name}")
