"""A round that takes reports, for tests of what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fault_world import worker_reads

from dishonest import TINY_ANSWERS, TINY_PLAN, exact_totals, publish
from federation import Federation, encode
from grievance.client import Report, seal

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.task import Task

AGAIN = "seal your answers again"


class Collecting:
    """A round that takes reports, and what it must have counted so far."""

    def __init__(self, folder: Path) -> None:
        self.federation = Federation(folder, relays=("nurses", "carers", "aardvark"))
        self.federation.relays = ["nurses", "carers"]
        self.task: Task = self.federation.open_round(TINY_PLAN)
        self.one = encode(self.task, TINY_ANSWERS)[: self.task.layout.num_bits]
        self.counted = 0

    def honest(self) -> Report:
        return seal(self.task, TINY_ANSWERS)

    def hand_in(self, *reports: Report, relay: str = "nurses") -> list[str]:
        """Publish a batch of exactly these rows; the public code of each."""
        publish(self.federation, relay, reports)
        self.federation.sync("north", "south", "north")
        batch = self.federation.chain().batches[-1]
        assert (batch.partner, batch.rows) == (relay, len(reports))
        refused = self.federation.reasons()[batch.seq]
        codes = [refused.get(row, "report.accepted") for row in range(len(reports))]
        self.counted += codes.count("report.accepted")
        assert exact_totals(self.federation) == [bit * self.counted for bit in self.one]
        return codes

    def reads(self, report: Report, code: str, *words: str) -> None:
        """Assert what a worker reads about a refused report."""
        said = worker_reads(self.federation, report)
        assert said.startswith(f"refused ({code}): "), said
        for word in (*words, f"  next: {AGAIN}"):
            assert word in said, (word, said)
