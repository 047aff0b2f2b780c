"""Every aggregator's ledger: its chain and sums, its costs, and who cosigned which head."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit import accounting
from grievance.audit.inspection import MALFORMED
from grievance.audit.opening import under
from grievance.audit.terms import true_cost
from grievance.cost import Cost
from grievance.crypto.merkle import leaf_hash, node_hash
from grievance.errors import LedgerError, SignatureError
from grievance.ledger.checkpoint import (
    MAX_NOTE_SIZE,
    Checkpoint,
    check_cosignature,
    parse_checkpoint,
)
from grievance.ledger.entry import KIND, LedgerEntry, ReleaseEvent, entry_size_limit
from grievance.ledger.evidence import KIND as FORK_KIND
from grievance.ledger.evidence import parse_fork
from grievance.names import is_name
from grievance.pool.layout import (
    checkpoint_path,
    cosignature_path,
    ledger_folder,
    ledger_path,
    share_path,
)
from grievance.pool.noisy import LIMIT as SHARE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.crypto.signing import VerifyingKey

_FILE = re.compile(r"([1-9][0-9]{0,8})\.(?:(json|checkpoint|share)|(.{1,40})\.(cosignature|fork))")


@dataclass
class Ledger:
    """One ledger as far as it reads. `roots[n - 1]` is the Merkle root over n entries.

    `whole`: no entry is missing before one that is there, and none was broken.
    """

    name: str
    key: VerifyingKey
    entries: list[LedgerEntry] = field(default_factory=list)
    roots: list[bytes] = field(default_factory=list)
    spent: dict[str, Cost] = field(default_factory=dict)
    whole: bool = True

    def entry_of(self, task: bytes, release: str) -> LedgerEntry | None:
        """The entry that charges a release."""
        for entry in self.entries:
            event = entry.event
            if entry.task == task and isinstance(event, ReleaseEvent) and event.release == release:
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
        paths = [path for name in strange for path in under(inspection, f"ledger/{name}")]
        inspection.unchecked(sorted(paths), "a round whose task does not read may name its owner")
    for name, key in sorted(keys.items()):
        ledger = Ledger(name, key)
        found[name] = ledger
        inspection.step(ledger_folder(name), _check, inspection, rounds, keys, ledger)
    return found


def _check(
    inspection: Inspection,
    rounds: Sequence[OpenedRound],
    keys: Mapping[str, VerifyingKey],
    ledger: Ledger,
) -> None:
    folder = ledger_folder(ledger.name)
    names = inspection.files.names(folder)
    sizes = {int(m[1]) for n in names if (m := _FILE.fullmatch(n)) and m[2] == "json"}
    _read_entries(inspection, ledger, sizes)
    by_digest = {opened.task.digest: opened for opened in rounds}
    _check_costs(inspection, ledger, by_digest)
    checkpoints = _check_checkpoints(inspection, ledger, names)
    for name in names:
        match = _FILE.fullmatch(name)
        if match is None or match[3] is None or not is_name(match[3]):
            continue
        path, size, witness = f"{folder}/{name}", int(match[1]), match[3]
        if witness not in keys or witness == ledger.name:
            inspection.claim(path)
            inspection.fault("file.foreign", path, f"{witness} is no witness of this ledger")
        elif match[4] == "fork":
            _check_fork(inspection, ledger, path, size, keys[witness])
        else:
            _check_cosignature(inspection, path, checkpoints.get(size), witness, keys[witness])
    _check_shares(inspection, ledger, names, by_digest)


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
        ledger.entries.append(entry)
        ledger.roots.append(_grow(pending, entry.data))
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
        inspection.refuse("file.form", path, error)
        return None
    if (entry.ledger, entry.size) != (ledger.name, size):
        inspection.fault("file.place", path, "it is another entry, or of another ledger")
        return None
    before = ledger.entries[-1].digest if ledger.entries else b""
    if entry.previous != before:
        inspection.fault("ledger.chain", path, "it does not name the entry before it")
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
        if opened is None or ledger.name not in opened.names:
            inspection.fault("ledger.task", path, f"it is about no round of {ledger.name} here")
        elif entry.campaign != opened.task.campaign:
            inspection.fault("ledger.task", path, f"its round is not of {entry.campaign:.40}")
        else:
            _check_entry(inspection, path, entry, opened)
        if entry.task in destroyed:
            message = "its round was destroyed by an entry before"
            inspection.fault("ledger.destroyed", path, message)
        if not isinstance(entry.event, ReleaseEvent):
            destroyed.add(entry.task)
        for name in entry.statistics:
            if (entry.task, name) in charged:
                message = f"{name} was charged by an entry before: it may be released once"
                inspection.fault("release.twice", path, message)
            charged.add((entry.task, name))
        _check_sums(inspection, ledger, entry, opened, in_round)


def _check_entry(
    inspection: Inspection, path: str, entry: LedgerEntry, opened: OpenedRound
) -> None:
    task = opened.task
    for name, cost in entry.statistics.items():
        if name not in task.allocations:
            message = f"the plan charges no statistic {name:.40}"
            inspection.fault("cost.statistic", path, message)
            continue
        true = true_cost(task, name)
        if cost != true:
            message = f"{name} is charged {cost}, it costs {true}"
            inspection.fault("cost.statistic", path, message)


def _check_sums(
    inspection: Inspection,
    ledger: Ledger,
    entry: LedgerEntry,
    opened: OpenedRound | None,
    in_round: dict[bytes, Cost],
) -> None:
    path = ledger_path(ledger.name, entry.size)
    try:
        before = ledger.spent.get(entry.campaign, Cost.zero("zcdp"))
        total = before + entry.cost
        if entry.spent != total:
            message = f"it says {entry.spent} was spent; with this entry it is {total}"
            inspection.fault("ledger.sum", path, message)
        ledger.spent[entry.campaign] = total
        if opened is None:
            return
        terms = opened.task.plan.privacy
        here = in_round.get(entry.task, Cost.zero("zcdp")) + entry.cost
        in_round[entry.task] = here
        if not accounting.keeps(here.amount, terms.epsilon, terms.delta):
            message = f"{here} was charged for this round, more than its epsilon allows"
            inspection.fault("cost.round", path, message)
        if not total <= opened.task.lifetime:
            message = f"{total} was charged to the campaign, of {opened.task.lifetime}"
            inspection.fault("cost.lifetime", path, message)
    except MALFORMED as error:
        inspection.refuse("ledger.sum", path, error)


# Heads.


def _check_checkpoints(
    inspection: Inspection, ledger: Ledger, names: Sequence[str]
) -> dict[int, Checkpoint]:
    """Check the owner's heads; those that hold, by size."""
    folder, found = ledger_folder(ledger.name), {}
    for name in names:
        match = _FILE.fullmatch(name)
        if match is None or match[2] != "checkpoint":
            continue
        path, size = f"{folder}/{name}", int(match[1])
        checkpoint = _read_checkpoint(inspection, ledger, path)
        if checkpoint is None:
            continue
        if checkpoint.size != size:
            inspection.fault("file.place", path, f"it is the head of {checkpoint.size} entries")
        elif size > len(ledger.roots):
            if ledger.whole:
                message = "the entries it is about are not all here"
                inspection.waiting("ledger.chain", path, message)
            else:
                inspection.note("file.unchecked", path, "the ledger does not read that far")
        elif checkpoint.root != ledger.roots[size - 1]:
            message = "its root is not that of the entries beside it"
            inspection.fault("ledger.checkpoint", path, message)
        else:
            found[size] = checkpoint
    return found


