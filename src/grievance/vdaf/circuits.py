"""Validity circuits: what a measurement is, how it is encoded, when it is valid.

A circuit is affine but for its gadget calls. `eval` gets those as callables, so that one
text serves the prover (who records the wires) and the verifiers (who take each output
from the proof). On shares every constant is divided by the number of shares.
Source: VDAF draft-20, 7.3.2 "Validity Circuits" and 7.4 "Variants".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from grievance.errors import VdafError
from grievance.vdaf.gadgets import Gadget, Mul, ParallelSum, PolyEval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.vdaf.field import Field, Vec

    GadgetCall = Callable[[Sequence[int]], int]

Measurement = TypeVar("Measurement")
AggResult = TypeVar("AggResult")


class Valid(ABC, Generic[Measurement, AggResult]):
    """A validity circuit with its encoding. Names and meanings of the lengths are the draft's.

    MEAS_LEN, JOINT_RAND_LEN: inputs; EVAL_OUTPUT_LEN: outputs, all zero for a valid
    measurement; OUTPUT_LEN: what is aggregated; GADGET_CALLS[i]: uses of GADGETS[i].
    """

    field: Field
    GADGETS: Sequence[Gadget]
    GADGET_CALLS: Sequence[int]
    MEAS_LEN: int
    JOINT_RAND_LEN: int
    OUTPUT_LEN: int
    EVAL_OUTPUT_LEN: int

    @abstractmethod
    def encode(self, measurement: Measurement) -> Vec:
        """Encode a measurement as MEAS_LEN elements. Raises VdafError when it is no valid one."""

    @abstractmethod
    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],
        num_shares: int,
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Evaluate on an encoded measurement (num_shares = 1) or on one of its shares.

        (MEAS_LEN,), (JOINT_RAND_LEN,) -> (EVAL_OUTPUT_LEN,). `gadgets` stand for GADGETS.
        """

    @abstractmethod
    def truncate(self, meas: Sequence[int]) -> Vec:
        """Keep what is aggregated: (MEAS_LEN,) -> (OUTPUT_LEN,), linear."""

    @abstractmethod
    def decode(self, output: Sequence[int], num_measurements: int) -> AggResult:
        """Read the sum of `num_measurements` outputs."""


class Count(Valid[int, int]):
    """A 0 or a 1; the sum counts the ones."""

    GADGETS = (Mul(),)
    GADGET_CALLS = (1,)
    MEAS_LEN = OUTPUT_LEN = EVAL_OUTPUT_LEN = 1
    JOINT_RAND_LEN = 0

    def __init__(self, field: Field) -> None:
        self.field = field

    def encode(self, measurement: int) -> Vec:
        """Take 0 or 1."""
        return [check_integer(measurement, 1)]

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],  # noqa: ARG002
        num_shares: int,  # noqa: ARG002
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Return x * x - x."""
        (x,) = meas
        return [(gadgets[0]([x, x]) - x) % self.field.MODULUS]

    def truncate(self, meas: Sequence[int]) -> Vec:
        """Keep the one element."""
        return list(meas)

    def decode(self, output: Sequence[int], num_measurements: int) -> int:  # noqa: ARG002
        """Return the number of ones."""
        return output[0]


class Sum(Valid[int, int]):
    """An integer in [0, max_measurement], every bit checked by a gadget call of its own."""

    JOINT_RAND_LEN = 0
    OUTPUT_LEN = 1

    def __init__(self, field: Field, max_measurement: int) -> None:
        check_parameters(max_measurement=max_measurement)
        check_fits(field, max_measurement)
        self.field = field
        self.max_measurement = max_measurement
        bits = max_measurement.bit_length()
        self.GADGETS = (PolyEval([0, -1, 1]),)
        self.GADGET_CALLS = (bits,)
        self.MEAS_LEN = self.EVAL_OUTPUT_LEN = bits

    def encode(self, measurement: int) -> Vec:
        """Take an integer in [0, max_measurement]."""
        return encode_range_checked_int(measurement, self.max_measurement)

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],  # noqa: ARG002
        num_shares: int,  # noqa: ARG002
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Return b * b - b for every bit b."""
        return [gadgets[0]([b]) for b in meas]

    def truncate(self, meas: Sequence[int]) -> Vec:
        """Put the integer together."""
        return [decode_range_checked_int(self.field, meas, self.max_measurement)]

    def decode(self, output: Sequence[int], num_measurements: int) -> int:  # noqa: ARG002
        """Return the sum."""
        return output[0]


