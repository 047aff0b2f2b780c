"""Faults C1 to C18: what a client can put into its shares and its proof. docs/faults.md.

Each kind goes through the real prover, by the hundred among honest reports, in slow tests by
ten thousand: none is accepted, every honest one is, and the totals are those of the honest
ones. Then the same kinds go through a pool and two real aggregators, once each.
"""

from __future__ import annotations

import random
import secrets
from typing import TYPE_CHECKING

import numpy as np
import pytest
from encodings_world import (
    BATCH,
    BITS,
    BLOCKS,
    OK,
    VDAF,
    P,
    a_two,
    a_weight_that_lies,
    digits_that_are_no_bits,
    errors_that_cancel,
    honest,
    honest_bits,
    judged,
    large_and_negative,
    minus_one,
    none_is_accepted,
    one_too_many,
)
from fault_world import judge, refused, worker_reads

from dishonest import (
    bad_measurements,
    exact_totals,
    flip,
    new_seed,
    publish,
    seal_plaintexts,
    shares_of,
)
from federation import Federation, encode, seal_measurement
from grievance.cli.auditor import _REASONS
from grievance.client import seal
from grievance.client.commitment import nonce_of
from grievance.errors import ShapeError
from grievance.kernels import BatchPrio3
from grievance.pool.decisions import Status
from grievance.testing import EXAMPLE_PLAN, make_coalition, with_envelope
from grievance.vdaf import Block, Prio3BlockCountVec
from grievance.vdaf.gadgets import wire_poly_len
from grievance.vdaf.prio3 import Prio3
from kernels.kernels_world import CTX, Table, assert_same, drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.client import Report

    Kind = Callable[[random.Random], list[int]]

ROWS = pytest.mark.parametrize("rows", [200, pytest.param(10_000, marks=pytest.mark.slow)])


# -- one of each, through a pool ---------------------------------------------------------------


class Story:
    """A batch of one report of every kind, decided by two real aggregators."""

    def __init__(self, federation: Federation) -> None:
        self.federation, task = federation, federation.open_round()
        self.reports: dict[str, Report] = {}
        meas, flp = encode(task), task.vdaf.flp
        for label, bad in bad_measurements(task).items():
            self.reports[label] = seal_measurement(task, bad, seed=new_seed())
        self._bent("other context", ctx=b"grievance/2" + secrets.token_bytes(32))
        for element in (P, P + 1, 2**128 - 1):
            encoded = element.to_bytes(16, "little")
            for at in (0, flp.MEAS_LEN - 1, flp.MEAS_LEN, flp.MEAS_LEN + flp.PROOF_LEN - 1):
                self._bent(f"element {element} at {at}", index=0, at=16 * at, new=encoded)
        for at in range(flp.PROOF_LEN):
            self._bent(f"proof {at}", index=0, at=16 * (flp.MEAS_LEN + at))
        self._bent("leader's blind", index=0, at=-1)
        self._bent("helper's blind", index=1, at=-1)
        zeros = bytes(task.vdaf.RAND_SIZE)
        self.reports["honest zeros"] = seal_measurement(task, meas, seed=new_seed(), rand=zeros)
        for number in range(5):
            self.reports[f"honest {number}"] = seal_measurement(task, meas, seed=new_seed())
        publish(federation, "nurses", list(self.reports.values()))
        federation.settle()
        (batch,) = federation.chain().batches
        found = federation.reasons()[batch.seq]
        self.codes = {label: found.get(row, OK) for row, label in enumerate(self.reports)}
        self.one = meas[: task.layout.num_bits]

    def _bent(
        self,
        label: str,
        *,
        ctx: bytes | None = None,
        index: int = 0,
        at: int = 0,
        new: bytes | None = None,
    ) -> None:
        task, seed = self.federation.task, new_seed()
        public, shares = shares_of(task, encode(task), seed, ctx=ctx)
        if ctx is None:
            share = shares[index]
            shares[index] = flip(share, at) if new is None else share[:at] + new + share[at + 16 :]
        self.reports[label] = seal_plaintexts(task, seed, public, shares)

    def tells(self, code: str, *labels: str, words: str) -> None:
        """Assert how these reports are refused, and what is read about the first of them."""
        assert {label: self.codes[label] for label in labels} == dict.fromkeys(labels, code)
        said = worker_reads(self.federation, self.reports[labels[0]])
        assert said.startswith(f"refused ({code}): ") and words in said, said
        assert "next: seal your answers again" in said


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(Federation(tmp_path_factory.mktemp("encodings")))


