"""Was my report counted? Answered from public files, with a proof anybody can check.

A receipt is the SHA-256 of the sealed report. It proves nothing about the answers, and nobody
learns from asking: the answer is computed from the pool alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grievance.audit.batches import DAMAGED, BatchRows, read_batch
from grievance.audit.chain import walk
from grievance.audit.decisions import RoundDecisions, check_agreement, read_decisions
from grievance.audit.files import PoolFiles
from grievance.audit.inspection import Inspection
from grievance.audit.opening import note_followed, open_rounds
from grievance.audit.trust import check_trust
from grievance.client.commitment import COMMITMENT_SIZE
from grievance.crypto.merkle import check_inclusion, inclusion_proof
from grievance.errors import PoolError
from grievance.pool.layout import parse_batch_name
from grievance.pool.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.audit.decisions import Decision
    from grievance.audit.opening import OpenedRound
    from grievance.audit.result import Finding
    from grievance.pool.order import OrderedBatch
    from grievance.pool.store import Store

Status = Literal["counted", "refused", "waiting", "disputed", "absent"]
_RANK: tuple[Status, ...] = ("counted", "disputed", "waiting", "refused", "absent")


@dataclass(frozen=True)
class Proof:
    """An RFC 6962 inclusion proof: `leaf` is number `index` of `size` under `root`."""

    leaf: bytes
    index: int
    size: int
    hashes: tuple[bytes, ...]
    root: bytes

    def to_json(self) -> dict[str, Any]:
        """Write the proof, bytes as hex."""
        return {
            "leaf": self.leaf.hex(),
            "index": self.index,
            "size": self.size,
            "hashes": [value.hex() for value in self.hashes],
            "root": self.root.hex(),
        }


@dataclass(frozen=True)
class Inclusion:
    """What the pool says about one report.

    `counted`: every aggregator signed that it counts. `refused`: every aggregator signed that it
    does not, for `reason`. `waiting`: it is there, and `missing` have yet to act. `disputed`:
    the aggregators contradict each other, or a file does not hold. `absent`: not there.

    `proof` leads from the report to the root all aggregators signed for its batch,
    `round_proof` from that batch to the root a release names.
    """

    status: Status
    digest: bytes
    round_id: str = ""
    batch: str = ""
    seq: int | None = None
    row: int | None = None
    reason: str = ""
    missing: tuple[str, ...] = ()
    vouched: bool = False
    proof: Proof | None = None
    round_proof: Proof | None = None
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Write the answer for programs."""
        return {
            "receipt": self.digest.hex(),
            "status": self.status,
            "vouched": self.vouched,
            "round": self.round_id or None,
            "batch": self.batch or None,
            "seq": self.seq,
            "row": self.row,
            "reason": self.reason or None,
            "missing": list(self.missing),
            "proof": self.proof.to_json() if self.proof else None,
            "round_proof": self.round_proof.to_json() if self.round_proof else None,
            "findings": [finding.to_json() for finding in self.findings],
        }


def _quiet(_what: str, _done: int, _total: int) -> None:
    pass


def find_report(
    pool: str | Path | Store,
    digest: bytes,
    *,
    trust: Sequence[str] = (),
    progress: Callable[[str, int, int], None] = _quiet,
) -> Inclusion:
    """Look for a report in every round of a pool. Run by a worker, or anybody.

    Of several copies the one that counts is told about; the others are refused as replays.
    Raises PoolError when there is no such pool, or it is a bundle without its batches,
    TrustError for a malformed anchor.
    """
    store = open_store(pool) if isinstance(pool, str | Path) else pool
    inspection = Inspection(PoolFiles(store))
    if inspection.files.left_out:
        raise PoolError(
            "this bundle was made without its batches: no report can be looked for in it",
            code="bundle.left-out",
            hint="ask for one made without --without-batches, or look in the pool itself",
        )
    rounds = list(open_rounds(inspection, trust).values())
    note_followed(inspection, rounds)
    check_trust(inspection, rounds, trust)
    found = [Inclusion("absent", digest)]
    for opened in rounds:
        search = _Search(inspection, opened, digest, found)
        inspection.step(opened.paths.folder, search.run, progress)
    best = min(found, key=lambda item: _RANK.index(item.status))
    return replace(best, findings=_about(inspection, best))


