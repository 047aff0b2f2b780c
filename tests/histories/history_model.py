"""What a history of a coalition must come to, computed as naively as it can be.

The model knows what every report holds, because it sealed them, and reads the events of the
order as plain JSON. It uses nothing of the aggregators' code: no chain, no ledger, no sums.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from grievance.client import Report
    from grievance.task import Task

ACCEPTED = "report.accepted"


@dataclass(frozen=True)
class Paper:
    """A sealed report, and what whoever sealed it knows.

    `opens`: for every aggregator whether its ciphertext opens. `bits` is what it adds where it
    counts; `valid` whether its proof holds.
    """

    report: Report
    bits: tuple[int, ...]
    valid: bool
    opens: tuple[bool, ...]

    def input(self, aggregator: int) -> bytes:
        """What one aggregator verifies: under a nonce it does so with one such input only."""
        return self.report.public_share + self.report.ciphertexts[aggregator]


@dataclass(frozen=True)
class Expected:
    """What must become of one batch: the reason code of every row, and the sum of what counts."""

    codes: tuple[str, ...]
    total: tuple[int, ...]

    @property
    def accepted(self) -> int:
        return self.codes.count(ACCEPTED)


@dataclass
class Book:
    """One round: its reports, and its batches by digest (relay, rows, file)."""

    task: Task
    papers: list[Paper] = field(default_factory=list)
    batches: dict[str, tuple[str, list[Paper], bytes]] = field(default_factory=dict)

    def expect(
        self, events: Sequence[Mapping[str, Any]], verified: Sequence[Collection[int]]
    ) -> dict[int, Expected]:
        """What every batch that counts must come to, by its place in the order.

        `verified[i]` are the places of batches that aggregator i has verified: one that was
        voided leaves its burnt nonces with those who had.
        """
        voided = {event["batch"] for event in events if event["type"] == "void"}
        burnt: list[dict[bytes, bytes]] = [{} for _ in self.task.aggregators]
        accepted: set[bytes] = set()
        found = {}
        for seq, event in enumerate(events, start=1):
            if event["type"] != "batch":
                continue
            codes, total = [], [0] * self.task.layout.num_bits
            for paper in self.batches[event["batch"]][1]:
                findings = [
                    self._finding(paper, index, table)
                    for index, table in enumerate(burnt)
                    if seq not in voided or seq in verified[index]
                ]
                if seq in voided:
                    continue
                codes.append(self._verdict(paper, findings, accepted))
                if codes[-1] == ACCEPTED:
                    accepted.add(paper.report.commitment)
                    total = [a + b for a, b in zip(total, paper.bits, strict=True)]
            if seq not in voided:
                found[seq] = Expected(tuple(codes), tuple(total))
        return found

    @staticmethod
    def _finding(paper: Paper, index: int, table: dict[bytes, bytes]) -> str:
        """What one aggregator finds by itself; what does not open burns nothing."""
        if not paper.opens[index]:
            return "report.open"
        same = table.setdefault(paper.report.commitment, paper.input(index)) == paper.input(index)
        return ACCEPTED if same else "report.burnt"

    @staticmethod
    def _verdict(paper: Paper, findings: Sequence[str], accepted: Collection[bytes]) -> str:
        wrong = [finding for finding in findings if finding != ACCEPTED]
        if wrong:
            return wrong[0]
        if not paper.valid:
            return "report.proof"
        return "report.replay" if paper.report.commitment in accepted else ACCEPTED


@dataclass
class Purse:
    """One aggregator's charges, from the files of its ledger: each once, none above a limit."""

    lifetime: Fraction
    rounds: dict[str, Fraction]
    charges: list[tuple[str, str]] = field(default_factory=list)

    def replay(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Go through a ledger from its first entry. Fails where a promise is broken."""
        spent, of_round = Fraction(0), defaultdict(Fraction)
        charges: list[tuple[str, str]] = []
        statistics: set[tuple[str, str]] = set()
        for entry in entries:
            task, event = entry["task"], entry["event"]
            charge = (task, event["release"])
            assert charge not in charges, "a release was charged twice"
            charges.append(charge)
            for name, cost in event["statistics"].items():
                assert (task, name) not in statistics, f"{name} was released twice"
                statistics.add((task, name))
                (amount,) = map(Fraction, cost.values())
                assert amount > 0
                spent += amount
                of_round[task] += amount
            (told,) = map(Fraction, entry["spent"].values())
            assert told == spent, "an entry's sum is not the sum of the costs"
            assert of_round[task] <= self.rounds[task], "more than the round's budget"
            assert spent <= self.lifetime, "more than the lifetime budget"
        assert charges[: len(self.charges)] == self.charges, "a charge was taken back"
        self.charges = charges
