"""What the aggregators said about each batch: verifier shares, bits, refusals, roots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.audit.needs import check_there, check_void
from grievance.audit.once import claim_of
from grievance.audit.verifier_files import check_verify_files
from grievance.client.commitment import nonce_of
from grievance.crypto.documents import b64decode
from grievance.crypto.merkle import EMPTY_ROOT, root
from grievance.crypto.strict import StrictObject
from grievance.pool.batch import MAX_BATCH_ROWS
from grievance.pool.decisions import DECISION_KIND, Status, decision_limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.batches import BatchRows
    from grievance.audit.chain import Order
    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.audit.terms import AuditedTask
    from grievance.pool.order import OrderedBatch

_STATUSES = {status.code: status for status in Status if status is not Status.OK}
_KEYS = ("accepted", "batch", "bits", "refused", "root", "rows", "seq", "task")


@dataclass(frozen=True)
class Decision:
    """One aggregator's decision, consistent in itself. `bits[row]` is 1 for a row that counts."""

    bits: bytes
    refused: Mapping[int, tuple[str, int]]
    root: bytes

    @property
    def accepted(self) -> int:
        """How many rows count."""
        return sum(self.bits)

    def leaf(self, batch: OrderedBatch) -> bytes:
        """What stands for the batch in the tree of the round: place, number, root."""
        return batch.seq.to_bytes(4, "big") + self.accepted.to_bytes(4, "big") + self.root

    def same(self, other: Decision) -> bool:
        """Whether two aggregators decided alike."""
        return (self.bits, self.refused, self.root) == (other.bits, other.refused, other.root)


@dataclass
class RoundDecisions:
    """Decisions by batch and aggregator. `sound`: all are there and agree with the batches."""

    given: dict[int, dict[str, Decision]] = field(default_factory=dict)
    sound: bool = True

    def agreed(self, batch: OrderedBatch) -> Decision | None:
        """The decision about a batch, by whoever's file holds; they are equal if sound."""
        return next(iter(self.given.get(batch.seq, {}).values()), None)

    def leaves(self, order: Order) -> list[bytes] | None:
        """One leaf a batch, in order; None while a decision is missing."""
        found = []
        for batch in order.chain.counted:
            decision = self.agreed(batch)
            if decision is None:
                return None
            found.append(decision.leaf(batch))
        return found

    def accepted_set(self, order: Order) -> tuple[int, bytes] | None:
        """Number and root of all accepted reports, as a release names them; None if unsound."""
        leaves = self.leaves(order) if self.sound else None
        if leaves is None:
            return None
        return sum(int.from_bytes(leaf[4:8], "big") for leaf in leaves), root(leaves)


def check_decisions(
    inspection: Inspection,
    opened: OpenedRound,
    order: Order,
    batches: Mapping[int, BatchRows],
) -> RoundDecisions:
    """Check everything said about the batches of a round, in the order of the chain."""
    found = RoundDecisions(sound=order.whole)
    ordered = {batch.seq: batch for batch in order.chain.batches}
    _place_files(inspection, opened, order, ordered)
    seen: set[bytes] = set()
    certain = True
    for batch in order.chain.batches:
        rows = batches.get(batch.seq)
        voided = batch.seq in order.chain.voided
        given = read_decisions(inspection, opened, batch)
        found.given[batch.seq] = given
        check_verify_files(inspection, opened, batch, voided=voided)
        if voided:
            check_void(inspection, opened, order, batch, given)
            continue
        check_there(inspection, opened, batch, given)
        holding = check_agreement(inspection, opened, batch, given, rows)
        name, decision = next(iter((holding or {}).items()), ("", None))
        gone = opened.paths.batch(batch.partner, batch.digest) in inspection.files.left_out
        if decision is None or (rows is None and not gone):
            found.sound = False
            continue
        path, replays = opened.paths.decide(batch.seq, name), list[str]()
        if rows is None:
            certain = False
        else:
            replays = _replays(decision, rows, seen, certain=found.sound and certain)
        for why in replays:
            inspection.fault("decide.replay", path, why, holding or ())
        if replays or len(holding or ()) < len(opened.names):
            found.sound = False
    return found


