"""A batch: sealed reports of one partner, shuffled, in one signed file.

    "GRVB" | u8 version | task digest 32 | relay's public key 32 | u32 rows | u64 payload size
    | SHA-256(payload) 32 | signature 64 | payload

The payload is the flat Parquet of `client.flat_parquet`: fixed-width columns, uncompressed,
no dictionaries, no nulls, no metadata. Size and signature are checked on raw bytes, then
every row is sliced from the place that follows from the widths: Arrow never parses bytes of
a stranger, so nothing a page claims can make it allocate or crash.
Source: design.md, section 7; security.md, decision 9 and faults E1.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from grievance.client.files import report_schema
from grievance.client.flat_parquet import locate, open_writer, rows_per_group
from grievance.client.report import columns, to_row
from grievance.crypto.signing import SigningKey, VerifyingKey
from grievance.errors import BatchError, CryptoError, WireError
from grievance.wire import Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from grievance.client.report import Report
    from grievance.pool.store import View
    from grievance.task import Task

MAGIC = b"GRVB"
VERSION = 1
LABEL = "grievance/1 batch"
HEADER_SIZE = 4 + 1 + 32 + 32 + 4 + 8 + 32 + 64
MAX_BATCH_ROWS = 100_000
# What the layout adds to the rows themselves: page headers and footer, a few hundred bytes a
# column and row group.
_OVERHEAD_PER_CHUNK = 1 << 10


@dataclass(frozen=True)
class BatchHeader:
    """What the relay signed. `digest` is the SHA-256 of the whole file."""

    task_digest: bytes
    relay: VerifyingKey
    rows: int
    payload_size: int
    payload_digest: bytes


def max_batch_size(task: Task) -> int:
    """No batch of this task is larger, in bytes."""
    return HEADER_SIZE + _max_payload_size(task, MAX_BATCH_ROWS)


def _max_payload_size(task: Task, rows: int) -> int:
    widths = columns(task)
    groups = -(-rows // rows_per_group(widths))
    return rows * row_width(task) + (groups + 1) * (len(widths) + 1) * _OVERHEAD_PER_CHUNK


def row_width(task: Task) -> int:
    """Bytes of one report in a batch."""
    return sum(width for _, width in columns(task))


def reports_to_table(task: Task, reports: Sequence[Report]) -> pa.Table:
    """Lay reports out in columns."""
    import pyarrow as pa

    rows = [to_row(report) for report in reports]
    arrays = [
        pa.array([row[i] for row in rows], type=pa.binary(width))
        for i, (_, width) in enumerate(columns(task))
    ]
    return pa.Table.from_arrays(arrays, schema=report_schema(task))


def write_batch(task: Task, table: pa.Table, key: SigningKey) -> bytes:
    """Sign and serialise a table with the task's schema. Run by a relay.

    Raises BatchError when the table has another schema, no rows, or too many.
    """
    if table.schema != report_schema(task):
        raise BatchError("these rows are not reports of this round", code="batch.schema")
    if not 0 < table.num_rows <= MAX_BATCH_ROWS:
        raise BatchError(f"a batch has 1 to {MAX_BATCH_ROWS} reports", code="batch.rows")
    sink = io.BytesIO()
    with open_writer(sink, table.schema) as writer:
        writer.write_table(table, row_group_size=rows_per_group(columns(task)))
    payload = sink.getvalue()
    signed = _signed_part(
        task.digest, key.public.raw, table.num_rows, len(payload), hashlib.sha256(payload).digest()
    )
    return signed + key.sign(LABEL, signed) + payload


def _signed_part(task_digest: bytes, relay: bytes, rows: int, size: int, digest: bytes) -> bytes:
    writer = Writer().raw(MAGIC).uint(VERSION, 1).raw(task_digest).raw(relay)
    return writer.uint(rows, 4).uint(size, 8).raw(digest).finish()


def read_header(data: View, task: Task) -> BatchHeader:
    """Check size, task, signature and payload digest on raw bytes.

    Raises BatchError (`batch.short`, `batch.task`, `batch.signature`, `batch.digest`, ...).
    """
    header = parse_header(data, task)
    if hashlib.sha256(memoryview(data)[HEADER_SIZE:]).digest() != header.payload_digest:
        raise BatchError("the reports are not those the relay signed", code="batch.digest")
    return header


def parse_header(data: View, task: Task) -> BatchHeader:
    """Check everything but the payload's digest, which takes a pass over the whole file.

    For bytes whose digest was checked before. Raises BatchError.
    """
    try:
        reader = Reader(memoryview(data)[:HEADER_SIZE])
        reader.expect(MAGIC, "a batch of reports")
        version = reader.uint(1)
        task_digest, relay = reader.raw(32), reader.raw(32)
        rows, size, digest = reader.uint(4), reader.uint(8), reader.raw(32)
        signature = reader.raw(64)
    except WireError as error:
        raise BatchError(f"not a batch: {error}", code="batch.short") from None
    if version != VERSION:
        raise BatchError(f"batch version {version} is not known here", code="batch.version")
    if task_digest != task.digest:
        raise BatchError("this batch belongs to another round", code="batch.task")
    if len(data) != HEADER_SIZE + size or not 0 < rows <= MAX_BATCH_ROWS:
        raise BatchError("the batch is not as long as its header says", code="batch.size")
    if not rows * row_width(task) <= size <= _max_payload_size(task, rows):
        raise BatchError("the batch's size does not fit its number of rows", code="batch.size")
    try:
        key = VerifyingKey(relay)
        key.check(LABEL, _signed_part(task_digest, relay, rows, size, digest), signature)
    except CryptoError:  # no usable key, or a signature it did not make
        raise BatchError("the relay's signature does not hold", code="batch.signature") from None
    return BatchHeader(task_digest, key, rows, size, digest)


def read_rows(
    data: View, header: BatchHeader, task: Task, rows: int = 1_000
) -> Iterator[pa.RecordBatch]:
    """Yield record batches of at most `rows` reports, in the file's order, without copying.

    Raises BatchError `batch.malformed` when the payload is not exactly what `write_batch`
    writes. Every aggregator comes to the same verdict, since it depends on bytes alone.
    """
    import pyarrow as pa

    payload = memoryview(data)[HEADER_SIZE:]
    try:
        flat = locate(cast("BinaryIO", _ViewFile(payload)), len(payload))
    except WireError as error:
        raise BatchError(f"the reports do not read: {error}", code="batch.malformed") from None
    wanted = columns(task)
    if list(flat.columns) != wanted or flat.metadata or flat.num_rows != header.rows:
        raise BatchError("the batch holds other columns or rows", code="batch.malformed")
    batch_schema = report_schema(task)
    for group_rows, starts in flat.groups:
        for first in range(0, group_rows, rows):
            count = min(rows, group_rows - first)
            arrays = []
            for start, (_, width) in zip(starts, wanted, strict=True):
                begin = start + first * width
                cells = pa.py_buffer(payload[begin : begin + count * width])
                arrays.append(pa.Array.from_buffers(pa.binary(width), count, [None, cells]))
            yield pa.RecordBatch.from_arrays(arrays, schema=batch_schema)


class _ViewFile(io.RawIOBase):
    """Reads a memory view as a file, so that a mapped batch is not copied to find its rows."""

    def __init__(self, view: memoryview) -> None:
        super().__init__()
        self._view, self._at = view, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place counted from the start."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        end = len(self._view) if size < 0 else self._at + size
        piece = bytes(self._view[self._at : end])
        self._at += len(piece)
        return piece
