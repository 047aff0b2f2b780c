"""What aggregators sealed to each other, and what they decided."""

from __future__ import annotations

from typing import Any

from audit_defects import defect
from audit_world import Pool, leaves_of, set_bits

from grievance.crypto.documents import sign_document
from grievance.crypto.merkle import root
from grievance.ledger.versions import sign_versions
from grievance.pool.decisions import DECISION_KIND, signed_size
from grievance.pool.decisions import LABEL as VERIFY_LABEL


@defect("verify.header")
def verifier_shares_about_more_rows(pool: Pool) -> None:
    path = pool.paths.verify(pool.batch_places()[0], "south")
    data = pool.read(path)
    size = signed_size(pool.task)
    signed = data[:74] + (99).to_bytes(4, "big") + data[78:size]
    signature = pool.keys["south"].sign(VERIFY_LABEL, signed)
    pool.write(path, signed + signature + data[size + 64 :])


@defect("verify.missing", "waiting")
def verifier_shares_are_gone(pool: Pool) -> None:
    pool.remove(pool.paths.verify(pool.batch_places()[0], "south"))


@defect("file.twice")
def two_decisions_about_one_batch(pool: Pool) -> None:
    path = pool.paths.decide(pool.batch_places()[0], "south")
    first, body = pool.read(path), pool.body(path) | {"root": "00" * 32}
    second = sign_document(DECISION_KIND, body, pool.keys["south"])
    evidence = sign_versions(path, first, second, pool.keys["north"])
    pool.write(pool.paths.two_versions(path, "north"), evidence)


@defect("decide.missing", "waiting")
def a_decision_is_gone(pool: Pool) -> None:
    pool.remove(pool.paths.decide(pool.batch_places()[0], "south"))


@defect("file.place", "waiting")
def a_decision_about_another_batch(pool: Pool) -> None:
    one, other = pool.batch_places()
    pool.write(pool.paths.decide(other, "south"), pool.read(pool.paths.decide(one, "south")))


@defect("decide.bits")
def a_bit_flipped_and_signed(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    pool.decide_again(seq, lambda body: set_bits(body, 2, accept=False), "south")


@defect("decide.root")
def a_wrong_root_signed_by_all(pool: Pool) -> None:
    pool.decide_again(pool.batch_places()[0], lambda body: body.update(root="11" * 32))


@defect("decide.equal")
def a_row_refused_by_one(pool: Pool) -> None:
    seq = pool.batch_places()[0]
    leaves = leaves_of(pool, seq)

    def refuse(body: dict[str, Any]) -> None:
        set_bits(body, 2, accept=False)
        body["accepted"] -= 1
        body["refused"] = [[2, "report.proof", -1]]
        body["root"] = root(sorted(leaves[:2] + leaves[3:])).hex()

    pool.decide_again(seq, refuse, "south")


@defect("decide.replay")
def a_report_counted_twice(pool: Pool) -> None:
    seq = pool.batch_places()[1]
    ((row, reason, _),) = pool.body(pool.paths.decide(seq, "south"))["refused"]
    assert reason == "report.replay"
    leaves = leaves_of(pool, seq)

    def accept(body: dict[str, Any]) -> None:
        set_bits(body, row, accept=True)
        body["accepted"] += 1
        body["refused"] = []
        body["root"] = root(sorted(leaves)).hex()

    pool.decide_again(seq, accept)
