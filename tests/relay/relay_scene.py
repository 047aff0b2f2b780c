"""A signed round around a pool, and relays that pass reports on in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dishonest import TINY_ANSWERS
from federation import Federation
from grievance.aggregator import Office
from grievance.client import seal, write_report
from grievance.pool.batch import BatchFile, max_batch_size
from grievance.pool.order import read_chain
from grievance.relay import Look, Passed, Rule, look, pass_on, read_files, recall

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.client import Report


class Scene(Federation):
    """A federation with a round of the small plan, and what a relay does in it."""

    def inbox(self, number: int, name: str = "inbox") -> Path:
        """A folder with so many more files of reports in it."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for _ in range(number):
            report = seal(self.task, TINY_ANSWERS)
            write_report(folder / f"{report.digest.hex()[:16]}.report", report)
        return folder

    def seal_here(self, number: int) -> list[Report]:
        return [seal(self.task, TINY_ANSWERS) for _ in range(number)]

    def pass_on(self, *files: Path, name: str = "nurses", lost: bool = False) -> Passed:
        """What `grievance relay FILES` does, without words."""
        task = self.task
        with Office.open(self.homes[name]) as office:
            memory = recall(office, task, self.chain(), datetime.now(UTC), lost=lost)
            office.publish()
            taken, _ = read_files(files, task, memory.path_of)
            return pass_on(office, task, taken)

    def look(
        self,
        spool: Path,
        rule: Rule | None = None,
        now: datetime | None = None,
        *,
        name: str = "nurses",
        keep_days: int = 90,
        lost: bool = False,
    ) -> Look:
        """What one `grievance relay --spool SPOOL` does, at a moment of the test's choice."""
        home = self.homes[name]
        with Office.open(home) as office:
            return look(
                office,
                self.task,
                read_chain(home.store, self.task),
                spool,
                rule or Rule(),
                now or datetime.now(UTC),
                keep_days=keep_days,
                lost=lost,
            )

    def batches(self, name: str = "nurses") -> dict[str, bytes]:
        """All batches of a relay in the pool, by path."""
        folder = self.file(self.paths.batches)
        found = sorted(folder.glob(f"{name}-*")) if folder.is_dir() else []
        return {f"{self.paths.batches}/{path.name}": path.read_bytes() for path in found}

    def rows(self, data: bytes) -> list[bytes]:
        """The digests of a batch's reports: what everybody who reads the pool sees of them."""
        assert len(data) <= max_batch_size(self.task)
        return list(BatchFile(data, self.task).digests())

    def lose_memory(self, name: str = "nurses") -> None:
        for path in self.homes[name].root.glob("state.sqlite*"):
            path.unlink()
