"""What a pool says about rounds and backups. Everybody who can read the folder can do this."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grievance.backup.archive import archive_numbers
from grievance.backup.requests import read_answer, read_requests
from grievance.backup.sets import read_sets
from grievance.errors import GrievanceError
from grievance.exposure.facts import BackupFacts, RelayedBatches, RoundFacts
from grievance.history import History
from grievance.home import read_identity
from grievance.pool.batch import max_batch_size, read_header
from grievance.pool.layout import RoundPaths, is_round_id, parse_batch_name
from grievance.pool.rounds import is_seen, read_task
from grievance.pool.store import LocalStore, find_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.exposure.facts import How, Key
    from grievance.home import Home
    from grievance.pool.store import Store
    from grievance.task import Identity


def organisations(store: Store) -> dict[str, Identity]:
    """Every organisation with an identity in the pool, by name."""
    found = {}
    for file in store.names("partners"):
        name = file.removesuffix(".json")
        if name == file or name.endswith(".mailbox"):
            continue
        try:
            found[name] = read_identity(store, name)
        except GrievanceError:
            continue
    return found


def rounds(store: Store, faults: list[str], homes: Sequence[Home] = ()) -> dict[str, RoundFacts]:
    """Every round whose task all aggregators signed, by id.

    With `homes` only what these take part in, or an organisation they compared has signed.
    """
    found = {}
    for round_id in filter(is_round_id, store.names("rounds")):
        ours = any(home.round_files(round_id).folder.exists() for home in homes)
        known = [home.known() for home in homes]
        if homes and not ours and not any(is_seen(store, round_id, keys) for keys in known):
            continue
        try:
            facts = _round(store, round_id)
        except GrievanceError as error:
            faults.append(f"{round_id}: {error.message}")
            continue
        if facts is not None:
            found[round_id] = facts
    return found


def _round(store: Store, round_id: str) -> RoundFacts | None:
    task = read_task(store, round_id)
    if task is None:
        return None
    facts = RoundFacts(task)
    _relayed(store, facts)
    history = History(task, store)
    facts.closed = history.chain.closed
    facts.destroyed = {name for name in facts.names if history.destroyed(name)}
    for view in history.releases.values():
        there = {name for name in facts.names if history.published(view, name)}
        if there:
            facts.noisy[view.release_id] = there
    return facts


def _relayed(store: Store, facts: RoundFacts) -> None:
    """Count what lies in the folder of batches, ordered or not: all of it can be opened."""
    paths, limit = RoundPaths(facts.task.round_id), max_batch_size(facts.task)
    rows: dict[str, list[int]] = {}
    times: dict[str, list[str]] = {}
    for name in store.names(paths.batches):
        parsed = parse_batch_name(name)
        if parsed is None:
            continue
        path = paths.batch(*parsed)
        source = find_source(store, path, limit)
        try:
            if source is None:
                continue
            rows.setdefault(parsed[0], []).append(read_header(source, facts.task).rows)
        except GrievanceError:
            continue
        written = _written(store, path)
        if written is not None:
            times.setdefault(parsed[0], []).append(written)
    for partner, counts in rows.items():
        seen = sorted(times.get(partner, []))
        first, last = (seen[0], seen[-1]) if seen else (None, None)
        facts.relays[partner] = RelayedBatches(len(counts), sum(counts), first, last)
    facts.reports = sum(relayed.reports for relayed in facts.relays.values())


def _written(store: Store, path: str) -> str | None:
    """The time a file of a local pool carries; a synced folder may have given it its own."""
    if not isinstance(store, LocalStore):
        return None
    try:
        moment = (store.root / path).stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def backups(
    store: Store,
    known: Mapping[str, Identity],
    contents: Mapping[tuple[str, str], dict[Key, How]],
) -> list[BackupFacts]:
    """Every backup of which an archive lies in the pool.

    `contents` says what the archives of (owner, set) hold.
    """
    found = []
    for owner, identity in known.items():
        sets = read_sets(store, identity)
        requests = read_requests(store, sets)
        for one in sets:
            answers = {
                request.request_id: frozenset(
                    trustee.index
                    for trustee in one.trustees
                    if read_answer(store, one, request, trustee) is not None
                )
                for request in requests
                if request.set_id == one.set_id
            }
            numbers = tuple(archive_numbers(store, owner, one.set_id))
            if numbers:
                held = contents.get((owner, one.set_id), {})
                found.append(BackupFacts(one, numbers, held, answers))
    return found
