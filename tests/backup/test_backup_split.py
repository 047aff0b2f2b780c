"""Pieces of a key: enough of them give it back, fewer say nothing."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from Crypto.Protocol.SecretSharing import _Element
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.backup.split import BackupKey, Piece, archive_key, combine, split
from grievance.errors import OpenError, ShapeError

SHAPES = st.integers(2, 5).flatmap(lambda n: st.tuples(st.integers(2, n), st.just(n)))


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), SHAPES)
def test_every_subset_of_threshold_pieces_gives_the_key_back(
    secret: bytes, shape: tuple[int, int]
) -> None:
    threshold, number = shape
    pieces = dict(enumerate(split(BackupKey(secret), threshold, number), start=1))
    for chosen in itertools.combinations(pieces, threshold):
        assert combine({index: pieces[index] for index in chosen}) == BackupKey(secret)


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, bytes(31) + b"\x01"])
def test_keys_with_zeros_keep_their_length(secret: bytes) -> None:
    pieces = split(BackupKey(secret), 2, 3)
    assert combine({1: pieces[0], 3: pieces[2]}).reveal() == secret


def needed(pieces: dict[int, bytes], index: int, target: bytes) -> bytes:
    """The half piece that, with these, makes `target`: Lagrange's formula, solved for it."""
    places = [*pieces, index]

    def weight(place: int) -> _Element:
        result = _Element(1)
        for other in places:
            if other != place:
                result *= _Element(other) * (_Element(place) + _Element(other)).inverse()
        return result

    rest = _Element(target)
    for place, value in pieces.items():
        rest += _Element(value) * weight(place)
    return (rest * weight(index).inverse()).encode()


@settings(max_examples=15)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 4))
def test_too_few_pieces_fit_every_key_equally(target: bytes, threshold: int) -> None:
    """Whatever key one has in mind, exactly one last piece makes it: nothing is excluded."""
    pieces = dict(enumerate(split(BackupKey.generate(), threshold, threshold), start=1))
    pieces.pop(threshold)
    halves = [
        needed({i: p.reveal()[part] for i, p in pieces.items()}, threshold, target[part])
        for part in (slice(16), slice(16, None))
    ]
    assert combine({**pieces, threshold: Piece(b"".join(halves))}) == BackupKey(target)


def test_a_single_piece_looks_the_same_whatever_the_key() -> None:
    """Chi-square over all bytes of the first piece of 400 splits of each of two keys."""
    for secret in (bytes(32), b"\xff" * 32):
        key = BackupKey(secret)
        seen = Counter(b"".join(split(key, 2, 2)[0].reveal() for _ in range(400)))
        expected = 400 * 32 / 256
        chi = sum((seen[value] - expected) ** 2 / expected for value in range(256))
        # 255 degrees of freedom: beyond 420 by chance once in 10^9 times
        assert chi < 420


def test_halves_have_polynomials_of_their_own() -> None:
    """Equal halves of a key do not give equal halves of pieces."""
    for piece in split(BackupKey(b"\x05" * 32), 2, 3):
        assert piece.reveal()[:16] != piece.reveal()[16:]


def test_too_few_or_wrong_pieces_open_nothing() -> None:
    key = BackupKey.generate()
    sealed = archive_key(key).public.seal(b"key files", b"info")
    assert archive_key(key).open(sealed, b"info") == b"key files"
    pieces = dict(enumerate(split(key, 3, 5), start=1))
    changed = pieces[2].reveal()
    wrong = {**pieces, 2: Piece(changed[:-1] + bytes([changed[-1] ^ 1]))}
    for some in (
        {index: pieces[index] for index in (1, 2)},
        {index: pieces[index] for index in (5,)},
        {index: wrong[index] for index in (1, 2, 3)},
        # (not 1, 2 and 3: there Lagrange's weights are all one, and the order is nothing)
        {1: pieces[2], 2: pieces[1], 4: pieces[4]},
    ):
        with pytest.raises(OpenError):
            archive_key(combine(some)).open(sealed, b"info")


@pytest.mark.parametrize(("threshold", "number"), [(1, 3), (0, 0), (4, 3), (2, 17), (2, 1)])
def test_splits_that_protect_nothing_are_refused(threshold: int, number: int) -> None:
    with pytest.raises(ShapeError):
        split(BackupKey.generate(), threshold, number)
    for index in (0, 17, -1):
        with pytest.raises(ShapeError):
            combine({1: Piece(bytes(32)), index: Piece(bytes(32))})


def test_nothing_shows_its_bytes() -> None:
    key = BackupKey.generate()
    piece = split(key, 2, 2)[0]
    for secret in (key, piece, archive_key(key)):
        assert repr(secret).startswith("<")
        assert key.reveal().hex() not in repr(secret)
    with pytest.raises(TypeError):
        key.__reduce_ex__(4)
    with pytest.raises(TypeError):
        archive_key(key).__reduce_ex__(4)
