"""The aggregators' kernels: a verifier share for every row, decisions, sums of output shares.

Rows are taken eight at a time, as many as the XOF hashes at once, so what a group needs
stays in the processor's cache whatever the length of the batch.
Source: VDAF draft-20, 7.2.2 "Verification"; the readable form is `grievance.vdaf.prio3`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import types

from grievance.kernels.compiler import device, kernel
from grievance.kernels.elements import accumulate, add, copy, load, read, save, small
from grievance.kernels.group import (
    commit,
    expand_joint_rands,
    expand_meas,
    expand_proofs,
    new_group,
    put_helper,
    put_part,
    room,
)
from grievance.kernels.keccak import LANES, RATE
from grievance.kernels.query import decide, query
from grievance.kernels.shape import MESSAGES_TYPE, NONCE_SIZE, shape_type
from grievance.kernels.xof import BEGINNING, SEED_SIZE, all_reduced, expand_rows, repeat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.kernels.group import Group
    from grievance.kernels.shape import Messages, Shape

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint64]

# What a row is found to be: the numbers of grievance.pool.decisions.Status.
OK, DECODE, TEST_POINT, PROOF, JOINT_RANDOMNESS = 0, 4, 5, 6, 7
LEFT_OVER = 255  # for the reference: see `expand_rows`

BYTES_IN = types.Array(types.uint8, 2, "C", readonly=True)
BYTES = types.Array(types.uint8, 2, "C")
FLAGS = types.Array(types.uint8, 1, "C")
ROWS = types.Array(types.int64, 1, "C")
TOTALS = types.Array(types.uint64, 2, "C")


@device
def take_leader(
    shape: Shape, messages: Messages, group: Group, lane: int, shares: Bytes, at: int
) -> None:
    """Copy a leader's measurement and proofs shares, at a byte offset, into a lane."""
    meas_size = shape.meas_len * shape.width
    part = lane * group.parts.shape[1] + messages.meas_at
    copy(group.parts, part, shares, at, meas_size)
    size = shape.num_proofs * shape.proof_len * shape.width
    copy(group.proofs, lane * group.proofs.shape[1], shares, at + meas_size, size)


@device
def begin_lane(
    shape: Shape,
    messages: Messages,
    group: Group,
    lane: int,
    agg_id: int,
    nonces: Bytes,
    input_shares: Bytes,
    row: int,
) -> None:
    """Put what a lane needs of a report into the group's rows."""
    share = row * input_shares.shape[1]
    group.failed[lane] = 0
    put_part(messages, group.parts, lane, agg_id, nonces, row)
    if agg_id:
        put_helper(messages, group, lane, agg_id, input_shares, share)
    else:
        take_leader(shape, messages, group, lane, input_shares, share)
    if shape.joint_rand_len:
        blind = share + input_shares.shape[1] - SEED_SIZE
        copy(
            group.parts,
            lane * group.parts.shape[1] + messages.seed_at,
            input_shares,
            blind,
            SEED_SIZE,
        )


@device
def joint_randomness(
    shape: Shape,
    messages: Messages,
    group: Group,
    agg_id: int,
    rows: NDArray[np.int64],
    start: int,
    public_shares: Bytes,
    verifiers: Bytes,
    joint_seeds: Bytes,
) -> None:
    """Derive the joint randomness of a group; write parts and seeds to the rows it came from."""
    num_lanes = min(LANES, rows.size - start)
    size, row_size = public_shares.shape[1], verifiers.shape[1]
    for lane in range(num_lanes):
        at = lane * group.seed_rows.shape[1] + messages.binder_at
        copy(group.seed_rows, at, public_shares, rows[start + lane] * size, size)
    # Our own part, which need not be believed, replaces the public share's.
    commit(messages, group, group.parts, agg_id)
    for lane in range(num_lanes):
        at = (rows[start + lane] + 1) * row_size - SEED_SIZE
        copy(verifiers, at, group.digests, lane * RATE, SEED_SIZE)
    expand_joint_rands(shape, messages, group)
    for lane in range(num_lanes):
        copy(joint_seeds, rows[start + lane] * SEED_SIZE, group.digests, lane * RATE, SEED_SIZE)