def _read_checkpoint(inspection: Inspection, ledger: Ledger, path: str) -> Checkpoint | None:
    data = inspection.read(path, MAX_NOTE_SIZE)
    if data is None:
        return None
    inspection.signatures += 1
    try:
        checkpoint = parse_checkpoint(data, ledger.name, ledger.key)
    except SignatureError as error:
        inspection.refuse("file.signature", path, error)
    except LedgerError as error:
        inspection.refuse("file.form", path, error)
    else:
        # The root's base64 has bits that mean nothing; only one spelling of it is a head.
        if data.startswith(checkpoint.text):
            return checkpoint
        inspection.fault("file.form", path, "its text is not spelled as it was signed")
    return None


def _check_cosignature(
    inspection: Inspection,
    path: str,
    checkpoint: Checkpoint | None,
    witness: str,
    key: VerifyingKey,
) -> None:
    data = inspection.read(path, MAX_NOTE_SIZE)
    if data is None:
        return
    if checkpoint is None:
        inspection.note("file.unchecked", path, "the head it cosigns is missing or does not hold")
        return
    inspection.signatures += 1
    try:
        check_cosignature(data, checkpoint, witness, key)
    except SignatureError:
        message = f"it is not {witness}'s cosignature of the head beside it"
        inspection.fault("file.signature", path, message)
    except LedgerError as error:
        inspection.refuse("file.form", path, error)


