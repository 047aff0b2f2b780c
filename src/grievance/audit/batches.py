"""Batch files: name, header, signature, layout, and the digest of every report in them.

A batch is read piece by piece, at most one row group at a time, and by no Parquet library.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, cast

from grievance.client.flat_parquet import locate
from grievance.client.report import MAGIC as REPORT_MAGIC
from grievance.client.report import VERSION as REPORT_VERSION
from grievance.client.report import columns
from grievance.crypto.signing import VerifyingKey
from grievance.errors import CryptoError, PoolError, WireError
from grievance.pool.batch import HEADER_SIZE, LABEL, MAGIC, MAX_BATCH_ROWS, VERSION, max_batch_size
from grievance.pool.layout import parse_batch_name
from grievance.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grievance.audit.chain import Order
    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.pool.order import OrderedBatch
    from grievance.task import Task

_PIECE = 1 << 20
NONCE_SIZE = 16


@dataclass(frozen=True)
class Header:
    """What a batch says of itself, before anything is believed."""

    task_digest: bytes
    relay: bytes
    rows: int
    payload_size: int
    payload_digest: bytes
    signed: bytes
    signature: bytes


@dataclass(frozen=True)
class BatchRows:
    """A batch that was looked at. `leaves`: nonce || SHA-256(report) of every row, in order.

    `leaves` is None when the rows do not read, which makes the whole batch refused.
    """

    path: str
    leaves: Sequence[bytes] | None


def check_batches(
    inspection: Inspection,
    opened: OpenedRound,
    order: Order,
    progress: Callable[[str, int, int], None],
) -> dict[int, BatchRows]:
    """Check every file among a round's batches; the ordered ones by their place."""
    chain, paths = order.chain, opened.paths
    ordered = {paths.batch(batch.partner, batch.digest): batch for batch in chain.batches}
    found: dict[int, BatchRows] = {}
    names = inspection.files.names(paths.batches)
    for done, name in enumerate(names):
        progress(f"batches of {opened.task.round_id}", done, len(names))
        path, parsed = f"{paths.batches}/{name}", parse_batch_name(name)
        if parsed is None:
            continue
        partner, digest = parsed
        batch = ordered.get(path)
        key = chain.partners.get(partner)
        leaves = read_batch(inspection, opened.task, path, digest, key, batch)
        if leaves == DAMAGED:
            continue
        if batch is not None:
            found[batch.seq] = BatchRows(path, leaves)
        else:
            _note_unordered(inspection, order, path, partner)
    progress(f"batches of {opened.task.round_id}", len(names), len(names))
    return found


def _note_unordered(inspection: Inspection, order: Order, path: str, partner: str) -> None:
    chain = order.chain
    if partner in chain.expelled:
        why = f"{partner} was expelled; its reports are not counted"
    elif partner not in chain.partners:
        why = f"{partner} is not admitted to this round"
    elif chain.closed:
        why = "it came after the round was closed; its reports are not counted"
    else:
        why = "the leader has not ordered it yet"
    inspection.note("batch.unordered", path, why)


DAMAGED: Final = "damaged"
"""In place of leaves: the file is not what its name says, so nothing follows from it."""


def read_batch(
    inspection: Inspection,
    task: Task,
    path: str,
    digest: bytes,
    key: VerifyingKey | None,
    batch: OrderedBatch | None,
) -> list[bytes] | Literal["damaged"] | None:
    """Check one file. Returns its leaves, None if its rows do not read, or DAMAGED."""
    inspection.claim(path)
    try:
        with inspection.files.open(path, max_batch_size(task)) as file:
            size, whole, payload = _hash(file)
            if whole != digest:
                message = "its SHA-256 is not the one in its name"
                inspection.fault("batch.digest", path, message)
                return DAMAGED
            header = _header(file)
            problem = _header_problem(inspection, task, header, size, payload, key)
            if problem is not None:
                inspection.fault("batch.header", path, problem)
                return None
            if batch is not None and header is not None and header.rows != batch.rows:
                message = f"it has {header.rows} rows, the order says {batch.rows}"
                inspection.fault("batch.header", path, message)
                return None
            return _leaves(inspection, task, path, file, size, header)
    except PoolError as error:
        inspection.fault(error.code, path, error.message)
    except OSError as error:
        inspection.fault("file.read", path, f"cannot be read ({error.strerror})")
    return DAMAGED


