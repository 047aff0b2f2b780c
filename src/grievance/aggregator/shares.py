"""Take our own noisy share of a charged release back from the pool. Never drawn anew.

It lies there as we published it, or before that sealed to ourselves beside the ledger entry
that pays for it. Source: docs/design.md, section 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.aggregator.releases import open_share, own_ledger, seal_share_at_rest
from grievance.errors import GrievanceError
from grievance.pool.layout import share_path
from grievance.pool.noisy import LIMIT, digest_of
from grievance.pool.store import find

if TYPE_CHECKING:
    from grievance.aggregator.bench import Bench
    from grievance.ledger import ReleaseEvent
    from grievance.ledger.log import ReleaseEntry


def missing_share(bench: Bench, release_id: str) -> ReleaseEntry | None:
    """Our entry for a release whose noisy share we do not have: it had not arrived at a recovery.

    None when we have charged nothing, or have the share.
    """
    task, state = bench.seat.task, bench.state
    log = own_ledger(state, bench.name, bench.key.public)
    known = state.noisy_share(task.digest, release_id) is not None
    if known or state.outgoing(bench.paths.noisy(release_id, bench.name)) is not None:
        return None
    return log.release(task.digest, release_id)


def regain_share(bench: Bench, release_id: str) -> bool:
    """Take in a missing noisy share, as we published it or sealed it to ourselves.

    True if it was done now. Only the very bytes that our entry names are taken.
    """
    entry = missing_share(bench, release_id)
    if entry is None:
        return False
    published = find(bench.store, bench.paths.noisy(release_id, bench.name), LIMIT)
    for share in (published, sealed_share(bench, entry.size, entry.event)):
        if share is not None and digest_of(bytes(share)) == entry.event.noisy_share:
            sealed = seal_share_at_rest(bench, release_id, bytes(share))
            with bench.state.transaction():
                bench.state.add_share(bench.seat.task.digest, release_id, sealed)
            return True
    return False


def sealed_share(bench: Bench, size: int, event: ReleaseEvent) -> bytes | None:
    """The noisy share that lies beside an entry, sealed to us; None until ours has arrived."""
    data = find(bench.store, share_path(bench.name, size), LIMIT)
    try:
        return open_share(bench, event.release, bytes(data or b""))
    except GrievanceError:
        return None
