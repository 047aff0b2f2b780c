"""Witness the ledgers of others, and refuse to work from an old memory of our own.

A witness checks that a head extends the last head it stored, stores it, and only then
cosigns: a restored backup or a forked ledger gets no cosignature, and two heads of one size
are kept as evidence that anybody can check.
Source: docs/design.md, section 10; docs/threats.md, section 3.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator import arrivals, sightings
from grievance.aggregator.watched import Watched, watched
from grievance.crypto.merkle import root
from grievance.errors import GrievanceError, LedgerError, SignatureError, StateError, WireError
from grievance.failpoints import failpoint
from grievance.ledger import LedgerEntry, LedgerLog, read_ledger
from grievance.ledger.checkpoint import Checkpoint, cosign
from grievance.ledger.cosigned import has_cosigned, read_checkpoint
from grievance.ledger.versions import sign_versions
from grievance.pool.decisions import read_signed_header, verify_size
from grievance.pool.layout import (
    RoundPaths,
    checkpoint_path,
    cosignature_path,
    fork_path,
    ledger_folder,
)
from grievance.pool.proposals import read_releases
from grievance.pool.rounds import own_cards
from grievance.pool.store import find

if TYPE_CHECKING:
    from grievance.aggregator.office import Office
    from grievance.aggregator.state import State
    from grievance.crypto.signing import VerifyingKey
    from grievance.pool.order import OrderChain
    from grievance.pool.store import Store
    from grievance.task import Task


DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Head:
    """The last head of a peer's ledger that we stored and cosigned."""

    size: int
    root: bytes
    checkpoint: bytes


def witness_all(office: Office) -> tuple[list[str], list[GrievanceError]]:
    """Cosign every new head of every ledger we watch that extends what we stored.

    Returns what was done in words, and a fault for every ledger that does not, and for every
    file of which a peer signed two versions.
    """
    done: list[str] = []
    signed = [tasks.parse_task(data) for data in office.state.tasks()]
    store = sightings.NotingStore(office.home, office.state, signed)
    store.look_again()
    faults = []
    for name, ledger in watched(office.home, office.state).items():
        try:
            new = _witness(office, store, name, ledger)
        except GrievanceError as error:
            faults.append(error)
            continue
        if new:
            what = "witnessed" if ledger.cosigns else "remembered"
            done.append(f"{what} the ledger of {name}, {new} new")
    return done, faults + sightings.told(sightings.two_versions(office.state, signed))


def _witness(office: Office, store: Store, name: str, ledger: Watched) -> int:
    state, key = office.state, ledger.key
    stored = state.witnessed(key.raw)
    check_proven(state, office.home.name, name)
    if stored is not None:
        _check_fork(office, name, key, Head(*stored))
    log = read_ledger(store, name, key)
    check_extends(log, stored)
    count = 0
    for size in range((stored[0] if stored else 0) + 1, len(log.entries) + 1):
        checkpoint = read_checkpoint(store, name, key, size)
        if checkpoint is None:
            if ledger.peer:  # a release waits for our cosignature of this very head
                break
            continue
        check_checkpoint(checkpoint, log)
        if not ledger.peer:
            _check_remembered(office, store, name, checkpoint)
        with state.transaction():
            state.witness(key.raw, name, size, checkpoint.root, checkpoint.data)
            failpoint("witness.stored")
            if ledger.cosigns:
                line = cosign(checkpoint, office.home.name, _today(), office.home.key)
                state.spool(cosignature_path(name, size, office.home.name), line)
        count += 1
    return count


def _today() -> int:
    """This day's first second since 1970: a cosignature need not say when somebody works."""
    return int(time.time()) // DAY * DAY


def _check_remembered(office: Office, store: Store, name: str, head: Checkpoint) -> None:
    """Raise StateError `state.behind` for a head that we cosigned and do not remember.

    A witness that lost its memory must not take an older ledger for the first it sees.
    """
    home, path = office.home, cosignature_path(name, head.size, office.home.name)
    if office.state.outgoing(path) is None and has_cosigned(
        store, head, name, home.name, home.key.public
    ):
        raise _behind(path)


def check_proven(state: State, witness: str, name: str) -> None:
    """A ledger with two heads of one size stays forked, whatever the pool shows now.

    `witness` is our own name. Raises LedgerError `ledger.fork` when we hold the proof.
    """
    for path in state.outgoing_paths(f"{ledger_folder(name)}/"):
        if path.endswith(f".{witness}.fork"):
            raise forked(name, path)


def check_extends(log: LedgerLog, stored: tuple[int, bytes, bytes] | None) -> None:
    """Hold a ledger against the head of it that we stored. Raises LedgerError `ledger.rollback`.

    One that has not arrived so far is not judged.
    """
    if stored is None or len(log.entries) < stored[0]:
        return
    if root([entry.data for entry in log.entries[: stored[0]]]) != stored[1]:
        raise LedgerError(
            f"the ledger of {log.aggregator} does not extend the head we cosigned",
            code="ledger.rewritten",
            hint=f"{log.aggregator} may have restored an old backup; no release goes on until "
            "they recover",
        )


