"""What really lies in a home: every file of it, the keys among them, and the state's contents.

Files are read as whoever took the machine would read them; a file this program did not write
is listed too, since nobody knows what it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator.state import State
from grievance.backup.archive import archive_numbers
from grievance.backup.requests import read_requests
from grievance.backup.sets import read_sets
from grievance.crypto import keys
from grievance.crypto.documents import parse_canonical
from grievance.errors import GrievanceError, KeyFileError
from grievance.exposure.facts import Held, How, Key, KeyKind, count
from grievance.home import read_identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grievance.exposure.facts import RoundFacts
    from grievance.home import Home
    from grievance.task import Identity

_PLAIN = {
    "organisation.json": "our name and where the pool is",
    "known.json": "whose fingerprints we compared: whom we work with",
    "admissions.json": "partners to admit once a round is signed",
    "backup.json": "which backup there is, and what its newest archive holds, by name",
    "lock": "an empty file that keeps two commands apart",
    "state.sqlite-wal": "part of the state file",
    "state.sqlite-shm": "part of the state file",
    "rehearse.json": "our request for our own backup's pieces",
    "restore.json": "our request for the pieces of a backup",
}
_ROUND_FILE = re.compile(r"rounds/([^/]+)/(hpke|verify|state)\.key")
_HELPER = "rehearsal-helper"
_FOREVER = "as long as this folder is there"
_LOCKED = "under a passphrase: of use to whoever also has that"
_RANDOM = "uniformly random without the others'"
_FAULTS = {
    "key.mode": "other users of this machine can read it: chmod 600",
    "key.symlink": "a symbolic link, which is refused",
}


@dataclass
class Inventory:
    """What one home holds: the keys, and every item in words."""

    name: str
    held: list[Held] = field(default_factory=list)
    keys: dict[Key, How] = field(default_factory=dict)
    archived: dict[str, dict[Key, How]] = field(default_factory=dict)
    """Backup set -> what its newest archive holds, as the home remembers."""
    known_archives: set[str] = field(default_factory=set)
    """Sets none of whose archives in the pool can hold anything else."""

    def add(
        self, what: str, where: str, until: str, alone: str, command: str | None = None
    ) -> None:
        """Note an item that was found."""
        self.held.append(Held(what, where, "found", until, alone, command))


def take_stock(home: Home, rounds: Mapping[str, RoundFacts]) -> list[Inventory]:
    """List everything in a home, and in the rehearsal helper's inside it."""
    found = Inventory(home.name)
    helpers: list[Inventory] = []
    for path in sorted(home.root.rglob("*")):
        where = path.relative_to(home.root).as_posix()
        if where.split("/")[0] == _HELPER:
            continue
        if path.is_symlink() or not path.is_dir():
            _file(home, found, rounds, path, where)
    helper = home.root / _HELPER
    if (helper / "organisation.json").exists():
        helpers = take_stock(type(home).open(helper, home.passphrase), rounds)
    if home.state_path.exists():
        _state(home, found, rounds)
    _archived(home, found)
    return [found, *helpers]


def _file(
    home: Home, found: Inventory, rounds: Mapping[str, RoundFacts], path: Path, where: str
) -> None:
    match = _ROUND_FILE.fullmatch(where)
    if where in ("identity.pem", "mailbox.key", "rehearse.key", "restore.key") or match:
        how, note = _look(path)
        if match:
            _round_key(found, rounds, where, match[1], match[2], how, note)
        else:
            _own_key(home, found, path, how, note)
    elif where in _PLAIN:
        found.add(_PLAIN[where], where, _FOREVER, "nothing about any worker")
    elif where != "state.sqlite":
        found.add(
            "a file that grievance did not write",
            where,
            "when you delete it",
            "unknown: look at it, and delete copies of keys",
        )


