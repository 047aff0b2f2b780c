"""Every aggregator's ledger: its chain and sums, its costs, and who cosigned which head."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit.heads import (
    LEDGER_FILE,
    check_checkpoints,
    check_shares,
    check_witness,
    missing_cosignatures,
)
from grievance.audit.inspection import MALFORMED
from grievance.audit.terms import keeps, true_cost
from grievance.audit.witnesses import may_cosign
from grievance.cost import Cost
from grievance.crypto.merkle import leaf_hash, node_hash
from grievance.ledger.cosigned import cosignature_in_words
from grievance.ledger.entry import KIND, AloneEvent, LedgerEntry, ReleaseEvent, entry_size_limit
from grievance.names import is_name
from grievance.pool.layout import heads_folder, ledger_folder, ledger_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.crypto.signing import VerifyingKey
    from grievance.ledger.checkpoint import Checkpoint


HEADS_FILE = re.compile(r"[0-9a-f]{16}(\.[a-z0-9][a-z0-9-]{0,39})?\.json")


@dataclass
class Ledger:
    """One ledger as far as it reads. `roots[n - 1]` is the Merkle root over n entries.

    `whole`: no entry is missing before one that is there, and none was broken. `newest`: the
    longest head that holds. `cosigned`: the size of the longest head that somebody cosigned, by
    name and key.
    """

    name: str
    key: VerifyingKey
    entries: list[LedgerEntry] = field(default_factory=list)
    roots: list[bytes] = field(default_factory=list)
    spent: dict[str, Cost] = field(default_factory=dict)
    whole: bool = True
    newest: Checkpoint | None = None
    cosigned: dict[tuple[str, VerifyingKey], int] = field(default_factory=dict)
    _by_task: dict[bytes, list[LedgerEntry]] = field(default_factory=dict)

    def add(self, entry: LedgerEntry, head: bytes) -> None:
        """Take the next entry, and the root it makes."""
        self.entries.append(entry)
        self.roots.append(head)
        self._by_task.setdefault(entry.task, []).append(entry)

    def of_round(self, task: bytes) -> list[LedgerEntry]:
        """The entries about one round."""
        return self._by_task.get(task, [])

    def entry_of(self, task: bytes, release: str) -> LedgerEntry | None:
        """The entry that charges a release."""
        for entry in self.of_round(task):
            if isinstance(entry.event, ReleaseEvent) and entry.event.release == release:
                return entry
        return None


def check_ledgers(
    inspection: Inspection,
    rounds: Sequence[OpenedRound],
    keys: Mapping[str, VerifyingKey],
) -> dict[str, Ledger]:
    """Check every ledger whose owner is an aggregator of a round of this pool."""
    found: dict[str, Ledger] = {}
    if inspection.unread:
        strange = set(inspection.files.inner("ledger")) - set(keys)
        paths = [path for name in strange for path in inspection.files.under(f"ledger/{name}")]
        inspection.unchecked(sorted(paths), "a round whose task does not read may name its owner")
    for name, key in sorted(keys.items()):
        ledger = Ledger(name, key)
        found[name] = ledger
        inspection.step(ledger_folder(name), _check, inspection, rounds, keys, ledger)
        # Questions about a ledger, and answers to them, are for its owner: they prove nothing.
        for file in filter(HEADS_FILE.fullmatch, inspection.files.names(heads_folder(name))):
            inspection.claim(f"{heads_folder(name)}/{file}")
    return found


def _check(
    inspection: Inspection,
    rounds: Sequence[OpenedRound],
    keys: Mapping[str, VerifyingKey],
    ledger: Ledger,
) -> None:
    folder = ledger_folder(ledger.name)
    names = inspection.files.names(folder)
    sizes = {int(m[1]) for n in names if (m := LEDGER_FILE.fullmatch(n)) and m[2] == "json"}
    _read_entries(inspection, ledger, sizes)
    by_digest = {opened.task.digest: opened for opened in rounds}
    _check_costs(inspection, ledger, by_digest)
    checkpoints = check_checkpoints(inspection, ledger, names)
    ledger.newest = max(checkpoints.values(), key=lambda head: head.size, default=None)
    witnesses = may_cosign(rounds, keys, ledger.name)
    for name in names:
        match = LEDGER_FILE.fullmatch(name)
        if match is None or match[3] is None or not is_name(match[3]):
            continue
        path, size, witness = f"{folder}/{name}", int(match[1]), match[3]
        if match[4] == "fork":
            continue  # evidence, whoever kept it: see `grievance.audit.evidence`
        if witness not in witnesses:
            inspection.claim(path)
            inspection.not_ours(path, f"{witness} is no witness of this ledger")
        else:
            head = checkpoints.get(size)
            made = check_witness(inspection, path, head, witness, witnesses[witness])
            if made is not None:
                last = ledger.cosigned.get((witness, made), 0)
                ledger.cosigned[witness, made] = max(size, last)
    check_shares(inspection, ledger, names, by_digest)
    for entry in ledger.entries:
        opened = by_digest.get(entry.task)
        # What a release needs, and when, is for the release to say.
        if opened is not None and not isinstance(entry.event, ReleaseEvent):
            for path, who in missing_cosignatures(inspection, ledger, entry.size, opened.names):
                words = cosignature_in_words(who, ledger.name)
                inspection.waiting("ledger.cosignature", path, words)


# Entries.


def _read_entries(inspection: Inspection, ledger: Ledger, sizes: set[int]) -> None:
    pending: list[tuple[int, bytes]] = []
    while len(ledger.entries) + 1 in sizes:
        size = len(ledger.entries) + 1
        path = ledger_path(ledger.name, size)
        entry = _read_entry(inspection, ledger, path, size)
        if entry is None:
            ledger.whole = False
            break
        ledger.add(entry, _grow(pending, entry.data))
    later = sorted(size for size in sizes if size > len(ledger.entries))
    if later and ledger.whole:
        ledger.whole = False
        path = ledger_path(ledger.name, len(ledger.entries) + 1)
        inspection.waiting("ledger.chain", path, "an entry before others is missing")
    inspection.unchecked(
        (ledger_path(ledger.name, size) for size in later),
        "an entry before it is missing or does not hold",
    )


def _read_entry(inspection: Inspection, ledger: Ledger, path: str, size: int) -> LedgerEntry | None:
    document = inspection.document(path, KIND, ledger.key, limit=entry_size_limit())
    if document is None:
        return None
    try:
        entry = LedgerEntry.parse(document.data, ledger.key)
    except MALFORMED as error:
        inspection.refuse("file.form", path, error, [ledger.name])
        return None
    if (entry.ledger, entry.size) != (ledger.name, size):
        inspection.spoil("file.place", path, "it is another entry, or of another ledger")
        return None
    before = ledger.entries[-1].digest if ledger.entries else b""
    if entry.previous != before:
        message = "it does not name the entry before it"
        inspection.fault("ledger.chain", path, message, [ledger.name])
    return entry


def _grow(pending: list[tuple[int, bytes]], data: bytes) -> bytes:
    """Add a leaf to a growing tree and return its root. `pending`: full subtrees, largest first.

    Source: RFC 6962, 2.1.
    """
    height, value = 0, leaf_hash(data)
    while pending and pending[-1][0] == height:
        height, value = height + 1, node_hash(pending.pop()[1], value)
    pending.append((height, value))
    result = pending[-1][1]
    for _, left in reversed(pending[:-1]):
        result = node_hash(left, result)
    return result


def _check_costs(
    inspection: Inspection, ledger: Ledger, by_digest: Mapping[bytes, OpenedRound]
) -> None:
    """Recompute what every entry charges, and all sums."""
    charged: set[tuple[bytes, str]] = set()
    destroyed: set[bytes] = set()
    in_round: dict[bytes, Cost] = {}
    for entry in ledger.entries:
        path = ledger_path(ledger.name, entry.size)
        opened = by_digest.get(entry.task)
        if opened is None:
            inspection.waiting("ledger.task", path, "the round it is about is not here")
        elif ledger.name not in opened.names:
            message = f"it is about a round in which {ledger.name} is no aggregator"
            inspection.fault("ledger.task", path, message, [ledger.name])
        elif entry.campaign != opened.task.campaign:
            message = f"its round is not of {entry.campaign:.40}"
            inspection.fault("ledger.task", path, message, [ledger.name])
        else:
            _check_entry(inspection, path, entry, opened)
        if isinstance(entry.event, AloneEvent):
            _note_alone(inspection, ledger.name, path, entry.event)
            _check_sums(inspection, ledger, entry, opened, in_round)
            continue
        if entry.task in destroyed:
            message = "its round was destroyed by an entry before"
            inspection.fault("ledger.destroyed", path, message, [ledger.name])
        if not isinstance(entry.event, ReleaseEvent):
            destroyed.add(entry.task)
        for name in entry.statistics:
            if (entry.task, name) in charged:
                message = f"{name} was charged by an entry before: it may be released once"
                inspection.fault("release.twice", path, message, [ledger.name])
            charged.add((entry.task, name))
        _check_sums(inspection, ledger, entry, opened, in_round)


def _note_alone(inspection: Inspection, name: str, path: str, event: AloneEvent) -> None:
    told = f"only {', '.join(event.answered)} told it" if event.answered else "nobody told it"
    inspection.note(
        "ledger.alone",
        path,
        f"{name} lost its memory and went on alone: {told} how long its ledger was, so a release "
        "before this entry could have been drawn twice",
    )


def _check_entry(
    inspection: Inspection, path: str, entry: LedgerEntry, opened: OpenedRound
) -> None:
    task = opened.task
    for name, cost in entry.statistics.items():
        if name not in task.allocations:
            message = f"the plan charges no statistic {name:.40}"
            inspection.fault("cost.statistic", path, message, [entry.ledger])
            continue
        true = true_cost(task, name)
        if cost != true:
            message = f"{name} is charged {cost}, it costs {true}"
            inspection.fault("cost.statistic", path, message, [entry.ledger])


def _check_sums(
    inspection: Inspection,
    ledger: Ledger,
    entry: LedgerEntry,
    opened: OpenedRound | None,
    in_round: dict[bytes, Cost],
) -> None:
    path = ledger_path(ledger.name, entry.size)
    try:
        before = ledger.spent.get(entry.campaign, Cost.zero(entry.spent.kind))
        total = before + entry.cost
        if entry.spent != total:
            message = f"it says {entry.spent} was spent; with this entry it is {total}"
            inspection.fault("ledger.sum", path, message, [ledger.name])
        ledger.spent[entry.campaign] = total
        if opened is None:
            return
        terms = opened.task.plan.privacy
        here = in_round.get(entry.task, Cost.zero(entry.spent.kind)) + entry.cost
        in_round[entry.task] = here
        if not keeps(here, terms.epsilon, terms.delta):
            message = f"{here} was charged for this round, more than its epsilon allows"
            inspection.fault("cost.round", path, message, [ledger.name])
        if not total <= opened.task.lifetime:
            message = f"{total} was charged to the campaign, of {opened.task.lifetime}"
            inspection.fault("cost.lifetime", path, message, [ledger.name])
    except MALFORMED as error:
        inspection.refuse("ledger.sum", path, error, [ledger.name])
