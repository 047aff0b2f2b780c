"""Work on record batches is pure: the same input gives the same bytes, whatever rows hold.

Source: docs/design.md, section 8; VDAF draft-20, 7.2.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from arrow_world import reports_to_table
from dishonest import (
    TINY_ANSWERS,
    TINY_PLAN,
    flip,
    new_seed,
    seal_plaintexts,
    shares_of,
    weigh,
)
from federation import seal_measurement
from grievance.client import Report, seal
from grievance.client.commitment import nonce_of
from grievance.client.files import report_schema
from grievance.client.report import columns
from grievance.pipelines import (
    Opened,
    Seat,
    Verified,
    decide_rows,
    open_rows,
    verify_rows,
)
from grievance.pipelines.rows import sum_opened
from grievance.pool.decisions import Status, VerifierShares
from grievance.secret import VerifyKey
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.task import Task
    from grievance.testing import Coalition

NAMES = ("north", "south", "west")
OK = (Status.OK, -1)


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition(TINY_PLAN.decode(), NAMES)


@pytest.fixture(scope="module")
def seats(coalition: Coalition) -> list[Seat]:
    return [
        Seat(coalition.task, index, key, coalition.verify_key)
        for index, key in enumerate(coalition.hpke_keys)
    ]


def honest_bits(task: Task) -> list[int]:
    return task.layout.encode(task.layout.answers(TINY_ANSWERS))


@pytest.fixture(scope="module")
def mixed(coalition: Coalition) -> tuple[pa.RecordBatch, list[tuple[Status, int]]]:
    """Rows of every kind, and what becomes of each."""
    task = coalition.task
    honest = [seal(task, TINY_ANSWERS) for _ in range(3)]
    first = honest[0]
    seed = new_seed()
    public, shares = shares_of(task, weigh(task, honest_bits(task)), seed)
    unreduced = [b"\xff" * 16 + shares[0][16:], *shares[1:]]
    rows = [
        (honest[0], OK),
        (seal_measurement(task, weigh(task, [1] * task.layout.num_bits)), (Status.PROOF, -1)),
        (with_ciphertext(first, 0, flip(first.ciphertexts[0], 50)), (Status.OPEN, 0)),
        (with_ciphertext(first, 1, flip(first.ciphertexts[1], 50)), (Status.OPEN, 1)),
        (with_ciphertext(first, 2, flip(first.ciphertexts[2], 50)), (Status.OPEN, 2)),
        (honest[1], OK),
        (
            with_ciphertext(
                with_ciphertext(first, 1, first.ciphertexts[2]), 2, first.ciphertexts[1]
            ),
            (Status.OPEN, 1),
        ),
        (seal_plaintexts(task, seed, public, unreduced), (Status.DECODE, 0)),
        (
            seal_plaintexts(task, seed, public, shares, commitment=first.commitment),
            (Status.COMMITMENT, 0),
        ),
        (seal_plaintexts(task, seed, flip(public, 40), shares), (Status.JOINT_RANDOMNESS, -1)),
        (seal(task, {}), OK),
        (honest[2], OK),
    ]
    table = reports_to_table(task, [report for report, _ in rows])
    return table.combine_chunks().to_batches()[0], [expected for _, expected in rows]


def with_ciphertext(report: Report, index: int, ciphertext: bytes) -> Report:
    parts = list(report.ciphertexts)
    parts[index] = ciphertext
    return Report(report.task_digest, report.commitment, report.public_share, tuple(parts))


def check(seat: Seat, batch: pa.RecordBatch) -> Verified:
    return verify_rows(seat, open_rows(seat, batch))


def sum_again(seat: Seat, batch: pa.RecordBatch, rows: list[int]) -> list[int]:
    """What taking these rows back takes off the total."""
    return sum_opened(seat, open_rows(seat, batch.take(rows)))


def publics(batch: pa.RecordBatch) -> list[bytes]:
    return list(batch.column(1).to_pylist())


def as_reports(task: Task, batch: pa.RecordBatch) -> list[Report]:
    rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return [Report(task.digest, row[0], row[1], tuple(row[2:])) for row in rows]


def everyone(seats: Sequence[Seat], batch: pa.RecordBatch) -> list[Verified]:
    return [check(seat, batch) for seat in seats]


Mixed = tuple[pa.RecordBatch, list[tuple[Status, int]]]


def test_each_row_gets_its_verdict(seats: list[Seat], mixed: Mixed) -> None:
    batch, expected = mixed
    found = [verified.found for verified in everyone(seats, batch)]
    assert decide_rows(seats[0].task, publics(batch), found, 0) == expected


def test_sums_less_refused_rows_are_the_honest_totals(seats: list[Seat], mixed: Mixed) -> None:
    batch, expected = mixed
    vdaf, totals = seats[0].task.vdaf, []
    for seat, verified in zip(seats, everyone(seats, batch), strict=True):
        statuses = verified.found.statuses
        dropped = [r for r, v in enumerate(expected) if v != OK and statuses[r] == Status.OK]
        totals.append(vdaf.field.sub(verified.total, sum_again(seat, batch, dropped)))
    bits = honest_bits(seats[0].task)
    assert vdaf.merge(totals) == [3 * bit for bit in bits]


def test_the_same_rows_give_the_same_bytes(seats: list[Seat], mixed: Mixed) -> None:
    batch, _ = mixed
    for seat in seats:
        one, other = check(seat, batch), check(seat, batch)
        assert one.found == other.found
        assert one.total == other.total


@pytest.mark.parametrize("cut", [1, 2, 5, 11])
def test_how_rows_are_cut_into_batches_changes_nothing(
    seats: list[Seat], mixed: Mixed, cut: int
) -> None:
    """A slice of a larger batch, a copy, and the whole: all the same."""
    batch, _ = mixed
    seat, task = seats[1], seats[1].task
    whole, vdaf = check(seat, batch), task.vdaf
    pieces = [batch.slice(at, cut) for at in range(0, batch.num_rows, cut)]
    copies = [piece.take(pa.array(range(piece.num_rows))) for piece in pieces]
    for parts in (pieces, copies):
        found = [check(seat, part) for part in parts]
        assert b"".join(f.found.statuses for f in found) == whole.found.statuses
        assert b"".join(f.found.shares for f in found) == whole.found.shares
        assert vdaf.merge([f.total for f in found]) == whole.total
        digests = [digest for part in parts for digest in open_rows(seat, part).digests]
        assert digests == [report.digest for report in as_reports(task, batch)]
    all_found = [v.found for v in everyone(seats, batch)]
    decided = decide_rows(task, publics(batch), all_found, 0)
    again = [
        verdict
        for number, piece in enumerate(pieces)
        for verdict in decide_rows(task, publics(piece), all_found, number * cut)
    ]
    assert again == decided


def test_one_bad_row_leaves_its_neighbours_alone(seats: list[Seat], mixed: Mixed) -> None:
    batch, expected = mixed
    kept = [row for row, verdict in enumerate(expected) if verdict == OK]
    alone = batch.take(pa.array(kept))
    width = seats[0].task.vdaf.VERIFIER_SHARE_SIZE
    for seat in seats:
        among, apart = check(seat, batch).found, check(seat, alone).found
        assert [among.share(row, width) for row in kept] == [
            apart.share(row, width) for row in range(len(kept))
        ]


def test_rows_that_are_not_ok_have_no_verifier_share(seats: list[Seat], mixed: Mixed) -> None:
    batch, _ = mixed
    width = seats[0].task.vdaf.VERIFIER_SHARE_SIZE
    for seat in seats:
        found = check(seat, batch).found
        for row, status in enumerate(found.statuses):
            assert any(found.share(row, width)) == (status == Status.OK)


def test_a_row_marked_burnt_is_not_verified(seats: list[Seat], mixed: Mixed) -> None:
    batch, _ = mixed
    seat, vdaf = seats[0], seats[0].task.vdaf
    opened = open_rows(seat, batch)
    opened.statuses[0], opened.shares[0] = Status.BURNT, None
    burnt, whole = verify_rows(seat, opened), check(seat, batch)
    assert burnt.found.statuses[0] == Status.BURNT
    assert not any(burnt.found.share(0, vdaf.VERIFIER_SHARE_SIZE))
    row_zero = sum_again(seat, batch, [0])
    assert vdaf.agg_update(burnt.total, row_zero) == whole.total


def test_nothing_changes_what_was_burnt_before_it_is_verified(
    coalition: Coalition, seats: list[Seat]
) -> None:
    """A mapped batch may change under us; the bytes verified are those that were opened."""
    task, seat = coalition.task, seats[0]
    report = seal(task, TINY_ANSWERS)
    cells = [report.commitment, report.public_share, *report.ciphertexts]
    memory = [bytearray(cell) for cell in cells]
    arrays = [
        pa.Array.from_buffers(pa.binary(width), 1, [None, pa.py_buffer(buffer)])
        for buffer, (_, width) in zip(memory, columns(task), strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=report_schema(task))
    before = check(seat, batch)
    opened = open_rows(seat, batch)
    for buffer in memory:
        buffer[:] = secrets.token_bytes(len(buffer))
    assert verify_rows(seat, opened).found == before.found


def test_another_verify_key_gives_other_shares(
    coalition: Coalition, seats: list[Seat], mixed: Mixed
) -> None:
    batch, _ = mixed
    stranger = Seat(coalition.task, 1, coalition.hpke_keys[1], VerifyKey.generate())
    found = [check(seats[0], batch).found, check(stranger, batch).found]
    found.append(check(seats[2], batch).found)
    verdicts = decide_rows(coalition.task, publics(batch), found, 0)
    assert OK not in verdicts


# -- findings of dishonest aggregators -----------------------------------------------------------


def bent(found: VerifierShares, change: Callable[[bytes], bytes]) -> VerifierShares:
    return VerifierShares(found.statuses, change(found.shares))


@pytest.mark.parametrize("liar", [0, 1, 2])
def test_verifier_shares_that_were_altered(
    coalition: Coalition, seats: list[Seat], mixed: Mixed, liar: int
) -> None:
    batch, expected = mixed
    task, width = coalition.task, coalition.task.vdaf.VERIFIER_SHARE_SIZE
    found = [verified.found for verified in everyone(seats, batch)]
    part = width - 32  # elements, then the joint randomness part
    lies = {
        "an element": (lambda s: flip(s, 0), (Status.PROOF, -1)),
        "the last element": (lambda s: flip(s, part - 1, 0), (Status.PROOF, -1)),
        "an element not reduced": (lambda s: b"\xff" * 16 + s[16:], (Status.DECODE, liar)),
        "the part": (lambda s: flip(s, width - 1), (Status.JOINT_RANDOMNESS, -1)),
        "another row's share": (lambda s: s[5 * width : 6 * width] + s[width:], None),
        "nothing": (lambda s: bytes(width) + s[width:], (Status.JOINT_RANDOMNESS, -1)),
    }
    for label, (change, verdict) in lies.items():
        lied = [bent(f, change) if i == liar else f for i, f in enumerate(found)]
        verdicts = decide_rows(task, publics(batch), lied, 0)
        assert verdicts[1:] == expected[1:], label
        if verdict is None:
            assert verdicts[0] != OK
        else:
            assert verdicts[0] in (verdict, (Status.DECODE, liar)), label


def test_the_first_aggregator_to_refuse_is_named(seats: list[Seat], mixed: Mixed) -> None:
    batch, _ = mixed
    found = [verified.found for verified in everyone(seats, batch)]
    for index, status in ((2, Status.BURNT), (1, Status.COMMITMENT), (0, Status.OPEN)):
        found[index] = VerifierShares(bytes([status]) * batch.num_rows, found[index].shares)
        verdicts = decide_rows(seats[0].task, publics(batch), found, 0)
        assert verdicts[0] == (status, index)


def test_a_test_point_that_is_a_root_of_unity_is_one_public_code(
    seats: list[Seat], mixed: Mixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens once in 2^120 reports, so the derivation is replaced by one that gives it."""
    batch, _ = mixed
    vdaf = seats[0].task.vdaf
    real = vdaf.query_rands
    first = batch.column(0)[0].as_py()

    def unlucky(key: VerifyKey, ctx: bytes, nonce: bytes) -> list[int]:
        rands = real(key, ctx, nonce)
        return [*rands[:-1], 1] if nonce == nonce_of(first) else rands

    honest = everyone(seats, batch)
    monkeypatch.setattr(vdaf, "query_rands", unlucky)
    found = everyone(seats, batch)
    verdicts = decide_rows(seats[0].task, publics(batch), [v.found for v in found], 0)
    assert verdicts[0] == (Status.TEST_POINT, 0)
    width = vdaf.VERIFIER_SHARE_SIZE
    for before, after in zip(honest, found, strict=True):
        assert not any(after.found.share(0, width))
        others = [row for row in range(batch.num_rows) if batch.column(0)[row].as_py() != first]
        assert len(others) > 5
        for row in others:
            assert after.found.share(row, width) == before.found.share(row, width)


def test_findings_do_not_print_what_they_hold(seats: list[Seat], mixed: Mixed) -> None:
    opened = open_rows(seats[0], mixed[0])
    verified = verify_rows(seats[0], opened)
    assert isinstance(opened, Opened)
    for item in (opened, verified, verified.found, seats[0]):
        assert len(repr(item)) < 120
        assert "object at" in repr(item)
