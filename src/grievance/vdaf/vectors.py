"""Reads test vectors: which algorithm a file is of, and with which parameters.

Source: VDAF draft-20, appendix "Test Vectors"; `blocks` is our parameter for BlockCountVec.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from grievance.vdaf.block_count_vec import Block
from grievance.vdaf.circuits import Valid, check_integer
from grievance.vdaf.field import FIELD64, FIELD128
from grievance.vdaf.gadgets import PolyEval
from grievance.vdaf.prio3 import Prio3
from grievance.vdaf.variants import (
    Prio3BlockCountVec,
    Prio3Count,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    Prio3SumVecWithMultiproof,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.vdaf.circuits import GadgetCall
    from grievance.vdaf.field import Vec

T = TypeVar("T")

LARGEST_LENGTH = 1_000_000  # of a vector or chunk; a hostile file must not exhaust the memory
FAMILIES = re.compile(
    r"(?:Prio3|Xof|Idpf)[a-z0-9]+|(?:Poplar|Mastic|Prio2)[a-z0-9]*", re.IGNORECASE
)


class BadVector(Exception):  # noqa: N818 (a verdict on a file, not an error of the library)
    """The vector does not hold, or is none. The message is for the report line."""


class NotBuilt(Exception):  # noqa: N818 (likewise)
    """The vector is of an algorithm that is not built here. The message names it."""


class _HigherDegree(Valid[int, int]):
    """x * (x - 1) * (x - 2): the draft's test of a gadget of degree 3."""

    GADGETS = (PolyEval([0, 2, -3, 1]),)
    GADGET_CALLS = (1,)
    MEAS_LEN = OUTPUT_LEN = EVAL_OUTPUT_LEN = 1
    JOINT_RAND_LEN = 0
    field = FIELD64

    def encode(self, measurement: int) -> Vec:
        return [check_integer(measurement, 2)]

    def eval(
        self,
        meas: Sequence[int],
        joint_rand: Sequence[int],  # noqa: ARG002
        num_shares: int,  # noqa: ARG002
        gadgets: Sequence[GadgetCall],
    ) -> Vec:
        return [gadgets[0](meas)]

    def truncate(self, meas: Sequence[int]) -> Vec:
        return list(meas)

    def decode(self, output: Sequence[int], num_measurements: int) -> int:  # noqa: ARG002
        return output[0]


class _Prio3HigherDegree(Prio3[int, int]):
    ID = 0xFFFFFFFF

    def __init__(self, shares: int) -> None:
        super().__init__(shares, _HigherDegree())


class _AnyMultiproof(Prio3SumVecWithMultiproof):
    """Known answers exist for weak parameters too. Only a replay may use those."""

    def _check_soundness(self) -> None:
        pass


class Json:
    """An object of a vector, read with the types it must have. Raises BadVector otherwise."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise BadVector(f"{where} is not an object")
        self.value: dict[str, Any] = value
        self.where = where

    def get(self, key: str, kind: type[T]) -> T:
        """Return an entry that must be there."""
        value = self.value.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BadVector(f"{self.where}: {key!r} is missing or no {kind.__name__}")
        return value

    def index(self, key: str, length: int) -> int:
        """Return an entry that is an index below `length`."""
        value = self.get(key, int)
        if not 0 <= value < length:
            raise BadVector(f"{self.where}: {key!r} is out of range")
        return value

    def size(self, key: str) -> int:
        """Return an entry that is a length."""
        value = self.get(key, int)
        if value > LARGEST_LENGTH:
            raise BadVector(f"{self.where}: {key!r} is above {LARGEST_LENGTH}")
        return value

    def hex(self, key: str) -> bytes:
        """Return an entry that is a byte string in hexadecimal."""
        return _unhex(self.get(key, str), f"{self.where}: {key!r}")

    def hexes(self, key: str) -> list[bytes]:
        """Return an entry that is a list of byte strings."""
        return [_unhex(item, f"{self.where}: {key!r}") for item in self.get(key, list)]


def _unhex(value: object, where: str) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", value):
        raise BadVector(f"{where} is not hexadecimal")
    return bytes.fromhex(value)


def _multiproof(vector: Json) -> Prio3[Any, Any]:
    fields = {"field64": FIELD64, "field128": FIELD128}
    name = vector.get("field", str) if "field" in vector.value else FIELD64.name
    field = fields.get(name.casefold())
    if field is None:
        raise BadVector("the vector: 'field' is neither Field64 nor Field128")
    return _AnyMultiproof(
        vector.get("shares", int),
        vector.size("length"),
        vector.get("max_measurement", int),
        vector.size("chunk_length"),
        vector.get("proofs", int) if "proofs" in vector.value else 3,
        field,
    )


def _block_count_vec(vector: Json) -> Prio3[Any, Any]:
    blocks = []
    for number, item in enumerate(vector.get("blocks", list)):
        block = Json(item, f"block {number}")
        max_weight = block.value.get("max_weight")
        parents = block.value.get("parents")
        blocks.append(
            Block(
                length=block.size("length"),
                max_weight=None if max_weight is None else block.get("max_weight", int),
                parents=None if parents is None else tuple(block.get("parents", list)),
            )
        )
    return Prio3BlockCountVec(vector.get("shares", int), blocks, vector.size("chunk_length"))


BUILDERS: dict[str, Callable[[Json], Prio3[Any, Any]]] = {
    "Prio3Count": lambda v: Prio3Count(v.get("shares", int)),
    "Prio3Sum": lambda v: Prio3Sum(v.get("shares", int), v.get("max_measurement", int)),
    "Prio3SumVec": lambda v: Prio3SumVec(
        v.get("shares", int),
        v.size("length"),
        v.get("max_measurement", int),
        v.size("chunk_length"),
    ),
    "Prio3Histogram": lambda v: Prio3Histogram(
        v.get("shares", int), v.size("length"), v.size("chunk_length")
    ),
    "Prio3MultihotCountVec": lambda v: Prio3MultihotCountVec(
        v.get("shares", int), v.size("length"), v.get("max_weight", int), v.size("chunk_length")
    ),
    "Prio3SumVecWithMultiproof": _multiproof,
    "Prio3HigherDegree": lambda v: _Prio3HigherDegree(v.get("shares", int)),
    "Prio3BlockCountVec": _block_count_vec,
}
XOF = "XofTurboShake128"


def algorithm_of(stem: str, vector: Json) -> str:
    """Tell which algorithm a vector is of: by the file's name, else by its parameters.

    Raises NotBuilt for the name of an algorithm that is not built here.
    """
    names = {name.casefold(): name for name in (*BUILDERS, XOF)}
    words = re.split(r"[^A-Za-z0-9]+", stem)
    for word in words:
        if word.casefold() in names:
            return names[word.casefold()]
    for word in words:
        if FAMILIES.fullmatch(word):
            raise NotBuilt(word)
    keys = vector.value.keys()
    if "operations" in keys and "bits" in keys:
        raise NotBuilt("Poplar1")
    for wanted, name in (
        ({"seed", "dst", "binder"}, XOF),
        ({"operations", "blocks"}, "Prio3BlockCountVec"),
        ({"operations", "max_weight"}, "Prio3MultihotCountVec"),
        ({"operations", "proofs"}, "Prio3SumVecWithMultiproof"),
        ({"operations", "chunk_length", "max_measurement"}, "Prio3SumVec"),
        ({"operations", "chunk_length"}, "Prio3Histogram"),
        ({"operations", "max_measurement"}, "Prio3Sum"),
        ({"operations", "shares"}, "Prio3Count"),
    ):
        if wanted <= keys:
            return name
    raise BadVector("this is not a test vector")