def _check_fork(
    inspection: Inspection, ledger: Ledger, path: str, size: int, key: VerifyingKey
) -> None:
    """Two heads of one size, signed by the owner, prove a fork; anything less proves nothing."""
    document = inspection.document(path, FORK_KIND, key)
    if document is None:
        return
    inspection.signatures += 2
    try:
        fork = parse_fork(document.data, ledger.key)
    except MALFORMED as error:
        inspection.refuse("file.form", path, error)
        return
    if (fork.ledger, fork.size) != (ledger.name, size):
        inspection.fault("file.place", path, "it is about another ledger or size")
        return
    one, two = (head.root.hex() for head in fork.heads)
    message = f"{ledger.name} signed two heads of {size} entries, with roots {one} and {two}"
    inspection.fault("ledger.fork", path, message)


def _check_shares(
    inspection: Inspection,
    ledger: Ledger,
    names: Sequence[str],
    by_digest: Mapping[bytes, OpenedRound],
) -> None:
    """Account for noisy shares sealed by the owner to itself: only their length is public."""
    for name in names:
        match = _FILE.fullmatch(name)
        if match is None or match[2] != "share":
            continue
        size = int(match[1])
        path = share_path(ledger.name, size)
        inspection.claim(path)
        if inspection.files.sizes[path] > SHARE_LIMIT:
            inspection.fault("file.size", path, f"larger than {SHARE_LIMIT:,} bytes")
            continue
        if size > len(ledger.entries):
            if ledger.whole:
                inspection.waiting("ledger.chain", path, "the entry it belongs to is not here")
            continue
        entry = ledger.entries[size - 1]
        opened = by_digest.get(entry.task)
        if not isinstance(entry.event, ReleaseEvent) or opened is None:
            inspection.fault("file.place", path, "its entry is about no release")
            continue
        if ledger.name not in opened.names:
            continue
        clear = opened.paths.noisy(entry.event.release, ledger.name)
        hpke = opened.task.aggregators[opened.task.index_of(ledger.name)].hpke
        expected = hpke.ciphertext_size(inspection.files.sizes.get(clear, -1))
        if inspection.has(clear) and inspection.files.sizes[path] != expected:
            inspection.fault("file.form", path, "it is not as long as the share it seals")


def missing_cosignatures(
    inspection: Inspection, ledger: Ledger, size: int, witnesses: Sequence[str]
) -> list[tuple[str, str]]:
    """Files that would show the head of `size` entries cosigned, and are not there at all.

    (path, organisation) pairs: the checkpoint of the owner, a cosignature of every other.
    """
    wanted = [(checkpoint_path(ledger.name, size), ledger.name)]
    wanted += [
        (cosignature_path(ledger.name, size, witness), witness)
        for witness in witnesses
        if witness != ledger.name
    ]
    return [(path, name) for path, name in wanted if not inspection.has(path)]
