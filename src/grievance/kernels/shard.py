"""The client's kernel: whole tables of measurements to shares.

Source: VDAF draft-20, 7.2.1 "Sharding"; the readable form is `grievance.vdaf.prio3`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grievance.kernels.compiler import device, kernel
from grievance.kernels.elements import copy, read, small, store, sub
from grievance.kernels.group import (
    commit,
    expand_joint_rands,
    expand_meas,
    expand_proofs,
    new_group,
    part_rows,
    put_helper,
    put_part,
    room,
)
from grievance.kernels.keccak import LANES
from grievance.kernels.prove import prove
from grievance.kernels.shape import MESSAGES_TYPE, shape_type
from grievance.kernels.verify import BYTES, BYTES_IN, FLAGS, LEFT_OVER
from grievance.kernels.xof import BEGINNING, SEED_SIZE, expand_rows, repeat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.kernels.group import Group
    from grievance.kernels.shape import Messages, Shape

    Bytes = NDArray[np.uint8]


@device
def subtract(shape: Shape, to: Bytes, at: int, other: Bytes, start: int, length: int) -> None:
    """Subtract encoded elements of `other` from those of `to`, at byte offsets."""
    for i in range(0, length * shape.width, shape.width):
        rest = sub(read(shape.roots, to, at + i), read(shape.roots, other, start + i))
        store(to, at + i, rest)


@device
def share_meas(
    shape: Shape,
    messages: Messages,
    group: Group,
    leader: Bytes,
    meas: Bytes,
    nonces: Bytes,
    rand: Bytes,
    start: int,
    num_lanes: int,
) -> None:
    """Share the measurements of a group, and commit to the shares where there is joint randomness.

    `leader` is like `group.parts`, and gets the leader's share.
    """
    has_joint, at = shape.joint_rand_len > 0, messages.meas_at
    helper_size = 2 * SEED_SIZE if has_joint else SEED_SIZE
    for lane in range(num_lanes):
        row = start + lane
        put_part(messages, leader, lane, 0, nonces, row)
        for i in range(shape.meas_len):
            bit = small(shape.roots, np.int64(meas[row, i]))
            store(leader, lane * leader.shape[1] + at + i * shape.width, bit)
    for agg_id in range(1, shape.num_shares):
        for lane in range(num_lanes):
            row = start + lane
            seed = row * rand.shape[1] + (agg_id - 1) * helper_size
            put_part(messages, group.parts, lane, agg_id, nonces, row)
            put_helper(messages, group, lane, agg_id, rand, seed)
            if has_joint:
                blind = lane * group.parts.shape[1] + messages.seed_at
                copy(group.parts, blind, rand, seed + SEED_SIZE, SEED_SIZE)
        expand_meas(shape, messages, group)
        for lane in range(num_lanes):
            part = lane * leader.shape[1] + at
            subtract(shape, leader, part, group.parts, part, shape.meas_len)
        if has_joint:
            commit(messages, group, group.parts, agg_id)
    if has_joint:
        for lane in range(num_lanes):
            blind = (start + lane + 1) * rand.shape[1] - 2 * SEED_SIZE
            copy(leader, lane * leader.shape[1] + messages.seed_at, rand, blind, SEED_SIZE)
        commit(messages, group, leader, 0)


@kernel(
    *(
        (shape_type(bits), MESSAGES_TYPE, BYTES_IN, BYTES_IN, BYTES_IN, BYTES, BYTES, FLAGS)
        for bits in (128, 64)
    )
)
def shard_rows(
    shape: Shape,
    messages: Messages,
    meas: Bytes,
    nonces: Bytes,
    rand: Bytes,
    public_shares: Bytes,
    leader_shares: Bytes,
    left_over: Bytes,
) -> None:
    """Shard N rows of encoded bits, (N, MEAS_LEN), with (N, RAND_SIZE) randomness.

    Writes public shares and the leader's input shares; helpers' are slices of the randomness:
    each helper's seed and blind, then the leader's blind, then the prover's seed; without
    joint randomness there are no blinds. Sets left_over to LEFT_OVER where the reference must.
    """
    width, seed_at, proof_size = shape.width, messages.seed_at, shape.proof_len * shape.width
    has_joint, num_proofs = shape.joint_rand_len > 0, shape.num_proofs
    meas_size = shape.meas_len * width
    helper_size = 2 * SEED_SIZE if has_joint else SEED_SIZE
    public_size, leader_size = public_shares.shape[1], leader_shares.shape[1]
    group, leader = new_group(shape, messages), part_rows(messages)
    prove_rows = repeat(messages.prove)
    masks = room(num_proofs * shape.arity, width)
    wires = np.empty((shape.arity * shape.wire_len, *shape.roots.shape[1:]), np.uint64)

    for start in range(0, left_over.size, LANES):
        num_lanes = min(LANES, left_over.size - start)
        for lane in range(num_lanes):
            group.failed[lane] = 0
            at = lane * prove_rows.shape[1] + seed_at
            copy(prove_rows, at, rand, (start + lane + 1) * rand.shape[1] - SEED_SIZE, SEED_SIZE)
        share_meas(shape, messages, group, leader, meas, nonces, rand, start, num_lanes)
        if has_joint:
            expand_joint_rands(shape, messages, group)
        expand_rows(
            shape.roots, group.states, prove_rows, masks, BEGINNING,
            num_proofs * shape.arity, width, group.failed,
        )  # fmt: skip
        for lane in range(num_lanes):
            row, part = start + lane, lane * leader.shape[1]
            out = row * leader_size
            copy(leader_shares, out, leader, part + messages.meas_at, meas_size)
            if has_joint:
                seeds = lane * group.seed_rows.shape[1] + messages.binder_at
                copy(public_shares, row * public_size, group.seed_rows, seeds, public_size)
                blind = out + leader_size - SEED_SIZE
                copy(leader_shares, blind, leader, part + seed_at, SEED_SIZE)
            mask, joint_rand = lane * masks.shape[1], lane * group.joint_rands.shape[1]
            for number in range(num_proofs):
                prove(
                    shape, wires, meas, row, masks, mask, group.joint_rands, joint_rand,
                    leader_shares, out + meas_size + number * proof_size,
                )  # fmt: skip
                mask += shape.arity * width
                joint_rand += shape.joint_rand_len * width
        for agg_id in range(1, shape.num_shares):
            for lane in range(num_lanes):
                seed = (start + lane) * rand.shape[1] + (agg_id - 1) * helper_size
                put_helper(messages, group, lane, agg_id, rand, seed)
            expand_proofs(shape, group)
            for lane in range(num_lanes):
                proofs = (start + lane) * leader_size + meas_size
                at, length = lane * group.proofs.shape[1], num_proofs * shape.proof_len
                subtract(shape, leader_shares, proofs, group.proofs, at, length)
        for lane in range(num_lanes):
            left_over[start + lane] = LEFT_OVER if group.failed[lane] else 0
