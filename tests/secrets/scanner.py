"""Looks for secrets in bytes: raw, and in every form in which something gets printed or stored.

A secret is cut into windows of twelve bytes, each in every form; a leak of part of it is found
too. The first eight bytes of every form are looked up at every offset of what is searched, so
the time does not depend on how many secrets there are.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import numpy as np

WINDOW = 12
_TABLE_BITS = 20
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Leak:
    """A secret of some kind, found somewhere, in some form."""

    channel: str
    where: str
    kind: str
    form: str


@dataclass
class Vault:
    """All secrets so far. `counts`: how many of each kind were recorded."""

    counts: dict[str, int] = field(default_factory=dict)
    _needles: dict[bytes, list[tuple[bytes, str, str]]] = field(default_factory=dict)
    _seen: set[tuple[str, bytes]] = field(default_factory=set)
    _index: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, kind: str, data: bytes) -> None:
        """Record secret bytes."""
        data = bytes(data)
        if (kind, data) in self._seen:
            return
        self._seen.add((kind, data))
        self.counts[kind] = self.counts.get(kind, 0) + 1
        starts = list(range(0, max(1, len(data) - WINDOW + 1), WINDOW))
        if len(starts) > 8:
            starts = starts[:3] + starts[len(starts) // 2 : len(starts) // 2 + 2] + starts[-3:]
        for start in starts:
            window = data[start : start + WINDOW]
            if len(set(window)) >= 6:
                self._forms(kind, window)
        if len(data) <= 64 and len(set(data)) >= 6:
            for order in ("big", "little"):
                self._put(kind, f"decimal, {order}", str(int.from_bytes(data, order)).encode()[:24])

    def add_text(self, kind: str, text: str) -> None:
        """Record a secret that is text, of at least eight characters."""
        assert len(text) >= 8
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self._put(kind, "text", text.encode())
        self._forms(kind, text.encode())

    def add_elements(self, kind: str, elements: list[int]) -> None:
        """Record field elements, each a secret of its own."""
        for element in elements:
            if element >> 100:
                self.add(kind, element.to_bytes(16, "little"))

    def _forms(self, kind: str, window: bytes) -> None:
        self._put(kind, "raw", window)
        self._put(kind, "hex", window.hex().encode())
        self._put(kind, "HEX", window.hex().upper().encode())
        self._put(kind, "repr", repr(window)[2:-1].encode())
        self._put(kind, "list", ", ".join(map(str, window)).encode())
        self._put(kind, "json list", ",".join(map(str, window)).encode())
        for shift in range(3):
            # Only the characters that do not depend on the bytes around the window.
            whole = base64.b64encode(bytes(shift) + window)
            core = whole[(0, 2, 3)[shift] : (shift + len(window)) // 3 * 4]
            self._put(kind, "base64", core)
            self._put(kind, "base64url", core.translate(bytes.maketrans(b"+/", b"-_")))
            self._put(kind, "base64 in hex", core.hex().encode())

    def _put(self, kind: str, form: str, needle: bytes) -> None:
        if len(needle) < 8:
            return
        listed = self._needles.setdefault(needle[:8], [])
        if all(known[0] != needle for known in listed):
            listed.append((needle, kind, form))
            self._index = None

    def _lookup(self) -> tuple[np.ndarray, np.ndarray]:
        if self._index is None:
            keys = np.array(
                sorted(int.from_bytes(p, "little") for p in self._needles), dtype=np.uint64
            )
            table = np.zeros(1 << _TABLE_BITS, bool)
            table[(keys * _ODD) >> np.uint64(64 - _TABLE_BITS)] = True
            self._index = keys, table
        return self._index

    def search(self, data: bytes) -> set[tuple[str, str]]:
        """(kind, form) of every secret in these bytes."""
        found: set[tuple[str, str]] = set()
        if len(data) < 8 or not self._needles:
            return found
        keys, table = self._lookup()
        for begin in range(0, len(data), 1 << 22):
            chunk = data[begin : begin + (1 << 22) + 64]
            padded = np.frombuffer(chunk + bytes(8), np.uint8)
            windows = np.lib.stride_tricks.sliding_window_view(padded, 8)[: len(chunk)]
            words = np.ascontiguousarray(windows).view(np.uint64).ravel()
            maybe = np.flatnonzero(table[(words * _ODD) >> np.uint64(64 - _TABLE_BITS)])
            places = np.searchsorted(keys, words[maybe])
            places[places == len(keys)] = 0
            for at in maybe[keys[places] == words[maybe]].tolist():
                for needle, kind, form in self._needles.get(chunk[at : at + 8], []):
                    if chunk[at : at + len(needle)] == needle:
                        found.add((kind, form))
        return found
