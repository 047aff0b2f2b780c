"""A whole round, with the library's own objects around one folder: read this first.

Everything is real (keys, signatures, proofs, noise), only that one process plays all three
organisations. `READING.md` follows this path through the source, file by file.
"""

from __future__ import annotations

import tempfile
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from grievance import Home, Office, collect, load_task, seal, sync
from grievance.aggregator.outside import with_witnesses
from grievance.aggregator.releases import answer, propose
from grievance.aggregator.rounds import join_round, new_round
from grievance.audit import AuditResult, audit_pool
from grievance.pool.events import Close
from grievance.pool.proposals import Approval
from grievance.pool.relay import make_batches, publish_batch
from grievance.pool.rounds import read_task_and_signatures

if TYPE_CHECKING:
    from grievance import Release

PLAN = b"""
title = "Unpaid hours"
campaign = "hours"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 1.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10

[fields.region]
question = "Where do you work?"
choices = ["London", "North"]
required = true

[fields.unpaid]
question = "Do you work unpaid hours?"
choices = ["never", "some weeks", "every week"]
required = true

[statistics.unpaid_by_region]
count = ["unpaid", "region"]
"""


def run_round(folder: Path, num_workers: int = 12) -> tuple[Release, AuditResult]:
    """Play a round in an empty folder, from plan to audit."""
    # Three organisations make their keys, publish who they are in a shared folder, and compare
    # fingerprints by telephone. The first leads; the third relays, and watches both ledgers.
    pool = folder / "pool"
    pool.mkdir(parents=True)
    homes = [Home.create(folder / n, n, n.title(), str(pool)) for n in ("north", "south", "nurses")]
    leader, helper, relay = homes
    for home, other in permutations(homes, 2):
        home.trust(other.identity)

    # The plan becomes a task when both aggregators have consented to it and signed it.
    plan = with_witnesses(leader, PLAN, [leader.identity, helper.identity], rehearsal=False)
    with Office.open(leader) as office:
        invitation = new_round(leader, office.state, plan, [helper.identity])
        office.publish()
    leader.admit_later(invitation.round_id, [relay.name])
    with Office.open(helper) as office:
        join_round(helper, office.state, invitation)
        office.publish()
    settle(homes)

    # A worker's device trusts a digest that stands on a poster; the rest it finds in the folder.
    found = read_task_and_signatures(leader.store, invitation.round_id)
    if found is None:
        raise RuntimeError("the task is not signed")
    poster = found[0].short_digest
    task = load_task((found[0].data, list(found[1].values())), trust=[poster])
    some = [("London", "every week"), ("North", "never"), ("North", "some weeks")]
    answers = [dict(zip(task.plan.fields, some[i % 3], strict=True)) for i in range(num_workers)]
    reports = [seal(task, each) for each in answers]

    # The relay adds blank reports, shuffles, signs. The aggregators open their shares, check the
    # proofs, tell each other what they found, and decide alike which reports count.
    for batch in make_batches(task, reports, relay.key):
        publish_batch(relay.store, task, relay.name, batch)
    settle(homes)

    # The round is closed. One aggregator proposes a release, the other approves; both charge it
    # to their ledgers, all cosign, and only then do the noisy shares leave.
    with Office.open(leader) as office:
        bench, chain = office.open_bench(task.round_id)
        office.order(chain, Close())
        release_id = propose(bench, chain, names=None).release_id
        office.publish()
    with Office.open(helper) as office:
        answer(*office.open_bench(task.round_id), release_id, Approval(helper.name, "approve", ""))
    settle(homes)

    # Anybody adds the noisy shares up, and anybody can check everything from the folder alone.
    release = collect(leader.store, task, release_id)
    return release, audit_pool(pool, trust=[poster])


def settle(homes: list[Home]) -> None:
    """Let everybody do what can be done, until nothing is left. Raises what went wrong."""
    working = True
    while working:
        working = False
        for home in homes:
            with Office.open(home) as office:
                result = sync(office)
            for fault in result.faults:
                raise fault
            working = working or bool(result.done or result.written)


def main() -> int:
    """Play a round in a temporary folder, print what it gave; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="grievance-round-") as folder:
        release, audited = run_round(Path(folder))
    for table in release:
        print(table.plain())
    print(f"audit: {audited.verdict}")
    return 0 if audited.verdict == "pass" else 1


if __name__ == "__main__":
    raise SystemExit(main())
