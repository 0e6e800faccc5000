"""What the routes of the admin API work with."""

import logging
from collections.abc import Iterable
from pathlib import Path

from fastapi import HTTPException
from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from gateway.app import App
from gateway.keyring import Ring
from gateway.snapshot import Key, Snapshot, Team
from gateway.store.engine import Store, StoreError

log = logging.getLogger(__name__)


class Body(BaseModel):
    """Of a request: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Wrong(HTTPException):
    """A parameter is not as it should be."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(400, f"{param}: {message}")
        self.param = param


class Desk(Struct, frozen=True):
    app: App
    store: Store
    ring: Ring
    directory: Path | None
    """Of the config's files."""

    @property
    def snapshot(self) -> Snapshot:
        return self.app.serving.snapshot

    def team(self, name: str) -> Team:
        """Raises Wrong where there is none."""
        team = self.snapshot.teams.get(name)
        if team is None:
            raise Wrong("team", f"there is no team {name!r} in the config")
        return team

    def file_keys(self, team: str) -> list[Key]:
        return [key for key in self.snapshot.keys.values() if key.team == team]

    def files_keys(self) -> dict[str, list[Key]]:
        """Those of all files, by team: where there are many teams, to look for each one's takes long."""
        found: dict[str, list[Key]] = {}
        for key in self.snapshot.keys.values():
            found.setdefault(key.team, []).append(key)
        return found

    async def keys_changed(self) -> None:
        """From now on here; elsewhere within seconds."""
        try:
            await self.ring.refresh()
        except StoreError as exc:
            log.warning("keys have changed, which will be known here in a moment: %s", exc)


def listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