class ChunkedValid(Valid[Measurement, "list[int]"]):
    """A circuit of bits that are checked `chunk_length` at a time, with joint randomness.

    Every element must be 0 or its bound, most often 1. Call i of the gadget, a ParallelSum of
    `chunk_length` products, has joint randomness r of its own and sums r**j * b * (b - bound)
    over its elements b, j counting from 1.
    """

    def __init__(self, field: Field, meas_len: int, output_len: int, chunk_length: int) -> None:
        check_parameters(chunk_length=chunk_length)
        self.field = field
        self.chunk_length = chunk_length
        self.MEAS_LEN = meas_len
        self.OUTPUT_LEN = output_len
        self.GADGETS = (ParallelSum(Mul(), chunk_length),)
        self.GADGET_CALLS = (num_chunks(meas_len, chunk_length),)
        self.JOINT_RAND_LEN = self.GADGET_CALLS[0]

    def bit_check(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],
        one: int,
        gadgets: Sequence[GadgetCall],
        bounds: Sequence[int] | None = None,
    ) -> int:
        """Return the sum of all calls. `one`: a share of 1, the bound where `bounds` has none."""
        p, chunk_length = self.field.MODULUS, self.chunk_length
        padding = len(joint_rand) * chunk_length - len(meas)
        meas = [*meas, *[0] * padding]
        bounds = [one] * len(meas) if bounds is None else [*bounds, *[one] * padding]
        total = 0
        for start, r in zip(range(0, len(meas), chunk_length), joint_rand, strict=True):
            inputs, power = [], r
            end = start + chunk_length
            for b, bound in zip(meas[start:end], bounds[start:end], strict=True):
                inputs.append(power * b % p)
                inputs.append(b - bound)  # not reduced: gadgets and wires take any integer
                power = power * r % p
            total += gadgets[0](inputs)
        return total % p

    def truncate(self, meas: Sequence[int]) -> Vec:
        """Keep the first OUTPUT_LEN elements."""
        return list(meas[: self.OUTPUT_LEN])

    def decode(self, output: Sequence[int], num_measurements: int) -> list[int]:  # noqa: ARG002
        """Return the sums."""
        return list(output)


