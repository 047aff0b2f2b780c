"""Batch files: name, header, signature, layout, and the digest of every report in them.

A batch is read piece by piece, at most one row group at a time, and by no Parquet library.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, cast

from grievance.client.commitment import COMMITMENT_SIZE
from grievance.client.flat_parquet import locate
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
    from grievance.audit.terms import AuditedTask
    from grievance.pool.order import OrderedBatch


@dataclass(frozen=True)
class Header:
    """What a batch says of itself, before anything is believed."""

    task_digest: bytes
    relay: bytes
    rows: int
    payload_size: int
    content: bytes
    signed: bytes
    signature: bytes


@dataclass(frozen=True)
class BatchRows:
    """A batch that was looked at. `leaves`: commitment || report digest of every row, in order.

    `leaves` is None when the order names another relay or another number of rows for it, which
    makes the whole batch refused.
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
    task: AuditedTask,
    path: str,
    digest: bytes,
    key: VerifyingKey | None,
    batch: OrderedBatch | None,
) -> list[bytes] | Literal["damaged"] | None:
    """Check one file. Returns its leaves, None if the order says other things, or DAMAGED.

    The leader signed the digest of an ordered batch's header: what is wrong in such a header is
    its fault. A file that is not what its name says is nobody's.
    """
    inspection.claim(path)
    ordered = batch is not None
    try:
        with inspection.files.open(path, max_batch_size(task)) as file:
            header = _header(file)
            why = _not_as_named(header, digest, file.seek(0, io.SEEK_END))
            if header is None or why is not None:
                return _damaged(inspection, "batch.digest", path, why or "", ordered=ordered)
            problem = _header_problem(inspection, task, header)
            if problem is not None:
                _misordered(inspection, task, path, problem, ordered=ordered)
                return DAMAGED
            leaves = _leaves(inspection, task, path, file, header, ordered=ordered)
            problem = _place_problem(header, key, batch)
            if leaves is not None and problem is not None:
                _misordered(inspection, task, path, problem, ordered=ordered)
                return None
            return DAMAGED if leaves is None else leaves
    except PoolError as error:
        return _damaged(inspection, error.code, path, error.message, ordered=ordered)
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
        return _damaged(inspection, "file.read", path, message, ordered=ordered)


def _not_as_named(header: Header | None, digest: bytes, size: int) -> str | None:
    """Why a file is not the one its name says, in words."""
    if header is None or hashlib.sha256(header.signed + header.signature).digest() != digest:
        return "the SHA-256 of its header is not the one in its name"
    if size != HEADER_SIZE + header.payload_size:
        return "it is not as long as its header says"
    return None


def _misordered(
    inspection: Inspection, task: AuditedTask, path: str, problem: str, *, ordered: bool
) -> None:
    """Tell of a batch that is what its name says, and none of this round."""
    if ordered:
        leader = task.aggregators[0].name
        inspection.fault("batch.header", path, f"{leader} ordered it, and {problem}", [leader])
    else:
        inspection.not_ours(path, problem)


def _damaged(
    inspection: Inspection, rule: str, path: str, message: str, *, ordered: bool
) -> Literal["damaged"]:
    """Tell of a file that is not what its name says: one that is needed, or anybody's."""
    if ordered:
        inspection.spoil(rule, path, message)
    else:
        inspection.not_ours(path, message)
    return DAMAGED


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
            content=reader.raw(32),
            signed=data[: HEADER_SIZE - 64],
            signature=data[HEADER_SIZE - 64 :],
        )
    except WireError:
        return None


def _header_problem(inspection: Inspection, task: AuditedTask, header: Header) -> str | None:
    """What is wrong with a header, in words."""
    if header.task_digest != task.digest:
        return "it belongs to another round"
    if not 0 < header.rows <= MAX_BATCH_ROWS:
        return "it has more rows than a batch can have, or none"
    inspection.signatures += 1
    try:
        VerifyingKey(header.relay).check(LABEL, header.signed, header.signature)
    except CryptoError:
        return "its signature does not hold"
    return None


def _place_problem(
    header: Header, key: VerifyingKey | None, batch: OrderedBatch | None
) -> str | None:
    """What is wrong with where a sound batch stands, in words."""
    if key is not None and header.relay != key.raw:
        return "it is signed by somebody else than the partner it is named after"
    if batch is not None and header.rows != batch.rows:
        return f"it has {header.rows} rows, the order says {batch.rows}"
    return None


def _leaves(
    inspection: Inspection,
    task: AuditedTask,
    path: str,
    file: BinaryIO,
    header: Header,
    *,
    ordered: bool,
) -> list[bytes] | None:
    """Commitment || digest of every row; None where the content is not what was signed."""
    window = cast("BinaryIO", _Window(file, HEADER_SIZE))
    try:
        flat = locate(window, header.payload_size)
        if flat.columns != tuple(columns(task)) or flat.metadata:
            raise WireError("it has other columns than this round's reports")
        if flat.num_rows != header.rows:
            raise WireError("it has another number of rows than its header says")
        leaves = list(leaves_of(task, flat.rows(window)))
    except WireError as error:
        message = f"its rows do not read: {error.message}"
        if ordered:  # whether its partner wrote it so, or it was damaged, nobody can tell
            inspection.spoil("batch.rows", path, message)
        else:  # the partner's own mistake, and no harm done: the leader passes it over
            inspection.note("batch.rows", path, message)
        return None
    content = hashlib.sha256(
        b"grievance/2 batch content"
        + hashlib.sha256(flat.frame(window, header.payload_size)).digest()
        + b"".join(leaf[COMMITMENT_SIZE:] for leaf in leaves)
    )
    if content.digest() != header.content:
        message = "its reports are not those that were signed"
        _damaged(inspection, "batch.digest", path, message, ordered=ordered)
        return None
    return leaves


def leaves_of(task: AuditedTask, rows: Iterator[tuple[bytes, ...]]) -> Iterator[bytes]:
    """Commitment || report digest of rows in the order of `columns(task)`."""
    head = b"grievance/2 report" + task.digest
    number = bytes([len(task.aggregators)])
    for commitment, *parts in rows:
        hashes = b"".join(hashlib.sha256(part).digest() for part in parts)
        yield commitment + hashlib.sha256(head + commitment + number + hashes).digest()


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