def _look(path: Path) -> tuple[How, str]:
    """Whether a key file opens as it lies there, and what is wrong with it, in words."""
    try:
        data = keys.read_file(path)
    except KeyFileError as error:
        # Whoever takes the machine is not stopped by what stops us.
        return "found", _FAULTS.get(error.code, error.message)
    if data.startswith(b"-----BEGIN ENCRYPTED"):
        return "locked", _LOCKED
    try:
        value = parse_canonical(data, keys.MAX_FILE_SIZE)
    except GrievanceError:
        return "found", ""
    locked = isinstance(value, dict) and "sealed" in value
    return ("locked", _LOCKED) if locked else ("found", "")


def _own_key(home: Home, found: Inventory, path: Path, how: How, note: str) -> None:
    name = home.name
    if path.name == "identity.pem":
        found.keys[Key("identity", name)] = how
        what, until = "the identity key", "never, unless everybody is told that it changed"
        alone = f"signs as {name}; reads nothing"
    elif path.name == "mailbox.key":
        found.keys[Key("mailbox", name)] = how
        what, until = "the mailbox key", "never; delete it when you hold no piece for anybody"
        alone = "opens the backup pieces sealed to us; one piece alone is 32 uniform bytes"
    else:
        what, until = "the key of a request for backup pieces", "when the request is done"
        alone = "opens the pieces that trustees have sent to this request"
        for owner, request in _requests(home, path):
            found.keys[Key("request", owner, request)] = how
    _add_key(found, what, path.name, until, alone, how, note)


def _requests(home: Home, path: Path) -> list[tuple[str, str]]:
    """Which request of ours a pending key belongs to: (owner, request id)."""
    try:
        public = keys.read_hpke_key(path, home.passphrase).public
    except KeyFileError:
        public = None
    identity = _identity(home)
    sets = read_sets(home.store, identity) if identity is not None else []
    return [
        (home.name, request.request_id)
        for request in read_requests(home.store, sets)
        if public is None or request.key == public
    ]


def _identity(home: Home) -> Identity | None:
    try:
        return read_identity(home.store, home.name)
    except GrievanceError:
        return None


def _round_key(
    found: Inventory,
    rounds: Mapping[str, RoundFacts],
    where: str,
    round_id: str,
    kind: str,
    how: How,
    note: str,
) -> None:
    facts, name = rounds.get(round_id), found.name
    found.keys[_round_token(kind, name, round_id)] = how
    reports = f"{facts.reports:,}" if facts is not None else "no"
    opens = f"opens the one share of {reports} reports that was sealed to {name}"
    what, alone = {
        "hpke": ("the key that opens reports", f"{opens}: {_RANDOM}"),
        "verify": (
            "the verify key",
            "lets forged reports pass while the round is open; reads nothing",
        ),
        "state": ("the state key", f"opens our sums, with the state file: {_RANDOM}"),
    }[kind]
    command = f"grievance round destroy --round {round_id}"
    until = "when you destroy the round"
    if facts is not None and name in facts.destroyed:
        until = "the round is destroyed: this file must not be here, delete it"
    elif facts is None:
        until = "when you destroy the round; it is not signed by all yet"
    _add_key(found, f"{what} of {round_id}", where, until, alone, how, note, command)


def _add_key(
    found: Inventory,
    what: str,
    where: str,
    until: str,
    alone: str,
    how: How,
    note: str,
    command: str | None = None,
) -> None:
    text = f"{what} ({note})" if note else what
    found.held.append(Held(text, where, how, until, alone, command))


def _state(home: Home, found: Inventory, rounds: Mapping[str, RoundFacts]) -> None:
    """What the state file holds. Reading it changes nothing in it."""
    with home.lock():
        state = State(home.state_path)
        try:
            for data in state.tasks():
                _task_state(found, state, tasks.parse_task(data), rounds)
            outgoing = state.all_outgoing()
            entries = len(state.ledger())
            _relayed(found, state, rounds)
        finally:
            state.close()
    if outgoing:
        size = sum(length for _, length in outgoing)
        found.add(
            f"copies of {count(len(outgoing), 'file')} we published, {size:,} bytes",
            "state.sqlite",
            _FOREVER,
            "what the pool says, also after it is gone",
        )
    if entries:
        found.add(
            f"our ledger, {count(entries, 'entry', 'entries')}",
            "state.sqlite",
            _FOREVER,
            "what was released, when and at what cost: public in the pool",
        )


