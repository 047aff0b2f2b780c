"""Reads one JSON object by hand: every key expected, every type checked, nothing ignored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from grievance.crypto.documents import MAX_INTEGER, b64decode
from grievance.errors import GrievanceError, WireError

if TYPE_CHECKING:
    from collections.abc import Collection

_DIGEST = re.compile(r"[0-9a-f]{64}")


class StrictObject:
    """The object at `where` with exactly these `keys`.

    Every accessor raises `error` (with `code`) naming the place, never the value.
    """

    def __init__(
        self,
        value: object,
        keys: Collection[str],
        *,
        where: str,
        error: type[GrievanceError] = WireError,
        code: str = "document.field",
    ) -> None:
        self._where, self._error, self._code = where, error, code
        if not isinstance(value, dict):
            self.refuse("is not an object")
        missing = sorted(set(keys) - set(value))
        unknown = sorted(set(value) - set(keys))
        if missing:
            self.refuse(f"lacks {', '.join(missing)}")
        if unknown:
            self.refuse(f"has unknown keys: {', '.join(f'{key!r:.40}' for key in unknown[:5])}")
        self._value = value

    def refuse(self, why: str, key: str = "") -> NoReturn:
        """Raise the error for this object, or for the value under `key`."""
        raise self._error(f"{self._where}{f'.{key}' if key else ''} {why}", code=self._code)

    def raw(self, key: str) -> Any:
        """Return the value under `key` as it is."""
        return self._value[key]

    def text(self, key: str) -> str:
        """Return a string."""
        value = self._value[key]
        if not isinstance(value, str):
            self.refuse("is not a string", key)
        return value

    def literal(self, key: str, *allowed: str) -> str:
        """Return a string that is one of `allowed`."""
        value = self.text(key)
        if value not in allowed:
            self.refuse(f"is not {' or '.join(repr(item) for item in allowed)}", key)
        return value

    def integer(self, key: str, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        """Return a whole number in [minimum, maximum]."""
        value = self._value[key]
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse("is not a whole number", key)
        if not minimum <= value <= maximum:
            self.refuse(f"is not between {minimum} and {maximum}", key)
        return value

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self._value[key]
        if not isinstance(value, bool):
            self.refuse("is not true or false", key)
        return value

    def digest(self, key: str) -> bytes:
        """Return 32 bytes written as 64 lowercase hex digits."""
        value = self.text(key)
        if not _DIGEST.fullmatch(value):
            self.refuse("is not a digest of 64 lowercase hex digits", key)
        return bytes.fromhex(value)

    def blob(self, key: str, size: int | None = None) -> bytes:
        """Return bytes written as base64url, of `size` bytes where it is given."""
        try:
            data = b64decode(self.text(key))
        except WireError:
            self.refuse("is not base64url without padding", key)
        if size is not None and len(data) != size:
            self.refuse(f"is not {size} bytes long", key)
        return data

    def items(self, key: str) -> list[Any]:
        """Return a list."""
        value = self._value[key]
        if not isinstance(value, list):
            self.refuse("is not a list", key)
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object whose keys the caller checks."""
        value = self._value[key]
        if not isinstance(value, dict):
            self.refuse("is not an object", key)
        return value