def _about(inspection: Inspection, found: Inclusion) -> tuple[Finding, ...]:
    """The faults in files this answer depends on."""
    folder = f"rounds/{found.round_id}/" if found.round_id else "rounds/"
    parts = [f"{folder}{part}" for part in ("task", "signatures", "order")]
    if found.seq is not None:
        parts += [found.batch, f"{folder}decide/{found.seq}/"]
    return tuple(
        finding
        for finding in inspection.findings
        if finding.severity != "note"
        and (
            finding.file.startswith(tuple(parts))
            or finding.file == "--trust"
            or finding.rule == "audit.error"
        )
    )


class _Search:
    """Looks for one report among the batches of one round."""

    def __init__(
        self, inspection: Inspection, opened: OpenedRound, digest: bytes, found: list[Inclusion]
    ) -> None:
        self.inspection, self.opened = inspection, opened
        self.digest, self.found = digest, found
        self.order = walk(inspection, opened)

    def run(self, progress: Callable[[str, int, int], None]) -> None:
        """Add what is found to `found`."""
        paths, chain = self.opened.paths, self.order.chain
        ordered = {paths.batch(batch.partner, batch.digest): batch for batch in chain.batches}
        names = self.inspection.files.names(paths.batches)
        for done, name in enumerate(names):
            progress(f"batches of {self.opened.task.round_id}", done, len(names))
            parsed, path = parse_batch_name(name), f"{paths.batches}/{name}"
            if parsed is None:
                continue
            batch, key = ordered.get(path), chain.partners.get(parsed[0])
            leaves = read_batch(self.inspection, self.opened.task, path, parsed[1], key, batch)
            if leaves == DAMAGED:
                continue
            for row, leaf in enumerate(leaves or ()):
                if leaf[COMMITMENT_SIZE:] == self.digest:
                    self.found.append(self._judge(BatchRows(path, leaves), batch, row))

    def _judge(self, rows: BatchRows, batch: OrderedBatch | None, row: int) -> Inclusion:
        opened, chain = self.opened, self.order.chain
        base = Inclusion(
            "waiting",
            self.digest,
            opened.task.round_id,
            rows.path,
            row=row,
            vouched=opened.vouched and not opened.unsigned,
        )
        if batch is None and not chain.closed:
            return replace(base, missing=(opened.names[0],))
        if batch is None or batch.seq in chain.voided:
            reason = "period.closed" if batch is None else "batch.void"
            seq = batch.seq if batch is not None else None
            return replace(base, status="refused", reason=reason, seq=seq)
        base = replace(base, seq=batch.seq)
        given = read_decisions(self.inspection, opened, batch)
        holding = check_agreement(self.inspection, opened, batch, given, rows)
        missing = tuple(name for name in opened.names if name not in given)
        there = [n for n in missing if self.inspection.has(opened.paths.decide(batch.seq, n))]
        if holding is None or there:
            return replace(base, status="disputed", missing=missing)
        if missing:
            return replace(base, missing=missing)
        decision = next(iter(holding.values()))
        if not decision.bits[row]:
            return replace(base, status="refused", reason=decision.refused[row][0])
        return replace(
            base,
            status="counted",
            proof=_prove(rows, decision, row),
            round_proof=self._prove_batch(batch, decision),
        )

    def _prove_batch(self, batch: OrderedBatch, decision: Decision) -> Proof | None:
        """From the batch to the root of the round, once it is closed and all is decided."""
        if not (self.order.chain.closed and self.order.whole):
            return None
        found = RoundDecisions()
        for other in self.order.chain.counted:
            given = read_decisions(self.inspection, self.opened, other)
            if len(given) < len(self.opened.names):
                return None
            found.given[other.seq] = given
        leaves = found.leaves(self.order)
        accepted = found.accepted_set(self.order)
        if leaves is None or accepted is None:
            return None
        leaf = decision.leaf(batch)
        return _proof(leaves, leaves.index(leaf), accepted[1])


def _prove(rows: BatchRows, decision: Decision, row: int) -> Proof:
    pairs = zip(rows.leaves or (), decision.bits, strict=True)
    leaves = sorted(leaf for leaf, bit in pairs if bit)
    return _proof(leaves, leaves.index((rows.leaves or ())[row]), decision.root)


def _proof(leaves: Sequence[bytes], index: int, root: bytes) -> Proof:
    hashes = tuple(inclusion_proof(leaves, index))
    check_inclusion(leaves[index], index, len(leaves), hashes, root)
    return Proof(leaves[index], index, len(leaves), hashes, root)