def check_checkpoint(checkpoint: Checkpoint, log: LedgerLog) -> None:
    """Hold a head against the entries it is about. Raises LedgerError `ledger.checkpoint`."""
    size, name = checkpoint.size, log.aggregator
    if checkpoint.root != root([entry.data for entry in log.entries[:size]]):
        raise LedgerError(
            f"the checkpoint {checkpoint_path(name, size)} is not about the entries beside it",
            code="ledger.checkpoint",
            hint=f"keep both as evidence and call {name}",
        )


def _check_fork(office: Office, name: str, key: VerifyingKey, stored: Head) -> None:
    """Hold the pool's head of the size we stored against ours; keep the pair if they differ."""
    now = read_checkpoint(office.home.store, name, key, stored.size)
    if now is None or now.root == stored.root:
        return
    place = checkpoint_path(name, stored.size)
    evidence = sign_versions(place, stored.checkpoint, now.data, office.home.key)
    path = fork_path(name, stored.size, office.home.name)
    if office.state.outgoing(path) is None:
        with office.state.transaction():
            office.state.spool(path, evidence)
        office.publish()
    raise forked(name, path)


def forked(name: str, path: str) -> LedgerError:
    """What to say of a ledger with two heads of one size; `path` is the proof."""
    return LedgerError(
        f"{name} signed two heads of one size of its ledger: a fork",
        code="ledger.fork",
        hint=f"the proof is in {path}; we cosign {name}'s ledger no more, so nothing is released: "
        "show the file to the other organisations",
    )


def check_not_behind(office: Office) -> None:
    """Refuse to work when the pool shows that we have done more than we remember.

    Raises StateError `ledger.rollback`, or `state.behind` where an entry has not arrived but
    something that follows from it has: this state is older than what we published, so the
    budget could be spent twice and nonces verified again.
    """
    in_pool = read_own_ledger(office)
    ours = office.state.ledger()
    for size, entry in enumerate(in_pool.entries, start=1):
        if size > len(ours) or ours[size - 1] != entry.data:
            raise StateError(
                f"our ledger has {len(ours)} entries, but the pool holds entry {size} with our "
                "signature that we do not remember: this state is older than what we published",
                code="ledger.rollback",
                hint="this folder was restored from an old backup; run `grievance recover`",
            )
    cards = own_cards(office.home.store, office.home.identity)
    entries = [LedgerEntry.parse(entry, office.home.key.public) for entry in ours]
    rounds = {*office.state.rounds(), *cards}
    signed = [tasks.parse_task(data) for data in office.state.tasks()]
    beyond = arrivals.unknown_charge(office.home, entries, sorted(rounds), signed)
    if beyond is not None:
        raise _behind(beyond)
    for round_id in cards:
        path = RoundPaths(round_id).card(office.home.name)
        if office.state.outgoing(path) is None:
            raise StateError(
                f"{path} carries our signature, but this state does not remember it: it is new, "
                "or older than what we published",
                code="state.behind",
                hint="if the machine stopped suddenly, the state was copied without the files "
                "beside it that begin with its name; else move it away and run `grievance recover`",
            )


def check_round_not_behind(office: Office, task: Task, chain: OrderChain) -> None:
    """Refuse to work on a round in which we have published what we do not remember.

    A verify file of ours that this state knows nothing of means that its burnt nonces are
    missing too; an approval, that the release would wait for us for ever. Raises StateError
    `state.behind`.
    """
    paths, name = RoundPaths(task.round_id), office.home.name
    state, store = office.state, office.home.store
    ours = [(paths.verify(b.seq, name), b) for b in chain.batches]
    for path, batch in ours:
        if state.outgoing(path) is not None:
            continue
        data = find(store, path, verify_size(task, batch.rows))
        if data is None:
            continue
        try:
            read_signed_header(data, task, batch, task.index_of(name))
        except SignatureError:
            continue
        raise _behind(path)
    for view in read_releases(store, task):
        # A release goes on at the hand of whoever remembers having approved it.
        path = paths.approval(view.release_id, name)
        if name in view.answers and state.outgoing(path) is None:
            raise _behind(path)


def _behind(path: str) -> StateError:
    return StateError(
        f"{path} carries our signature, but this state does not remember it",
        code="state.behind",
        hint="this folder was restored from an old backup, or its state is lost: move "
        "state.sqlite away if it is there, then run `grievance recover`",
    )


def read_own_ledger(office: Office) -> LedgerLog:
    """Our own ledger as the pool has it; empty when it holds nothing we signed."""
    try:
        return read_ledger(office.home.store, office.home.name, office.home.key.public)
    except (LedgerError, WireError) as error:
        raise StateError(
            f"our own ledger in the pool does not read: {error}", code="ledger.own"
        ) from None
