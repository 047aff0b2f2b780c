"""Organisations around one pool, one of which backs its keys up with the others."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from grievance import backup
from grievance.home import Home
from grievance.pool.layout import BackupPaths
from grievance.pool.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.backup.sets import BackupSet

TODAY = date(2026, 10, 1)
TRUSTEES = ("anna", "bert", "cleo")


class World:
    """`owner` and its trustees; every home lies beside the pool."""

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        self.folder = folder
        (folder / "pool").mkdir(parents=True)
        self.pool = folder / "pool"
        self.homes = {
            name: Home.create(folder / name, name, name.title(), str(self.pool), phrase)
            for name, phrase in (("owner", passphrase), *((name, None) for name in TRUSTEES))
        }
        for name in TRUSTEES:
            self.owner.trust(self.homes[name].identity)

    @property
    def owner(self) -> Home:
        return self.homes["owner"]

    @property
    def store(self) -> Store:
        return open_store(self.pool)

    @property
    def paths(self) -> BackupPaths:
        return BackupPaths("owner")

    def make(self, threshold: int = 2, trustees: Sequence[str] = TRUSTEES) -> BackupSet:
        return backup.make(
            self.owner, [self.homes[name].identity for name in trustees], threshold, TODAY
        )

    def answer(self, *names: str, owner: str = "owner", fingerprint: str | None = None) -> None:
        """Let trustees answer the request that is open, with the right fingerprint."""
        for name in names:
            plea = backup.find_plea(self.homes[name], owner)
            backup.answer(self.homes[name], plea, fingerprint or plea.request.request_id)

    def rehearse(self, *names: str) -> backup.Rehearsal:
        """Rehearse with these trustees, to the end."""
        backup.rehearse(self.owner, TODAY)
        self.answer(*names)
        return backup.rehearse(self.owner, TODAY)

    def ask(self, folder: str = "new", passphrase: str | None = None) -> backup.Restore:
        return backup.ask(self.store, "owner", self.folder / folder, passphrase=passphrase)

    def finish(self, asked: backup.Restore, folder: str = "new") -> backup.Restored:
        return backup.finish(self.store, asked, self.folder / folder)

    def restore(self, *names: str) -> backup.Restored:
        """Restore with these trustees, to the end."""
        self.ask()
        self.answer(*names)
        return self.finish(self.ask())

    def file(self, path: str) -> Path:
        return self.pool / path

    def backup_files(self) -> list[Path]:
        return sorted(path for path in self.file("backups").rglob("*") if path.is_file())
