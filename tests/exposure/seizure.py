"""What really follows from taking homes: an attacker who tries everything, with no rule to go by.

It has copies of some homes and of the pool, and never looks at what `grievance.exposure` says.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.backup import archive, requests, sets
from grievance.backup.split import archive_key, combine
from grievance.client.input_share import open_input_share
from grievance.client.report import Report
from grievance.crypto import keys
from grievance.crypto.boxes import open_at_rest
from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import GrievanceError
from grievance.home import read_identity
from grievance.pool.batch import BatchFile
from grievance.pool.layout import RoundPaths
from grievance.pool.noisy import parse_noisy_share
from grievance.pool.order import read_chain
from grievance.pool.proposals import read_releases
from grievance.pool.rounds import read_task
from grievance.pool.store import open_store
from grievance.secret import StateKey, VerifyKey
from grievance.task import open_verify_key
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey
    from grievance.task import Task

Place = tuple[str, str, tuple[str, ...]]


@dataclass
class Loot:
    """What was got: places as a finding has them -> how many; and the answers, as bits."""

    got: dict[Place, int] = field(default_factory=dict)
    answers: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    totals: dict[str, tuple[int, ...]] = field(default_factory=dict)
    shares: dict[tuple[str, str], list[list[int]]] = field(default_factory=dict)
    by_receipt: dict[str, tuple[int, ...]] = field(default_factory=dict)
    relay: dict[str, str] = field(default_factory=dict)


# Commitment -> the receipt of its report, and the batch it lies in: both are public.
_rows: dict[bytes, tuple[str, str]] = {}
_cache: dict[tuple[bytes, bytes, str], dict[bytes, list[int]]] = {}


@functools.cache
def _keys_in(data: bytes, phrase: str | None) -> list[object]:
    """Every key that these bytes are as a file."""
    found: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        path.touch(mode=0o600)
        path.write_bytes(data)
        for read in (
            keys.read_hpke_key,
            keys.read_state_key,
            keys.read_verify_key,
            keys.read_identity,
        ):
            with contextlib.suppress(GrievanceError):
                found.append(read(path, phrase))
    return found


class _Raid:
    def __init__(self, homes: Sequence[Path], pool: Path, passphrase: str | None) -> None:
        self.store, self.passphrase = open_store(pool), passphrase
        self.hpke: list[HpkePrivateKey] = []
        self.state_keys: list[StateKey] = []
        self.verify_keys: list[VerifyKey] = []
        self.signing: dict[str, bytes] = {}
        self.states: list[Path] = []
        self.loot = Loot()
        for home in homes:
            for file in sorted(home.rglob("*")):
                if file.is_file():
                    self.take(file, file.read_bytes())

    def take(self, file: Path, data: bytes) -> None:
        """Read a key from any file, whatever its name, mode and place."""
        if file.name == "state.sqlite":
            self.states.append(file)
        for phrase in {None, self.passphrase}:
            for key in _keys_in(data[: keys.MAX_FILE_SIZE], phrase):
                if isinstance(key, HpkePrivateKey):
                    self.take_hpke(key)
                elif isinstance(key, StateKey):
                    self.state_keys.append(key)
                elif isinstance(key, VerifyKey):
                    self.verify_keys.append(key)
                else:
                    self.take_identity(key)

    def take_identity(self, key: SigningKey) -> None:
        for name in self.owners():
            if read_identity(self.store, name).key == key.public:
                self.loot.got["identity", name, (name,)] = 0

    def take_hpke(self, key: HpkePrivateKey) -> None:
        if all(key.public != known.public for known in self.hpke):
            self.hpke.append(key)

    def owners(self) -> list[str]:
        names = [file.removesuffix(".json") for file in self.store.names("partners")]
        return [name for name in names if not name.endswith(".mailbox")]

    def open_backups(self) -> bool:
        """Put backup keys together and take what the archives hold. True if keys were new."""
        before = len(self.hpke), len(self.state_keys), len(self.verify_keys)
        for owner in self.owners():
            every = sets.read_sets(self.store, read_identity(self.store, owner))
            for one in every:
                pieces = self.pieces(one, every)
                if len(pieces) < one.threshold:
                    continue
                key = archive_key(combine(dict(sorted(pieces.items())[: one.threshold])))
                numbers = archive.archive_numbers(self.store, owner, one.set_id)
                for opened, number in enumerate(numbers, start=1):
                    found = archive.read_archive(self.store, one, number)
                    assert found is not None
                    files = archive.open_archive(one, found, key)
                    place = "archives", owner, (one.set_id,)
                    if self.loot.got.get(place, 0) < opened:
                        self.loot.got[place] = opened
                        for name, data in files.items():
                            self.take(Path(name), data)
        return before != (len(self.hpke), len(self.state_keys), len(self.verify_keys))

    def pieces(self, one: sets.BackupSet, every: list[sets.BackupSet]) -> dict[int, object]:
        found = {}
        for trustee in one.trustees:
            for key in self.hpke:
                try:
                    found[trustee.index] = sets.open_piece(one, trustee, key)
                except GrievanceError:
                    continue
        for request in requests.read_requests(self.store, every):
            for key in self.hpke:
                if request.set_id == one.set_id and key.public == request.key:
                    found |= requests.collect_answers(self.store, one, request, key).pieces
        return found

    def raid_round(self, task: Task) -> None:
        chain = read_chain(self.store, task)
        opened: dict[int, dict[bytes, list[int]]] = {}
        for index, party in enumerate(task.aggregators):
            for key in self.hpke:
                if key.public == party.hpke:
                    opened[index] = self.open_shares(task, index, key)
        self.keep_shares(task, opened)
        sums = self.exact_sums(task, opened)
        names = [party.name for party in task.aggregators]
        who = tuple(names[index] for index in sorted(sums))
        if len(sums) == len(names):
            total = task.vdaf.agg_init()
            for one in sums.values():
                total = task.vdaf.agg_update(total, one)
            self.loot.totals[task.round_id] = tuple(total)
            self.loot.got["totals", task.round_id, who] = 0
        elif sums and self.take_noise_off(task, sums):
            self.loot.got["noise", task.round_id, who] = 0
        if not chain.closed and self.knows_verify_key(task):
            self.loot.got["verify-key", task.round_id, ()] = 0

    def open_shares(self, task: Task, index: int, key: HpkePrivateKey) -> dict[bytes, list[int]]:
        """Open one aggregator's share of every report there: commitment -> output share."""
        paths = RoundPaths(task.round_id)
        found = {}
        for name in self.store.names(paths.batches):
            data = self.store.view(f"{paths.batches}/{name}", 1 << 30)
            place = task.digest, key.public.raw, name
            if place not in _cache:
                opened = {}
                file = BatchFile(data, task)
                for rows in map(file.rows, file.spans()):
                    for row in range(rows.num_rows):
                        mark, public, *sealed = (column[row].as_py() for column in rows.columns)
                        _rows[mark] = (
                            Report(task.digest, mark, public, tuple(sealed)).digest.hex(),
                            name,
                        )
                        share = open_input_share(key, task, index, mark, public, sealed[index])
                        decoded = task.vdaf.decode_input_share(index, share)
                        meas, _, _ = task.vdaf.expand_input_share(task.ctx, index, decoded)
                        opened[mark] = list(task.vdaf.circuit.truncate(meas))
                _cache[place] = opened
            found |= _cache[place]
        return found

    def keep_shares(self, task: Task, opened: dict[int, dict[bytes, list[int]]]) -> None:
        names = [party.name for party in task.aggregators]
        who = tuple(names[index] for index in sorted(opened))
        for index, shares in opened.items():
            self.loot.shares[task.round_id, names[index]] = list(shares.values())
        counts = {len(shares) for shares in opened.values()} or {0}
        assert len(counts) == 1
        (number,) = counts
        if not number:
            return
        if len(opened) < len(names):
            self.loot.got["share", task.round_id, who] = number
            return
        self.loot.got["answers", task.round_id, who] = number
        found = []
        for mark in opened[0]:
            total = task.vdaf.agg_init()
            for shares in opened.values():
                total = task.vdaf.agg_update(total, shares[mark])
            found.append(tuple(total))
            receipt, batch = _rows[mark]
            self.loot.by_receipt[receipt] = tuple(total)
            self.loot.relay[receipt] = batch.rpartition("-")[0]
        self.loot.answers[task.round_id] = sorted(found)

    def exact_sums(
        self, task: Task, opened: dict[int, dict[bytes, list[int]]]
    ) -> dict[int, list[int]]:
        sums = {}
        for index, shares in opened.items():
            total = task.vdaf.agg_init()
            for share in shares.values():
                total = task.vdaf.agg_update(total, share)
            if shares:
                sums[index] = total
        for path in self.states:
            name = json.loads((path.parent / "organisation.json").read_text())["name"]
            names = [party.name for party in task.aggregators]
            if name not in names:
                continue
            index = names.index(name)
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            rows = db.execute("SELECT seq, sum FROM batches WHERE task = ?", (task.digest,))
            total, opened_any = task.vdaf.agg_init(), False
            for seq, box in rows.fetchall():
                context = length_prefixed(
                    b"grievance/2 at rest", b"sum", task.digest, seq.to_bytes(4, "big")
                )
                for key in self.state_keys:
                    try:
                        data = open_at_rest(key, box, context)
                    except GrievanceError:
                        continue
                    total = task.vdaf.agg_update(total, task.vdaf.decode_agg_share(data))
                    opened_any = True
                    break  # an archive may have given the same key again
            db.close()
            if opened_any:
                assert sums.get(index, total) == total
                sums[index] = total
        return sums

    def take_noise_off(self, task: Task, sums: dict[int, list[int]]) -> bool:
        """Whether these sums give noise that was published: then it can be subtracted."""
        field_, layout = task.vdaf.field, task.layout
        for view in read_releases(self.store, task):
            for index, total in sums.items():
                name = task.aggregators[index].name
                path = RoundPaths(task.round_id).noisy(view.release_id, name)
                data = self.store.view(path, 1 << 24)
                if data is None:
                    continue
                share = parse_noisy_share(bytes(data), task, index)
                for statistic, values in share.values.items():
                    exact = layout.project(statistic, total, field_.MODULUS)
                    noise = field_.sub(list(values), list(exact))
                    spread = 40 * task.allocations[statistic].scale * 1000
                    assert all(min(n, field_.MODULUS - n) < spread for n in noise)
                    return True
        return False

    def knows_verify_key(self, task: Task) -> bool:
        from grievance.task import commitment

        if any(commitment(key) == task.verify_key_commitment for key in self.verify_keys):
            return True
        data = self.store.view(RoundPaths(task.round_id).verify_key, 1 << 20)
        for party in task.aggregators:
            for key in self.hpke:
                try:
                    found = open_verify_key(bytes(data or b""), task, party.name, key)
                except GrievanceError:
                    continue
                return commitment(found) == task.verify_key_commitment
        return False


def seize(homes: Sequence[Path], pool: Path, passphrase: str | None = None) -> Loot:
    """Take these homes and the pool, and get whatever can be got."""
    raid = _Raid(homes, pool, passphrase)
    while raid.open_backups():
        pass
    for round_id in raid.store.names("rounds"):
        task = read_task(raid.store, round_id)
        if task is not None:
            raid.raid_round(task)
    return raid.loot
