"""What a relay remembers of a round, so that no report goes out twice.

Cover is cover only if it is drawn once. A report that went out in two batches, each filled up
with blank reports of its own, is a public `report.replay` in the second: everybody then sees that
this row is real, and how many came in between. So the home remembers, before anything is put
into the pool, every report it passed on in a round, and keeps its batches byte for byte: after a
cut the same bytes go out. To that it adds what its own batches in the pool hold.

The batches are kept, and put back where they are lost, until nobody needs them: an aggregator
that lost its state rebuilds it from them. Then all of it is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.crypto.documents import parse_document
from grievance.errors import LedgerError, PoolError, StateError
from grievance.ledger import read_ledger
from grievance.pool.batch import BatchFile, max_batch_size, read_header
from grievance.pool.events import Admit, read_event
from grievance.pool.layout import RoundPaths, parse_batch_name
from grievance.pool.order import KIND, read_chain
from grievance.pool.proposals import read_releases
from grievance.pool.rounds import read_task
from grievance.pool.store import SMALL_FILE_SIZE, find, find_source

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from grievance.aggregator import Office
    from grievance.home import Home
    from grievance.pool.order import OrderChain, OrderedBatch
    from grievance.task import RoundTerms

KEEP_DAYS = 90
"""How long batches are kept after the last release, and uncounted files after the close."""
_DIGEST_SIZE = 32
_FIRST_DAY = timedelta(days=1)
_SEEN_AGAIN = "as public replays, which shows which reports are no blank ones"


@dataclass(frozen=True)
class Memory:
    """Our batches of a round by their path in the pool, and where each report went.

    `found`: paths of batches that the pool held and this home did not remember.
    """

    batches: dict[str, tuple[bytes, ...]]
    found: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Mapping[str, bytes], found: Iterable[str] = ()) -> Memory:
        """From what the state remembers: path -> digests, one after the other."""
        return cls({path: tuple(_split(digests)) for path, digests in rows.items()}, tuple(found))

    @cached_property
    def path_of(self) -> dict[bytes, str]:
        """Report digest (32 bytes) -> the batch in which it went out."""
        return {digest: path for path, rows in self.batches.items() for digest in rows}


def recall(
    office: Office, task: RoundTerms, chain: OrderChain, now: datetime, *, lost: bool = False
) -> Memory:
    """What we passed on in a round, by our own memory and by our own batches in the pool.

    Raises StateError `relay.memory`, changing nothing, where reports may have gone out that
    neither shows: this home remembers nothing though it has batches there, or was admitted more
    than a day ago; or a batch of ours has its place and is nowhere. `lost`: the steward knows what
    follows and goes on; what is missing is then not asked for again.
    """
    state, paths = office.state, RoundPaths(task.round_id)
    known = state.relayed(task.digest)
    found = _found(office.home, task, known)
    ours = [b for b in chain.batches if b.relay == office.home.key.public]
    missing = [b for b in ours if paths.batch(b.partner, b.digest) not in {*known, *found}]
    if state.relaying(task.digest) is None and not lost:
        _refuse_blank(office.home, chain, len(found), now)
    if missing and not lost:
        raise _missing(task, missing)
    with state.transaction():
        state.note_relaying(task.digest, task.round_id)
        for path, data in found.items():
            remember(office, task, path, data)
        for batch in missing:
            state.add_relayed(paths.batch(batch.partner, batch.digest), task.digest, b"")
    return Memory.of(state.relayed(task.digest), found)


def remember(office: Office, task: RoundTerms, path: str, data: bytes) -> int:
    """Keep a batch byte for byte, with the digest of every row. Returns how many rows it has.

    Inside the caller's transaction.
    """
    file = BatchFile(data, task)
    office.state.spool(path, data)
    office.state.add_relayed(path, task.digest, b"".join(file.digests()))
    return file.header.rows


def _found(home: Home, task: RoundTerms, known: Container[str]) -> dict[str, bytes]:
    """Whole batches of ours that lie in the pool and are not known, by path."""
    found = {}
    for path in own_batches(home, task):
        if path in known:
            continue
        data = bytes(find(home.store, path, max_batch_size(task)) or b"")
        try:
            BatchFile(data, task).check_rows()
        except PoolError:
            continue
        found[path] = data
    return found


def own_batches(home: Home, task: RoundTerms) -> dict[str, int]:
    """Paths of the batches in the pool whose header this organisation signed, with their rows."""
    paths, found = RoundPaths(task.round_id), {}
    for name in home.store.names(paths.batches):
        parsed = parse_batch_name(name)
        if parsed is None or parsed[0] != home.name:
            continue
        path = paths.batch(*parsed)
        source = find_source(home.store, path, max_batch_size(task))
        try:
            header = read_header(source, task) if source is not None else None
        except PoolError:
            continue
        if header and (header.relay, header.digest) == (home.key.public, parsed[1]):
            found[path] = header.rows
    return found


def tidy(
    office: Office, task: RoundTerms, chain: OrderChain, now: datetime, keep_days: int | None
) -> bool:
    """Note what is over, and forget the round when nobody needs our batches any more.

    That is when every aggregator has destroyed its keys, or `keep_days` after the last release
    where days are given. Returns whether it was forgotten: batches, digests and all.
    """
    state, known = office.state, office.state.relaying(task.digest)
    if known is None or not chain.closed:
        return False
    views = read_releases(office.home.store, task)
    releases = sum(_is_whole(office.home, task, view.release_id) for view in views)
    news: dict[str, str | int | None] = {}
    if known.closed is None:
        news["closed"] = now.isoformat()
    if releases > known.releases:
        news |= {"released": now.isoformat(), "releases": releases}
    if news:
        with state.transaction():
            state.note_relaying(task.digest, task.round_id, **news)
    released = known.released if "released" not in news else now.isoformat()
    if not (_all_destroyed(office.home, task) or is_over(released, now, keep_days)):
        return False
    with state.transaction():
        state.forget_relaying(task.digest)
    state.compact()
    return True


def tidy_destroyed(office: Office) -> None:
    """Forget every round whose keys all aggregators have destroyed."""
    for round_id in office.state.relaying_rounds():
        try:
            task = read_task(office.home.store, round_id)
            if task is not None:
                chain = read_chain(office.home.store, task)
                tidy(office, task, chain, datetime.now(UTC), None)
        except (PoolError, LedgerError):  # one that does not hold is kept
            continue


def is_over(since: str | None, now: datetime, keep_days: int | None) -> bool:
    """Whether `keep_days` have passed since a moment we noted."""
    if since is None or keep_days is None:
        return False
    return now >= datetime.fromisoformat(since) + timedelta(days=keep_days)


def _split(rows: bytes) -> Iterator[bytes]:
    return (rows[at : at + _DIGEST_SIZE] for at in range(0, len(rows), _DIGEST_SIZE))


def _refuse_blank(home: Home, chain: OrderChain, found: int, now: datetime) -> None:
    """Raise StateError where a home without a memory of a round should have one."""
    round_id, several = chain.task.round_id, "batches" if found != 1 else "batch"
    if found or any(batch.relay == home.key.public for batch in chain.batches):
        raise StateError(
            f"{home.name} has passed reports on in {round_id}, and this home does not remember it",
            code="relay.memory",
            hint="relay from the folder of the machine that did, or wait until the pool has "
            "arrived whole. If that folder is gone for good, add --memory-lost: what our "
            f"{found or 'no'} {several} in the pool hold is left out; anything else we passed on "
            f"goes out again, {_SEEN_AGAIN}",
        )
    admitted = _admitted_at(home, chain)
    if admitted is not None and now - admitted > _FIRST_DAY:
        raise StateError(
            f"{home.name} was admitted to {round_id} on {admitted:%d %B}, and this home does not "
            "remember passing anything on there",
            code="relay.memory",
            hint="if nothing was passed on yet, add --memory-lost once. If it was, relay from the "
            "folder of the machine that did: what went out before would go out again, "
            f"{_SEEN_AGAIN}",
        )


def _missing(task: RoundTerms, missing: list[OrderedBatch]) -> StateError:
    places = ", ".join(str(batch.seq) for batch in missing)
    several = len(missing) != 1
    return StateError(
        f"{'batches' if several else 'batch'} {places} of {task.round_id} "
        f"{'are' if several else 'is'} ours, and neither this home nor the pool has "
        f"{'them' if several else 'it'}",
        code="relay.memory",
        hint="wait until the pool has arrived whole, or relay from the machine that made "
        f"{'them' if several else 'it'}. If the file is gone for good, add --memory-lost: what it "
        f"held goes out again, {_SEEN_AGAIN}",
    )


def _admitted_at(home: Home, chain: OrderChain) -> datetime | None:
    """When the file that admits us was written; None where nobody can say.

    A folder on a server holds all its files at once, so what our batches there hold is all we
    ever put there. In a synced one some may not have arrived: there its age is asked for.
    """
    leader = chain.task.aggregators[0].identity
    for seq, data in enumerate(chain.files, 1):
        event = read_event(parse_document(data, kind=KIND, signer=leader).body["event"])
        if isinstance(event, Admit) and event.partner == home.name:
            path = home.store.local_path(RoundPaths(chain.task.round_id).order(seq))
            try:
                return datetime.fromtimestamp(Path(path).stat().st_mtime, UTC) if path else None
            except OSError:
                return None
    return None


def _is_whole(home: Home, task: RoundTerms, release_id: str) -> bool:
    """Whether every aggregator's noisy share of a release lies in the pool."""
    paths = RoundPaths(task.round_id)
    return all(there(home, paths.noisy(release_id, party.name)) for party in task.aggregators)


def there(home: Home, path: str) -> bool:
    """Whether a regular file lies at a path of the pool; who wrote it is not asked."""
    return find_source(home.store, path, SMALL_FILE_SIZE) is not None


def is_decided(home: Home, task: RoundTerms, seq: int) -> bool:
    """Whether a decision of every aggregator about a batch lies in the pool.

    Whether they hold is for aggregators and auditors to say: here nothing hangs on it, for the
    batch itself is kept.
    """
    paths = RoundPaths(task.round_id)
    return all(there(home, paths.decide(seq, party.name)) for party in task.aggregators)


def _all_destroyed(home: Home, task: RoundTerms) -> bool:
    """Whether every aggregator's ledger says that its keys of this round are gone."""
    try:
        ledgers = [read_ledger(home.store, p.name, p.identity) for p in task.aggregators]
    except LedgerError:
        return False
    return all(ledger.destroyed(task.digest) for ledger in ledgers)
