"""Remember what the other aggregators signed, and name whoever signs a second version of it.

A pool shows each reader what it likes, and an aggregator that works with it may show one
decision to one peer and another to the next. So the first version of every file that a peer
writes once is kept when it is read; a version that says something else is kept beside it as
evidence that anybody can check. Work goes on with what holds: nothing is released while
decisions, approvals or entries disagree. Source: docs/design.md, sections 7 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import GrievanceError, PoolError
from grievance.ledger.versions import (
    parse_card_versions,
    parse_versions,
    place_of,
    read_statement,
    sign_versions,
)
from grievance.pool.layout import RoundPaths, ledger_folder
from grievance.pool.noisy import LIMIT as SHARE_LIMIT
from grievance.pool.proposals import read_releases
from grievance.pool.store import SMALL_FILE_SIZE, LocalStore, find, find_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.state import State
    from grievance.home import Home
    from grievance.pool.store import Source, View
    from grievance.task import Task

# In a folder only the head of a large file is read; elsewhere all of it would be fetched again
# at every sync, so there only small files are looked at again.
_LOCAL_LIMIT = 1 << 30


class NotingStore:
    """The pool as one aggregator works with it: what a peer signed is noted as it is read."""

    def __init__(self, home: Home, state: State, tasks: Sequence[Task]) -> None:
        self._home, self._state, self._store = home, state, home.store
        self._tasks = {task.round_id: task for task in tasks}
        self.location = home.store.location

    def names(self, folder: str) -> list[str]:
        """Names directly below `folder`, sorted; empty when it does not exist."""
        return self._store.names(folder)

    def size(self, path: str) -> int | None:
        """Size in bytes, or None when there is no such regular file."""
        return self._store.size(path)

    def view(self, path: str, limit: int) -> View | None:
        """The file's bytes; the first that its author signed are noted, and what contradicts."""
        data = self._store.view(path, limit)
        if data is not None:
            self._note(path, data)
        return data

    def source(self, path: str, limit: int) -> Source | None:
        """The file, to be read piece by piece. Partners' batches; they are named by content."""
        return self._store.source(path, limit)

    def local_path(self, path: str) -> str | None:
        """Where other processes of this machine can open the same file, if they can."""
        return self._store.local_path(path)

    def put(self, path: str, data: bytes) -> None:
        """Write the file, complete or not at all."""
        self._store.put(path, data)

    def delete(self, path: str) -> None:
        """Take the file away, if it is there."""
        self._store.delete(path)

    def _note(self, path: str, data: View) -> None:
        place = place_of(path)
        if place is None or place.author == self._home.name:
            return
        seen = self._state.seen(path)
        if seen is not None and len(data) >= len(seen) and bytes(data[: len(seen)]) == seen:
            return
        for task in self._tasks_of(place.author, place.round_id):
            now = read_statement(place, data, task)
            if now is None:
                continue
            first = read_statement(place, seen, task) if seen is not None else None
            if first is None:
                self._state.see(path, now.kept)
            elif first.says != now.says:
                evidence = sign_versions(path, first.kept, now.kept, self._home.key)
                where = RoundPaths(task.round_id).two_versions(path, self._home.name)
                if self._state.outgoing(where) is None:
                    self._state.spool(where, evidence)
            return

    def _tasks_of(self, author: str, round_id: str | None) -> list[Task]:
        """Tasks in which to look for the author's key; a ledger's evidence goes to the newest."""
        if round_id is not None:
            return [self._tasks[round_id]] if round_id in self._tasks else []
        with_author = [t for t in self._tasks.values() if author in {a.name for a in t.aggregators}]
        return with_author[::-1]

    def look_again(self) -> None:
        """Read again whatever of the others' files we have seen, in rounds that are not destroyed.

        Also approvals and noisy shares that nobody needed to read yet.
        """
        limit = _LOCAL_LIMIT if isinstance(self._store, LocalStore) else SMALL_FILE_SIZE
        for task in self._tasks.values():
            if self._state.is_destroyed(task.digest):
                continue
            paths = RoundPaths(task.round_id)
            for path in self._state.seen_paths(f"{paths.folder}/"):
                self._look_at_head(path, limit)
            for view in read_releases(self, task):
                for party in task.aggregators:
                    find(self, paths.noisy(view.release_id, party.name), SHARE_LIMIT)

    def _look_at_head(self, path: str, limit: int) -> None:
        """Verifier shares say in their head what they are; all other files are small."""
        source = find_source(self._store, path, limit)
        if source is None:
            return
        try:
            self._note(path, source.read(0, min(source.size, SMALL_FILE_SIZE)))
        except PoolError:  # it changes just now: the next time
            return


@dataclass(frozen=True)
class Evidence:
    """What we can prove, in words, and the file of the pool that proves it."""

    path: str
    words: str
    author: str


def two_versions(state: State, tasks: Sequence[Task]) -> list[Evidence]:
    """Every piece of evidence we hold that a peer signed two versions of one file."""
    found = []
    for task in tasks:
        folder = f"{RoundPaths(task.round_id).folder}/evidence/"
        for path in state.outgoing_paths(folder):
            data = state.outgoing(path)
            if path.startswith(f"{folder}twice-") and data is not None:
                proven = parse_versions(data, task)
                words = f"{proven.place.path}: {proven}"
                found.append(Evidence(path, words, proven.place.author))
    return found


def forks(state: State, task: Task) -> list[Evidence]:
    """Every piece of evidence we hold that a peer forked its ledger, or the leader the order."""
    found = []
    for party in task.aggregators:
        for path in state.outgoing_paths(f"{ledger_folder(party.name)}/"):
            if path.endswith(".fork"):
                words = f"{party.name} signed two heads of one size of its ledger"
                found.append(Evidence(path, words, party.name))
    folder, leader = f"{RoundPaths(task.round_id).folder}/evidence/", task.aggregators[0].name
    for path in state.outgoing_paths(folder):
        if path.startswith(f"{folder}order-"):
            words = f"{leader} signed two events for one place of the order"
            found.append(Evidence(path, words, leader))
    return found


def two_cards(state: State, round_id: str) -> list[Evidence]:
    """The evidence we hold that a peer signed two cards for a round that has no task yet."""
    found = []
    folder = f"{RoundPaths(round_id).folder}/evidence/"
    for path in state.outgoing_paths(folder):
        data = state.outgoing(path)
        if path.startswith(f"{folder}twice-") and data is not None:
            proven, _ = parse_card_versions(data)
            found.append(Evidence(path, f"{proven.place.path}: {proven}", proven.place.author))
    return found


def told(evidence: Sequence[Evidence]) -> list[GrievanceError]:
    """A fault for every file of which a peer signed two versions, naming the peer."""
    return [
        PoolError(
            item.words,
            code="file.twice",
            hint=f"both are kept in {item.path}; show it to the others, ask {item.author} why, "
            "and propose or approve no release until you know",
        )
        for item in evidence
    ]
