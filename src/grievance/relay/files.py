"""Files of sealed reports, as workers hand them in: one that does not read stops no other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.client.files import read_report, read_reports
from grievance.errors import GrievanceError, ReportError, UsageError, after_fault
from grievance.failpoints import failpoint
from grievance.pool.store import sync_folder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path

    from grievance.client.report import Report
    from grievance.task import Task

SUFFIXES = (".report", ".reports")
REFUSED = "refused"
"""The folder beside them into which files go that do not read."""
OTHER_ROUND = "report.task"


@dataclass(frozen=True, repr=False)
class Taken:
    """A file that reads: the digests of all its reports, and those reports that are new."""

    path: Path
    digests: tuple[bytes, ...]
    new: tuple[Report, ...]


@dataclass(frozen=True)
class Refused:
    """A file that does not: the stable code, the reason, and whether it lay in a given folder."""

    path: Path
    code: str
    reason: str
    in_folder: bool


def read_files(
    given: Sequence[Path], task: Task, known: Container[bytes] = ()
) -> tuple[list[Taken], list[Refused]]:
    """Read files and folders of them; reports whose digest is `known` are not kept in memory.

    Folders inside a folder are left out. Raises UsageError `relay.file` for what is typed and
    is no such file, or when nothing is there at all; and what reading the first of them raises
    when files were named one by one and none of them reads.
    """
    taken, refused, first = [], [], None
    for path, in_folder in _listed(given):
        try:
            reports = _read(path, task)
            digests, new = [], []
            for report in reports:
                digests.append(report.digest)
                if digests[-1] not in known:
                    new.append(report)
            if not digests:
                raise ReportError(f"{path.name}: it holds no report", code="report.file")
        except GrievanceError as error:
            first = first or error
            reason = error.message.removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")
            refused.append(Refused(path, error.code, reason, in_folder))
        else:
            taken.append(Taken(path, tuple(digests), tuple(new)))
    if first is not None and not taken and not any(one.in_folder for one in refused):
        raise first
    if not taken and not refused:
        raise UsageError(
            "there are no .report or .reports files here",
            code="relay.file",
            hint="name the files, or the folder in which they lie; folders inside it are left out",
        )
    return taken, refused


def files_in(folder: Path) -> list[Path]:
    """Files of reports directly in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def set_aside(path: Path) -> Path | None:
    """Move a file into the folder `refused` beside it. Returns where it is now.

    None where the system does not let us: the file stays, and stops no other.
    """
    folder = path.parent / REFUSED
    target, number = folder / path.name, 1
    while os.path.lexists(target):
        number += 1
        target = folder / f"{path.stem}-{number}{path.suffix}"
    try:
        move(path, target)
    except ReportError:
        return None
    return target


def move(path: Path, target: Path) -> None:
    """Move a file, and flush both folders. Raises ReportError `relay.move`."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        failpoint("relay.moved")
    except OSError as error:
        raise ReportError(
            f"{path} cannot be moved to {target.parent}: {error.strerror}",
            code="relay.move",
            hint=after_fault(error),
        ) from None
    sync_folder(target.parent)
    sync_folder(path.parent)


def _listed(given: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    for path in given:
        if path.is_dir():
            yield from ((file, True) for file in files_in(path))
        elif path.suffix in SUFFIXES:
            yield path, False
        else:
            raise UsageError(
                f"{path} is neither a .report nor a .reports file"
                if path.exists()
                else f"{path}: there is no such file",
                code="relay.file",
            )


def _read(path: Path, task: Task) -> Iterator[Report]:
    if path.suffix == ".report":
        yield read_report(path, task)
    else:
        yield from read_reports(path, task)