@device
def is_encoding(shape: Shape, group: Group, lane: int, meas: int) -> bool:
    """Whether all elements of a leader's share, the measurement's at byte `meas`, are below p."""
    proofs, proofs_len = lane * group.proofs.shape[1], shape.num_proofs * shape.proof_len
    return all_reduced(shape.roots, group.parts, meas, shape.meas_len, shape.width) and all_reduced(
        shape.roots, group.proofs, proofs, proofs_len, shape.width
    )


@device
def query_lane(
    shape: Shape,
    group: Group,
    lane: int,
    meas: int,
    query_rands: Bytes,
    weights: Words,
    running: Words,
    verifiers: Bytes,
    row: int,
) -> bool:
    """Query all proofs of one report. False where a test point is a root of unity."""
    width = shape.width
    proof, out = lane * group.proofs.shape[1], row * verifiers.shape[1]
    joint_rand, query_rand = lane * group.joint_rands.shape[1], lane * query_rands.shape[1]
    for _ in range(shape.num_proofs):
        if not query(
            shape, weights, running, group.parts, meas, group.proofs, proof,
            query_rands, query_rand, group.joint_rands, joint_rand, verifiers, out,
        ):  # fmt: skip
            return False
        proof += shape.proof_len * width
        query_rand += shape.query_rand_len * width
        joint_rand += shape.joint_rand_len * width
        out += shape.verifier_len * width
    return True


@kernel(
    *(
        (
            shape_type(bits), MESSAGES_TYPE, types.int64, ROWS, BYTES_IN, BYTES_IN, BYTES_IN,
            FLAGS, BYTES, BYTES, TOTALS,
        )
        for bits in (128, 64)
    )
)  # fmt: skip
def verify_rows(
    shape: Shape,
    messages: Messages,
    agg_id: int,
    rows: NDArray[np.int64],
    nonces: Bytes,
    public_shares: Bytes,
    input_shares: Bytes,
    statuses: Bytes,
    verifiers: Bytes,
    joint_seeds: Bytes,
    totals: Words,
) -> None:
    """Verify the rows listed; set statuses, verifier shares and joint randomness seeds.

    messages.query has the verify key in it. (N,) statuses become OK, DECODE, TEST_POINT or
    LEFT_OVER; (N, VERIFIER_SHARE_SIZE) verifiers and, with joint randomness, (N, 32) seeds hold
    what counts only where OK; (MEAS_LEN, 3) totals get the measurement shares of all that are OK.
    """
    width, meas_at = shape.width, messages.meas_at
    num_query_rands = shape.num_proofs * shape.query_rand_len
    group = new_group(shape, messages)
    query_rows = repeat(messages.query)
    query_rands = room(num_query_rands, width)
    weights, running = np.empty_like(shape.roots), np.empty_like(shape.roots)

    for start in range(0, rows.size, LANES):
        num_lanes = min(LANES, rows.size - start)
        for lane in range(num_lanes):
            row = rows[start + lane]
            at = lane * query_rows.shape[1] + messages.binder_at + 1
            copy(query_rows, at, nonces, row * NONCE_SIZE, NONCE_SIZE)
            begin_lane(shape, messages, group, lane, agg_id, nonces, input_shares, row)
        # Lanes that a last, smaller group leaves unused go on with what they held.
        if agg_id:
            expand_meas(shape, messages, group)
            expand_proofs(shape, group)
        if shape.joint_rand_len:
            joint_randomness(
                shape, messages, group, agg_id, rows, start, public_shares, verifiers, joint_seeds
            )
        expand_rows(
            shape.roots, group.states, query_rows, query_rands, BEGINNING,
            num_query_rands, width, group.failed,
        )  # fmt: skip
        for lane in range(num_lanes):
            row, meas = rows[start + lane], lane * group.parts.shape[1] + meas_at
            status = OK
            if not agg_id and not is_encoding(shape, group, lane, meas):
                status = DECODE
            elif group.failed[lane]:
                status = LEFT_OVER
            elif not query_lane(
                shape, group, lane, meas, query_rands, weights, running, verifiers, row
            ):
                status = TEST_POINT
            else:
                for i in range(shape.meas_len):
                    accumulate(totals, i, read(shape.roots, group.parts, meas + i * width))
            statuses[row] = status


