"""What kernels need to know of a Prio3 instance: lengths, tables of roots, prepared messages.

Three kinds of circuits are known. CHUNKED is every circuit of bits that are checked a chunk
at a time (`ChunkedValid`); it may check sums of its elements besides. COUNT and SUM are
the draft's Prio3Count and Prio3Sum.
Source: VDAF draft-20, 7.3.2 and 7.4; `grievance.vdaf.circuits` for the circuits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import types

from grievance.errors import VdafError
from grievance.kernels.xof import SEED_SIZE, template
from grievance.vdaf.block_count_vec import BlockCountVec
from grievance.vdaf.circuits import (
    ChunkedValid,
    Count,
    Histogram,
    MultihotCountVec,
    Sum,
    SumVec,
)
from grievance.vdaf.field import FIELD128
from grievance.vdaf.gadgets import wire_poly_len
from grievance.vdaf.prio3 import (
    USAGE_JOINT_RAND_PART,
    USAGE_JOINT_RAND_SEED,
    USAGE_JOINT_RANDOMNESS,
    USAGE_MEAS_SHARE,
    USAGE_PROOF_SHARE,
    USAGE_PROVE_RANDOMNESS,
    USAGE_QUERY_RANDOMNESS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from grievance.vdaf.field import Field
    from grievance.vdaf.prio3 import Prio3

CHUNKED, COUNT, SUM = range(3)
BOUND_ONE, BOUND_ZERO = -1, -2  # in place of a parent's index
NONCE_SIZE = 16


class Shape(NamedTuple):
    """The lengths and tables of an instance. Lengths are of one proof, in elements.

    bounds[i]: index of the element that bounds element i, or BOUND_ONE or BOUND_ZERO.
    checks: one row per sum that must be zero: first and end of the elements added, first and
        end of the weight subtracted (all but its last digit weigh powers of two), the weight
        of that last digit, and whether 1 is subtracted.
    roots, inverses: the powers of the principal 2P-th root, and of its inverse.
    twists: to turn P values, transformed back and in bit-reversed order, from the P-th roots
        to the odd 2P-th roots; 1 / P is in them.
    constants: 1, 1 / shares, 1 / 2, 1 / P.
    """

    kind: int
    num_shares: int
    num_proofs: int
    width: int
    meas_len: int
    chunk_length: int
    num_calls: int
    wire_len: int
    arity: int
    proof_len: int
    verifier_len: int
    joint_rand_len: int
    query_rand_len: int
    num_outputs: int
    bounds: NDArray[np.int64]
    checks: NDArray[np.int64]
    roots: NDArray[np.uint64]
    inverses: NDArray[np.uint64]
    twists: NDArray[np.uint64]
    constants: NDArray[np.uint64]


class Messages(NamedTuple):
    """Messages for all uses of the XOF under one context; see `grievance.kernels.xof`.

    `seed_at` is where seeds stand, `binder_at` where binders begin, in all of them. `part` has
    the measurement share from `meas_at` on, and a block to spare.
    """

    seed_at: int
    binder_at: int
    meas_at: int
    meas_share: NDArray[np.uint8]
    proofs_share: NDArray[np.uint8]
    prove: NDArray[np.uint8]
    query: NDArray[np.uint8]
    part: NDArray[np.uint8]
    seed: NDArray[np.uint8]
    joint_rand: NDArray[np.uint8]


def _types_of(named_tuple: Any, bits: int) -> Any:
    arrays: dict[str, Any] = {
        "bounds": types.Array(types.int64, 1, "C"),
        "checks": types.Array(types.int64, 2, "C"),
    }
    table = types.Array(types.uint64, bits // 64, "C")
    arrays |= dict.fromkeys(("roots", "inverses", "twists", "constants"), table)
    message_types = set(Messages._fields) - {"seed_at", "binder_at", "meas_at"}
    arrays |= dict.fromkeys(message_types, types.Array(types.uint8, 1, "C"))
    members = [arrays.get(name, types.int64) for name in named_tuple._fields]
    return types.NamedTuple(members, named_tuple)  # type: ignore[no-untyped-call]


def shape_type(bits: int) -> Any:
    """The type of a Shape for kernels over the field of 64 or 128 bits."""
    return _types_of(Shape, bits)


MESSAGES_TYPE = _types_of(Messages, 64)


def is_known(prio3: Prio3[Any, Any]) -> bool:
    """Whether there are kernels for this circuit."""
    known = (BlockCountVec, Histogram, MultihotCountVec, SumVec, Count, Sum)
    return type(prio3.circuit) in known


def shape_of(prio3: Prio3[Any, Any]) -> Shape:
    """Take the measure of an instance. Raises VdafError for a circuit without kernels."""
    if not is_known(prio3):
        raise VdafError("there are no kernels for this circuit", code="vdaf.parameters")
    flp, circuit, field = prio3.flp, prio3.circuit, prio3.field
    (num_calls,) = circuit.GADGET_CALLS
    wire_len = wire_poly_len(num_calls)
    kind, chunk_length = CHUNKED, 1
    bounds = np.full(circuit.MEAS_LEN, BOUND_ONE, np.int64)
    if isinstance(circuit, ChunkedValid):
        chunk_length = circuit.chunk_length
        if isinstance(circuit, BlockCountVec):
            bounds[: circuit.OUTPUT_LEN] = _parents(circuit)
    else:
        kind = COUNT if isinstance(circuit, Count) else SUM
        bounds[:] = BOUND_ZERO
    inverse = field.small_inv(wire_len)
    roots = field.nth_root_powers(2 * wire_len)
    order = _bit_reversed(wire_len)
    return Shape(
        kind=kind,
        num_shares=prio3.SHARES,
        num_proofs=prio3.PROOFS,
        width=field.ENCODED_SIZE,
        meas_len=flp.MEAS_LEN,
        chunk_length=chunk_length,
        num_calls=num_calls,
        wire_len=wire_len,
        arity=flp.PROVE_RAND_LEN,
        proof_len=flp.PROOF_LEN,
        verifier_len=flp.VERIFIER_LEN,
        joint_rand_len=flp.JOINT_RAND_LEN,
        query_rand_len=flp.QUERY_RAND_LEN,
        num_outputs=circuit.EVAL_OUTPUT_LEN,
        bounds=bounds,
        checks=np.array(_checks(circuit), np.int64).reshape(-1, 6),
        roots=table(field, roots),
        inverses=table(field, [roots[0], *roots[:0:-1]]),
        twists=table(field, [roots[i] * inverse % field.MODULUS for i in order]),
        constants=table(field, [1, field.small_inv(prio3.SHARES), field.inv(2), inverse]),
    )


def _parents(circuit: BlockCountVec) -> list[int]:
    parents: list[int] = []
    for block in circuit.blocks:
        own = block.parents if block.parents is not None else [None] * block.length
        parents += [BOUND_ONE if parent is None else parent for parent in own]
    return parents


def _checks(circuit: Any) -> list[list[int]]:
    if isinstance(circuit, Histogram):
        return [[0, circuit.MEAS_LEN, 0, 0, 0, 1]]
    weighted: list[tuple[int, int | None]] = []
    if isinstance(circuit, MultihotCountVec):
        weighted = [(circuit.OUTPUT_LEN, circuit.max_weight)]
    elif isinstance(circuit, BlockCountVec):
        weighted += [(block.length, block.max_weight) for block in circuit.blocks]
    checks, start, weight_start = [], 0, circuit.OUTPUT_LEN
    for length, max_weight in weighted:
        if max_weight is not None:
            num_digits = max_weight.bit_length()
            last_weight = max_weight - ((1 << (num_digits - 1)) - 1)
            weight_end = weight_start + num_digits
            checks.append([start, start + length, weight_start, weight_end, last_weight, 0])
            weight_start = weight_end
        start += length
    return checks


def table(field: Field, values: Iterable[int]) -> NDArray[np.uint64]:
    """Lay out elements as kernels read them: uint64 (n, 2) or, for Field64, (n,)."""
    words = np.frombuffer(field.encode_vec(list(values)), "<u8").astype(np.uint64)
    return words.reshape(-1, 2) if field is FIELD128 else words


@lru_cache(maxsize=32)
def _bit_reversed(n: int) -> tuple[int, ...]:
    log = n.bit_length() - 1
    return tuple(int(f"{i:0{log}b}"[::-1], 2) for i in range(n))


def messages_of(prio3: Prio3[Any, Any], ctx: bytes) -> Messages:
    """Prepare the messages of an instance under a context."""

    def dst(usage: int) -> bytes:
        return prio3.domain_separation_tag(usage, ctx)

    seed_at = 2 + len(dst(0)) + 1
    binder_at = seed_at + SEED_SIZE
    num_proofs = prio3.PROOFS
    part_binder = 1 + NONCE_SIZE + prio3.flp.MEAS_LEN * prio3.field.ENCODED_SIZE
    messages = Messages(
        seed_at=seed_at,
        binder_at=binder_at,
        meas_at=binder_at + 1 + NONCE_SIZE,
        meas_share=template(dst(USAGE_MEAS_SHARE), 1),
        proofs_share=template(dst(USAGE_PROOF_SHARE), 2),
        prove=template(dst(USAGE_PROVE_RANDOMNESS), 1),
        query=template(dst(USAGE_QUERY_RANDOMNESS), 1 + NONCE_SIZE),
        part=template(dst(USAGE_JOINT_RAND_PART), part_binder),
        seed=template(dst(USAGE_JOINT_RAND_SEED), SEED_SIZE * prio3.SHARES),
        joint_rand=template(dst(USAGE_JOINT_RANDOMNESS), 1),
    )
    for message in (messages.proofs_share, messages.prove, messages.query, messages.joint_rand):
        message[binder_at] = num_proofs
    return messages
