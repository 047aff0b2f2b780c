"""BlockCountVec: many blocks of bits, each with a bounded number of ones, in one proof.

A block is a run of bits. A weighted block has at most `max_weight` ones, which is proved as
Prio3MultihotCountVec proves it for its single block: the number of ones is reported,
range-checked, and compared. A bit may have a parent, an earlier bit: the check is
b * (b - parent) = 0 in place of b * (b - 1) = 0, so b is 0 wherever its parent is 0. It
costs nothing: the bound in the gadget's second input is another element and not a constant.

The encoded measurement is the bits of all blocks in order, then the weights of the weighted
blocks in order. With one block, no parents and algorithm ID 5 every byte is that of
Prio3MultihotCountVec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import VdafError
from grievance.vdaf.circuits import (
    ChunkedValid,
    check_fits,
    check_integer,
    check_length,
    check_parameters,
    decode_range_checked_int,
    encode_range_checked_int,
    num_chunks,
)
from grievance.vdaf.gadgets import gadget_poly_len, wire_poly_len

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.vdaf.circuits import GadgetCall
    from grievance.vdaf.field import Field, Vec


@dataclass(frozen=True)
class Block:
    """A run of `length` bits.

    max_weight: the largest number of ones, in [1, length]; None where it is not checked, and
        then every bit must have a parent.
    parents: for each bit the index of its parent among the bits of all blocks, or None; None
        for a block without parents.
    """

    length: int
    max_weight: int | None
    parents: tuple[int | None, ...] | None = None


class BlockCountVec(ChunkedValid["Sequence[int]"]):
    """The circuit over `blocks`; the sums count the ones at every position.

    A parent stands before its children. So no circle of bits can vouch for itself, and by
    induction every bit of an accepted measurement is 0 or 1.
    Raises VdafError "vdaf.parameters" for blocks that break a rule.
    """

    def __init__(self, field: Field, blocks: Sequence[Block], chunk_length: int) -> None:
        self.blocks = tuple(blocks)
        self._parents = _check_blocks(field, self.blocks)
        self._weighted: list[tuple[slice, slice, int]] = []  # bits, weight, max_weight
        num_bits = sum(block.length for block in self.blocks)
        start, meas_len = 0, num_bits
        for block in self.blocks:
            bits = slice(start, start + block.length)
            if block.max_weight is not None:
                weight = slice(meas_len, meas_len + block.max_weight.bit_length())
                self._weighted.append((bits, weight, block.max_weight))
                meas_len = weight.stop
            start = bits.stop
        super().__init__(field, meas_len, num_bits, chunk_length)
        self.EVAL_OUTPUT_LEN = 1 + len(self._weighted)

    def encode(self, measurement: Sequence[int]) -> Vec:
        """Take the bits of all blocks; raises VdafError for bits that could not be proved."""
        check_length(measurement, self.OUTPUT_LEN)
        bits = [check_integer(bit, 1) for bit in measurement]
        if any(bits[i] > bits[parent] for i, parent in self._parents):
            raise VdafError("a bit is 1 where its parent is 0", code="vdaf.measurement")
        encoded = list(bits)
        for block, _, max_weight in self._weighted:
            encoded += encode_range_checked_int(sum(bits[block]), max_weight)
        return encoded

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],
        num_shares: int,
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Return the bit check, then for each weighted block its sum less the reported weight."""
        field, one = self.field, self.field.small_inv(num_shares)
        bounds = [one] * self.MEAS_LEN
        for i, parent in self._parents:
            bounds[i] = meas[parent]
        outputs = [self.bit_check(meas, joint_rand, one, gadgets, bounds)]
        for bits, weight, max_weight in self._weighted:
            reported = decode_range_checked_int(field, meas[weight], max_weight)
            outputs.append((sum(meas[bits]) - reported) % field.MODULUS)
        return outputs


def _check_blocks(field: Field, blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Check the rules for blocks; return (bit, parent) for every bit that has a parent."""
    if not blocks:
        raise VdafError("there is no block", code="vdaf.parameters")
    pairs: list[tuple[int, int]] = []
    start = 0
    for number, block in enumerate(blocks):
        check_parameters(length=block.length)
        parents = block.parents if block.parents is not None else (None,) * block.length
        if len(parents) != block.length:
            raise _bad_block(number, "names a parent, or None, for each of its bits")
        if block.max_weight is not None:
            check_parameters(max_weight=block.max_weight)
            if block.max_weight > block.length:
                raise _bad_block(number, "has a max_weight of at most its length")
        elif None in parents:
            raise _bad_block(number, "without a max_weight has a parent for every bit")
        for i, parent in enumerate(parents, start):
            if parent is None:
                continue
            if not isinstance(parent, int) or not 0 <= parent < i:
                raise _bad_block(number, "has only earlier bits as parents")
            pairs.append((i, parent))
        start += block.length
    check_fits(field, start)
    return pairs


def _bad_block(number: int, rule: str) -> VdafError:
    return VdafError(f"block {number}: a block {rule}", code="vdaf.parameters")


def best_chunk_length(blocks: Sequence[Block]) -> int:
    """Return the chunk length with the shortest proof, the smaller one of two equals.

    For each size P of the wire polynomials only the smallest chunk that needs no more than
    P - 1 calls can win, so the search has as many candidates as there are powers of two.
    """
    weights = sum(b.max_weight.bit_length() for b in blocks if b.max_weight is not None)
    meas_len = sum(block.length for block in blocks) + weights
    if meas_len < 1:
        raise VdafError("there is no block", code="vdaf.parameters")
    candidates = {
        num_chunks(meas_len, (1 << log) - 1) for log in range(1, meas_len.bit_length() + 2)
    }

    def proof_len(chunk_length: int) -> int:
        wire_len = wire_poly_len(num_chunks(meas_len, chunk_length))
        return 2 * chunk_length + gadget_poly_len(2, wire_len)

    return min(candidates, key=lambda chunk_length: (proof_len(chunk_length), chunk_length))
