"""Whose ledgers an organisation watches: its peers', and those it is to witness or to remember.

An aggregator witnesses the others of the rounds it signed. An organisation that adds nothing up
witnesses the aggregators of the signed rounds whose plan names its key; a trustee of an
aggregator's backup remembers that one's heads, to tell them should it lose its memory. Only rounds
count in which we compared somebody's key: whatever a stranger puts into the pool costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.crypto.documents import b64encode
from grievance.errors import GrievanceError
from grievance.ledger.cosigned import witnesses_of
from grievance.pool.layout import is_round_id
from grievance.pool.rounds import is_seen, read_signed, read_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.aggregator.state import State
    from grievance.crypto.signing import VerifyingKey
    from grievance.home import Home
    from grievance.task import AggregatorEntry, Task


@dataclass(frozen=True)
class Watched:
    """A ledger that we watch. `peer`: we add up beside its owner. `cosigns`: we sign its heads."""

    key: VerifyingKey
    peer: bool
    cosigns: bool


def watched(home: Home, state: State) -> dict[str, Watched]:
    """Every ledger that we watch, by its owner's name; under one name the key we rely on most."""
    found: dict[str, Watched] = {}
    for data in state.tasks():
        for party in tasks.parse_task(data).aggregators:
            if party.name != home.name:
                found[party.name] = Watched(party.identity, peer=True, cosigns=True)
    for party, cosigns in _outside(home, state):
        known = home.known_key(party.name)
        if party.name == home.name or known not in (None, party.identity):
            continue
        before = found.get(party.name)
        if before is None or (
            before.key == party.identity and cosigns and not before.cosigns and not before.peer
        ):
            found[party.name] = Watched(party.identity, peer=False, cosigns=cosigns)
    return found


def unvouched(home: Home, state: State) -> list[str]:
    """Words for every round that names us as a witness while we compared nobody in it."""
    return [
        f"{task.round_id} names {home.name} as a witness, and nobody here has compared its keys: "
        f"get the round's digest from elsewhere, then grievance sync --trust DIGEST"
        for task in _others(home, state)
        if _witnesses(home, task) and not _vouched(home, task)
    ]


def _others(home: Home, state: State) -> Iterator[Task]:
    """The signed rounds of the pool in which we add nothing up, and somebody we know, or we, are.

    Other rounds are strangers': their tasks are not laid out.
    """
    ours, known = set(state.rounds()), home.compared()
    own = b64encode(home.key.public.raw).encode()
    for round_id in home.store.names("rounds"):
        if not is_round_id(round_id) or round_id in ours:
            continue
        try:
            signed = read_signed(home.store, round_id)
            if signed is None or not (own in signed.data or is_seen(home.store, round_id, known)):
                continue
            task = read_task(home.store, round_id)
        except GrievanceError:
            continue
        if task is not None:
            yield task


def _witnesses(home: Home, task: Task) -> bool:
    return witnesses_of(task).get(home.name) == home.key.public


def _outside(home: Home, state: State) -> Iterator[tuple[AggregatorEntry, bool]]:
    """The aggregators of rounds that are not ours, and whether we witness them."""
    for task in _others(home, state):
        if not _vouched(home, task):
            continue
        witness = _witnesses(home, task)
        for party in task.aggregators:
            if witness:
                yield party, True
            elif party.backup is not None and any(
                trustee.key == home.key.public for trustee in party.backup.trustees
            ):
                yield party, False


def _vouched(home: Home, task: Task) -> bool:
    """Whether somebody whose key we compared signed this round; all its aggregators have."""
    return any(home.known_key(party.name) == party.identity for party in task.aggregators)
