"""The burn table of one round: which nonces were verified, with which bytes, which count.

On disk there is one blob of new entries per batch and one of accepted nonces per decided
batch; in memory a few sorted arrays of 24 bytes an entry, merged like the levels of a log-
structured tree, so that a lookup costs a fraction of a microsecond at any size.

An entry is the nonce (16 bytes) and a 63-bit tag of what was verified under it: commitment
and digests of the other inputs. The tag is keyed with a secret of this aggregator, so that
nobody outside can look for two inputs with one tag; the last bit says whether the nonce was
accepted.

The table goes by nonce, not by commitment, because the nonce is what verification draws its
randomness from: whoever finds two commitments that begin alike (2^64 hashes, and both reports
must be their own) would else have two proofs checked at one point. Under one nonce one
commitment is verified, the other is burnt, and so a nonce counts at most once too.
Source: docs/design.md, sections 8 and 14; docs/decisions/burn-rule.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from grievance.client.commitment import nonce_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.state import State
    from grievance.secret import StateKey

Words: TypeAlias = NDArray[np.uint64]

TAG_SIZE = 8
ENTRY = np.dtype([("high", ">u8"), ("low", ">u8"), ("tag", ">u8")])
_ACCEPTED = np.uint64(1 << 63)
_TAG_MASK = np.uint64((1 << 63) - 1)


class Entries(NamedTuple):
    """Entries in order of their nonces: three uint64 arrays (n,), as searching wants them."""

    high: Words
    low: Words
    tag: Words

    def at(self, rows: np.ndarray) -> Entries:
        """The entries at some places."""
        return Entries(self.high[rows], self.low[rows], self.tag[rows])

    def to_bytes(self) -> bytes:
        """As they are kept on disk."""
        rows = np.empty(len(self.tag), ENTRY)
        rows["high"], rows["low"], rows["tag"] = self
        return rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Entries:
        """Read what `to_bytes` wrote."""
        rows = np.frombuffer(data, ENTRY)
        return cls(*(rows[name].astype(np.uint64) for name in ("high", "low", "tag")))


class BurnIndex:
    """All entries of one round. `burn` and `accept` change memory; `store_...` makes it last.

    Call `store_burns` in the transaction that spools the verifier shares, `store_accepted` in
    the one that spools the decision. Call `forget` before a transaction fails.
    """

    def __init__(self, state: State, task: bytes, key: StateKey) -> None:
        self._state, self._task = state, task
        self._key = hashlib.sha256(b"grievance/2 burn tags" + key.reveal()).digest()
        self._load()

    def _load(self) -> None:
        self._levels: list[Entries] = []
        self._new: list[Entries] = []
        self._accepted: list[bytes] = []
        for entries in self._state.burns(self._task):
            self._add(Entries.from_bytes(entries))
        for nonces in self._state.accepted(self._task):
            high, low = _keys(nonces)
            self._accept(high, low, np.ones(len(high), bool))

    def forget(self) -> None:
        """Go back to what is on disk, when the transaction at hand will fail."""
        self._load()

    def __len__(self) -> int:
        return sum(len(level.tag) for level in self._levels)

    def _tags(self, commitments: Sequence[bytes], inputs: Sequence[bytes]) -> Words:
        """Keyed tags (n,) of commitments with what else was verified."""
        key, pairs = self._key, zip(commitments, inputs, strict=True)
        tags = [hashlib.blake2b(c + i, key=key, digest_size=TAG_SIZE).digest() for c, i in pairs]
        return np.frombuffer(b"".join(tags), ">u8").astype(np.uint64) & _TAG_MASK

    def burn(self, commitments: Sequence[bytes], inputs: Sequence[bytes]) -> list[bool]:
        """Record that each commitment's nonce is verified with these bytes, in this order.

        `inputs`: of each row, digests of what is verified besides, all of one length. Returns for
        every row whether it may be verified: False where the nonce was, in an earlier batch or
        row, recorded with another commitment or other bytes.
        """
        wanted = Entries(*_nonces(commitments), self._tags(commitments, inputs))
        known = np.zeros(len(wanted.tag), bool)
        allowed = np.ones(len(wanted.tag), bool)
        for level in self._levels:
            rows, places = _places(level, wanted.high, wanted.low)
            known[rows] = True
            allowed[rows] = level.tag[places] & _TAG_MASK == wanted.tag[rows]
        fresh = np.flatnonzero(~known)
        if len(fresh):
            # Within the batch the first row with a nonce decides what belongs to it.
            order, first = _in_order(wanted.high[fresh], wanted.low[fresh])
            order = fresh[order]
            leaders = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
            allowed[order] = wanted.tag[order] == wanted.tag[order[leaders]]
            added = wanted.at(order[first])
            self._new.append(added)
            self._add(added)
        result: list[bool] = allowed.tolist()
        return result

    def store_burns(self, seq: int) -> None:
        """Write the entries that are new since the last call, as batch `seq`'s."""
        blob = b"".join(entries.to_bytes() for entries in self._new)
        self._state.add_burns(self._task, seq, blob)
        self._new.clear()

    def accept(self, commitments: Sequence[bytes]) -> list[bool]:
        """Accept reports in this order; False where one was accepted before, or is not burnt."""
        nonces = [nonce_of(commitment) for commitment in commitments]
        high, low = _keys(b"".join(nonces))
        order, first = _in_order(high, low)
        wanted = np.zeros(len(high), bool)
        wanted[order[first]] = True
        fresh: list[bool] = self._accept(high, low, wanted).tolist()
        self._accepted.append(b"".join(n for n, new in zip(nonces, fresh, strict=True) if new))
        return fresh

    def store_accepted(self, seq: int) -> None:
        """Write the nonces accepted since the last call, as batch `seq`'s."""
        self._state.add_accepted(self._task, seq, b"".join(self._accepted))
        self._accepted.clear()

    def _add(self, entries: Entries) -> None:
        """Add entries whose nonces are new, in any order; merge levels of like size."""
        if not len(entries.tag):
            return
        self._levels.append(entries.at(np.lexsort((entries.low, entries.high))))
        while len(self._levels) > 1 and len(self._levels[-2].tag) <= 2 * len(self._levels[-1].tag):
            pair = self._levels.pop(), self._levels.pop()
            merged = Entries(*(np.concatenate(columns) for columns in zip(*pair, strict=True)))
            self._levels.append(merged.at(np.lexsort((merged.low, merged.high))))

    def _accept(self, high: Words, low: Words, wanted: np.ndarray) -> np.ndarray:
        """Mark the wanted nonces accepted; whether each is burnt, and was not accepted before."""
        fresh = np.zeros(len(high), bool)
        for level in self._levels:
            rows, places = _places(level, high, low)
            new = wanted[rows] & (level.tag[places] & _ACCEPTED == 0)
            level.tag[places[new]] |= _ACCEPTED
            fresh[rows[new]] = True
        return fresh


