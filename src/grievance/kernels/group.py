"""Eight reports on their way through the XOF together: the rows they fill, the steps they share.

Source: VDAF draft-20, 7.2.6 "Auxiliary Functions"; readable in `grievance.vdaf.prio3`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from grievance.kernels.compiler import device
from grievance.kernels.elements import copy
from grievance.kernels.keccak import LANES, RATE
from grievance.kernels.shape import NONCE_SIZE
from grievance.kernels.xof import (
    BEGINNING,
    SEED_SIZE,
    digest_rows,
    expand_rows,
    new_states,
    num_blocks_of,
    repeat,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.kernels.shape import Messages, Shape

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint64]


class Group(NamedTuple):
    """Work space for eight reports, one to a row; made once for a call of a kernel.

    parts: messages that commit to a measurement share; the share stands in its place there.
    meas_seeds, proof_seeds, seed_rows, joint_rows: messages, to be filled in and expanded.
    proofs, joint_rands: what was expanded. digests: hashes. failed: see `expand_rows`.
    """

    states: Words
    failed: Bytes
    digests: Bytes
    parts: Bytes
    meas_seeds: Bytes
    proof_seeds: Bytes
    seed_rows: Bytes
    joint_rows: Bytes
    proofs: Bytes
    joint_rands: Bytes


@device
def room(num_elements: int, width: int) -> Bytes:
    """Rows for eight expansions of `num_elements`, which come in whole blocks."""
    return np.empty((LANES, num_blocks_of(num_elements * width) * RATE), np.uint8)


@device
def part_rows(messages: Messages) -> Bytes:
    """Rows for eight messages that commit to measurement shares, and a block to spare."""
    rows = np.empty((LANES, messages.part.size + RATE), np.uint8)
    for lane in range(LANES):
        copy(rows, lane * rows.shape[1], messages.part, 0, messages.part.size)
    return rows


@device
def new_group(shape: Shape, messages: Messages) -> Group:
    """Make the work space."""
    return Group(
        new_states(),
        np.zeros(LANES, np.uint8),
        np.empty((LANES, RATE), np.uint8),
        part_rows(messages),
        repeat(messages.meas_share),
        repeat(messages.proofs_share),
        repeat(messages.seed),
        repeat(messages.joint_rand),
        room(shape.num_proofs * shape.proof_len, shape.width),
        room(shape.num_proofs * shape.joint_rand_len, shape.width),
    )


@device
def put_part(
    messages: Messages, parts: Bytes, lane: int, agg_id: int, nonces: Bytes, row: int
) -> None:
    """Fill an aggregator's index and a report's nonce into the message of a lane."""
    parts[lane, messages.binder_at] = agg_id
    at = lane * parts.shape[1] + messages.binder_at + 1
    copy(parts, at, nonces, row * NONCE_SIZE, NONCE_SIZE)


@device
def put_helper(
    messages: Messages, group: Group, lane: int, agg_id: int, source: Bytes, at: int
) -> None:
    """Fill a helper's index and its seed, at a byte offset of `source`, into a lane's messages."""
    group.meas_seeds[lane, messages.binder_at] = agg_id
    group.proof_seeds[lane, messages.binder_at + 1] = agg_id
    meas = lane * group.meas_seeds.shape[1] + messages.seed_at
    proofs = lane * group.proof_seeds.shape[1] + messages.seed_at
    copy(group.meas_seeds, meas, source, at, SEED_SIZE)
    copy(group.proof_seeds, proofs, source, at, SEED_SIZE)


@device
def expand_meas(shape: Shape, messages: Messages, group: Group) -> None:
    """Expand helpers' seeds into measurement shares, in their place in `parts`."""
    at, parts = messages.meas_at, group.parts
    expand_rows(
        shape.roots, group.states, group.meas_seeds, parts, at,
        shape.meas_len, shape.width, group.failed,
    )  # fmt: skip
    end = at + shape.meas_len * shape.width
    for lane in range(LANES):  # the padding, which whole blocks have overwritten
        start = lane * parts.shape[1]
        copy(parts, start + end, messages.part, end, messages.part.size - end)


@device
def expand_proofs(shape: Shape, group: Group) -> None:
    """Expand helpers' seeds into shares of all proofs."""
    expand_rows(
        shape.roots, group.states, group.proof_seeds, group.proofs, BEGINNING,
        shape.num_proofs * shape.proof_len, shape.width, group.failed,
    )  # fmt: skip


@device
def commit(messages: Messages, group: Group, parts: Bytes, agg_id: int) -> None:
    """Hash `parts` into joint randomness parts, and put them into the seeds' messages."""
    digest_rows(group.states, parts, messages.part.size, group.digests)
    for lane in range(LANES):
        at = lane * group.seed_rows.shape[1] + messages.binder_at + agg_id * SEED_SIZE
        copy(group.seed_rows, at, group.digests, lane * RATE, SEED_SIZE)


@device
def expand_joint_rands(shape: Shape, messages: Messages, group: Group) -> None:
    """Hash all parts into seeds, left in `digests`, and those into joint randomness."""
    digest_rows(group.states, group.seed_rows, group.seed_rows.shape[1], group.digests)
    for lane in range(LANES):
        at = lane * group.joint_rows.shape[1] + messages.seed_at
        copy(group.joint_rows, at, group.digests, lane * RATE, SEED_SIZE)
    expand_rows(
        shape.roots, group.states, group.joint_rows, group.joint_rands, BEGINNING,
        shape.num_proofs * shape.joint_rand_len, shape.width, group.failed,
    )  # fmt: skip
