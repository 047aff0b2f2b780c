"""Strict reading of a mapping's TOML: every refusal names source, key, value and a next step."""

from __future__ import annotations

import difflib
import tomllib
import unicodedata
from typing import TYPE_CHECKING, Any

from grievance.client.text import normal
from grievance.errors import MappingError
from grievance.plan.load import check_keys
from grievance.plan.toml_words import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grievance.tables.rows import Column


def parse_toml(text: str, source: str) -> Node:
    """Parse TOML text. Raises MappingError `mapping.syntax` with line and column."""
    try:
        check_keys(text)
        return Node(tomllib.loads(text), source, ())
    except tomllib.TOMLDecodeError as error:
        why = explain(error, text)
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:  # keys of many parts, or an integer of thousands of digits
        why = str(error) if str(error).startswith("has ") else "a number in it cannot be read"
    raise MappingError(
        f"{source}: not TOML: {why}",
        code="mapping.syntax",
        hint="`grievance plan mapping PLAN` writes a mapping to start from",
    )


class Node:
    """One TOML table, its place in the file, and typed access to its keys."""

    def __init__(self, table: Mapping[str, Any], source: str, path: tuple[str, ...]) -> None:
        self._table, self._source, self._path = table, source, path

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def has(self, key: str) -> bool:
        """Whether the key is in the file."""
        return key in self._table

    def error(
        self, key: str, message: str, choices: Iterable[str] = (), hint: str | None = None
    ) -> MappingError:
        """Make the error for `key`; with `choices`, the hint offers them, or what comes close."""
        names = list(choices)
        if names and hint is None:
            if len(names) > 12:
                names = difflib.get_close_matches(key, names, n=3) or names[:12]
            hint = "one of: " + ", ".join(map(repr, names))
        where = ".".join((*self._path, key))
        return MappingError(f"{self._source}: {where}: {message}", code="mapping.value", hint=hint)

    def allow(self, *keys: str) -> None:
        """Refuse every other key."""
        for key in self._table:
            if key not in keys:
                raise self.error(key, "no such key here", keys)

    def child(self, key: str) -> Node:
        """Return the table under `key`; an absent one is empty."""
        table = self._table.get(key, {})
        if not isinstance(table, dict):
            raise self.error(key, "this must be a table")
        return Node(table, self._source, (*self._path, key))

    def text(self, key: str, default: str | None) -> str | None:
        """Return a text value as it stands in the file, in NFC."""
        value = self._table.get(key, default)
        if value is not None and not isinstance(value, str):
            raise self.error(key, f"must be text in double quotes, got {value!r:.60}")
        return None if value is None else unicodedata.normalize("NFC", value)

    def column(self, key: str, default: Column | None) -> Column | None:
        """Return a column: its name, without white space around it, or its place, from 1."""
        value = self._table.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise self.error(key, "columns are counted from 1")
            return value
        name = self.text(key, None)
        return default if name is None else normal(name)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"must be a whole number from {low} to {high}, got {value!r:.60}")
        return value

    def columns(self, key: str) -> dict[str, Column]:
        """Return a table from label to column."""
        node = self.child(key)
        found: dict[str, Column] = {}
        for name in node:
            label = unicodedata.normalize("NFC", name)
            column = node.column(name, None)
            if label in found or column is None:
                raise self.error(key, f"{label!r:.60} is listed twice")
            found[label] = column
        return found

    def flag(self, key: str) -> bool:
        """Return true or false; absent is false."""
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, got {value!r:.60}")
        return value

    def tokens(self, key: str, default: frozenset[str]) -> frozenset[str]:
        """Return the cell texts under `key`: one text or a list of them."""
        if key not in self._table:
            return default
        value = self._table[key]
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise self.error(key, f"must be a text or a list of texts, got {value!r:.60}")
        tokens = [normal(item) for item in listed]
        if len(set(tokens)) != len(tokens):
            raise self.error(key, "the same text is listed twice")
        return frozenset(tokens)

    def texts(self, key: str) -> dict[str, str]:
        """Return a table from cell text to text."""
        table = self.child(key)._table
        result: dict[str, str] = {}
        for name, value in table.items():
            if not isinstance(value, str):
                raise self.error(
                    key, f"{name!r:.60} must stand for text in quotes, got {value!r:.60}"
                )
            token = normal(name)
            if token in result:
                raise self.error(key, f"{token!r:.60} is listed twice")
            result[token] = unicodedata.normalize("NFC", value)
        return result
