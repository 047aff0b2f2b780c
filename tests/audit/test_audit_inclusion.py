"""Whether a report was counted, told from public files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from audit_world import Pool, pool_of, set_bits

from federation import Federation, encode, seal_measurement
from grievance.audit import Inclusion, find_report
from grievance.crypto.merkle import check_inclusion


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pool, dict[str, bytes]]:
    """A finished round with a report of every fate."""
    federation = Federation.opened(tmp_path_factory.mktemp("fates"))
    task = federation.task
    good = federation.seal(11)
    broken = encode(task)
    broken[0] = 2
    bad = seal_measurement(task, broken)
    federation.relay("nurses", [*good, bad])
    federation.settle()
    federation.relay("carers", federation.seal(3))
    federation.settle()
    federation.close()
    late = federation.seal(1)
    federation.relay("carers", late)
    federation.release()
    reports = {"good": good[4], "bad": bad, "late": late[0], "absent": federation.seal(1)[0]}
    digests = {name: r.digest for name, r in reports.items()}
    return pool_of(federation, [task]), digests


def ask(pool: Pool, digest: bytes, **options: Any) -> Inclusion:
    return find_report(pool.folder, digest, **{"trust": pool.trust, **options})


def test_a_counted_report_has_a_proof(history: tuple[Pool, dict[str, bytes]]) -> None:
    pool, digests = history
    found = ask(pool, digests["good"])
    assert (found.status, found.vouched, found.findings) == ("counted", True, ())
    assert found.round_id == pool.task.round_id and found.proof and found.round_proof
    proof = found.proof
    assert proof.leaf[32:] == digests["good"]
    check_inclusion(proof.leaf, proof.index, proof.size, proof.hashes, proof.root)
    upper = found.round_proof
    assert upper.leaf[8:] == proof.root
    check_inclusion(upper.leaf, upper.index, upper.size, upper.hashes, upper.root)
    proposal = pool.body(pool.paths.proposal(pool.release_id))
    assert upper.root.hex() == proposal["root"]


def test_refusals_have_their_public_reason(history: tuple[Pool, dict[str, bytes]]) -> None:
    pool, digests = history
    assert (ask(pool, digests["bad"]).status, ask(pool, digests["bad"]).reason) == (
        "refused",
        "report.proof",
    )
    late = ask(pool, digests["late"])
    assert (late.status, late.reason, late.seq) == ("refused", "period.closed", None)


def test_a_report_that_is_not_there(history: tuple[Pool, dict[str, bytes]]) -> None:
    pool, digests = history
    assert ask(pool, digests["absent"]).status == "absent"


def test_without_anchors_the_answer_is_not_vouched_for(
    history: tuple[Pool, dict[str, bytes]],
) -> None:
    pool, digests = history
    found = ask(pool, digests["good"], trust=[])
    assert found.status == "counted" and not found.vouched
    other = ask(pool, digests["good"], trust=["00" * 32])
    assert not other.vouched and {f.rule for f in other.findings} == {"task.trust"}


def test_aggregators_that_contradict_each_other(
    history: tuple[Pool, dict[str, bytes]], tmp_path: Path
) -> None:
    made, digests = history
    pool = made.copy(tmp_path / "copy")
    found = ask(pool, digests["good"])
    assert found.seq is not None and found.row is not None
    row = found.row
    pool.decide_again(found.seq, lambda body: set_bits(body, row, accept=False), "south")
    found = ask(pool, digests["good"])
    assert found.status == "disputed" and found.proof is None
    assert {f.rule for f in found.findings} == {"decide.bits"}


def test_what_waits_is_said(history: tuple[Pool, dict[str, bytes]], tmp_path: Path) -> None:
    made, digests = history
    pool = made.copy(tmp_path / "copy").without_close()
    found = ask(pool, digests["good"])
    assert found.status == "counted" and found.proof and found.round_proof is None
    pool.remove(pool.paths.decide(found.seq or 0, "south"))
    found = ask(pool, digests["good"])
    assert (found.status, found.missing) == ("waiting", ("south",))
    late = ask(pool, digests["late"])
    assert (late.status, late.missing) == ("waiting", ("north",))


def test_of_two_copies_the_counted_one_is_told_about(made: Pool) -> None:
    """The second batch of the pool replays a report of the first."""
    digests = []
    for seq in made.batch_places():
        from audit_world import leaves_of

        digests.append([leaf[32:] for leaf in leaves_of(made, seq)])
    (twice,) = set(digests[0]) & set(digests[1])
    found = ask(made, twice)
    assert (found.status, found.seq) == ("counted", made.batch_places()[0])


def test_a_hostile_batch_does_not_stop_the_search(
    history: tuple[Pool, dict[str, bytes]], tmp_path: Path
) -> None:
    made, digests = history
    pool = made.copy(tmp_path / "copy")
    for name in (f"carers-{'0' * 64}", f"nurses-{hashlib.sha256(b'x').hexdigest()}", "odd"):
        pool.write(f"{pool.paths.batches}/{name}", b"x")
    assert ask(pool, digests["good"]).status == "counted"