def _hash(file: BinaryIO) -> tuple[int, bytes, bytes]:
    """Size of a file, its SHA-256, and that of what follows the header."""
    size, whole, payload = 0, hashlib.sha256(), hashlib.sha256()
    while piece := file.read(_PIECE):
        whole.update(piece)
        payload.update(piece[max(0, HEADER_SIZE - size) :])
        size += len(piece)
    return size, whole.digest(), payload.digest()


def _header(file: BinaryIO) -> Header | None:
    file.seek(0)
    data = file.read(HEADER_SIZE)
    try:
        reader = Reader(data)
        reader.expect(MAGIC + bytes([VERSION]), "a batch of reports")
        return Header(
            task_digest=reader.raw(32),
            relay=reader.raw(32),
            rows=reader.uint(4),
            payload_size=reader.uint(8),
            payload_digest=reader.raw(32),
            signed=data[: HEADER_SIZE - 64],
            signature=data[HEADER_SIZE - 64 :],
        )
    except WireError:
        return None


def _header_problem(
    inspection: Inspection,
    task: Task,
    header: Header | None,
    size: int,
    payload: bytes,
    key: VerifyingKey | None,
) -> str | None:
    """What is wrong with a header, in words."""
    if header is None:
        return "it has no header of a batch"
    length = size == HEADER_SIZE + header.payload_size and 0 < header.rows <= MAX_BATCH_ROWS
    for right, why in (
        (header.task_digest == task.digest, "it belongs to another round"),
        (length, "it is not as long as its header says"),
        (payload == header.payload_digest, "its reports are not those that were signed"),
    ):
        if not right:
            return why
    inspection.signatures += 1
    try:
        relay = VerifyingKey(header.relay)
        relay.check(LABEL, header.signed, header.signature)
    except CryptoError:
        return "its signature does not hold"
    if key is not None and relay != key:
        return "it is signed by somebody else than the partner it is named after"
    return None


def _leaves(
    inspection: Inspection,
    task: Task,
    path: str,
    file: BinaryIO,
    size: int,
    header: Header | None,
) -> list[bytes] | None:
    wanted = tuple(columns(task))
    window = cast("BinaryIO", _Window(file, HEADER_SIZE))
    try:
        flat = locate(window, size - HEADER_SIZE)
        if flat.columns != wanted or flat.metadata:
            raise WireError("it has other columns than this round's reports")
        if header is None or flat.num_rows != header.rows:
            raise WireError("it has another number of rows than its header says")
        return list(leaves_of(task, flat.rows(window)))
    except WireError as error:
        # The partner's own mistake, and no harm done: all its rows are refused.
        inspection.note("batch.rows", path, f"its rows do not read: {error.message}")
        return None


def leaves_of(task: Task, rows: Iterator[tuple[bytes, ...]]) -> Iterator[bytes]:
    """Nonce || SHA-256(report) of rows in the order of `columns(task)`."""
    widths = [width for _, width in columns(task)]
    head = REPORT_MAGIC + bytes([REPORT_VERSION]) + task.digest
    public_size, number = widths[1].to_bytes(4, "big"), bytes([len(widths) - 2])
    sizes = [width.to_bytes(4, "big") for width in widths[2:]]
    for nonce, public, *ciphertexts in rows:
        digest = hashlib.sha256(head + nonce + public_size + public + number)
        for prefix, ciphertext in zip(sizes, ciphertexts, strict=True):
            digest.update(prefix)
            digest.update(ciphertext)
        yield nonce + digest.digest()


class _Window(io.RawIOBase):
    """A file from some place on, for a reader that counts from there."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        super().__init__()
        self._file, self._start = file, start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place counted from the start of the window."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        return self._file.seek(self._start + offset) - self._start

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        return self._file.read(size)
