"""Whether what stands beside a release.json follows from it: made again, and compared.

Run by anyone who was handed a folder that `export` wrote. Texts must be the same to the byte;
Parquet, whose bytes are its writer's, must have the same columns, words and rows. That says that
the tables fit this release.json. Whether it fits a pool is another question, which needs the pool
and somebody's word for its keys.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from grievance.crypto.documents import parse_canonical
from grievance.errors import GrievanceError, ReleaseError
from grievance.release import beside
from grievance.release.beside import CLAIM, MADE_FROM, MADE_FROM_LIMIT, MadeFrom
from grievance.release.document import library
from grievance.release.release import LIMIT, Release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grievance.release.base import Table

    Source = Callable[[Release], tuple[Release, Mapping[str, int]]]

Outcome = Literal["fits", "does not fit", "not checked"]
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_-]{0,63}")
_MAX_NAMED: Final = 3


@dataclass(frozen=True)
class Checked:
    """What came of it. `made_again`: how many files beside release.json are what follows from it.

    `wrong` and `unchecked` name a file and its line or row where there is one; `with_pool` says
    whether release.json was held against a pool, too.
    """

    made_again: int
    wrong: tuple[str, ...]
    unchecked: tuple[str, ...]
    with_pool: bool

    @property
    def outcome(self) -> Outcome:
        """What is wrong outweighs what nobody could tell here."""
        if self.wrong:
            return "does not fit"
        return "not checked" if self.unchecked else "fits"

    @property
    def line(self) -> str:
        """The outcome on one line."""
        if self.outcome == "fits":
            count = f"{self.made_again:,} {'file' if self.made_again == 1 else 'files'}"
            return f"fits its {CLAIM}: {count} beside it made again, and the same"
        named = self.wrong or self.unchecked
        rest = len(named) - _MAX_NAMED
        more = f"; and {rest:,} more" if rest > 0 else ""
        return f"{self.outcome}: {'; '.join(named[:_MAX_NAMED])}{more}"

    def to_json(self) -> dict[str, Any]:
        """Write the outcome for programs."""
        return {
            "outcome": self.outcome,
            "line": self.line,
            "made_again": self.made_again,
            "wrong": list(self.wrong),
            "unchecked": list(self.unchecked),
            "with_pool": self.with_pool,
        }


def check_folder(folder: str | Path, source: Source | None = None) -> Checked:
    """Make everything beside the release.json of a folder again, and compare.

    `source`: from a release to what a pool holds of it, and who relayed how many; what it raises
    comes through. Raises ReleaseError `release.folder` for what is no folder that can be listed.
    """
    place = Path(folder)
    try:
        # Hidden files are a desktop's or a sync client's; nobody reads them for results.
        names = sorted(p.name for p in place.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise ReleaseError(
            f"{folder} is no folder that can be read: {error.strerror}",
            code="release.folder",
            hint="name the folder that `grievance release export` wrote",
        ) from None
    look = _Look(place)
    release, made = look.claim(alone=names == [CLAIM])
    if release is not None and source is not None:
        look.hold_against(release, made, *source(release))
    if release is not None and made is not None:
        look.beside(names, release, made)
    return Checked(look.same, tuple(look.wrong), tuple(look.unchecked), source is not None)


class _Look:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.same = 0
        self.wrong: list[str] = []
        self.unchecked: list[str] = []

    def claim(self, *, alone: bool) -> tuple[Release | None, MadeFrom | None]:
        """The two files from which all others follow; None where they do not read.

        `alone`: nothing stands beside the claim, so nothing has to say what it was made from.
        """
        data = self.read(CLAIM, LIMIT)
        if data is None or not self.is_ours(CLAIM, data):
            return None, None
        try:
            release = Release.from_json(parse_canonical(data, LIMIT))
        except GrievanceError as error:
            self.wrong.append(f"{CLAIM}, line 1: {error}")
            return None, None
        named = None if alone else self.read(MADE_FROM, MADE_FROM_LIMIT)
        if named is None or not self.is_ours(MADE_FROM, named):
            return release, None
        try:
            made = MadeFrom.parse(named)
        except ReleaseError as error:
            self.wrong.append(f"{MADE_FROM}, line 1: {error}")
            return release, None
        if made.claim != hashlib.sha256(data).digest():
            self.wrong.append(f"{MADE_FROM}, line 1: it was written beside another {CLAIM}")
        return release, made

    def is_ours(self, name: str, data: bytes) -> bool:
        """Whether this version wrote a file; another's are for that version to make again."""
        try:
            value = parse_canonical(data, LIMIT)
        except GrievanceError as error:
            self.wrong.append(f"{name}, line 1: {error}")
            return False
        version = value.get("library") if isinstance(value, dict) else None
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            self.wrong.append(f"{name}, line 1: it names no version of this library")
            return False
        if version != library():
            self.unchecked.append(f"tables of version {version}")
        return version == library()

    def hold_against(
        self, release: Release, made: MadeFrom | None, pool: Release, relays: Mapping[str, int]
    ) -> None:
        """Compare the claim, and what else was taken from a pool, with the pool."""
        ours, theirs = release.to_json(), pool.to_json()
        keys = ", ".join(key for key in ours if ours[key] != theirs[key])
        if keys:
            self.wrong.append(f"{CLAIM}, line 1: the pool says otherwise: {keys}")
        if made is not None and made.relays and made.relays != relays:
            self.wrong.append(f"{MADE_FROM}, line 1: the pool says otherwise: relays")

    def beside(self, names: list[str], release: Release, made: MadeFrom) -> None:
        """Compare every file of the folder with what follows."""
        expected = beside.texts(release, made)
        tables = {f"{beside.stem(table)}.parquet": table for table in release}
        for name in names:
            if name in expected:
                self.compare_text(name, expected[name])
            elif name in tables:
                self.compare_parquet(name, tables[name], made)
            elif name not in (CLAIM, MADE_FROM):
                self.unchecked.append(f"{name!r:.80}, which no export writes")

    def compare_text(self, name: str, expected: bytes) -> None:
        """Byte for byte."""
        data = self.read(name, len(expected) + 1)
        if data == expected:
            self.same += 1
        elif data is not None:
            lines = zip_longest(data.split(b"\n"), expected.split(b"\n"))
            line = next(at for at, (one, other) in enumerate(lines, start=1) if one != other)
            # The page says who relayed how many: which of the two was changed cannot be told.
            of = f"{CLAIM} and {MADE_FROM}" if name == beside.PAGE else CLAIM
            self.wrong.append(f"{name}, line {line}: it does not follow from {of}")

    def compare_parquet(self, name: str, table: Table, made: MadeFrom) -> None:
        """By content: who wrote it, columns, types, words, and rows as far as CSV shows them."""
        data = self.read(name, LIMIT)
        if data is None:
            return
        try:
            problem = next(_parquet_problems(data, table, made), None)
        except ImportError:
            self.unchecked.append(f"{name}: pyarrow, which reads it, is not installed here")
            return
        if problem is None:
            self.same += 1
        else:
            self.wrong.append(f"{name}{problem}")

    def read(self, name: str, limit: int) -> bytes | None:
        """The first `limit` bytes of a file; None, and told, where it cannot be read."""
        path = self.folder / name
        try:
            if path.exists() and not path.is_file():
                self.unchecked.append(f"{name} is no file")
                return None
            with path.open("rb") as file:
                return file.read(limit)
        except OSError as error:
            self.unchecked.append(f"{name} cannot be read ({error.strerror})")
            return None


def _parquet_problems(data: bytes, table: Table, made: MadeFrom) -> Iterator[str]:
    """Yield in what a Parquet file is not `table`, the first thing first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    expected = beside.marked(table, made)
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        found = file.metadata
        groups = (found.row_group(at).total_byte_size for at in range(found.num_row_groups))
        if found.num_rows != expected.num_rows or sum(groups) > LIMIT:
            yield f": it has {found.num_rows:,} rows, and not {expected.num_rows:,}"
        if found.created_by != f"parquet-cpp-arrow version {made.writers.get('pyarrow', '')}":
            yield f": its writer is not the one in {MADE_FROM}"
        there = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f": it does not read as Parquet ({type(error).__name__})"
        return
    if not there.schema.equals(expected.schema, check_metadata=True):
        yield f": its columns, or what it says of itself, do not follow from {CLAIM}"
        return
    rows = zip(there.to_pylist(), expected.to_pylist(), strict=True)
    for number, (one, other) in enumerate(rows, start=1):
        if beside.cells(one, list(one)) != beside.cells(other, list(other)):
            yield f", row {number}: it does not follow from {CLAIM}"
