"""XofTurboShake128 for eight reports at once.

Messages are prepared: padded to whole blocks, with only seed and binder left to fill in.
Source: VDAF draft-20, 6.2.1 "XofTurboShake128"; RFC 9861, section 2.2, for the padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.errors import ShapeError
from grievance.kernels.compiler import device
from grievance.kernels.elements import copy, is_reduced, read
from grievance.kernels.keccak import LANES, NUM_WORDS, RATE, absorb, permute, squeeze

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint64]

SEED_SIZE = 32
DOMAIN = 1  # TurboSHAKE's domain separation byte
BEGINNING: Any = np.int64(0)  # for each literal offset Numba would compile a function of its own


def template(dst: bytes, binder_size: int, slack: int = 0) -> Bytes:
    """Lay out the message for a seed of 32 bytes and a binder, both zero yet, with padding.

    `slack` is added at the end, for output that is squeezed into the place of the binder.
    """
    if len(dst) > 65535:
        raise ShapeError(f"a domain separation tag has at most 65535 bytes, got {len(dst)}")
    start = len(dst).to_bytes(2, "little") + dst + bytes([SEED_SIZE])
    size = len(start) + SEED_SIZE + binder_size
    padded = RATE * (size // RATE + 1)
    message = np.zeros(padded + slack, np.uint8)
    message[: len(start)] = np.frombuffer(start, np.uint8)
    message[size] = DOMAIN
    message[padded - 1] ^= 0x80
    return message


def seed_offset(dst_size: int) -> int:
    """Where the seed stands in a message; the binder follows it."""
    return 2 + dst_size + 1


@device
def new_states() -> Words:
    """Room for eight states."""
    return np.empty((NUM_WORDS, LANES), np.uint64)


@device
def repeat(message: Bytes) -> Bytes:
    """Eight copies of a prepared message, one for each lane."""
    rows = np.empty((LANES, message.size), np.uint8)
    for lane in range(LANES):
        copy(rows, lane * message.size, message, 0, message.size)
    return rows


@device
def absorb_rows(states: Words, messages: Bytes, size: int) -> None:
    """Absorb `size` bytes, whole blocks, of eight messages into fresh states."""
    for i in range(NUM_WORDS):
        for lane in range(LANES):
            states[i, lane] = 0
    for offset in range(0, size, RATE):
        absorb(states, messages, offset)
        permute(states)


@device
def digest_rows(states: Words, messages: Bytes, size: int, digests: Bytes) -> None:
    """Hash eight messages; `digests`, (8, RATE), begin with as much output as a seed needs."""
    absorb_rows(states, messages, size)
    squeeze(states, digests, BEGINNING)


@device
def all_reduced(field: Any, data: Bytes, start: int, length: int, size: int) -> bool:
    """Whether `length` encodings of `size` bytes from `start` on are all below p."""
    good = True
    for i in range(length):
        good &= is_reduced(read(field, data, start + i * size))
    return good


@device
def num_blocks_of(size: int) -> int:
    """How many blocks give `size` bytes of output."""
    return (size + RATE - 1) // RATE


@device
def expand_rows(
    field: Any,
    states: Words,
    messages: Bytes,
    out: Bytes,
    at: int,
    length: int,
    width: int,
    failed: Bytes,
) -> None:
    """Expand eight messages into `length` encodings of `width` bytes each, at `out[:, at]`.

    Rows of `out` have room for whole blocks: what lies behind the last element is overwritten.
    Once in millions of reports (Field64) or in 2**50 (Field128) an element is p or more and
    would have to be dropped. Then this sets `failed[lane]`, and the reference takes over.
    """
    absorb_rows(states, messages, messages.shape[1])
    for block in range(num_blocks_of(length * width)):
        if block:
            permute(states)
        squeeze(states, out, at + block * RATE)
    for lane in range(LANES):
        if not all_reduced(field, out, lane * out.shape[1] + at, length, width):
            failed[lane] = 1
