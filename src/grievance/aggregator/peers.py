"""Whether the other aggregators' ledgers can bear a release, before ours is charged for it.

A release leaves only when every aggregator has charged it to a ledger that all the others
cosign. Where the ledger of one does not hold (it is forked, was rewritten, does not chain or
add up, or has no room for what the release costs) that can never be, and a charge of ours
would be spent for nothing. So nothing is charged; all that does not depend on that ledger
goes on. Source: docs/design.md, section 10; docs/faults.md, faults D8 to D12.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grievance.aggregator.witness import (
    check_checkpoint,
    check_extends,
    check_proven,
    forked,
)
from grievance.cost import Cost
from grievance.errors import GrievanceError, LedgerError, PrivacyError, ReleaseError
from grievance.ledger import read_ledger
from grievance.ledger.cosigned import read_checkpoint
from grievance.ledger.versions import parse_versions
from grievance.pool.layout import ledger_folder
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.bench import Bench
    from grievance.ledger import LedgerLog
    from grievance.task import AggregatorEntry, Task

_EVIDENCE = re.compile(r"[1-9][0-9]{0,8}\.[a-z0-9-]{1,40}\.fork")


def check_peers(bench: Bench, release_id: str, costs: Sequence[Cost]) -> list[str]:
    """Hold the others' ledgers against a release that would cost so much. Run before charging.

    Returns whose ledger has not arrived as far as we cosigned it: nothing is charged until it
    has. Raises ReleaseError `release.peer` when one can bear no release; changes nothing.
    """
    behind = []
    for party in _others(bench):
        try:
            arrived = _bears(bench, party, release_id, costs)
        except (LedgerError, PrivacyError) as error:
            raise ReleaseError(
                f"release {release_id} is not charged, because the ledger of {party.name} does "
                f"not hold: {error.message}",
                code="release.peer",
                hint="nothing was spent, and all else goes on; keep the pool as evidence and call "
                f"{party.name}: once their ledger holds, the release goes on by itself",
            ) from None
        if not arrived:
            behind.append(party.name)
    return behind


def peers_in_words(bench: Bench, release_id: str, costs: Sequence[Cost]) -> dict[str, str]:
    """Who has to see to its ledger before we charge a release, and what it has to do."""
    found = {}
    for party in _others(bench):
        try:
            if not _bears(bench, party, release_id, costs):
                found[party.name] = "publishes its ledger again, as far as we cosigned it"
        except (LedgerError, PrivacyError) as error:
            found[party.name] = f"sees to its ledger, which does not hold ({error.code})"
    return found


def _others(bench: Bench) -> list[AggregatorEntry]:
    return [party for party in bench.seat.task.aggregators if party.name != bench.name]


def _bears(bench: Bench, party: AggregatorEntry, release_id: str, costs: Sequence[Cost]) -> bool:
    """Whether a ledger has arrived whole. Raises LedgerError, PrivacyError where it is broken."""
    state, store, key = bench.state, bench.store, party.identity
    _check_forks(bench, party)
    stored = state.witnessed(key.raw)
    log = read_ledger(store, party.name, key)
    check_extends(log, stored)
    for size in range((stored[0] if stored else 0) + 1, len(log.entries) + 1):
        checkpoint = read_checkpoint(store, party.name, key, size)
        if checkpoint is not None:
            check_checkpoint(checkpoint, log)
    _check_room(bench.seat.task, log, release_id, costs)
    return stored is None or len(log.entries) >= stored[0]


def _check_forks(bench: Bench, party: AggregatorEntry) -> None:
    """Evidence of a fork proves it, whoever of us found it: that one will cosign no more."""
    check_proven(bench.state, bench.name, party.name)
    folder = ledger_folder(party.name)
    for name in filter(_EVIDENCE.fullmatch, bench.store.names(folder)):
        data = find(bench.store, f"{folder}/{name}", SMALL_FILE_SIZE)
        if data is None:
            continue
        try:
            proven = parse_versions(bytes(data), bench.seat.task).place
        except GrievanceError:
            continue
        if (proven.kind, proven.author) == ("head", party.name):
            raise forked(party.name, f"{folder}/{name}")


def _check_room(task: Task, log: LedgerLog, release_id: str, costs: Sequence[Cost]) -> None:
    """What a ledger has charged, with this release, stays within the round and the campaign."""
    zero = Cost.zero(task.cost.kind)
    charged = log.release(task.digest, release_id) is not None
    more = zero if charged else sum(costs, zero)
    in_round = log.spent_in_round(task.digest, zero.kind)
    for what, spent, budget in (
        ("the round", in_round + more, task.cost),
        ("the campaign", log.spent(task.plan.campaign, zero.kind) + more, task.lifetime),
    ):
        if budget < spent:
            raise LedgerError(
                f"with this release it would have charged {spent} of {budget} to {what}",
                code="ledger.budget",
            )
