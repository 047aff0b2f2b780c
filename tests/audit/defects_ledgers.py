"""Ledgers that do not add up, do not follow, or were not witnessed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from audit_defects import defect
from audit_world import Pool

from grievance.cost import Cost
from grievance.ledger.checkpoint import cosign, parse_checkpoint, sign_checkpoint
from grievance.ledger.versions import sign_versions


@defect("ledger.chain", base="campaign")
def an_entry_that_follows_nothing(pool: Pool) -> None:
    pool.charge_again("north", 2, lambda body: body.update(previous="00" * 32))


@defect("ledger.sum")
def a_sum_too_low(pool: Pool) -> None:
    def halve(body: dict[str, Any]) -> None:
        body["spent"] = Cost("zcdp", Fraction(body["spent"]["zcdp"]) / 2).to_json()

    pool.charge_again("north", 1, halve)


def destroyed(body: dict[str, Any]) -> None:
    body["event"] = {"type": "destroyed"}


@defect("ledger.task", "waiting")
def an_entry_about_no_round(pool: Pool) -> None:
    pool.charge_again("north", 2, lambda body: (destroyed(body), body.update(task="00" * 32)))


@defect("ledger.task")
def an_entry_of_another_campaign(pool: Pool) -> None:
    pool.charge_again("north", 1, lambda body: body.update(campaign="another"))


@defect("ledger.destroyed")
def an_entry_after_the_end(pool: Pool) -> None:
    pool.charge_again("north", 2, destroyed)
    pool.charge_again("north", 3, destroyed)


@defect("ledger.checkpoint")
def a_head_of_other_entries(pool: Pool) -> None:
    pool.sign_head("north", 1, head=b"\x01" * 32)


@defect("ledger.cosignature", "waiting")
def a_cosignature_is_gone(pool: Pool) -> None:
    pool.remove("ledger/north/1.south.cosignature")


@defect("ledger.quorum", "waiting", base="watched")
def a_witness_saw_nothing(pool: Pool) -> None:
    pool.remove("ledger/north/1.nurses.cosignature")


@defect("ledger.alone", "note")
def a_memory_that_nobody_confirmed(pool: Pool) -> None:
    event = {"type": "alone", "answered": ["south"]}
    pool.charge_again("north", 2, lambda body: body.update(event=event))


@defect("file.signature", "waiting")
def a_cosignature_of_another_head(pool: Pool) -> None:
    other = parse_checkpoint(
        sign_checkpoint("north", 1, b"\x01" * 32, pool.keys["north"]),
        "north",
        pool.keys["north"].public,
    )
    line = cosign(other, "south", 1_800_000_000, pool.keys["south"])
    pool.write("ledger/north/1.south.cosignature", line)


@defect("ledger.fork")
def two_heads_of_one_size(pool: Pool) -> None:
    notes = [
        sign_checkpoint("north", 1, bytes([value]) * 32, pool.keys["north"]) for value in (1, 2)
    ]
    pool.write(
        "ledger/north/1.south.fork",
        sign_versions("ledger/north/1.checkpoint", *notes, pool.keys["south"]),
    )


@defect("cost.statistic")
def a_cost_too_low(pool: Pool) -> None:
    def cheaper(body: dict[str, Any]) -> None:
        costs = body["event"]["statistics"]
        costs["hours_mean"] = {"zcdp": str(Fraction(costs["hours_mean"]["zcdp"]) / 2)}
        body["spent"] = {"zcdp": str(sum(Fraction(cost["zcdp"]) for cost in costs.values()))}

    pool.charge_again("north", 1, cheaper)