def _relayed(found: Inventory, state: State, rounds: Mapping[str, RoundFacts]) -> None:
    """What we remember as a relay: our batches lie among the copies of what we published."""
    for round_id in state.relaying_rounds():
        known = state.relayed(rounds[round_id].task.digest) if round_id in rounds else {}
        if known:
            number = sum(len(digests) for digests in known.values()) // 32
            found.add(
                f"the digests of {count(number, 'report')} we passed on in {round_id}, blank ones "
                f"included, in {count(len(known), 'batch', 'batches')}",
                "state.sqlite",
                "when all aggregators have destroyed the round, at the next grievance sync",
                "what our batches in the pool say; not which of their reports are real",
                "grievance sync",
            )


def _task_state(
    found: Inventory, state: State, task: tasks.Task, rounds: Mapping[str, RoundFacts]
) -> None:
    round_id, command = task.round_id, f"grievance round destroy --round {task.round_id}"
    rows = state.batches(task.digest)
    sums = [row for row in rows.values() if row.sum]
    if sums:
        # Only decided batches are sums over what counts; open ones hold every decoded row.
        found.keys[Key("sums", found.name, round_id)] = "found"
        found.add(
            f"sealed sums of {count(len(sums), 'batch', 'batches')} of {round_id}",
            "state.sqlite",
            "when you destroy the round",
            f"nothing without the state key; with it, numbers that are {_RANDOM}",
            command,
        )
    findings = [row for row in rows.values() if state.findings(task.digest, row.seq) is not None]
    if findings:
        found.add(
            f"sealed digests of the reports in {count(len(findings), 'batch', 'batches')} "
            f"of {round_id}",
            "state.sqlite",
            "when the batches are decided, at the next grievance sync",
            "nothing without the state key; with it, what lies in the pool anyway",
            "grievance sync",
        )
    shares = [
        release
        for release in (rounds[round_id].noisy if round_id in rounds else {})
        if state.noisy_share(task.digest, release) is not None
    ]
    if shares:
        found.add(
            f"our sealed noisy share of {count(len(shares), 'release')} of {round_id}",
            "state.sqlite",
            "when you destroy the round",
            "what is published",
            command,
        )
    burns = sum(len(entries) for entries in state.burns(task.digest)) // 24
    if burns:
        found.add(
            f"the burn table of {round_id}: {count(burns, 'nonce')} with keyed tags",
            "state.sqlite",
            _FOREVER,
            "which reports were checked; the nonces are in the pool, the tags say nothing",
        )
    if state.is_destroyed(task.digest):
        found.add(
            f"the note that {round_id} is destroyed", "state.sqlite", _FOREVER, "what is public"
        )


def _archived(home: Home, found: Inventory) -> None:
    """What the archives of our backup hold, by the note of what went into the newest.

    Archives from `keep_from` on were made since keys were last deleted: they hold no others.
    """
    note = home.read_settings("backup")
    paths, set_id, first = note.get("paths"), note.get("set"), note.get("keep_from")
    if not (isinstance(paths, list) and isinstance(set_id, str) and isinstance(first, int)):
        return
    there = archive_numbers(home.store, home.name, set_id)
    # Archives hold the files as they lie here, under the passphrase they have here.
    how = found.keys.get(Key("identity", home.name), "found")
    held: dict[Key, How] = {}
    for path in map(str, paths):
        match = _ROUND_FILE.fullmatch(path)
        if match:
            held[_round_token(match[2], home.name, match[1])] = how
        elif path in ("identity.pem", "mailbox.key"):
            kind: KeyKind = "identity" if path == "identity.pem" else "mailbox"
            held[Key(kind, home.name)] = how
    found.archived[set_id] = held
    if note.get("contents") and there and there[0] >= first:
        found.known_archives.add(set_id)


def _round_token(kind: str, name: str, round_id: str) -> Key:
    """The key behind one of a round's files; the verify key is one for all."""
    if kind == "verify":
        return Key("verify", "", round_id)
    return Key("hpke" if kind == "hpke" else "state", name, round_id)
