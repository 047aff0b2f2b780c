"""Changes to inputs, each decided by a stream of choices: bytes from hypothesis or from a seed.

`change` takes an input that a target accepts and makes one near it: bits flipped, pieces cut,
doubled, moved, taken from another input; and inside a JSON value or a TOML text the changes
that a byte-wise fuzzer would take for ever to come by.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.contract import Form

MAX_SIZE = 1 << 16


class Choices:
    """Whole numbers below a bound, drawn from bytes; zero when they have run out."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @classmethod
    def from_seed(cls, seed: int) -> Choices:
        """An ample stream that follows from a number."""
        return cls(hashlib.shake_128(seed.to_bytes(8, "big", signed=True)).digest(256))

    def below(self, bound: int) -> int:
        """A number in [0, bound)."""
        if bound <= 1:
            return 0
        size = ((bound - 1).bit_length() + 7) // 8
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "big") % bound

    def of(self, items: Sequence[Any]) -> Any:
        """One of the items."""
        return items[self.below(len(items))]


INTEGERS = (0, 1, -1, 2, 7, 127, 255, 256, 65535, 2**31, 2**53 - 1, 2**53, 2**64, -(2**63))
JUNK: tuple[Any, ...] = (
    *(None, True, False, "", " ", "0", "x", "north", "A" * 43, "A" * 86, "0" * 64, "F" * 64),
    *("zz", "0x1", "1/2", "-1/2", "2/4", "1/" + "9" * 200, "1" * 200, "NaN", "1e9", "٣", "\u202e"),
    *("\x00", "a\nb", "..", "../x", "\u00e9", "e\u0301", "9999-12-31", "2026-02-30", "=", "-"),
    *([], {}, [[]], [None], {"": None}, [{}], [1, "report.open", 0], ["a", "a"], {"zcdp": "1"}),
    *({"pure": "1"}, {"zcdp": "1/" + "7" * 199}, {"zcdp": "1" * 200}, "approve", "x" * 600),
)
WORDS = (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\xff", b"PAR1", b"\n\n")
LINES = (
    "[fields.region]", '[statistics."a.b"]', "epsilon = 1e400", "epsilon = 0.1e-300", "a = nan",
    "step = 0.0000001", "pick = 0", "pick = 2", "required = false", "opens = 1979-05-27T07:32:00Z",
    "choices = []", 'choices = ["a", "A", "\u0430"]', 'where = { region = ["London"] }', "x = [",
    'by = ["region", "region"]', 'merge = { region = { "a" = ["Wales"] } }', "a.b.c.d = 1",
    "importance = 1" + "0" * 40, "minimum = -1000000000", "maximum = 1000000000", "[a]\n[a]",
    "title = '''x'''", "blank = []", 'separator = ";"', 'delimiter = "\\t"', "skip = true",
    "big = 1" + "0" * 5000, "x = " + "[" * 300, 'encoding = "utf-16"', 'partner = "region"',
    'partners = { "a" = "../x" }', 'values = { "1" = "London" }', "bands = [0, 1, 2]", "clip = 1",
)  # fmt: skip


def change(data: bytes, others: Sequence[bytes], form: Form, choices: Choices) -> bytes:
    """One to four changes to `data`; `others` are inputs to take pieces from."""
    for _ in range(1 + choices.below(4)):
        if form == "json" and choices.below(8):
            data = _json(data, choices)
        elif form == "toml" and choices.below(4):
            data = _lines(data, choices)
        else:
            data = choices.of(_BYTES)(data, others, choices)
    return data[:MAX_SIZE]


# Bytes.


def _flip(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    changed = bytearray(data or b"\0")
    changed[choices.below(len(changed))] ^= 1 << choices.below(8)
    return bytes(changed)


def _byte(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    changed = bytearray(data or b"\0")
    changed[choices.below(len(changed))] = choices.below(256)
    return bytes(changed)


def _number(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    size, order = choices.of((1, 2, 4, 8)), choices.of(("big", "little"))
    value = choices.of(INTEGERS) % (1 << 8 * size)
    at = choices.below(len(data) + 1)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def _cut(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    return data[: choices.below(len(data) + 1)]


def _remove(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    at = choices.below(len(data) + 1)
    return data[:at] + data[at + 1 + choices.below(32) :]


def _double(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    at, size = choices.below(len(data) + 1), 1 + choices.below(64)
    return data[: at + size] + data[at:]


def _insert(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    at = choices.below(len(data) + 1)
    piece = choices.of(WORDS) * choices.of((1, 1, 2, 40))
    return data[:at] + piece + data[at:]


def _move(data: bytes, _others: Sequence[bytes], choices: Choices) -> bytes:
    at, size, to = choices.below(len(data) + 1), 1 + choices.below(64), choices.below(len(data) + 1)
    piece, rest = data[at : at + size], data[:at] + data[at + size :]
    return rest[:to] + piece + rest[to:]


def _splice(data: bytes, others: Sequence[bytes], choices: Choices) -> bytes:
    other = choices.of(others) if others else data
    at, there = choices.below(len(data) + 1), choices.below(len(other) + 1)
    return data[:at] + other[there:]


_BYTES: tuple[Callable[[bytes, Sequence[bytes], Choices], bytes], ...] = (
    *(_flip, _byte, _number, _cut, _remove, _double, _insert, _move, _splice),
)


# Values and lines.


def _json(data: bytes, choices: Choices) -> bytes:
    """Change one place inside a JSON value."""
    try:
        holder = [json.loads(data)]
    except (ValueError, RecursionError):
        return _flip(data, (), choices)
    places = _places(holder)
    parent, key = choices.of(places)
    value = parent[key]
    how = choices.below(9)
    if how == 0 and isinstance(parent, dict):
        del parent[key]
    elif how == 1 and isinstance(parent, dict):
        parent[choices.of(("", "x", "kind", key + " ", key.upper()))] = copy.deepcopy(value)
    elif how == 2 and isinstance(parent, list) and parent is not holder:
        parent.insert(key, copy.deepcopy(value))
    elif how == 3:
        other, there = choices.of(places)
        parent[key] = copy.deepcopy(other[there])
    elif how == 4 and isinstance(value, str):
        parent[key] = _text(value, choices)
    elif how == 5 and isinstance(value, int):
        parent[key] = choices.of((bool(value), str(value), value + 1, -value, value * 10**12))
    elif how == 6:
        parent[key] = [value] if choices.below(2) else {"x": value}
    elif how == 7:
        parent[key] = choices.of(INTEGERS)
    else:
        parent[key] = copy.deepcopy(choices.of(JUNK))
    return json.dumps(holder[0] if holder else None, ensure_ascii=False).encode(
        errors="surrogatepass"
    )


def _places(holder: list[Any]) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = [(holder, 0)]
    for parent, key in found:  # grows while it is walked
        value = parent[key]
        if isinstance(value, dict):
            found += [(value, name) for name in value]
        elif isinstance(value, list):
            found += [(value, at) for at in range(len(value))]
    return found


def _text(text: str, choices: Choices) -> str:
    at = choices.below(len(text) + 1)
    piece = choices.of(("", " ", "0", "A", "\u00e9", "\u200b", "-", "_", "=", "/", ".", "\n"))
    how = choices.below(4)
    if how == 0:
        return text[:at] + piece + text[at:]
    if how == 1:
        return text[:at] + piece + text[at + 1 :]
    return text.upper() if how == 2 else text[:at]


def _lines(data: bytes, choices: Choices) -> bytes:
    """Change whole lines of a text."""
    lines = data.decode("utf-8", "replace").split("\n")
    at = choices.below(len(lines))
    how = choices.below(5)
    if how == 0:
        lines.insert(at, choices.of(LINES))
    elif how == 1:
        lines.insert(at, lines[choices.below(len(lines))])
    elif how == 2:
        del lines[at]
    elif how == 3:
        key, sign, _ = lines[at].partition("=")
        given = choices.of(LINES).partition("=")[2]
        lines[at] = f"{key}{sign}{given}" if sign else given
    else:
        lines[at] = _text(lines[at], choices)
    return "\n".join(lines).encode()
