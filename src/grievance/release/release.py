"""A release: the noisy results of one round, as tables, with all that is needed to read them.

Made by anyone from public files: a task, the sums of the aggregators' noisy shares, and what
the aggregators agreed to have accepted. Nothing here is secret and nothing adds or removes
noise; whatever is computed from a release costs no privacy.
"""

from __future__ import annotations

import html
import re
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from grievance.crypto.documents import MAX_INTEGER, canonical, parse_canonical
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, ReleaseError
from grievance.privacy import noise_of
from grievance.release import document, frames
from grievance.release.tables import make_tables
from grievance.release.turnout import turnout
from grievance.task.task import VDAF_DRAFT, VDAF_VERSION, parse_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    import pyarrow as pa

    from grievance.plan import Plan
    from grievance.release.combine import Suspect
    from grievance.release.figures import Figure
    from grievance.release.tables import Table
    from grievance.task import Task

LIMIT = 64 << 20
"""The largest release.json that is read, in bytes."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_RELEASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_KEYS = (
    "accepted",
    "accepted_root",
    "aggregators",
    "campaign",
    "format",
    "library",
    "noisy_shares",
    "waived",
    "privacy",
    "rehearsal",
    "release",
    "round",
    "statistics",
    "suspect",
    "task",
    "task_digest",
    "title",
    "vdaf",
)
_STATISTIC_KEYS = (
    "aggregators",
    "cost",
    "implied_by",
    "kind",
    "name",
    "parts",
    "title",
)
_PART_KEYS = ("adds", "axes", "name", "scale", "sd", "terms", "values")


class Release:
    """Released statistics by name: `release["problems_by_region"]` is its table.

    Made by `build`, `from_json` and `load`. Iterating gives the tables in the plan's order.

    Attributes:
        task: The round's task.
        release_id: The release's id.
        accepted: How many reports were accepted, blank ones included; public, without noise.
        accepted_root: Merkle root of the accepted reports.
        noisy_shares: Aggregator name to SHA-256 of its noisy share, hex.
        waived: Witnesses that every aggregator chose not to wait for.
        suspect: Coordinates that lie further outside of what is possible than noise explains.
    """

    def __init__(
        self,
        *,
        task: Task,
        values: Mapping[str, Sequence[int]],
        release_id: str,
        accepted: int,
        accepted_root: bytes,
        noisy_shares: Mapping[str, str],
        waived: Sequence[str] = (),
    ) -> None:
        _check(task, values, release_id, accepted, accepted_root, noisy_shares)
        self.task, self.release_id = task, release_id
        self.accepted, self.accepted_root = accepted, bytes(accepted_root)
        self.noisy_shares = MappingProxyType(
            {entry.name: noisy_shares[entry.name] for entry in task.aggregators}
        )
        self.waived = _witnesses(task, waived)
        self._values = {
            name: tuple(values[name]) for name in task.layout.statistics if name in values
        }
        self._tables = make_tables(
            task.layout,
            self._values,
            laws=document.laws(task),
            hide_below=task.plan.privacy.hide_below,
            most=accepted,
        )
        self.suspect: tuple[Suspect, ...] = document.find_suspects(task, self._values, accepted)

    @classmethod
    def build(
        cls,
        task: Task,
        values: Mapping[str, Sequence[int]],
        *,
        release_id: str,
        accepted: int,
        accepted_root: bytes,
        noisy_shares: Mapping[str, str],
        waived: Sequence[str] = (),
    ) -> Self:
        """Build a release from sums over all aggregators.

        Args:
            task: The round's task.
            values: For every charged statistic of the release its released coordinates, as
                signed integers; statistics implied by those are read off.
            release_id: The release's id.
            accepted: Number of accepted reports.
            accepted_root: Their 32-byte Merkle root.
            noisy_shares: Aggregator name to SHA-256 of its noisy share, 64 hex digits.
            waived: Witnesses of the plan that every aggregator chose not to wait for.

        Raises ReleaseError for anything that does not fit the task, and for fewer accepted
        reports than the plan's minimum.
        """
        return cls(
            task=task,
            values=values,
            release_id=release_id,
            accepted=accepted,
            accepted_root=accepted_root,
            noisy_shares=noisy_shares,
            waived=waived,
        )

    @classmethod
    def from_json(cls, obj: object, task: Task | None = None) -> Self:
        """Read what `to_json` wrote. Raises ReleaseError for anything else.

        Everything but the noisy integers is computed again from the task inside, and compared.
        With `task` it must be that task; without, compare `task_digest` with a trusted one.
        Words may differ if another version of the library wrote them; they are written anew.
        """
        fields = _strict(obj, _KEYS, "release")
        fields.literal("format", document.FORMAT)
        try:
            inside = parse_task(canonical(fields.mapping("task")))
        except GrievanceError as error:
            raise ReleaseError(
                f"the task in this release cannot be read: {error}", code="release.task"
            ) from error
        if task is not None and inside.digest != task.digest:
            raise ReleaseError(
                "this release is of another task",
                code="release.task",
                hint=f"this release: {inside.short_digest}; expected: {task.short_digest}",
            )
        release = cls(
            task=inside,
            values=_read_values(fields, inside),
            release_id=fields.text("release"),
            accepted=fields.integer("accepted"),
            accepted_root=fields.digest("accepted_root"),
            noisy_shares=fields.mapping("noisy_shares"),
            waived=fields.items("waived"),
        )
        written = fields.text("library")
        for key, expected in release.to_json().items():
            found = fields.raw(key)
            if key == "privacy" and written != document.library():
                found = _with_words_of(found, expected)
            if key != "library" and canonical(found) != canonical(expected):
                fields.refuse("is not what follows from the task and the values", key)
        return release

    @classmethod
    def load(cls, path: str | Path, task: Task | None = None) -> Self:
        """Read a release.json. Raises ReleaseError when it cannot be read or does not add up."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(LIMIT + 1)
        except OSError as error:
            raise ReleaseError(
                f"{Path(path).name} cannot be read: {error.strerror}", code="release.file"
            ) from error
        try:
            obj = parse_canonical(data, LIMIT)
        except GrievanceError as error:
            raise ReleaseError(
                f"{Path(path).name} is no release: {error}",
                code="release.file",
                hint="a release.json is read exactly as it was written",
            ) from error
        return cls.from_json(obj, task)

    @property
    def plan(self) -> Plan:
        """The round's plan."""
        return self.task.plan

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the released statistics, in the plan's order."""
        return tuple(self._tables)

    @property
    def values(self) -> Mapping[str, tuple[int, ...]]:
        """The raw noisy integers: for each charged statistic its released coordinates."""
        return MappingProxyType(self._values)

    @cached_property
    def people(self) -> Figure | None:
        """How many people answered, from the figures about everybody; None without such.

        Whoever answered at least one question is in it, once for every report they sent; blank
        reports are not, so it is not `accepted`. See `grievance.release.turnout`.
        """
        return turnout(
            self.task.layout,
            self._values,
            laws=document.laws(self.task),
            hide_below=self.plan.privacy.hide_below,
            most=self.accepted,
        )

    @property
    def statement(self) -> tuple[str, ...]:
        """The privacy promise in words, line by line."""
        return tuple(document.privacy_json(self.task, list(self._values))["statement"])

    def to_json(self) -> dict[str, Any]:
        """Return the content of release.json: no floats, decimals as strings."""
        task = self.task
        raw = task.layout.tables(self._values)
        return {
            "format": document.FORMAT,
            "title": task.plan.title,
            "campaign": task.campaign,
            "round": task.round_id,
            "rehearsal": task.rehearsal,
            "release": self.release_id,
            "task_digest": task.digest.hex(),
            "task": parse_canonical(task.data),
            "aggregators": [
                {
                    "name": entry.name,
                    "display_name": entry.display_name,
                    "identity": entry.identity.fingerprint.hex(),
                }
                for entry in task.aggregators
            ],
            "accepted": self.accepted,
            "accepted_root": self.accepted_root.hex(),
            "noisy_shares": dict(self.noisy_shares),
            "waived": list(self.waived),
            "statistics": [
                document.statistic_json(task, raw[name], table)
                for name, table in self._tables.items()
            ],
            "suspect": [
                {"statistic": suspect.statistic, "index": suspect.index} for suspect in self.suspect
            ],
            "privacy": document.privacy_json(task, list(self._values)),
            "library": document.library(),
            "vdaf": {"draft": VDAF_DRAFT, "wire_version": VDAF_VERSION},
        }

    def to_bytes(self) -> bytes:
        """Return the bytes of release.json: the canonical form of `to_json`."""
        return canonical(self.to_json())

    def to_arrow(self) -> pa.Table:
        """Return the tidy rows of all tables as one Arrow table; see `Table.to_rows`."""
        return frames.to_arrow(self)

    def to_polars(self) -> pl.DataFrame:
        """Return the same as a polars DataFrame. Raises ReleaseError without polars."""
        return frames.to_polars(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return the same as a pandas DataFrame. Raises ReleaseError without pandas."""
        return frames.to_pandas(self)

    def to_html(self, *, relays: Mapping[str, int] | None = None) -> str:
        """Return the page for people: one HTML page that needs no script and no network.

        `relays`: partner to the number of sealed reports it passed on, which a release does not
        know. The same release gives the same page.
        """
        from grievance.release.page import write_page

        return write_page(self, relays=relays or {})

    def __getitem__(self, name: str) -> Table:
        if name not in self._tables:
            raise ReleaseError(
                f"no statistic {name!r:.60} in this release",
                code="release.name",
                hint="there are: " + ", ".join(self._tables),
            )
        return self._tables[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables.values())

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return (
            f"<Release {self.release_id} of {self.task.campaign}/{self.task.round_id}: "
            f"{len(self)} statistics, {self.accepted} sealed reports, cover included>"
        )

    def _repr_html_(self) -> str:
        head = f"{self.plan.title} ({self.task.campaign}, {self.task.round_id})"
        tables = "".join(table._repr_html_() for table in self)
        words = "<br>".join(html.escape(line) for line in self.statement)
        return f"<h3>{html.escape(head)}</h3>{tables}<p><small>{words}</small></p>"


def _witnesses(task: Task, names: Sequence[str]) -> tuple[str, ...]:
    """Witnesses of the plan, sorted, each once."""
    if list(names) != [name for name in sorted(task.plan.witnesses) if name in names]:
        raise ReleaseError(
            "a release names witnesses that its plan does not have", code="release.witnesses"
        )
    return tuple(names)


def _check(
    task: Task,
    values: Mapping[str, Sequence[int]],
    release_id: str,
    accepted: int,
    accepted_root: bytes,
    noisy_shares: Mapping[str, str],
) -> None:
    if not isinstance(release_id, str) or not _RELEASE_ID.fullmatch(release_id):
        raise ReleaseError("this is no id of a release", code="release.id")
    least = task.plan.privacy.minimum_reports
    if type(accepted) is not int or accepted < least:
        raise ReleaseError(
            f"{accepted!r:.20} sealed reports were accepted, cover included; the plan releases "
            f"nothing below {least}",
            code="release.minimum",
        )
    if len(accepted_root) != 32:
        raise ReleaseError("the root of the accepted reports has 32 bytes", code="release.root")
    names = {entry.name for entry in task.aggregators}
    if set(noisy_shares) != names or not all(
        isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in noisy_shares.values()
    ):
        raise ReleaseError(
            "a release names the SHA-256 of the noisy share of every aggregator of its task",
            code="release.shares",
        )
    if not values:
        raise ReleaseError("a release is of at least one statistic", code="release.shape")
    for name, coordinates in values.items():
        if name not in task.allocations:
            raise ReleaseError(
                f"{name!r:.60} is no statistic with noise of its own", code="release.shape"
            )
        expected = task.layout.statistics[name].num_released
        if len(coordinates) != expected or not all(
            type(value) is int and abs(value) <= MAX_INTEGER for value in coordinates
        ):
            raise ReleaseError(
                f"{name} is released as {expected} whole numbers", code="release.shape"
            )


def _strict(obj: object, keys: Sequence[str], where: str) -> StrictObject:
    return StrictObject(obj, keys, where=where, error=ReleaseError, code="release.field")


def _read_values(fields: StrictObject, task: Task) -> dict[str, list[int]]:
    """Read the noisy integers of the charged statistics; `_check` looks at them."""
    values: dict[str, list[int]] = {}
    keys = (*_STATISTIC_KEYS, noise_of(task.mechanism).scale_name)
    for item in fields.items("statistics"):
        statistic = _strict(item, keys, "release.statistics")
        name = statistic.text("name")
        if name in values or name not in task.layout.statistics:
            statistic.refuse("is not a statistic of the plan, or is there twice", "name")
        parts = [_strict(p, _PART_KEYS, "release.parts") for p in statistic.items("parts")]
        if task.layout.statistics[name].implied_by is None:
            values[name] = [value for part in parts for value in part.items("values")]
    return values


def _with_words_of(found: object, expected: Mapping[str, Any]) -> object:
    """Return `found` with the statement of `expected`, if it has one that is text."""
    if not isinstance(found, dict) or not isinstance(found.get("statement"), list):
        return found
    if not all(isinstance(line, str) for line in found["statement"]):
        return found
    return {**found, "statement": expected["statement"]}