PROOF, JOINT = "report.proof", "report.joint-randomness"
NO_PROOF, APART = "its proof does not hold", "its parts do not belong together"


@ROWS
def test_c1_a_two_in_a_bit(rows: int, story: Story) -> None:
    none_is_accepted(a_two, PROOF, rows)
    story.tells(PROOF, "a two in a cell", "a two whose weight agrees", words=NO_PROOF)


@ROWS
def test_c2_minus_one(rows: int, story: Story) -> None:
    none_is_accepted(minus_one, PROOF, rows)
    story.tells(PROOF, "minus one in a cell", words=NO_PROOF)


@ROWS
def test_c3_two_errors_that_cancel(rows: int, story: Story) -> None:
    none_is_accepted(errors_that_cancel, PROOF, rows)
    labels = ("two errors that cancel", "two errors that cancel in a pick")
    story.tells(PROOF, *labels, words=NO_PROOF)


@ROWS
def test_c4_more_ones_than_allowed(rows: int, story: Story) -> None:
    none_is_accepted(one_too_many, PROOF, rows)
    labels = ("two ones in a table", "two groups at once", "three ticks where two are allowed")
    story.tells(PROOF, *labels, words=NO_PROOF)


@ROWS
def test_c5_a_weight_that_lies(rows: int, story: Story) -> None:
    none_is_accepted(a_weight_that_lies, PROOF, rows)
    story.tells(PROOF, "a weight too low", "a weight too high", words=NO_PROOF)


@ROWS
def test_c6_weight_digits_that_are_no_bits(rows: int, story: Story) -> None:
    none_is_accepted(digits_that_are_no_bits, PROOF, rows)
    labels = (
        "weight digits that are no bits",
        "two ones, the weight a two",
        "three ticks, a weight digit of two",
    )
    story.tells(PROOF, *labels, words=NO_PROOF)


@ROWS
def test_c7_large_and_negative_values(rows: int, story: Story) -> None:
    none_is_accepted(large_and_negative, PROOF, rows)
    story.tells(PROOF, "a large value", "a large negative value", words=NO_PROOF)


@ROWS
def test_c8_elements_that_are_not_reduced(rows: int, story: Story) -> None:
    values = [P, P + 1, 2**128 - 1]
    length = VDAF.flp.MEAS_LEN + VDAF.flp.PROOF_LEN

    def bend(table: Table, which: Sequence[int]) -> None:
        for row in which:
            at, value = 16 * (row % length), values[row % 3]
            table.inputs[0][row, at : at + 16] = np.frombuffer(value.to_bytes(16, "little"), "u1")

    none_is_accepted(honest, "report.decode", rows, bend=bend)
    labels = [label for label in story.codes if label.startswith("element ")]
    assert len(labels) == 12
    story.tells("report.decode", *labels, words="what is sealed in it is not a report's content")


def test_c9_shares_of_another_length(story: Story) -> None:
    task = story.federation.task
    public, shares = shares_of(task, encode(task), seed := new_seed())
    for index in range(2):
        for change in (-16, -1, 1, 16):
            bent = list(shares)
            bent[index] = shares[index][:change] if change < 0 else shares[index] + bytes(change)
            code = "wire.short" if change < 0 else "wire.long"
            with refused(code, step=None):
                task.vdaf.decode_input_share(index, bent[index])
            with refused("report.size", "size", step="as it was written"):
                seal_plaintexts(task, seed, public, bent).check(task)
    table = Table(VDAF, [honest(random.Random(9))], encoded=True)
    with pytest.raises(ShapeError, match="input shares"):
        BATCH.verify(table.key, CTX, 0, table.nonces, table.public, table.inputs[0][:, :-16])