def _keys(nonces: bytes) -> tuple[Words, Words]:
    """Nonces (n * 16 bytes) as two numbers each, (n,) and (n,)."""
    halves = np.frombuffer(nonces, ">u8").reshape(-1, 2)
    return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)


def _nonces(commitments: Sequence[bytes]) -> tuple[Words, Words]:
    """The nonces of reports, as `_keys` gives them."""
    return _keys(b"".join(map(nonce_of, commitments)))


def _in_order(high: Words, low: Words) -> tuple[np.ndarray, np.ndarray]:
    """The order of nonces, equal ones as they came; and whether each in it is the first so."""
    order = np.lexsort((low, high))
    first = np.ones(len(order), bool)
    highs, lows = high[order], low[order]
    first[1:] = (highs[1:] != highs[:-1]) | (lows[1:] != lows[:-1])
    return order, first


def _places(level: Entries, high: Words, low: Words) -> tuple[np.ndarray, np.ndarray]:
    """Which of the nonces are in a level, and where each of these is."""
    at = np.searchsorted(level.high, high)
    rows, found = np.arange(len(high)), np.full(len(high), -1)
    while len(rows):
        rows = rows[at[rows] < len(level.tag)]
        rows = rows[level.high[at[rows]] == high[rows]]
        match = level.low[at[rows]] == low[rows]
        found[rows[match]] = at[rows[match]]
        # Two nonces may share their first half: look at the next entry.
        rows = rows[~match]
        at[rows] += 1
    present = np.flatnonzero(found >= 0)
    return present, found[present]