def _place_files(
    inspection: Inspection, opened: OpenedRound, order: Order, ordered: Mapping[int, OrderedBatch]
) -> None:
    """Account for files about places of the order where no batch stands."""
    for kind in ("verify", "decide"):
        folder = f"{opened.paths.folder}/{kind}"
        for name in inspection.files.inner(folder):
            if not (name.isascii() and name.isdigit()) or name.startswith("0") or len(name) > 9:
                continue
            if int(name) in ordered:
                continue
            paths = [
                f"{folder}/{name}/{file}" for file in inspection.files.names(f"{folder}/{name}")
            ]
            if not order.whole:
                inspection.unchecked(paths, "the order chain does not reach its batch")
            elif kind == "decide":
                for path in paths:
                    _check_misplaced(inspection, opened, order, path, int(name))


def _check_misplaced(
    inspection: Inspection, opened: OpenedRound, order: Order, path: str, seq: int
) -> None:
    """Look at a decision about a place of the order where no batch stands.

    An event may not have arrived. Only what its owner signed about this very place is anything.
    """
    party = next((p for p in opened.task.aggregators if path.endswith(f"/{p.name}.json")), None)
    document = inspection.signed_document(path, DECISION_KIND, decision_limit(MAX_BATCH_ROWS))
    about = (opened.task.digest.hex(), seq)
    if party is None or document is None or document.signer != party.identity:
        return
    if (document.body.get("task"), document.body.get("seq")) != about:
        inspection.claimed.discard(path)
        return
    inspection.state(claim_of(document), path)
    if seq > order.chain.length:
        inspection.waiting("order.chain", path, f"event {seq}, which it is about, has not arrived")
    else:
        leader = opened.names[0]
        message = f"{party.name} decided about event {seq}, where {leader} ordered no batch"
        inspection.fault("file.place", path, message, [party.name, leader])


# Decisions.


def read_decisions(
    inspection: Inspection, opened: OpenedRound, batch: OrderedBatch
) -> dict[str, Decision]:
    """Read every aggregator's decision about a batch; those that hold, by name."""
    found = {}
    for party in opened.task.aggregators:
        path = opened.paths.decide(batch.seq, party.name)
        document = inspection.document(
            path, DECISION_KIND, party.identity, limit=decision_limit(batch.rows)
        )
        if document is None:
            continue
        try:
            decision = _decision(inspection, opened.task, batch, path, party.name, document.body)
        except MALFORMED as error:
            inspection.refuse("file.form", path, error, [party.name])
            continue
        if decision is not None:
            found[party.name] = decision
    return found


