"""The burn table against a plain dictionary, over many batches and restarts."""

from __future__ import annotations

import hashlib

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


# Few nonces, some of which share their first half, and two inputs: replays are common.
NONCES = [bytes([half]) * 8 + bytes([rest]) * 8 for half in range(3) for rest in range(4)]
ROWS = st.lists(st.tuples(st.sampled_from(NONCES), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=150)
@given(st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=8))
def test_it_is_a_dictionary_that_lasts(
    history: list[tuple[list[tuple[bytes, bool]], bool]],
) -> None:
    memory, key = Memory(), StateKey.generate()
    index = BurnIndex(memory, b"task", key)  # type: ignore[arg-type]
    model: dict[bytes, bool] = {}
    counted: set[bytes] = set()
    for seq, (rows, restart) in enumerate(history):
        expected = [model.setdefault(nonce, which) == which for nonce, which in rows]
        digests = [hashlib.sha256(bytes([which])).digest() for _, which in rows]
        assert index.burn([nonce for nonce, _ in rows], digests) == expected
        index.store_burns(seq)
        fine = [nonce for (nonce, _), may in zip(rows, expected, strict=True) if may]
        fresh = []
        for nonce in fine:
            fresh.append(nonce not in counted)
            counted.add(nonce)
        assert index.accept(fine) == fresh
        index.store_accepted(seq)
        if restart:
            index = BurnIndex(memory, b"task", key)  # type: ignore[arg-type]
        assert len(index) == len(model)


def test_a_nonce_that_was_never_burnt_is_not_accepted() -> None:
    index = BurnIndex(Memory(), b"task", StateKey.generate())  # type: ignore[arg-type]
    assert index.accept([NONCES[0]]) == [False]


def test_an_entry_takes_24_bytes_and_shows_no_digest() -> None:
    memory = Memory()
    index = BurnIndex(memory, b"task", StateKey.generate())  # type: ignore[arg-type]
    digest = hashlib.sha256(b"input").digest()
    index.burn([NONCES[0]], [digest])
    index.store_burns(1)
    assert len(memory.entries[0]) == 24
    assert digest[:8] not in memory.entries[0]
