"""Sealed reports in files, on their way to a relay.

`.report`: one report, its bytes and nothing else. `.reports`: many of one round, a Parquet
file in the one layout of `grievance.client.flat_parquet`, with the columns of
`grievance.client.report.columns` and the round's digest in the metadata (`grievance.task`,
hex). Reports are sealed and each is checked when it is opened, so the files carry no
signature; a relay signs the batches it makes of them.

A file may come from a stranger. Its sizes, footer and page headers are checked byte by byte,
and Arrow is never asked to read it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from grievance.client.flat_parquet import FlatFile, FlatWriter, locate, rows_per_group
from grievance.client.report import Report, columns, report_size, to_row
from grievance.errors import ReportError, UsageError, WireError, after_fault
from grievance.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from grievance.task import RoundTerms, Task

_TASK_KEY = b"grievance.task"
_AS_WRITTEN = "ask for the file again, as it was written"


def report_schema(task: RoundTerms) -> pa.Schema:
    """Return the Arrow schema of reports of this task, without metadata."""
    import pyarrow as pa

    return pa.schema([pa.field(n, pa.binary(w), nullable=False) for n, w in columns(task)])


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write one report.

    Raises UsageError when the file exists, ReportError `report.write` when the disk refuses.
    """
    with new_file(Path(path)) as file:
        file.write(report.to_bytes())


def read_report(path: str | os.PathLike[str], task: Task) -> Report:
    """Read one report of this task.

    Raises ReportError (`report.file` when the file cannot be read or has another size) and
    what `Report.from_bytes` raises.
    """
    size = report_size(task)
    with _old_file(Path(path)) as (file, found):
        if found != size:
            raise ReportError(
                f"{path}: {found:,} bytes; every report of this round has {size:,}",
                code="report.file",
                hint=_AS_WRITTEN,
            )
        try:
            return Report.from_bytes(file.read(size + 1), task)
        except WireError as error:
            raise WireError(
                f"{Path(path).name}: {error.message}", code=error.code, hint=_AS_WRITTEN
            ) from None


def write_reports(path: str | os.PathLike[str], task: Task, reports: Iterable[Report]) -> int:
    """Write reports of one task, in flat memory, and return how many.

    The file appears when it is complete. Raises ReportError for a report of another task,
    UsageError when the file exists, ReportError `report.write` when the disk refuses.
    """
    rows_at_once = rows_per_group(columns(task))
    iterator = iter(reports)
    count = 0
    with new_file(Path(path)) as file:
        writer = FlatWriter(file, columns(task))
        while group := list(islice(iterator, rows_at_once)):
            for report in group:
                report.check(task)
            writer.write([to_row(report) for report in group])
            count += len(group)
        writer.finish({_TASK_KEY: task.digest.hex().encode()})
    return count


def read_reports(path: str | os.PathLike[str], task: Task) -> Iterator[Report]:
    """Check a `.reports` file as a whole, then return an iterator over its reports.

    Raises ReportError: `report.file` for a file that is not laid out as `write_reports`
    does, `report.task` for reports of another round.
    """
    path = Path(path)
    with _old_file(path) as (file, size):
        try:
            found = locate(file, size)
        except WireError as error:
            raise _bad(path, error) from None
    known = found.metadata.get(_TASK_KEY)
    if known is not None and known != task.digest.hex().encode():
        raise ReportError(
            f"{path.name}: these reports belong to another round",
            code="report.task",
            hint="compare the round's digest with the one the reports were sealed for",
        )
    if known is None or found.columns != tuple(columns(task)):
        raise _bad(path, "other columns, or no round in its metadata")
    return _reports(path, found, task)


def _reports(path: Path, found: FlatFile, task: Task) -> Iterator[Report]:
    with _old_file(path) as (file, _):
        try:
            for commitment, public_share, *ciphertexts in found.rows(file):
                yield Report(task.digest, commitment, public_share, tuple(ciphertexts))
        except WireError as error:
            raise _bad(path, error) from None


def _bad(path: Path, why: WireError | str) -> ReportError:
    return ReportError(
        f"{path.name}: not a file of this round's reports: {why}",
        code="report.file",
        hint=_AS_WRITTEN,
    )


@contextlib.contextmanager
def _old_file(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file for reading; give it and its size."""
    try:
        # Without O_NONBLOCK a named pipe in the place of a file would hang us.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}", code="report.file") from None
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        os.close(fd)
        raise ReportError(f"{path}: not a regular file", code="report.file")
    with os.fdopen(fd, "rb") as file:
        yield file, info.st_size


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that gets its name when it is complete, and leaves nothing otherwise.

    Raises UsageError when there is a file of this name or no such folder, ReportError when
    the disk refuses.
    """
    if path.exists():
        raise UsageError(
            f"{path} exists already", code="usage.exists", hint="move it away, or name another"
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            failpoint("file.opened")
            yield file
            file.flush()
            os.fsync(file.fileno())
        failpoint("file.written")
        temporary.replace(path)
        failpoint("file.renamed")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(f"{path}: {error.strerror}", code="usage.write") from None
    except OSError as error:
        raise ReportError(
            f"{path} cannot be written: {error.strerror}",
            code="report.write",
            hint=after_fault(error),
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