@ROWS
def test_c10_one_element_of_the_proof_changed(rows: int, story: Story) -> None:
    length, start = VDAF.flp.PROOF_LEN, VDAF.flp.MEAS_LEN
    assert rows >= length

    def bend(table: Table, which: Sequence[int]) -> None:
        for row in which:
            at = 16 * (start + row % length)
            old = int.from_bytes(table.inputs[0][row, at : at + 16].tobytes(), "little")
            new = (old + 1 + secrets.randbelow(P - 1)) % P
            table.inputs[0][row, at : at + 16] = np.frombuffer(new.to_bytes(16, "little"), "u1")

    none_is_accepted(honest, PROOF, rows, bend=bend)
    labels = [label for label in story.codes if label.startswith("proof ")]
    assert len(labels) == story.federation.task.vdaf.flp.PROOF_LEN
    story.tells(PROOF, *labels, words=NO_PROOF)


class OtherContext(Prio3BlockCountVec):
    """A client that seals for this round what it proved for another."""

    def domain_separation_tag(self, usage: int, ctx: bytes) -> bytes:
        return super().domain_separation_tag(usage, ctx + b"!")


@ROWS
def test_c11_a_proof_for_another_circuit(rows: int, story: Story) -> None:
    """Of equal length. Prio3 does not bind its circuit; here the task's digest does."""
    parents = (2, 2, 1, 1, 0, 0)
    blocks = [BLOCKS[0], Block(6, 2, parents), *BLOCKS[2:]]
    client, theirs = Prio3BlockCountVec(2, blocks, 4), OtherContext(2, blocks, 4)
    assert (client.flp.PROOF_LEN, client.flp.MEAS_LEN) == (VDAF.flp.PROOF_LEN, VDAF.flp.MEAS_LEN)

    def valid_there(draw: random.Random) -> list[int]:
        bits = [0] * BITS
        group = draw.choice([0, 2])
        bits[group] = bits[3 + parents.index(group)] = 1
        return list(client.circuit.encode(bits))

    none_is_accepted(valid_there, JOINT, rows, client=theirs)
    none_is_accepted(honest, JOINT, 200, client=OtherContext(2, BLOCKS, 4))
    none_is_accepted(valid_there, PROOF, 200, client=client)  # were the context the same
    story.tells(JOINT, "other context", words=APART)


@ROWS
def test_c12_blinds_flipped(rows: int, story: Story) -> None:
    def bend(table: Table, which: Sequence[int]) -> None:
        for row in which:
            table.inputs[row % 2][row, -1 - row % 32] ^= 1 << (row % 8)

    none_is_accepted(honest, JOINT, rows, bend=bend)
    story.tells(JOINT, "leader's blind", "helper's blind", words=APART)


def test_c13_verifier_shares_of_another_report(story: Story) -> None:
    draw = random.Random(13)
    table = Table(VDAF, [honest(draw) for _ in range(200)], encoded=True)
    north, south = (
        BATCH.verify(
            table.key, CTX, index, table.nonces, table.public, table.inputs[index]
        ).verifier_shares
        for index in range(2)
    )
    moved = np.roll(south, 1, axis=0)
    mixed = np.concatenate([moved[:, :-32], south[:, -32:]], axis=1)  # with its own commitment
    for shares, status in ((south, Status.OK), (moved, Status.JOINT_RANDOMNESS)):
        verdicts, _ = BATCH.decide(table.public, [north, shares])
        assert set(verdicts) == {status}
    assert set(BATCH.decide(table.public, [north, mixed])[0]) == {Status.PROOF}
    # A whole file of them in the place of another batch's counts as not arrived.
    federation, before = story.federation, exact_totals(story.federation)
    publish(federation, "carers", federation.seal(2))
    federation.sync("north", "south")
    first, second = (batch.seq for batch in federation.chain().batches)
    path = federation.file(federation.paths.verify(second, "south"))
    own = path.read_bytes()
    path.write_bytes(federation.file(federation.paths.verify(first, "south")).read_bytes())
    (result,) = federation.sync("north")
    assert not any("decided" in line for line in result.done)
    path.write_bytes(own)
    federation.settle()
    assert exact_totals(federation) == [x + 2 * y for x, y in zip(before, story.one, strict=True)]


