"""Faults B1 to B17: reports on their way, and the relays that carry them. docs/faults.md.

Two real aggregators decide. A refused report has a public code, a sentence for whoever handed
it in, and a next step; the un-noised totals of the aggregators move by the honest reports alone.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import pytest
from collecting import Collecting
from fault_world import judge, nothing_changes, refused, tells, worker_reads

from cli.cli_shell import type_words
from dishonest import (
    TINY_ANSWERS,
    TINY_PLAN,
    exact_totals,
    flip,
    new_seed,
    publish,
    publish_raw,
    seal_plaintexts,
    shares_of,
    with_parts,
)
from federation import Federation, drawn_from, encode, seal_measurement
from grievance.aggregator import Office
from grievance.client import Report, open_input_share, seal, seal_blank, write_report
from grievance.client.commitment import OpeningReader, nonce_of, salt_hash
from grievance.client.input_share import input_share_info
from grievance.client.seal import Drawn, seal_shares
from grievance.crypto.hpke import HpkePrivateKey
from grievance.pool.batch import HEADER_SIZE, write_batch
from grievance.pool.relay import make_batches
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grievance.task import Task

SEAL = sys.modules["grievance.client.seal"]


@pytest.fixture(scope="module")
def round_(tmp_path_factory: pytest.TempPathFactory) -> Collecting:
    return Collecting(tmp_path_factory.mktemp("reports") / "now")


@pytest.fixture(scope="module")
def elsewhere() -> Task:
    """Another round of the same plan."""
    return make_coalition(TINY_PLAN.decode()).task


OK = "report.accepted"


def test_b1_truncated_ciphertexts(round_: Collecting, tmp_path: Path) -> None:
    task, report = round_.task, round_.honest()
    for index, name in enumerate(round_.federation.aggregators):
        with Office.open(round_.federation.homes[name]) as office:
            bench, _ = office.open_bench(task.round_id)
            whole = report.ciphertexts[index]
            for length in range(len(whole)):
                with refused("report.open", step=None):
                    open_input_share(
                        bench.seat.hpke,
                        task,
                        index,
                        report.commitment,
                        report.public_share,
                        whole[:length],
                    )
    short = with_parts(report, second=report.ciphertexts[1][:-1])
    with refused("report.size", step="as it was written"):
        short.check(task)
    cut = report.ciphertexts[1]
    # Filled up with another byte than was cut off, whatever that was.
    padded = with_parts(report, second=cut[:-1] + bytes([cut[-1] ^ 1]))
    assert round_.hand_in(padded, round_.honest()) == ["report.open", OK]
    round_.reads(padded, "report.open", "altered on the way, or sealed for somebody else")


def test_b2_sealed_to_another_key(round_: Collecting, elsewhere: Task) -> None:
    task, seed = round_.task, new_seed()
    public, shares = shares_of(task, encode(task, TINY_ANSWERS), seed)
    good = seal_plaintexts(task, seed, public, shares)

    def sealed_to(index: int, key: object) -> bytes:
        info = input_share_info(task.digest, index, good.commitment, public)
        opening = drawn_from(task, seed).openings[index]
        return key.seal(opening + shares[index], info)  # type: ignore[attr-defined, no-any-return]

    fresh = HpkePrivateKey.generate("X25519").public
    retired = elsewhere.aggregators[1].hpke  # of a round that is not this one
    first = with_parts(good, first=sealed_to(0, fresh))
    second = with_parts(good, second=sealed_to(1, retired))
    crossed = with_parts(good, second=sealed_to(1, task.aggregators[0].hpke))
    codes = round_.hand_in(first, second, crossed, good)
    assert codes == ["report.open", "report.open", "report.open", OK]
    for bad in (first, second, crossed):
        round_.reads(bad, "report.open", "sealed for somebody else")


def test_b3_shares_of_two_aggregators_swapped() -> None:
    names = ("north", "south", "west")
    coalition = make_coalition(TINY_PLAN.decode(), names=names)
    task = coalition.task
    good = seal(task, TINY_ANSWERS)
    leader, south, west = good.ciphertexts
    assert len(south) == len(west)
    swapped = Report(task.digest, good.commitment, good.public_share, (leader, west, south))
    # A client that seals each the other's share does not get further than the proof.
    seed = new_seed()
    public, shares = shares_of(task, encode(task, TINY_ANSWERS), seed)
    sealed = seal_plaintexts(task, seed, public, [shares[0], shares[2], shares[1]])
    codes = judge(coalition, [swapped, sealed, good])
    assert codes == ["report.open", "report.joint-randomness", OK]
    crossed = Report(task.digest, good.commitment, good.public_share, (south, leader, west))
    with refused("report.size", step="as it was written"):
        crossed.check(task)


def test_b4_another_public_share(round_: Collecting) -> None:
    task, report, other = round_.task, round_.honest(), round_.honest()
    flipped = [
        with_parts(report, public=flip(report.public_share, at))
        for at in (0, 31, 32, len(report.public_share) - 1)
    ]
    foreign = with_parts(report, public=other.public_share)
    seed = new_seed()
    public, shares = shares_of(task, encode(task, TINY_ANSWERS), seed)
    bound = seal_plaintexts(task, seed, flip(public, 0), shares)  # by a dishonest client
    codes = round_.hand_in(*flipped, foreign, bound, report, other)
    assert codes == ["report.open"] * 5 + ["report.joint-randomness", OK, OK]
    round_.reads(foreign, "report.open", "altered on the way")
    round_.reads(bound, "report.joint-randomness", "do not belong together")


def test_b5_one_nonce_twice(round_: Collecting, elsewhere: Task) -> None:
    task, seed = round_.task, new_seed()
    report = seal_measurement(task, encode(task, TINY_ANSWERS), seed=seed)
    other = seal_measurement(task, encode(task, TINY_ANSWERS), seed=seed)
    assert report.commitment == other.commitment and report != other
    assert round_.hand_in(report, report, other) == [OK, "report.replay", "report.burnt"]
    assert round_.hand_in(other, report) == ["report.burnt", "report.replay"]
    assert round_.hand_in(report, other, relay="carers") == ["report.replay", "report.burnt"]
    assert worker_reads(round_.federation, report).startswith("counted: ")
    round_.reads(other, "report.burnt", "came before with other content")
    # From one round to the next nothing can be carried: the round's digest is in the commitment.
    public, shares = shares_of(elsewhere, encode(task, TINY_ANSWERS), seed)
    theirs = seal_measurement(elsewhere, encode(task, TINY_ANSWERS), seed=seed).commitment
    carried = seal_plaintexts(task, seed, public, shares, commitment=theirs)
    assert theirs != report.commitment
    assert round_.hand_in(carried, round_.honest()) == ["report.commitment", OK]
    round_.reads(carried, "report.commitment", "belongs to another report")


def test_b6_nonce_sent_again_after_a_refusal(round_: Collecting) -> None:
    task, seed = round_.task, new_seed()
    wrong = seal_measurement(task, [1] * len(encode(task, TINY_ANSWERS)), seed=seed)
    right = seal_measurement(task, encode(task, TINY_ANSWERS), seed=seed)
    assert round_.hand_in(wrong) == ["report.proof"]
    # The same bytes are refused for the same reason: nothing new is shown of them.
    assert round_.hand_in(right, wrong) == ["report.burnt", "report.proof"]
    round_.reads(wrong, "report.proof", "proof does not hold")
    round_.reads(right, "report.burnt", "came before with other content")


def test_b7_header_of_another_round(round_: Collecting, elsewhere: Task, tmp_path: Path) -> None:
    task, foreign = round_.task, seal(elsewhere, TINY_ANSWERS)
    with refused("report.task", "another round", step="compare the round's digest"):
        Report.from_bytes(foreign.to_bytes(), task)
    bent = Report(task.digest, foreign.commitment, foreign.public_share, foreign.ciphertexts)
    assert round_.hand_in(bent, round_.honest()) == ["report.open", OK]
    round_.reads(bent, "report.open", "sealed for somebody else")
    file = tmp_path / "foreign.report"
    write_report(file, foreign)
    home = round_.federation.folder / "carers"
    words = ("relay", str(file), "--trust", task.digest.hex())
    type_words(*words, "--memory-lost", home=home)  # other tests put batches past its memory
    with nothing_changes(round_.federation.file("."), home):
        type_words(*words, home=home).refused(1, "another round", "grievance: hint: compare")


def test_b8_report_for_a_closed_round(tmp_path: Path) -> None:
    federation = Federation.opened(tmp_path / "now", TINY_PLAN)
    task = federation.task
    publish(federation, "nurses", federation.seal(2, TINY_ANSWERS))
    federation.settle()
    before = exact_totals(federation)
    federation.close()
    late, file = seal(task, TINY_ANSWERS), tmp_path / "late.report"
    write_report(file, late)
    home = federation.folder / "nurses"
    with Office.open(federation.homes["nurses"]):
        pass  # a state, as every home has that has worked
    with nothing_changes(federation.file("."), home):
        type_words("relay", str(file), "--trust", task.digest.hex(), home=home).refused(
            1, "is closed; it takes no more reports", "A new round needs new reports"
        )
    # A relay that publishes all the same: the batch stays where it is, and never counts.
    path = publish(federation, "nurses", [late])
    federation.settle()
    assert federation.file(path).exists()
    assert len(federation.chain().batches) == 1
    assert exact_totals(federation) == before
    said = worker_reads(federation, late)
    assert said.startswith("refused (period.closed): ") and "after the round was closed" in said
    assert "next: ask whom you gave it to why it came late" in said
    audit = type_words("audit", federation.pool, "--trust", task.digest.hex())
    assert audit.code == 0 and "it came after the round was closed" in audit.out


def test_b9_reports_of_several_rounds_in_one_batch(round_: Collecting, elsewhere: Task) -> None:
    task, foreign = round_.task, seal(elsewhere, TINY_ANSWERS)
    key = round_.federation.homes["nurses"].key
    with refused("report.task", "another round", step="compare the round's digest"):
        make_batches(task, [round_.honest(), foreign], key)
    bent = Report(task.digest, foreign.commitment, foreign.public_share, foreign.ciphertexts)
    codes = round_.hand_in(round_.honest(), bent, round_.honest(), bent, round_.honest())
    assert codes == [OK, "report.open", OK, "report.open", OK]
    round_.reads(bent, "report.open", "sealed for somebody else")


def test_b10_other_sizes(round_: Collecting, tmp_path: Path) -> None:
    task, report = round_.task, round_.honest()
    data, (first, second) = report.to_bytes(), report.ciphertexts
    for bent in (
        with_parts(report, second=second + b"\0"),
        with_parts(report, first=first[:-1]),
        with_parts(report, public=report.public_share + b"\0"),
        Report(task.digest, report.commitment, b"", report.ciphertexts),
        Report(task.digest, report.commitment, report.public_share, (first, b"")),
        Report(task.digest, report.commitment, report.public_share, (first, second, second)),
        Report(task.digest, report.commitment, report.public_share, (first, bytes(1 << 20))),
    ):
        with refused("report.size", step="as it was written"):
            Report.from_bytes(bent.to_bytes(), task)
    with refused("wire.long", step=None):
        Report.from_bytes(data + b"\0", task)
    for size in (0, 3, 4, 5, len(data) // 2, len(data) - 1):
        with refused("wire.short", step=None):
            Report.from_bytes(data[:size], task)
    home, file = round_.federation.folder / "carers", tmp_path / "some.report"
    words = ("relay", str(file), "--trust", task.digest.hex())
    file.write_bytes(b"")
    type_words(*words, "--memory-lost", home=home)  # other tests put batches past its memory
    for bad in (b"", data[:-1], data + b"\0", flip(data, 0), data[:4] + b"\xff" + data[5:]):
        file.write_bytes(bad)
        with nothing_changes(round_.federation.file("."), home):
            type_words(*words, home=home).refused(
                1, "some.report", "grievance: hint: ask for the file again"
            )


def test_b11_share_of_one_report_under_the_nonce_of_another(round_: Collecting) -> None:
    task, one, other = round_.task, round_.honest(), round_.honest()
    moved = with_parts(one, commitment=other.commitment)
    mixed = with_parts(one, second=other.ciphertexts[1])
    seed = new_seed()
    public, shares = shares_of(task, encode(task, TINY_ANSWERS), seed)
    sealed = seal_plaintexts(task, seed, public, shares, commitment=other.commitment)
    codes = round_.hand_in(moved, mixed, sealed, one, other)
    # None of them spoils the nonce it names: both honest reports count after them.
    assert codes == ["report.open", "report.open", "report.commitment", OK, OK]
    round_.reads(moved, "report.open", "altered on the way")
    round_.reads(sealed, "report.commitment", "belongs to another report")


def _batch(round_: Collecting, reports: Sequence[Report]) -> bytes:
    key = round_.federation.homes["nurses"].key
    return write_batch(round_.task, reports, key)


def test_b12_rows_reordered_dropped_or_doubled(round_: Collecting) -> None:
    federation, reports = round_.federation, [round_.honest() for _ in range(3)]
    good, (a, b, c) = _batch(round_, reports), reports
    bent = [
        good[:HEADER_SIZE] + _batch(round_, rows)[HEADER_SIZE:]
        for rows in ([b, a, c], [a, b], [a, b, b], [a, b, round_.honest()])
    ]
    number, before = len(federation.chain().batches), exact_totals(federation)
    for data in bent:
        # In the place of the relay's own file, before it has a place in the order ...
        path = federation.file(publish_raw(federation, "nurses", data))
        federation.settle()
        assert len(federation.chain().batches) == number
        path.unlink()
    audit_me = federation.file(publish_raw(federation, "nurses", bent[0]))
    said = type_words("audit", federation.pool, "--trust", round_.task.digest.hex())
    assert audit_me.name in said.out and "not those that were signed" in said.out
    audit_me.unlink()
    # ... and after the leader gave it one: the helper waits, and burns nothing of it.
    path = federation.file(publish_raw(federation, "nurses", good))
    federation.sync("north")
    path.write_bytes(bent[0])
    with Office.open(federation.homes["south"]) as office:
        burns = office.state.burns(round_.task.digest)
    (result,) = federation.sync("south", clean=False)
    (fault,) = result.faults
    tells(fault, "batch.digest", "not those the relay signed", "nurses", step="ask nurses")
    with Office.open(federation.homes["south"]) as office:
        assert office.state.burns(round_.task.digest) == burns
    path.write_bytes(good)
    federation.settle()
    round_.counted += 3
    assert exact_totals(federation) == [x + 3 * y for x, y in zip(before, round_.one, strict=True)]


def test_b13_batches_without_a_right_to_be_there(round_: Collecting, elsewhere: Task) -> None:
    federation, task = round_.federation, round_.task
    good = _batch(round_, [round_.honest()])
    unsigned = good[: HEADER_SIZE - 64] + bytes(64) + good[HEADER_SIZE:]
    stranger = write_batch(task, [round_.honest()], federation.homes["aardvark"].key)
    foreign_rows = [seal(elsewhere, TINY_ANSWERS)]
    foreign = write_batch(elsewhere, foreign_rows, federation.homes["nurses"].key)
    number, before = len(federation.chain().batches), exact_totals(federation)
    placed = {
        publish_raw(federation, relay, data): (rule, words)
        for relay, data, rule, words in (
            ("nurses", unsigned, "file.unknown", "signature"),
            ("carers", good, "file.unknown", ""),  # signed by a member under another's name
            ("aardvark", stranger, "batch.unordered", "not admitted to this round"),
            ("nurses", foreign, "file.unknown", "belongs to another round"),
        )
    }
    federation.settle()
    assert len(federation.chain().batches) == number
    assert exact_totals(federation) == before
    said = type_words("audit", federation.pool, "--trust", task.digest.hex())
    for path, (rule, words) in placed.items():
        file = federation.file(path)
        assert file.exists()  # nobody's to delete: it is listed, and never counted
        told = said.out.split(path)[1].split("rounds/")[0]
        assert rule in told and words in told, (path, told)
        file.unlink()
    assert round_.hand_in(round_.honest()) == [OK]


def test_b15_a_generator_that_stands_still(
    round_: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SEAL.os, "urandom", bytes)
    monkeypatch.setattr(SEAL.time, "time_ns", lambda: 0)
    monkeypatch.setattr(SEAL, "_calls", itertools.repeat(0))
    answers = [
        {"region": region, "problems": problems}
        for region in ("London", "North", "Wales")
        for problems in ([], ["targets"], ["overtime", "targets"])
    ]
    task = round_.task
    reports = [seal(task, one) for one in answers]
    with Office.open(round_.federation.homes["south"]) as office:
        bench, _ = office.open_bench(task.round_id)
        shares = [
            open_input_share(
                bench.seat.hpke, task, 1, r.commitment, r.public_share, r.ciphertexts[1]
            )
            for r in reports
        ]
    # Equal seeds would let whoever holds two shares subtract one answer from the other.
    assert len(set(shares)) == len({share[:32] for share in shares}) == len(answers)
    assert len({report.commitment for report in reports}) == len(answers)
    # Two equal answers then make one report: it counts once, and betrays nothing.
    assert seal(task, answers[0]).commitment == reports[0].commitment


def test_b16_a_blank_report_is_a_report(round_: Collecting) -> None:
    before = exact_totals(round_.federation)
    blank = seal_blank(round_.task)
    publish(round_.federation, "carers", [blank])
    round_.federation.settle()
    batch = round_.federation.chain().batches[-1]
    assert round_.federation.reasons()[batch.seq] == {}
    assert exact_totals(round_.federation) == before
    assert worker_reads(round_.federation, blank).startswith("counted: ")
    assert len(blank.to_bytes()) == len(round_.honest().to_bytes())


def test_b17_an_aggregator_takes_a_commitment(
    round_: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """South spoils its own part, so that only north could be made to remember the commitment."""
    task, vdaf = round_.task, round_.task.vdaf

    def taken(victim: Report) -> Report:
        info = input_share_info(task.digest, 1, victim.commitment, victim.public_share)
        with Office.open(round_.federation.homes["south"]) as office:
            bench, _ = office.open_bench(task.round_id)
            opening = bench.seat.hpke.open(victim.ciphertexts[1], info)[:64]
        guess = new_seed() + salt_hash(opening[:32])
        own = Drawn([], b"", victim.commitment, [guess, opening])
        nonce, rand = nonce_of(victim.commitment), bytes(vdaf.RAND_SIZE)
        public, shares = vdaf._shard_encoded(task.ctx, encode(task, TINY_ANSWERS), nonce, rand)
        encoded = [vdaf.encode_input_share(share) for share in shares]
        made = seal_shares(task, own, vdaf.encode_public_share(public), encoded)
        return with_parts(made, second=flip(made.ciphertexts[1], 40))

    victim = round_.honest()
    assert round_.hand_in(taken(victim)) == ["report.commitment"]
    assert round_.hand_in(victim) == [OK]
    # The control: what opens without the check is burnt, and the victim's report refused.
    monkeypatch.setattr(OpeningReader, "commitment", lambda *_: AnyBytes())
    victim = round_.honest()
    assert round_.hand_in(taken(victim)) == ["report.open"]
    assert round_.hand_in(victim) == ["report.burnt"]


class AnyBytes(bytes):
    """Equal to whatever it is compared with."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False
