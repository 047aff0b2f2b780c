"""Releases that were not agreed, not charged, or do not add up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from audit_defects import defect
from audit_world import Pool

from grievance.crypto.documents import b64decode, b64encode, canonical, sign_document
from grievance.crypto.merkle import root
from grievance.pool.proposals import Proposal
from grievance.pool.store import LocalStore
from grievance.release import collect


def propose(pool: Pool, **changes: Any) -> str:
    """Sign another proposal than the one there, and leave it unanswered. Returns its path."""
    path = pool.paths.proposal(pool.release_id)
    body = pool.body(path)
    pool.without_release()
    body |= changes
    release_id = hashlib.sha256(canonical(body)).hexdigest()[:16]
    data = sign_document("grievance/2 release proposal", body, pool.leader)
    pool.write(pool.paths.proposal(release_id), data)
    return release_id


@defect("release.proposal")
def a_proposal_of_something_else(pool: Pool) -> None:
    propose(pool, statistics=["hours_spread", "problems_by_region"])


@defect("release.approval", "waiting")
def an_approval_is_missing(pool: Pool) -> None:
    pool.remove(pool.paths.approval(pool.release_id, "south"))


@defect("release.order", "waiting")
def a_release_that_was_never_ordered(pool: Pool) -> None:
    pool.remove(pool.events()[-1])


@defect("release.root")
def a_release_over_other_reports(pool: Pool) -> None:
    propose(pool, accepted=12, root="22" * 32)


@defect("release.minimum", base="few")
def a_release_over_too_few(pool: Pool) -> None:
    seq, task = pool.batch_places()[0], pool.task
    body = pool.body(pool.paths.decide(seq, "north"))
    accepted, batch_root = body["accepted"], bytes.fromhex(body["root"])
    whole = root([seq.to_bytes(4, "big") + accepted.to_bytes(4, "big") + batch_root])
    close = hashlib.sha256(pool.read(pool.events()[-1])).digest()
    proposal = Proposal("north", close, tuple(task.allocations), accepted, whole, 0)
    path = pool.paths.proposal(proposal.release_id(task))
    pool.write(path, proposal.sign(task, pool.leader))


@defect("release.entry")
def an_entry_on_other_terms(pool: Pool) -> None:
    pool.charge_again("south", 1, lambda body: body["event"].update(accepted=999))


@defect("release.twice", base="partial")
def a_statistic_charged_twice(pool: Pool) -> None:
    def double(body: dict[str, Any]) -> None:
        body["spent"] = {"zcdp": str(2 * Fraction(body["spent"]["zcdp"]))}

    pool.charge_again("north", 2, double)


@defect("release.share")
def a_noisy_share_exchanged(pool: Pool) -> None:
    path = pool.paths.noisy(pool.release_id, "south")
    vectors = pool.task.layout.statistics["hours_spread"].num_released
    assert vectors > 1
    pool.sign_again(
        path,
        pool.keys["south"],
        lambda body: body["statistics"].update(hours_spread=b64encode(bytes(16 * vectors))),
    )


@defect("file.foreign", "waiting")
def a_noisy_share_of_another_aggregator(pool: Pool) -> None:
    share = pool.read(pool.paths.noisy(pool.release_id, "north"))
    pool.write(pool.paths.noisy(pool.release_id, "south"), share)


@defect("release.suspect", severity="note")
def a_total_beyond_people_and_noise(pool: Pool) -> None:
    """South shifts one of its totals by a million, and charges just that share."""
    path, shift = pool.paths.noisy(pool.release_id, "south"), 10**6

    def move(body: dict[str, Any]) -> None:
        vector = bytearray(b64decode(body["statistics"]["problems_by_region"]))
        first = int.from_bytes(vector[:16], "little") + shift
        vector[:16] = (first % pool.task.vdaf.field.MODULUS).to_bytes(16, "little")
        body["statistics"]["problems_by_region"] = b64encode(bytes(vector))

    pool.sign_again(path, pool.keys["south"], move)
    share = hashlib.sha256(pool.read(path)).hexdigest()
    pool.charge_again("south", 1, lambda body: body["event"].update(noisy_share=share))


def publish(pool: Pool, change: Callable[[dict[str, Any]], None]) -> None:
    """Leave a release.json in the pool that says something else than the pool does."""
    value = collect(LocalStore(pool.folder), pool.task).to_json()
    change(value)
    pool.write(f"{pool.paths.releases}/{pool.release_id}/release.json", canonical(value))


@defect("release.sum", "note")
def a_published_number_changed(pool: Pool) -> None:
    def change(value: dict[str, Any]) -> None:
        value["statistics"][0]["parts"][0]["values"][0] += 1

    publish(pool, change)


@defect("release.sum", "note")
def a_published_table_with_its_labels_reversed(pool: Pool) -> None:
    """Every number is right, and stands for another group."""

    def reverse(value: dict[str, Any]) -> None:
        for statistic in value["statistics"]:
            for part in statistic["parts"]:
                for axis in part["axes"]:
                    axis["labels"].reverse()

    publish(pool, reverse)


@defect("release.sum", "note")
def a_published_promise_that_nobody_made(pool: Pool) -> None:
    def promise(value: dict[str, Any]) -> None:
        value["privacy"]["epsilon"] = "0.01"
        value["privacy"]["round_cost"] = {"zcdp": "1/20000"}

    publish(pool, promise)
