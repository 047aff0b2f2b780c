"""A batch: sealed reports of one partner, shuffled, in one signed file.

    "GRVB" | u8 version | task digest 32 | relay's public key 32 | u32 rows | u64 payload size
    | SHA-256(payload) 32 | signature 64 | payload

The payload is Parquet: fixed-width columns, uncompressed, no dictionaries, no nulls, no
metadata. Size and signature are checked on raw bytes before Arrow sees any of it, and
Arrow reads under a memory limit, because a footer can promise less than a page delivers.
Source: design.md, section 7; security.md, decision 9 and faults E1.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.client.report import columns, to_row
from grievance.crypto.signing import SigningKey, VerifyingKey
from grievance.errors import BatchError, SignatureError, WireError
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
ROW_GROUP_ROWS = 10_000
# What Parquet adds to the rows themselves: page and column headers, statistics, footer.
_OVERHEAD_PER_GROUP = 16 << 10
_OVERHEAD = 64 << 10


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
    groups = -(-rows // ROW_GROUP_ROWS) + 1
    return (
        rows * row_width(task)
        + groups * _OVERHEAD_PER_GROUP * (2 + len(task.aggregators))
        + _OVERHEAD
    )


def row_width(task: Task) -> int:
    """Bytes of one report in a batch."""
    return sum(width for _, width in columns(task))


def schema(task: Task) -> pa.Schema:
    """The one Arrow schema a batch of this task may have."""
    import pyarrow as pa

    return pa.schema([pa.field(n, pa.binary(w), nullable=False) for n, w in columns(task)])


def reports_to_table(task: Task, reports: Sequence[Report]) -> pa.Table:
    """Lay reports out in columns."""
    import pyarrow as pa

    rows = [to_row(report) for report in reports]
    arrays = [
        pa.array([row[i] for row in rows], type=pa.binary(width))
        for i, (_, width) in enumerate(columns(task))
    ]
    return pa.Table.from_arrays(arrays, schema=schema(task))


def write_batch(task: Task, table: pa.Table, key: SigningKey) -> bytes:
    """Sign and serialise a table with the task's schema. Run by a relay.

    Raises BatchError when the table has another schema, no rows, or too many.
    """
    import io

    import pyarrow.parquet as pq

    if table.schema != schema(task):
        raise BatchError("these rows are not reports of this round", code="batch.schema")
    if not 0 < table.num_rows <= MAX_BATCH_ROWS:
        raise BatchError(f"a batch has 1 to {MAX_BATCH_ROWS} reports", code="batch.rows")
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        column_encoding="PLAIN",
    )
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
    except SignatureError:
        raise BatchError("the relay's signature does not hold", code="batch.signature") from None
    if hashlib.sha256(memoryview(data)[HEADER_SIZE:]).digest() != digest:
        raise BatchError("the reports are not those the relay signed", code="batch.digest")
    return BatchHeader(task_digest, key, rows, size, digest)


def read_rows(
    data: View, header: BatchHeader, task: Task, rows: int = 1_000
) -> Iterator[pa.RecordBatch]:
    """Yield record batches of at most `rows` reports, in the file's order.

    Raises BatchError `batch.malformed` when the payload is not exactly what `write_batch`
    writes. Every aggregator comes to the same verdict, since it depends on bytes alone.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    payload = memoryview(data)[HEADER_SIZE:]
    wanted = schema(task)
    # Arrow holds a few copies of one row group at most; more means the pages lie.
    allowed = 8 * min(header.rows, ROW_GROUP_ROWS) * row_width(task) + (256 << 20)
    total = 0
    try:
        with memory_limit(allowed):
            file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(payload)), pre_buffer=False)
            _check_footer(file, header, task)
            batches = file.iter_batches(batch_size=rows, use_threads=False)
        while True:
            # The caller's own work between two batches is not held to the limit.
            with memory_limit(allowed):
                batch = next(batches, None)
            if batch is None:
                break
            total += batch.num_rows
            if batch.schema != wanted or total > header.rows:
                raise BatchError("the rows break the format", code="batch.malformed")
            yield batch
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise BatchError(
            f"Parquet does not read ({type(error).__name__})", code="batch.malformed"
        ) from None
    if total != header.rows:
        raise BatchError("rows are missing", code="batch.malformed")


def _check_footer(file: object, header: BatchHeader, task: Task) -> None:
    """Refuse everything a footer can say that our own writer never does."""
    import pyarrow.parquet as pq

    if not isinstance(file, pq.ParquetFile):
        raise TypeError("a ParquetFile is needed")
    meta = file.metadata
    plain = meta.num_rows == header.rows and file.schema_arrow == schema(task) and not meta.metadata
    for group in range(meta.num_row_groups if plain else 0):
        for index, (_, width) in enumerate(columns(task)):
            chunk = meta.row_group(group).column(index)
            plain = (
                plain
                and chunk.compression == "UNCOMPRESSED"
                and not chunk.has_dictionary_page
                and set(chunk.encodings) <= {"PLAIN", "RLE"}
                and chunk.num_values == meta.row_group(group).num_rows
                and chunk.total_uncompressed_size >= chunk.num_values * width
            )
    if not plain or meta.num_row_groups > header.rows:
        raise BatchError("the Parquet file is not laid out as a batch", code="batch.malformed")


@contextlib.contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Let the process grow by at most `extra` bytes while hostile bytes are parsed.

    Where the system has no such limit (Windows), the size checks before it stand alone.
    """
    try:
        import resource
    except ImportError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _address_space() + extra
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Bytes of address space in use now; a generous guess where /proc is missing."""
    import resource
    from pathlib import Path

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 4 << 30
    return pages * resource.getpagesize()
