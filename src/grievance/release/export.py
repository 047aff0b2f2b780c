"""Writing a release to files: release.json, tidy CSV or Parquet tables, and release.html.

Run by anyone who holds a release. The raw noisy integers are in release.json, which is what can be
checked against the pool. Everything else can be checked against release.json
(`grievance.release.check`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from grievance.errors import ReleaseError, after_fault
from grievance.failpoints import failpoint
from grievance.release.beside import (
    ALL_TABLES,
    CLAIM,
    MADE_FROM,
    Format,
    MadeFrom,
    stem,
    texts,
    to_parquet,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.release.release import Release

_MARKS = {CLAIM, MADE_FROM, "release.html", f"{ALL_TABLES}.csv"}
_OURS = re.compile(
    r"(release|made-from)\.json|release\.html|[a-z][a-z0-9_]{0,39}(\.statistic)?\.(csv|parquet)"
)


def export(
    release: Release,
    folder: str | Path,
    formats: Sequence[Format] = ("csv", "parquet", "html"),
    *,
    overwrite: bool = False,
    relays: Mapping[str, int] | None = None,
) -> list[Path]:
    """Write a release into a folder of its own; return the files written, in order.

    Always release.json, the claim, and made-from.json. Beside it, `csv`: `tables.csv` with all
    statistics and `<statistic>.csv` for each. `parquet`: `<statistic>.parquet`. `html`:
    `release.html`, for people, which names `relays` (partner to the sealed reports it passed on)
    if they are given. Everything is written beside the folder first and then moved into place,
    so there is a whole export or none. Raises ReleaseError for an unknown format, and for a
    folder that holds anything, unless `overwrite`: that replaces a folder in which there is
    nothing but an earlier export.
    """
    target = Path(folder)
    unknown = [name for name in formats if name not in get_args(Format)]
    if unknown:
        raise ReleaseError(
            f"no such format: {', '.join(map(str, unknown))}",
            code="release.format",
            hint="formats: " + ", ".join(get_args(Format)),
        )
    _check_target(target, overwrite=overwrite)
    fresh = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        fresh.chmod(0o755)
        names = _write_all(release, fresh, formats, relays or {})
        failpoint("export.written")
        _move(fresh, target)
        failpoint("export.moved")
    except OSError as error:
        raise ReleaseError(
            f"{target} cannot be written: {error.strerror}",
            code="release.folder",
            hint=after_fault(error),
        ) from error
    finally:
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)
    return [target / name for name in names]


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ReleaseError(f"{target} is not a folder", code="release.folder")
    there = sorted(path.name for path in target.iterdir()) if target.exists() else []
    if there and not overwrite:
        raise ReleaseError(
            f"{target} is not empty", code="release.folder", hint="name a new folder"
        )
    # Overwriting deletes, so it must never reach anything but what an export has written.
    strange = [name for name in there if not _OURS.fullmatch(name)]
    if strange or (there and not _MARKS & set(there)):
        raise ReleaseError(
            f"{target} holds something other than an export",
            code="release.folder",
            hint="name a new folder",
        )


def _move(fresh: Path, target: Path) -> None:
    """Put `fresh` in the place of `target`, which is missing, empty, or an earlier export."""
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        target.replace(old)
        try:
            failpoint("export.aside")
            fresh.replace(target)
        except OSError:
            old.replace(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.replace(target)


def _write_all(
    release: Release, folder: Path, formats: Sequence[Format], relays: Mapping[str, int]
) -> list[str]:
    claim = release.to_bytes()
    made = MadeFrom.of(claim, formats, relays)
    files = {CLAIM: claim, MADE_FROM: made.to_bytes(), **texts(release, made, formats)}
    if "parquet" in formats:
        files |= {f"{stem(table)}.parquet": to_parquet(table, made) for table in release}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return list(files)
