"""TurboSHAKE128 over eight messages at once, and what expands from it."""

from __future__ import annotations

import secrets

import numba
import numpy as np
import pytest
from Crypto.Hash import TurboSHAKE128

from grievance.errors import ShapeError
from grievance.kernels import check, keccak, xof
from grievance.kernels.shape import table
from grievance.vdaf import FIELD64, FIELD128, XofTurboShake128

BEGINNING = xof.BEGINNING


@numba.njit
def hash_all(messages, out):
    states = xof.new_states()
    xof.absorb_rows(states, messages, messages.shape[1])
    for block in range(out.shape[1] // keccak.RATE):
        if block:
            keccak.permute(states)
        keccak.squeeze(states, out, block * keccak.RATE)


@numba.njit
def reduced_below(field, data, length, width):
    return xof.all_reduced(field, data, BEGINNING, length, width)


@pytest.mark.parametrize("size", [0, 1, 80, 133, 134, 135, 136, 168, 300, 1000])
def test_eight_messages_have_the_hashes_of_each(size):
    dst = b"a tag"
    rows = []
    for lane in range(8):
        message = xof.template(dst, size)
        at = xof.seed_offset(len(dst))
        message[at : at + 32 + size] = np.frombuffer(secrets.token_bytes(32 + size), np.uint8)
        message[at] = lane
        rows.append(message)
    out = np.zeros((8, 4 * keccak.RATE), np.uint8)
    hash_all(np.array(rows), out)
    for row, got in zip(rows, out, strict=True):
        plain = row[: xof.seed_offset(len(dst)) + 32 + size].tobytes()
        assert got.tobytes() == TurboSHAKE128.new(domain=1, data=plain).read(out.shape[1])


@pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=repr)
@pytest.mark.parametrize("length", [1, 2, 10, 11, 21, 22, 500])
def test_expansions_are_the_references(field, length):
    seed, dst, binder = secrets.token_bytes(32), b"tag" * 20, secrets.token_bytes(17)
    want = XofTurboShake128.expand_into_vec(field, seed, dst, binder, length)
    assert check.expand(field, seed, dst, binder, length) == field.encode_vec(want)


@pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=repr)
@pytest.mark.parametrize("at", [0, 4, 9])
def test_an_element_to_drop_is_seen(field, at):
    size = field.ENCODED_SIZE
    for value, good in (
        (field.MODULUS - 1, True),
        (field.MODULUS, False),
        (256**size - 1, False),
    ):
        data = np.zeros(10 * size, np.uint8)
        encoded = np.frombuffer(value.to_bytes(size, "little"), np.uint8)
        data[at * size : (at + 1) * size] = encoded
        assert reduced_below(table(field, [1]), data, 10, size) == good


def test_a_tag_that_is_too_long_is_refused():
    with pytest.raises(ShapeError):
        xof.template(bytes(65536), 1)