def _decision(
    inspection: Inspection,
    task: AuditedTask,
    batch: OrderedBatch,
    path: str,
    name: str,
    value: object,
) -> Decision | None:
    body = StrictObject(value, _KEYS, where="the decision")
    about = (body.digest("task"), body.integer("seq"), body.digest("batch"))
    if about[:2] != (task.digest, batch.seq):
        inspection.spoil("file.place", path, "it is about another batch or round")
        return None
    if about[2] != batch.digest:
        leader = task.aggregators[0].name
        message = f"{name} decided about another batch than {leader} ordered as {batch.seq}"
        inspection.fault("file.place", path, message, [name, leader])
        return None
    rows, accepted = body.integer("rows"), body.integer("accepted")
    packed = b64decode(body.text("bits").rstrip("="))
    refused: dict[int, tuple[str, int]] = {}
    for row, code, by in body.items("refused"):
        if type(row) is not int or type(code) is not str or type(by) is not int:
            raise TypeError("a row, a code and an index are needed")
        refused[row] = (code, by)
    problem = _bits_problem(task, batch, rows, accepted, packed, refused, body.items("refused"))
    if problem is not None:
        inspection.fault("decide.bits", path, problem, [name])
        return None
    bits = bytes(packed[row // 8] >> (row % 8) & 1 for row in range(rows))
    return Decision(bits, refused, body.digest("root"))


def _bits_problem(
    task: AuditedTask,
    batch: OrderedBatch,
    rows: int,
    accepted: int,
    packed: bytes,
    refused: Mapping[int, tuple[str, int]],
    listed: Sequence[object],
) -> str | None:
    """What does not agree inside a decision, in words."""
    if rows != batch.rows or len(packed) != -(-rows // 8):
        return f"it is not about the {batch.rows} rows of its batch"
    if len(refused) != len(listed) or list(refused) != sorted(refused):
        return "a row is refused twice, or the rows are out of order"
    expected = bytearray(-(-rows // 8))
    for row in range(rows):
        if row not in refused:
            expected[row // 8] |= 1 << (row % 8)
    if bytes(expected) != packed or not all(0 <= row < rows for row in refused):
        return "its bits do not match its list of refused rows"
    if accepted != rows - len(refused):
        return f"it counts {accepted} rows where its bits say {rows - len(refused)}"
    for code, by in set(refused.values()):
        status = _STATUSES.get(code)
        finder = 0 <= by < len(task.aggregators)
        # What one aggregator finds names it; what all see together names nobody.
        if status is None or finder is not status.local or not (finder or by == -1):
            return f"it refuses a row as {code!r:.40} found by number {by}, which cannot be"
    return None


def check_agreement(
    inspection: Inspection,
    opened: OpenedRound,
    batch: OrderedBatch,
    given: Mapping[str, Decision],
    rows: BatchRows | None,
) -> dict[str, Decision] | None:
    """Hold decisions against the batch's rows, and against each other.

    Returns the decisions that hold, all alike; None when they are not, or one does not hold.
    Missing decisions are for the caller to see.
    """
    holding, roots = dict(given), {}
    for name, decision in given.items():
        path = opened.paths.decide(batch.seq, name)
        if rows is not None and decision.bits not in roots:
            roots[decision.bits] = _true_root(rows, decision)
        reads = rows is not None and rows.leaves is not None
        if reads and any(code == Status.BATCH.code for code, _ in decision.refused.values()):
            message = "it refuses as unreadable a batch that reads"
            inspection.fault("decide.bits", path, message, [name])
            del holding[name]
        elif rows is not None and roots[decision.bits] != decision.root:
            message = f"the root is not that of the rows {name} accepted"
            inspection.fault("decide.root", path, message, [name])
            del holding[name]
    alike = len(holding) == len(given)
    first = next(iter(holding.items()), None)
    for name, decision in holding.items():
        if first is not None and not decision.same(first[1]):
            path = opened.paths.decide(batch.seq, name)
            message = f"{name} and {first[0]} decided batch {batch.seq} differently"
            inspection.fault("decide.equal", path, message, [name, first[0]])
            alike = False
    return holding if alike else None


def _true_root(rows: BatchRows, decision: Decision) -> bytes | None:
    """The root of the rows that count; None where rows count that do not read."""
    if rows.leaves is None:
        return None if decision.accepted else EMPTY_ROOT
    if len(rows.leaves) != len(decision.bits):
        return None
    return root(sorted(leaf for leaf, bit in zip(rows.leaves, decision.bits, strict=True) if bit))


def _replays(decision: Decision, rows: BatchRows, seen: set[bytes], *, certain: bool) -> list[str]:
    """A nonce counts once, and is called a replay only after it did. Adds to `seen`.

    The nonce is how a commitment begins, so two reports that share it can never both count.
    Unless it is `certain` what the batches before counted, only the first is asked.
    """
    found = []
    for row, leaf in enumerate(rows.leaves or ()):
        nonce = nonce_of(leaf)
        if decision.bits[row]:
            if nonce in seen:
                found.append(f"row {row} was counted before, with the same nonce")
            seen.add(nonce)
        elif certain and nonce not in seen and decision.refused[row][0] == Status.REPLAY.code:
            found.append(f"row {row} is refused as a replay, but was not counted before")
    return found