@kernel(
    *(
        (shape_type(bits), BYTES_IN, types.Array(types.uint8, 3, "C"), FLAGS, ROWS)
        for bits in (128, 64)
    )
)
def decide_rows(
    shape: Shape,
    public_shares: Bytes,
    verifiers: Bytes,
    verdicts: Bytes,
    culprits: NDArray[np.int64],
) -> None:
    """Decide every row from the verifier shares of all aggregators, (aggregators, N, size).

    Sets (N,) verdicts to OK, DECODE, JOINT_RANDOMNESS or PROOF, and culprits to the aggregator
    whose share does not decode, else to -1.
    """
    width = shape.width
    length = shape.num_proofs * shape.verifier_len
    verifier = np.empty((length, *shape.roots.shape[1:]), np.uint64)
    size = verifiers.shape[2]
    for row in range(verdicts.size):
        verdict, culprit = OK, -1
        for i in range(length):
            save(verifier, i, small(shape.roots, 0))
        for agg_id in range(shape.num_shares):
            share = (agg_id * verdicts.size + row) * size
            if verdict == OK and not all_reduced(shape.roots, verifiers, share, length, width):
                verdict, culprit = DECODE, agg_id
            for i in range(length):
                value = read(shape.roots, verifiers, share + i * width)
                save(verifier, i, add(load(verifier, i), value))
        if verdict == OK and shape.joint_rand_len:
            for agg_id in range(shape.num_shares):
                for i in range(SEED_SIZE):
                    claimed = public_shares[row, agg_id * SEED_SIZE + i]
                    if verifiers[agg_id, row, length * width + i] != claimed:
                        verdict = JOINT_RANDOMNESS
        for number in range(shape.num_proofs):
            if verdict == OK and not decide(shape, verifier, number * shape.verifier_len):
                verdict = PROOF
        verdicts[row] = verdict
        culprits[row] = culprit


@kernel(
    *((shape_type(bits), MESSAGES_TYPE, types.int64, BYTES_IN, FLAGS, TOTALS) for bits in (128, 64))
)
def sum_rows(
    shape: Shape,
    messages: Messages,
    agg_id: int,
    input_shares: Bytes,
    statuses: Bytes,
    totals: Words,
) -> None:
    """Add the measurement shares of all rows to (MEAS_LEN, 3) totals.

    Sets statuses to OK, DECODE or LEFT_OVER; only what is OK is added.
    """
    width, meas_at = shape.width, messages.meas_at
    body = shape.meas_len + shape.num_proofs * shape.proof_len
    group = new_group(shape, messages)
    for start in range(0, statuses.size, LANES):
        num_lanes = min(LANES, statuses.size - start)
        for lane in range(num_lanes):
            share = (start + lane) * input_shares.shape[1]
            group.failed[lane] = 0
            if agg_id:
                put_helper(messages, group, lane, agg_id, input_shares, share)
            else:
                take_leader(shape, messages, group, lane, input_shares, share)
        if agg_id:
            expand_meas(shape, messages, group)
        for lane in range(num_lanes):
            row, meas = start + lane, lane * group.parts.shape[1] + meas_at
            share = row * input_shares.shape[1]
            if not agg_id and not all_reduced(shape.roots, input_shares, share, body, width):
                statuses[row] = DECODE
            elif group.failed[lane]:
                statuses[row] = LEFT_OVER
            else:
                statuses[row] = OK
                for i in range(shape.meas_len):
                    accumulate(totals, i, read(shape.roots, group.parts, meas + i * width))
