"""The burn table against a plain dictionary, over many batches and restarts."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.aggregator.burns import BurnIndex
from grievance.secret import StateKey


class Memory:
    """What a state keeps of a burn table."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.nonces: list[bytes] = []

    def burns(self, _task: bytes) -> list[bytes]:
        return self.entries

    def accepted(self, _task: bytes) -> list[bytes]:
        return self.nonces

    def add_burns(self, _task: bytes, _seq: int, entries: bytes) -> None:
        self.entries.append(entries)

    def add_accepted(self, _task: bytes, _seq: int, nonces: bytes) -> None:
        self.nonces.append(nonces)


# Few nonces, some of which share their first half; two commitments to each and two inputs:
# replays are common, and so is what costs a maker 2^64 hashes.
NONCES = [bytes([half]) * 8 + bytes([rest]) * 8 for half in range(3) for rest in range(4)]
ROW = st.tuples(st.sampled_from(NONCES), st.booleans(), st.booleans())
ROWS = st.lists(ROW, min_size=1, max_size=12)


def commitment(nonce: bytes, which: bool = False) -> bytes:
    return nonce + bytes([which]) * 16


@settings(max_examples=150)
@given(st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=8))
def test_it_is_a_dictionary_that_lasts(
    history: list[tuple[list[tuple[bytes, bool, bool]], bool]],
) -> None:
    memory, key = Memory(), StateKey.generate()
    index = BurnIndex(memory, b"task", key)  # type: ignore[arg-type]
    model: dict[bytes, tuple[bool, bool]] = {}
    counted: set[bytes] = set()
    for seq, (rows, restart) in enumerate(history):
        # One commitment with one input to each nonce, whatever else bears it.
        expected = [model.setdefault(nonce, tuple(what)) == tuple(what) for nonce, *what in rows]
        names = [commitment(nonce, other) for nonce, other, _ in rows]
        inputs = [hashlib.sha256(bytes([which])).digest() for *_, which in rows]
        assert index.burn(names, inputs) == expected
        index.store_burns(seq)
        fine = [name for name, may in zip(names, expected, strict=True) if may]
        fresh = []
        for name in fine:
            fresh.append(name not in counted)
            counted.add(name)
        assert index.accept(fine) == fresh
        index.store_accepted(seq)
        if restart:
            index = BurnIndex(memory, b"task", key)  # type: ignore[arg-type]
        assert len(index) == len(model)


def test_a_nonce_that_was_never_burnt_is_not_accepted() -> None:
    index = BurnIndex(Memory(), b"task", StateKey.generate())  # type: ignore[arg-type]
    assert index.accept([commitment(NONCES[0])]) == [False]


def test_an_entry_takes_24_bytes_and_shows_no_digest() -> None:
    memory = Memory()
    index = BurnIndex(memory, b"task", StateKey.generate())  # type: ignore[arg-type]
    digest = hashlib.sha256(b"input").digest()
    index.burn([commitment(NONCES[0])], [digest])
    index.store_burns(1)
    assert len(memory.entries[0]) == 24
    assert digest[:8] not in memory.entries[0]


def test_under_one_nonce_one_commitment_is_verified() -> None:
    """Within a batch, in a later one, after a restart; the first may come as often as it likes."""
    memory, key = Memory(), StateKey.generate()
    one, other = commitment(NONCES[0]), commitment(NONCES[0], which=True)
    same = [b"input"] * 2
    index = BurnIndex(memory, b"task", key)  # type: ignore[arg-type]
    assert index.burn([one, other], same) == [True, False]
    index.store_burns(1)
    assert index.burn([other, one], same) == [False, True]
    again = BurnIndex(memory, b"task", key)  # type: ignore[arg-type]
    assert again.burn([other, one], same) == [False, True]
    assert again.accept([one]) == [True]
    assert again.accept([one, other]) == [False, False]


def test_a_tag_without_the_commitment_would_let_both_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tags = BurnIndex._tags
    monkeypatch.setattr(
        BurnIndex, "_tags", lambda self, names, inputs: tags(self, [b""] * len(names), inputs)
    )
    index = BurnIndex(Memory(), b"task", StateKey.generate())  # type: ignore[arg-type]
    names = [commitment(NONCES[0]), commitment(NONCES[0], which=True)]
    assert index.burn(names, [b"input"] * 2) == [True, True]
