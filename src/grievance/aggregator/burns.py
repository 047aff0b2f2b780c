"""The burn table of one round: which nonces were verified, with which bytes, which count.

On disk there is one blob of new entries per batch and one of accepted nonces per decided
batch; in memory a few sorted arrays of 24 bytes an entry, merged like the levels of a log-
structured tree, so that a lookup costs a fraction of a microsecond at any size.

An entry is the nonce (16 bytes) and a 63-bit tag of the digest of what was verified under
it, keyed with a secret of this aggregator, so that nobody outside can look for two inputs
with one tag; the last bit says whether the nonce was accepted.
Source: design.md, sections 8 and 14; security.md, decision 2.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.state import State
    from grievance.secret import StateKey

NONCE_SIZE = 16
TAG_SIZE = 8
ENTRY = np.dtype([("high", ">u8"), ("low", ">u8"), ("tag", ">u8")])
_ACCEPTED = np.uint64(1 << 63)
_TAG_MASK = (1 << 63) - 1


class BurnIndex:
    """All entries of one round. `burn` and `accept` change memory; `store_...` makes it last.

    Call `store_burns` in the transaction that spools the verifier shares, `store_accepted` in
    the one that spools the decision. Call `forget` before a transaction fails.
    """

    def __init__(self, state: State, task: bytes, key: StateKey) -> None:
        self._state, self._task = state, task
        self._key = hashlib.sha256(b"grievance/1 burn tags" + key.reveal()).digest()
        self._load()

    def _load(self) -> None:
        self._levels: list[np.ndarray] = []
        self._new: list[np.ndarray] = []
        self._accepted: list[bytes] = []
        for entries in self._state.burns(self._task):
            self._add(np.frombuffer(entries, ENTRY).copy())
        for nonces in self._state.accepted(self._task):
            self._mark(_keys(nonces))

    def forget(self) -> None:
        """Go back to what is on disk, when the transaction at hand will fail."""
        self._load()

    def __len__(self) -> int:
        return sum(len(level) for level in self._levels)

    def _tags(self, digests: Sequence[bytes]) -> np.ndarray:
        """Keyed tags (n,) of digests."""
        key = self._key
        tags = (hashlib.blake2b(d, key=key, digest_size=TAG_SIZE).digest() for d in digests)
        return np.frombuffer(b"".join(tags), ">u8") & np.uint64(_TAG_MASK)

    def burn(self, nonces: Sequence[bytes], digests: Sequence[bytes]) -> list[bool]:
        """Record that each nonce is verified with the bytes of this digest, in this order.

        Returns for every row whether it may be verified: False where the nonce was, in an
        earlier batch or row, recorded with other bytes.
        """
        wanted = np.empty(len(nonces), ENTRY)
        keys = _keys(b"".join(nonces))
        wanted["high"], wanted["low"] = keys["high"], keys["low"]
        wanted["tag"] = self._tags(digests)
        known, tags = self._find(keys)
        allowed = ~known | (tags == wanted["tag"])
        fresh = np.flatnonzero(~known)
        # Within the batch the first row with a nonce decides what belongs to it.
        order = fresh[np.lexsort((fresh, keys["low"][fresh], keys["high"][fresh]))]
        if len(order):
            ordered = wanted[order]
            same = np.zeros(len(order), bool)
            same[1:] = (ordered["high"][1:] == ordered["high"][:-1]) & (
                ordered["low"][1:] == ordered["low"][:-1]
            )
            firsts = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
            allowed[order] = ordered["tag"] == ordered["tag"][firsts]
            added = ordered[~same].copy()
            self._new.append(added.copy())
            self._add(added)
        return [bool(value) for value in allowed]

    def store_burns(self, seq: int) -> None:
        """Write the entries that are new since the last call, as batch `seq`'s."""
        blob = b"".join(entries.tobytes() for entries in self._new)
        self._state.add_burns(self._task, seq, blob)
        self._new.clear()

    def accept(self, nonces: Sequence[bytes]) -> list[bool]:
        """Accept nonces in this order; False where one was accepted before, or is not burnt."""
        keys = _keys(b"".join(nonces))
        known, tags = self._find(keys, with_flag=True)
        fresh = known & ((tags & _ACCEPTED) == 0)
        _, firsts = np.unique(keys, return_index=True)
        first = np.zeros(len(keys), bool)
        first[firsts] = True
        fresh &= first
        self._mark(keys[fresh])
        self._accepted.append(b"".join(n for n, ok in zip(nonces, fresh, strict=True) if ok))
        return [bool(value) for value in fresh]

    def store_accepted(self, seq: int) -> None:
        """Write the nonces accepted since the last call, as batch `seq`'s."""
        self._state.add_accepted(self._task, seq, b"".join(self._accepted))
        self._accepted.clear()

    def _add(self, entries: np.ndarray) -> None:
        """Add entries whose nonces are new; merge levels of like size."""
        if not len(entries):
            return
        self._levels.append(entries[np.lexsort((entries["low"], entries["high"]))])
        while len(self._levels) > 1 and len(self._levels[-2]) <= 2 * len(self._levels[-1]):
            merged = np.concatenate([self._levels.pop(-2), self._levels.pop()])
            order = np.lexsort((merged["low"], merged["high"]))
            self._levels.append(merged[order])

    def _places(self, level: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Index of every key in a level, -1 where it is not there."""
        highs = level["high"]
        at = np.searchsorted(highs, keys["high"])
        places = np.full(len(keys), -1)
        open_rows = np.arange(len(keys))
        while len(open_rows):
            spot = at[open_rows]
            inside = spot < len(level)
            open_rows, spot = open_rows[inside], spot[inside]
            here = highs[spot] == keys["high"][open_rows]
            open_rows, spot = open_rows[here], spot[here]
            match = level["low"][spot] == keys["low"][open_rows]
            places[open_rows[match]] = spot[match]
            # Two nonces may share their first half: look at the next entry.
            open_rows = open_rows[~match]
            at[open_rows] += 1
        return places

    def _find(self, keys: np.ndarray, *, with_flag: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Whether each key is known, and its tag."""
        known, tags = np.zeros(len(keys), bool), np.zeros(len(keys), np.uint64)
        for level in self._levels:
            places = self._places(level, keys)
            found = places >= 0
            known |= found
            tags[found] = level["tag"][places[found]]
        return known, tags if with_flag else tags & np.uint64(_TAG_MASK)

    def _mark(self, keys: np.ndarray) -> None:
        """Set the accepted bit of known keys."""
        for level in self._levels:
            places = self._places(level, keys)
            places = places[places >= 0]
            level["tag"][places] |= _ACCEPTED


def _keys(nonces: bytes) -> np.ndarray:
    """Nonces (n * 16 bytes) as two numbers each."""
    return np.frombuffer(nonces, [("high", ">u8"), ("low", ">u8")])
