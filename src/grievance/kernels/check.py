"""Replays test vectors on the kernels: `python -m grievance.vdaf.check DIR --fast`.

The command belongs to the reference, which does not know this package: it loads this module by
name when it is asked to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numba import types

from grievance.kernels.adapter import KernelPrio3
from grievance.kernels.compiler import kernel
from grievance.kernels.keccak import LANES, RATE
from grievance.kernels.shape import is_known, table
from grievance.kernels.xof import (
    BEGINNING,
    SEED_SIZE,
    expand_rows,
    new_states,
    seed_offset,
    template,
)
from grievance.vdaf import replay as reference
from grievance.vdaf.field import FIELD64, FIELD128
from grievance.vdaf.vectors import XOF, BadVector, Json, NotBuilt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.vdaf.field import Field
    from grievance.vdaf.prio3 import Prio3

ROWS = types.Array(types.uint8, 2, "C")
FIELDS = (FIELD128, FIELD64)


def replay(algorithm: str, vector: Json) -> int:
    """As `grievance.vdaf.replay.replay`; raises NotBuilt for a circuit without kernels."""

    def adapt(prio3: Prio3[Any, Any]) -> Prio3[Any, Any]:
        if not is_known(prio3):
            raise NotBuilt(f"{algorithm} on kernels")
        return cast("Prio3[Any, Any]", KernelPrio3(prio3))

    return _replay_xof(vector) if algorithm == XOF else reference.replay(algorithm, vector, adapt)


@kernel(
    *(
        (types.Array(types.uint64, n, "C"), ROWS, ROWS, types.int64, types.int64, ROWS)
        for n in (2, 1)
    )
)
def expand_messages(
    field: NDArray[np.uint64],
    messages: NDArray[np.uint8],
    out: NDArray[np.uint8],
    length: int,
    width: int,
    failed: NDArray[np.uint8],
) -> None:
    """Expand eight messages; see `expand_rows`. `failed` is (1, 8)."""
    expand_rows(field, new_states(), messages, out, BEGINNING, length, width, failed[0])


def expand(field: Field, seed: bytes, dst: bytes, binder: bytes, length: int) -> bytes:
    """Expand a seed of 32 bytes into `length` encoded elements, in every lane at once.

    Raises BadVector where lanes differ, or an element would have to be dropped.
    """
    message = template(dst, len(binder))
    at = seed_offset(len(dst))
    tail = np.frombuffer(seed + binder, np.uint8)
    message[at : at + len(tail)] = tail
    width = field.ENCODED_SIZE
    out = np.zeros((LANES, (length * width // RATE + 1) * RATE), np.uint8)
    failed = np.zeros((1, LANES), np.uint8)
    variant = FIELDS.index(field)
    expand_messages.prepare(variant)
    messages = np.repeat(message[None], LANES, axis=0)
    expand_messages(table(field, [1]), messages, out, length, width, failed)
    if failed.any() or (out != out[0]).any():
        raise BadVector("the lanes do not agree, or an element is not below p")
    return out[0, : length * width].tobytes()


def _replay_xof(vector: Json) -> int:
    seed, dst, binder = (vector.hex(key) for key in ("seed", "dst", "binder"))
    length = vector.size("length")
    if len(seed) != SEED_SIZE:
        raise NotBuilt("a seed that is not of 32 bytes, on kernels")
    outputs = {"derived_seed": (FIELD128, SEED_SIZE // FIELD128.ENCODED_SIZE)}
    outputs |= {f"expanded_vec_{field.name.lower()}": (field, length) for field in FIELDS}
    listed = [key for key in outputs if key in vector.value]
    if not listed:
        raise BadVector("there is no output to compare")
    for key in listed:
        field, num_elements = outputs[key]
        if expand(field, seed, dst, binder, num_elements) != vector.hex(key):
            raise BadVector(f"{key} differs")
    return len(listed)
