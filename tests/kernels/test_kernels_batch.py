"""Whole batches against the reference, byte for byte."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_world import (
    CTX,
    STANDARD,
    Table,
    assert_same,
    drawn,
    name_of,
    plans,
    refusal,
)

from grievance.errors import ShapeError, VdafError, WireError
from grievance.kernels import BatchPrio3, is_known
from grievance.pool.decisions import Status
from grievance.vdaf import FIELD128, Block, Prio3BlockCountVec, Prio3SumVecWithMultiproof
from grievance.vdaf.vectors import BUILDERS, Json

EVERY = pytest.mark.parametrize("case", STANDARD, ids=name_of)
P = FIELD128.MODULUS
# Group a, group b (at most one); ticks a0 a1 b0 b1 (at most two); value bits a, b; the weights.
VDAF = Prio3BlockCountVec(
    2, [Block(2, 1), Block(4, 2, (0, 0, 1, 1)), Block(2, None, (0, 1))], chunk_length=4
)
VALID = [
    [1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1],
    [0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0],
    [0] * 11,
]
INVALID = [
    [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0],
    [P - 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [1, 0, P - 10**6, 10**6, 0, 0, 0, 0, 1, 0, 0],
    [1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0],
    [1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1],
    [0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
]


# -- sharding and verifying, for every circuit --------------------------------------------


@EVERY
@pytest.mark.parametrize("num_rows", [1, 2, 7, 9])
def test_every_circuit_is_sharded_and_verified_as_by_the_reference(case, num_rows):
    vdaf, measurement = case
    batch = BatchPrio3(vdaf)
    nonces, rand = drawn(num_rows, 16), drawn(num_rows, vdaf.RAND_SIZE)
    public, inputs = batch.shard(CTX, np.array([measurement] * num_rows), nonces, rand)
    table = Table(vdaf, [measurement])
    table.nonces, table.public, table.inputs = nonces, public, inputs
    for row in range(num_rows):
        want, shares = vdaf._shard_with_rand(
            CTX, measurement, nonces[row].tobytes(), rand[row].tobytes()
        )
        assert public[row].tobytes() == vdaf.encode_public_share(want)
        encoded = [vdaf.encode_input_share(share) for share in shares]
        assert [share[row].tobytes() for share in inputs] == encoded
    assert not assert_same(batch, table).any()
    for agg_id in range(vdaf.SHARES):
        want = vdaf.merge([table.expected(agg_id, row)[3] for row in range(num_rows)])
        assert batch.sum_out_shares(CTX, agg_id, inputs[agg_id]) == want


@settings(max_examples=25)
@given(plans(), st.sampled_from([1, 2, 7]), st.integers(2, 3))
def test_random_plans(plan, num_rows, shares):
    blocks, bits, chunk_length = plan
    vdaf = Prio3BlockCountVec(shares, blocks, chunk_length)
    batch = BatchPrio3(vdaf)
    nonces, rand = drawn(num_rows, 16), drawn(num_rows, vdaf.RAND_SIZE)
    public, inputs = batch.shard(CTX, np.array([bits] * num_rows), nonces, rand)
    table = Table(vdaf, [bits])
    want, _ = vdaf._shard_with_rand(CTX, bits, nonces[0].tobytes(), rand[0].tobytes())
    assert public[0].tobytes() == vdaf.encode_public_share(want)
    table.nonces, table.public, table.inputs = nonces, public, inputs
    assert not assert_same(batch, table).any()


def test_ten_thousand_reports():
    """A sample of the rows is compared, and every verdict and the total."""
    vdaf = Prio3BlockCountVec(2, [Block(12, 1), Block(6, None, (0, 1, 2, 3, 4, 5))], 3)
    batch, num_rows = BatchPrio3(vdaf), 10_000
    places = np.frombuffer(secrets.token_bytes(num_rows), np.uint8) % 12
    bits = np.zeros((num_rows, 18), np.uint8)
    bits[np.arange(num_rows), places] = 1
    bits[:, 12:] = bits[:, :6]
    nonces, rand = drawn(num_rows, 16), drawn(num_rows, vdaf.RAND_SIZE)
    table = Table(vdaf, [bits[0].tolist()])
    table.nonces = nonces
    table.public, table.inputs = batch.shard(CTX, bits, nonces, rand)
    sample = [0, 7, 8, 2047, 2048, 9_999, *(secrets.randbelow(num_rows) for _ in range(20))]
    assert not assert_same(batch, table, sample).any()
    totals = [
        batch.verify(table.key, CTX, i, nonces, table.public, table.inputs[i]).total
        for i in range(2)
    ]
    assert vdaf.unshard(totals, num_rows) == bits.sum(0).tolist()


# -- reports that are refused, among others that are not ------------------------------------


@pytest.mark.parametrize("turn", range(3))
def test_invalid_reports_stand_anywhere_and_disturb_nobody(turn):
    table = Table(VDAF, [*VALID, *INVALID], encoded=True)
    kinds = np.array([secrets.randbelow(11) for _ in range(29 + turn)])
    table.tiled(kinds)
    verdicts = assert_same(BatchPrio3(VDAF), table)
    assert (verdicts == np.where(kinds < len(VALID), Status.OK, Status.PROOF)).all()


@EVERY
def test_any_flipped_bit_gives_what_the_reference_gives(case):
    vdaf, measurement = case
    table = Table(vdaf, [measurement]).tiled(np.zeros(24, np.int64))
    for row in range(20):
        rows = [table.nonces, table.public, *table.inputs][row % (2 + vdaf.SHARES)]
        if rows.shape[1]:
            rows[row, secrets.randbelow(rows.shape[1])] ^= 1 << secrets.randbelow(8)
    verdicts = assert_same(BatchPrio3(vdaf), table)
    assert (verdicts[20:] == Status.OK).all()


@EVERY
def test_elements_that_are_not_below_p_do_not_decode(case):
    vdaf, measurement = case
    size, p = vdaf.field.ENCODED_SIZE, vdaf.field.MODULUS
    length = vdaf.flp.MEAS_LEN + vdaf.PROOFS * vdaf.flp.PROOF_LEN
    table = Table(vdaf, [measurement]).tiled(np.zeros(10, np.int64))
    values = [0, 1, p - 1, p, p + 1, 256**size - 1, p, p, p]
    places = [0, 0, 0, 0, length // 2, length - 1, vdaf.flp.MEAS_LEN - 1, vdaf.flp.MEAS_LEN, 1]
    for row, (value, place) in enumerate(zip(values, places, strict=True)):
        encoded = np.frombuffer(value.to_bytes(size, "little"), np.uint8)
        table.inputs[0][row, place * size : (place + 1) * size] = encoded
    batch = BatchPrio3(vdaf)
    assert_same(batch, table)
    found = batch.verify(table.key, CTX, 0, table.nonces, table.public, table.inputs[0])
    assert (found.statuses == [0, 0, 0, *[Status.DECODE] * 6, 0]).all()
    with pytest.raises(WireError):
        batch.sum_out_shares(CTX, 0, table.inputs[0])


def test_verifier_shares_are_decided_in_the_references_order():
    vdaf = VDAF
    table = Table(vdaf, [VALID[0]], encoded=True).tiled(np.zeros(9, np.int64))
    batch = BatchPrio3(vdaf)
    encoded = [
        batch.verify(table.key, CTX, i, table.nonces, table.public, table.inputs[i]).verifier_shares
        for i in range(2)
    ]
    top = np.full(16, 255, np.uint8)
    encoded[0][0, :16] = top
    encoded[1][1, 16:32] = top
    encoded[0][2, :16], encoded[1][2, :16] = top, top
    encoded[1][3, -1] ^= 1  # joint randomness
    table.public[4, 0] ^= 1
    encoded[0][5, 0] ^= 1  # the circuit's output
    encoded[0][6, 16 * 3] ^= 1  # a wire
    encoded[1][7, -1] ^= 1
    encoded[1][7, 0] ^= 1
    verdicts, culprits = batch.decide(table.public, encoded)
    got = list(zip(verdicts.tolist(), culprits.tolist(), strict=True))
    assert got == [table.verdict(encoded, row) for row in range(9)]
    assert got == [(4, 0), (4, 1), (4, 0), (7, -1), (7, -1), (6, -1), (6, -1), (7, -1), (0, -1)]


def test_rows_with_another_status_are_left_alone():
    table = Table(VDAF, [VALID[0]], encoded=True).tiled(np.zeros(20, np.int64))
    statuses = np.zeros(20, np.uint8)
    statuses[[0, 3, 8, 19]] = [Status.OPEN, Status.COMMITMENT, Status.BURNT, Status.OPEN]
    table.inputs[0][3] = 255
    assert_same(BatchPrio3(VDAF), table, statuses=statuses)
    assert statuses[0] == Status.OPEN


def test_a_batch_may_be_empty_or_refused_as_a_whole():
    batch, key = BatchPrio3(VDAF), Table(VDAF, [VALID[0]], encoded=True).key
    none = [np.zeros((0, n), np.uint8) for n in (16, 64, VDAF.input_share_size(0))]
    found = batch.verify(key, CTX, 0, *none)
    assert found.statuses.shape == (0,)
    assert found.total == VDAF.agg_init()
    assert batch.decide(none[1], [found.verifier_shares] * 2)[0].shape == (0,)
    assert batch.sum_out_shares(CTX, 0, none[2]) == VDAF.agg_init()
    public, inputs = batch.shard(CTX, np.zeros((0, 8), np.uint8), none[0], drawn(0, VDAF.RAND_SIZE))
    assert (len(public), len(inputs)) == (0, 2)


def test_read_only_rows_and_slices_are_fine():
    table = Table(VDAF, [VALID[0]], encoded=True).tiled(np.zeros(6, np.int64))
    wide = np.repeat(table.inputs[1], 2, axis=0)
    table.inputs[1] = wide[::2]
    for rows in (table.nonces, table.public, *table.inputs):
        rows.flags.writeable = False
    assert not assert_same(BatchPrio3(VDAF), table).any()


def test_a_long_context_spans_blocks():
    table = Table(VDAF, [VALID[0]], encoded=True)
    ctx = b"a task" * 100
    batch = BatchPrio3(VDAF)
    public, inputs = VDAF._shard_encoded(ctx, VALID[0], bytes(16), bytes(VDAF.RAND_SIZE))
    for agg_id, share in enumerate(inputs):
        _, want = VDAF.verify_init(table.key, ctx, agg_id, bytes(16), public, share)
        rows = (bytes(16), VDAF.encode_public_share(public), VDAF.encode_input_share(share))
        found = batch.verify(
            table.key, ctx, agg_id, *(np.frombuffer(r, np.uint8).reshape(1, -1) for r in rows)
        )
        assert found.verifier_shares.tobytes() == VDAF.encode_verifier_share(want)


# -- what is left to the reference ------------------------------------------------------------

# Found by search: under this seed one element of the measurement share is above p.
DROPPING = Prio3SumVecWithMultiproof(2, 100, 1, 10)
DROPPING_SEED = (170_685_890).to_bytes(32, "little")


def test_an_expansion_that_drops_an_element_is_left_to_the_reference():
    tag = DROPPING.domain_separation_tag(1, CTX)
    vec = DROPPING.helper_meas_share(CTX, 1, DROPPING_SEED)
    assert len(vec) == 100
    from grievance.vdaf import FIELD64, XofTurboShake128

    assert len(FIELD64.sample(XofTurboShake128(DROPPING_SEED, tag, b"\x01").next(800))) == 99
    batch, num_rows = BatchPrio3(DROPPING), 11
    nonces, rand = drawn(num_rows, 16), drawn(num_rows, DROPPING.RAND_SIZE)
    rand[[0, 4, 10], :32] = np.frombuffer(DROPPING_SEED, np.uint8)
    measurements = np.ones((num_rows, 100), np.uint8)
    table = Table(DROPPING, [[1] * 100])
    table.nonces = nonces
    table.public, table.inputs = batch.shard(CTX, measurements, nonces, rand)
    for row in range(num_rows):
        public, inputs = DROPPING._shard_with_rand(
            CTX, [1] * 100, nonces[row].tobytes(), rand[row].tobytes()
        )
        assert table.public[row].tobytes() == DROPPING.encode_public_share(public)
        assert table.inputs[0][row].tobytes() == DROPPING.encode_input_share(inputs[0])
    assert not assert_same(batch, table).any()
    want = DROPPING.merge([table.expected(1, row)[3] for row in range(num_rows)])
    assert batch.sum_out_shares(CTX, 1, table.inputs[1]) == want


# -- what does not fit -------------------------------------------------------------------------


def test_arrays_that_do_not_fit_are_refused():
    batch = BatchPrio3(VDAF)
    table = Table(VDAF, [VALID[0]], encoded=True).tiled(np.zeros(2, np.int64))
    good = [table.nonces, table.public, table.inputs[0]]
    for i in range(3):
        for bad in (good[i][:1], good[i][:, :-1], good[i].astype(np.int64), good[i][0]):
            arguments = [*good[:i], bad, *good[i + 1 :]]
            with pytest.raises(ShapeError):
                batch.verify(table.key, CTX, 0, *arguments)
    with pytest.raises(ShapeError):
        batch.verify(table.key, CTX, 2, *good)
    with pytest.raises(ShapeError):
        batch.verify(table.key, CTX, 0, *good, np.zeros(3, np.uint8))
    with pytest.raises(ShapeError):
        batch.decide(table.public, [np.zeros((2, VDAF.VERIFIER_SHARE_SIZE), np.uint8)])
    with pytest.raises(ShapeError):
        batch.shard_encoded(CTX, np.full((2, 11), 2, np.uint8), good[0], drawn(2, VDAF.RAND_SIZE))


def test_a_circuit_without_kernels_is_refused():
    vdaf = BUILDERS["Prio3HigherDegree"](Json({"shares": 2}, "test"))
    assert not is_known(vdaf)
    assert refusal(lambda: BatchPrio3(vdaf)) == (VdafError, "vdaf.parameters")


def test_statuses_have_the_numbers_of_the_pools():
    from grievance.kernels import verify

    assert (verify.OK, verify.DECODE, verify.TEST_POINT, verify.PROOF, verify.JOINT_RANDOMNESS) == (
        Status.OK,
        Status.DECODE,
        Status.TEST_POINT,
        Status.PROOF,
        Status.JOINT_RANDOMNESS,
    )
    assert verify.LEFT_OVER not in set(Status)


def test_nothing_prints_a_share():
    batch = BatchPrio3(VDAF)
    table = Table(VDAF, [VALID[0]], encoded=True)
    found = batch.verify(table.key, CTX, 0, table.nonces, table.public, table.inputs[0])
    assert len(repr(batch)) < 80
    assert "total" not in repr(found)
