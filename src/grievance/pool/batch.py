"""A batch: sealed reports of one partner, shuffled, in one signed file.

    "GRVB" | u8 version | task digest 32 | relay's public key 32 | u32 rows | u64 payload size
    | content 32 | signature 64 | payload

The payload is the flat Parquet of `client.flat_parquet`: fixed-width columns, uncompressed,
no dictionaries, no nulls, no metadata. Size and signature are checked on raw bytes, then
every row is sliced from the place that follows from the widths: Arrow never parses bytes of
a stranger, so nothing a page claims can make it allocate or crash.

`content` commits to every byte of the payload, as a hash over the digests of its reports and
over its frame (what is no row). Whoever verifies reports digests them anyway, so one pass
over a batch is enough. The batch's own digest, its name in the pool, is the SHA-256 of
the header. A file that does not hold what its header says does not exist.
Source: docs/design.md, section 7; docs/decisions/flat-parquet.md; docs/faults.md, fault E1.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, cast

from grievance.client.files import report_schema
from grievance.client.flat_parquet import FlatFile, FlatWriter, locate, rows_per_group
from grievance.client.report import columns, report_digest, to_row
from grievance.crypto.signing import SigningKey, VerifyingKey
from grievance.errors import BatchError, CryptoError, PoolError, WireError
from grievance.pool.layout import RoundPaths
from grievance.pool.store import BytesSource, find_source
from grievance.wire import Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from grievance.client.report import Report
    from grievance.pool.store import Source, Store, View
    from grievance.task import RoundTerms

MAGIC = b"GRVB"
VERSION = 1
LABEL = "grievance/2 batch"
HEADER_SIZE = 4 + 1 + 32 + 32 + 4 + 8 + 32 + 64
MAX_BATCH_ROWS = 100_000
# What the layout adds to the rows themselves: page headers and footer, a few hundred bytes a
# column and row group.
_OVERHEAD_PER_CHUNK = 1 << 10


@dataclass(frozen=True)
class BatchHeader:
    """What the relay signed. `digest` is the SHA-256 of the header, the batch's name."""

    task_digest: bytes
    relay: VerifyingKey
    rows: int
    payload_size: int
    content: bytes
    digest: bytes


def max_batch_size(task: RoundTerms) -> int:
    """No batch of this task is larger, in bytes."""
    return HEADER_SIZE + _max_payload_size(task, MAX_BATCH_ROWS)