class SumVec(ChunkedValid["Sequence[int]"]):
    """`length` integers in [0, max_measurement], all their bits checked."""

    EVAL_OUTPUT_LEN = 1

    def __init__(self, field: Field, length: int, max_measurement: int, chunk_length: int) -> None:
        check_parameters(length=length, max_measurement=max_measurement)
        check_fits(field, max_measurement)
        self.max_measurement = max_measurement
        self.bits = max_measurement.bit_length()
        super().__init__(field, length * self.bits, length, chunk_length)

    def encode(self, measurement: Sequence[int]) -> Vec:
        """Take `length` integers."""
        check_length(measurement, self.OUTPUT_LEN)
        encoded: Vec = []
        for value in measurement:
            encoded += encode_range_checked_int(value, self.max_measurement)
        return encoded

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],
        num_shares: int,
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Return the random combination of all bit checks."""
        return [self.bit_check(meas, joint_rand, self.field.small_inv(num_shares), gadgets)]

    def truncate(self, meas: Sequence[int]) -> Vec:
        """Put every integer together."""
        return [
            decode_range_checked_int(self.field, meas[i : i + self.bits], self.max_measurement)
            for i in range(0, self.MEAS_LEN, self.bits)
        ]


class Histogram(ChunkedValid[int]):
    """One of `length` buckets, by index; the sums are the buckets' counts."""

    EVAL_OUTPUT_LEN = 2

    def __init__(self, field: Field, length: int, chunk_length: int) -> None:
        check_parameters(length=length)
        check_fits(field, length)
        super().__init__(field, length, length, chunk_length)

    def encode(self, measurement: int) -> Vec:
        """Take the index of a bucket."""
        encoded = [0] * self.MEAS_LEN
        encoded[check_integer(measurement, self.MEAS_LEN - 1)] = 1
        return encoded

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],
        num_shares: int,
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Return the bit check, and by how much the sum of all buckets differs from 1."""
        one = self.field.small_inv(num_shares)
        return [
            self.bit_check(meas, joint_rand, one, gadgets),
            (sum(meas) - one) % self.field.MODULUS,
        ]


class MultihotCountVec(ChunkedValid["Sequence[int]"]):
    """`length` bits of which at most `max_weight` are 1; the sums count each position.

    Encoded as the bits and their number, itself range-checked to [0, max_weight].
    """

    EVAL_OUTPUT_LEN = 2

    def __init__(self, field: Field, length: int, max_weight: int, chunk_length: int) -> None:
        check_parameters(length=length, max_weight=max_weight)
        if max_weight > length:
            raise VdafError("max_weight is above length", code="vdaf.parameters")
        check_fits(field, length)
        self.max_weight = max_weight
        super().__init__(field, length + max_weight.bit_length(), length, chunk_length)

    def encode(self, measurement: Sequence[int]) -> Vec:
        """Take `length` bits (or booleans)."""
        check_length(measurement, self.OUTPUT_LEN)
        bits = [check_integer(bit, 1) for bit in measurement]
        return bits + encode_range_checked_int(sum(bits), self.max_weight)

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],
        num_shares: int,
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        """Return the bit check, and by how much the weight differs from the reported one."""
        weight, reported = sum(meas[: self.OUTPUT_LEN]), meas[self.OUTPUT_LEN :]
        difference = weight - decode_range_checked_int(self.field, reported, self.max_weight)
        return [
            self.bit_check(meas, joint_rand, self.field.small_inv(num_shares), gadgets),
            difference % self.field.MODULUS,
        ]


def _last_weight(max_measurement: int) -> int:
    """The weight of the last bit, trimmed so that all ones together give max_measurement."""
    return max_measurement - ((1 << (max_measurement.bit_length() - 1)) - 1)


def encode_range_checked_int(value: int, max_measurement: int) -> Vec:
    """Encode an integer in [0, max_measurement] as bits that can express no other integer.

    All weights are powers of two but the last. Some integers have two encodings; this gives
    the one with a last bit of 0 where there is one. Raises VdafError when out of range.
    Source: draft-20, 7.4.2 "Prio3Sum".
    """
    check_integer(value, max_measurement)
    num_rest = max_measurement.bit_length() - 1
    last = int(value >= 1 << num_rest)
    rest = value - last * _last_weight(max_measurement)
    return [(rest >> i) & 1 for i in range(num_rest)] + [last]


def decode_range_checked_int(field: Field, encoded: Sequence[int], max_measurement: int) -> int:
    """Undo the encoding: a weighted sum, so it may be applied to shares."""
    *rest, last = encoded
    total = last * _last_weight(max_measurement)
    for i, bit in enumerate(rest):
        total += bit << i
    return total % field.MODULUS


def num_chunks(length: int, chunk_length: int) -> int:
    """Return how many chunks hold `length` elements."""
    return -(-length // chunk_length)


def check_integer(value: object, largest: int) -> int:
    """Return `value` if it is an integer in [0, largest]. The VdafError does not repeat it."""
    if not isinstance(value, int) or not 0 <= value <= largest:
        raise VdafError(f"not an integer from 0 to {largest}", code="vdaf.measurement")
    return int(value)


def check_length(measurement: Sequence[int], length: int) -> None:
    """Raise VdafError unless `measurement` has `length` entries."""
    if not hasattr(measurement, "__len__") or len(measurement) != length:
        raise VdafError(f"not a vector of {length} integers", code="vdaf.measurement")


def check_parameters(**parameters: int) -> None:
    """Raise VdafError for a parameter that is not a positive integer."""
    for name, value in parameters.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise VdafError(f"{name} must be a positive integer", code="vdaf.parameters")


def check_fits(field: Field, largest: int) -> None:
    """Raise VdafError when sums up to `largest` could wrap around in the field."""
    if 1 << largest.bit_length() >= field.MODULUS:
        raise VdafError(f"{field.name} is too small for these parameters", code="vdaf.parameters")