@ROWS
def test_c14_verifier_message_flipped(rows: int) -> None:
    draw = random.Random(14)
    table = Table(VDAF, [honest(draw)], encoded=True)
    begun = [
        VDAF.verify_init(
            table.key,
            CTX,
            index,
            table.nonces[0].tobytes(),
            VDAF.decode_public_share(table.public[0].tobytes()),
            VDAF.decode_input_share(index, table.inputs[index][0].tobytes()),
        )
        for index in range(2)
    ]
    message = VDAF.verifier_shares_to_message(CTX, [share for _, share in begun])
    assert message is not None
    for number in range(rows):
        bad = flip(message, number // 8, number % 8) if number < 256 else secrets.token_bytes(32)
        for state, _ in begun:
            with refused("vdaf.joint-rand", "joint randomness", step=None):
                VDAF.verify_next(CTX, state, bad)
    for state, _ in begun:
        VDAF.verify_next(CTX, state, message)


def test_c15_test_points_that_are_roots_of_unity(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hash gives one in a lifetime, so a double does."""
    coalition = make_coalition(with_envelope(EXAMPLE_PLAN))
    task, points = coalition.task, {}
    true = Prio3.query_rands

    def chosen(self: Prio3, key: object, ctx: bytes, nonce: bytes) -> list[int]:  # type: ignore[type-arg]
        *rest, t = true(self, key, ctx, nonce)  # type: ignore[arg-type]
        return [*rest, points.get(nonce, t)]

    monkeypatch.setattr(Prio3, "query_rands", chosen)
    length = wire_poly_len(task.vdaf.circuit.GADGET_CALLS[0])
    roots = task.vdaf.field.nth_root_powers(length)
    doubles = task.vdaf.field.nth_root_powers(2 * length)[1::2]
    reports = [seal(task, {"region": "North"}) for _ in range(2 * length + 1)]
    for report, point in zip(reports, [*roots, *doubles], strict=False):
        points[nonce_of(report.commitment)] = point
    codes = judge(coalition, reports)
    assert codes == ["report.test-point"] * length + [OK] * (length + 1)
    assert "chance" in _REASONS["report.test-point"]


class OtherId(Prio3BlockCountVec):
    ID = Prio3BlockCountVec.ID + 1


class OtherVersion(Prio3BlockCountVec):
    def domain_separation_tag(self, usage: int, ctx: bytes) -> bytes:
        return flip(super().domain_separation_tag(usage, ctx), 0)


@ROWS
@pytest.mark.parametrize("client", [OtherId, OtherVersion])
def test_c16_another_algorithm_or_version(rows: int, client: type[Prio3BlockCountVec]) -> None:
    none_is_accepted(honest, JOINT, rows, client=client(2, BLOCKS, 4))
    assert APART in _REASONS[JOINT]


def test_c17_seeds_that_are_zero_or_equal(story: Story) -> None:
    """Bad luck for that client alone: all sides say the same, and it counts."""
    three = Prio3BlockCountVec(3, BLOCKS, chunk_length=4)
    table = Table(three, [honest(random.Random(17))] * 4, encoded=True)
    rand = drawn(4, three.RAND_SIZE)
    rand[0] = 0
    rand[1, 64:96] = rand[1, :32]  # the helpers' seeds; blinds stand between them
    rand[2, 64:128] = rand[2, :64]  # and their blinds
    rand[3, :32] = 0
    for row in range(4):
        public, shares = three._shard_encoded(
            CTX, honest(random.Random(row)), table.nonces[row].tobytes(), rand[row].tobytes()
        )
        table.public[row] = np.frombuffer(three.encode_public_share(public), "u1")
        for rows, share in zip(table.inputs, shares, strict=True):
            rows[row] = np.frombuffer(three.encode_input_share(share), "u1")
    assert not assert_same(BatchPrio3(three), table).any()
    assert story.codes["honest zeros"] == OK


def test_c18_ten_thousand_honest_reports(story: Story) -> None:
    rows, draw = 10_000, random.Random(18)
    bits = np.array([honest_bits(draw) for _ in range(rows)], np.uint8)
    table = Table(VDAF, [honest(draw)], encoded=True)
    table.nonces = drawn(rows, 16)
    table.public, table.inputs = BATCH.shard(CTX, bits, table.nonces, drawn(rows, VDAF.RAND_SIZE))
    codes, totals = judged(table)
    assert set(codes) == {OK}
    assert totals == bits.sum(0).tolist()
    accepted = [label for label, code in story.codes.items() if code == OK]
    assert len(accepted) == 6 and all(label.startswith("honest ") for label in accepted)