def _max_payload_size(task: RoundTerms, rows: int) -> int:
    widths = columns(task)
    groups = -(-rows // rows_per_group(widths))
    return rows * row_width(task) + (groups + 1) * (len(widths) + 1) * _OVERHEAD_PER_CHUNK


def row_width(task: RoundTerms) -> int:
    """Bytes of one report in a batch."""
    return sum(width for _, width in columns(task))


def write_batch(task: RoundTerms, reports: Sequence[Report], key: SigningKey) -> bytes:
    """Sign and serialise reports of one task. Run by a relay.

    Raises BatchError when there are none or too many, ReportError for a report of another round.
    """
    if not 0 < len(reports) <= MAX_BATCH_ROWS:
        raise BatchError(f"a batch has 1 to {MAX_BATCH_ROWS} reports", code="batch.rows")
    for report in reports:
        report.check(task)
    sink, at_once = io.BytesIO(), rows_per_group(columns(task))
    writer = FlatWriter(sink, columns(task))
    for start in range(0, len(reports), at_once):
        writer.write([to_row(report) for report in reports[start : start + at_once]])
    writer.finish()
    payload = sink.getbuffer()
    flat = locate(sink, len(payload))
    frame = flat.frame(sink, len(payload))
    content = content_digest(frame, row_digests(task, flat.rows(sink)))
    signed = _signed_part(task.digest, key.public.raw, len(reports), len(payload), content)
    return b"".join((signed, key.sign(LABEL, signed), payload))


def content_digest(frame: bytes, digests: Iterable[bytes]) -> bytes:
    """What a header commits to: the frame, and the digests of all reports in the file's order.

    It is SHA-256("grievance/2 batch content" || SHA-256(frame) || digests), 32 bytes.
    """
    found = hashlib.sha256(b"grievance/2 batch content" + hashlib.sha256(frame).digest())
    for piece in digests:
        found.update(piece)
    return found.digest()


def row_digests(task: RoundTerms, rows: Iterable[tuple[bytes, ...]]) -> Iterator[bytes]:
    """The report digest of rows in the order of `columns(task)`."""
    for commitment, *parts in rows:
        hashes = [hashlib.sha256(part).digest() for part in parts]
        yield report_digest(task.digest, commitment, hashes)


def _signed_part(task_digest: bytes, relay: bytes, rows: int, size: int, content: bytes) -> bytes:
    writer = Writer().raw(MAGIC).uint(VERSION, 1).raw(task_digest).raw(relay)
    return writer.uint(rows, 4).uint(size, 8).raw(content).finish()


def batch_digest(data: View) -> bytes:
    """The SHA-256 of a batch's header, which names it. Nothing is checked."""
    return hashlib.sha256(memoryview(data)[:HEADER_SIZE]).digest()


def read_header(source: Source, task: RoundTerms) -> BatchHeader:
    """Check size, task and signature on raw bytes; the content is not looked at.

    Raises BatchError (`batch.short`, `batch.task`, `batch.size`, `batch.signature`, ...).
    """
    data = source.read(0, min(HEADER_SIZE, source.size))
    try:
        reader = Reader(data)
        reader.expect(MAGIC, "a batch of reports")
        version = reader.uint(1)
        task_digest, relay = reader.raw(32), reader.raw(32)
        rows, size, content = reader.uint(4), reader.uint(8), reader.raw(32)
        signature = reader.raw(64)
    except WireError as error:
        raise BatchError(f"not a batch: {error}", code="batch.short") from None
    if version != VERSION:
        raise BatchError(f"batch version {version} is not known here", code="batch.version")
    if task_digest != task.digest:
        raise BatchError("this batch belongs to another round", code="batch.task")
    if source.size != HEADER_SIZE + size or not 0 < rows <= MAX_BATCH_ROWS:
        raise BatchError("the batch is not as long as its header says", code="batch.size")
    if not rows * row_width(task) <= size <= _max_payload_size(task, rows):
        raise BatchError("the batch's size does not fit its number of rows", code="batch.size")
    try:
        key = VerifyingKey(relay)
        key.check(LABEL, _signed_part(task_digest, relay, rows, size, content), signature)
    except CryptoError:  # no usable key, or a signature it did not make
        raise BatchError("the relay's signature does not hold", code="batch.signature") from None
    return BatchHeader(task_digest, key, rows, size, content, batch_digest(data))


@dataclass(frozen=True)
class Span:
    """Rows `first` to `first + count` of a row group, the batch's row `start` and following."""

    group: int
    first: int
    count: int
    start: int


class BatchFile:
    """A batch whose header and frame were checked: where its rows stand.

    Its rows are what the relay signed only once `check_content` has seen all their digests.
    Raises BatchError as `read_header` does, and `batch.malformed` when the payload is not
    laid out exactly as `write_batch` does it; PoolError when it gets shorter meanwhile.
    """

    def __init__(self, source: Source | View, task: RoundTerms) -> None:
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = BytesSource(source)
        self.header = read_header(source, task)
        self._task, self._source = task, source
        self._payload = cast("BinaryIO", _SourceFile(source, HEADER_SIZE))
        try:
            self._flat: FlatFile = locate(self._payload, self.header.payload_size)
        except WireError as error:
            raise BatchError(f"the reports do not read: {error}", code="batch.malformed") from None
        flat = self._flat
        if list(flat.columns) != columns(task) or flat.metadata:
            raise BatchError("the batch holds other columns", code="batch.malformed")
        if flat.num_rows != self.header.rows:
            raise BatchError("the batch holds another number of rows", code="batch.malformed")

    @cached_property
    def _schema(self) -> pa.Schema:
        return report_schema(self._task)

    def spans(self, rows: int = 1_000) -> Iterator[Span]:
        """Cut the batch, in the file's order, into pieces of at most `rows` reports."""
        start = 0
        for group, (group_rows, _) in enumerate(self._flat.groups):
            for first in range(0, group_rows, rows):
                count = min(rows, group_rows - first)
                yield Span(group, first, count, start + first)
            start += group_rows

    def rows(self, span: Span) -> pa.RecordBatch:
        """Read the rows of a span."""
        import pyarrow as pa

        _, starts = self._flat.groups[span.group]
        arrays = []
        for start, (_, width) in zip(starts, self._flat.columns, strict=True):
            begin = HEADER_SIZE + start + span.first * width
            cells = pa.py_buffer(self._read(begin, span.count * width))
            arrays.append(pa.Array.from_buffers(pa.binary(width), span.count, [None, cells]))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _read(self, at: int, length: int) -> bytes:
        try:
            return self._source.read(at, length)
        except PoolError as error:
            raise BatchError(f"the batch has changed: {error}", code="batch.digest") from None

    def digests(self) -> Iterator[bytes]:
        """The digest of every report, in the file's order. Raises PoolError, WireError."""
        return row_digests(self._task, self._flat.rows(self._payload))

    def check_rows(self) -> None:
        """Digest all rows and hold them against what the relay signed: a pass over the file.

        Raises BatchError `batch.digest`.
        """
        try:
            self.check_content(self.digests())
        except (PoolError, WireError) as error:
            raise BatchError(f"the batch has changed: {error}", code="batch.digest") from None

    def check_content(self, digests: Iterable[bytes]) -> None:
        """Hold the digests of all reports, in order, against what the relay signed.

        Raises BatchError `batch.digest`.
        """
        frame = self._flat.frame(self._payload, self.header.payload_size)
        if content_digest(frame, digests) != self.header.content:
            raise BatchError("the reports are not those the relay signed", code="batch.digest")


def find_batch_file(
    store: Store, task: RoundTerms, partner: str, digest: bytes
) -> BatchFile | None:
    """A batch file whose header, signature and frame are those of its name; else None.

    Its content is held against the header when it is verified.
    """
    path = RoundPaths(task.round_id).batch(partner, digest)
    source = find_source(store, path, max_batch_size(task))
    if source is None:
        return None
    try:
        file = BatchFile(source, task)
    except (BatchError, PoolError):
        return None
    return file if file.header.digest == digest else None


class _SourceFile(io.RawIOBase):
    """Reads a source from some place on as a file."""

    def __init__(self, source: Source, start: int) -> None:
        super().__init__()
        self._source, self._start, self._at = source, start, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place counted from the start."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        left = max(0, self._source.size - self._start - self._at)
        size = left if size < 0 else min(size, left)
        piece = self._source.read(self._start + self._at, size)
        self._at += size
        return piece
