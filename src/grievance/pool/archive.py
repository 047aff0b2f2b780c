"""A zip archive with one form only: what is in it decides every byte of it.

Members are stored, not compressed. What a pool holds is sealed and would not shrink; every
compressor writes other bytes; and an archive without compression cannot be a bomb, since
what comes out is never larger than the file. Members stand in the order of their names,
without gaps, dates, owners or comments.

Any unzip reads such an archive. This reader reads nothing else: it recomputes each header from
the name, size, place and checksum it states and wants the very same bytes. So encrypted
members, links, overlapping or repeated members, bytes before, between or after them, and
everything a zip file may carry besides are all refused, before a byte of content is read.
Source: PKWARE APPNOTE 6.3.10, sections 4.3 (records) and 4.5.3 (sizes beyond 32 bits).
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from grievance.errors import PoolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_MEMBERS = 1_000_000
MAX_NAME_SIZE = 400
LIMIT_32 = 0xFFFFFFFF
"""Sizes and places from here on are written in 64 bits."""
LIMIT_16 = 0xFFFF

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,139}")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_DATE = 0x0021  # the first of January 1980, the earliest there is
_MODE = 0o100644 << 16
_UNIX = 3 << 8
_PIECE = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of an archive. `start`: where its header begins."""

    name: str
    size: int
    crc: int
    start: int

    @property
    def large(self) -> bool:
        """Whether its size or place needs 64 bits."""
        return self.size >= LIMIT_32 or self.start >= LIMIT_32

    @property
    def content(self) -> int:
        """Where its content begins."""
        return self.start + _LOCAL.size + len(self.name) + (20 if self.large else 0)

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.content + self.size

    def local_header(self) -> bytes:
        """The header before the content."""
        version, size, extra = 20, self.size, b""
        if self.large:
            version, size = 45, LIMIT_32
            extra = struct.pack("<2H2Q", 1, 16, self.size, self.size)
        head = _LOCAL.pack(
            b"PK\3\4", version, 0, 0, 0, _DATE, self.crc, size, size, len(self.name), len(extra)
        )
        return head + self.name.encode("ascii") + extra

    def central_header(self) -> bytes:
        """The entry of the directory."""
        version, size, start, extra = 20, self.size, self.start, b""
        if self.large:
            version, size, start = 45, LIMIT_32, LIMIT_32
            extra = struct.pack("<2H3Q", 1, 24, self.size, self.size, self.start)
        lengths = (len(self.name), len(extra), 0, 0, 0)
        head = _CENTRAL.pack(
            b"PK\1\2", _UNIX | version, version, 0, 0, 0, _DATE, self.crc, size, size, *lengths,
            _MODE, start,
        )  # fmt: skip
        return head + self.name.encode("ascii") + extra


def _end(number: int, size: int, start: int) -> bytes:
    """What follows the directory of `number` members, `size` bytes long, at `start`."""
    found = b""
    if number >= LIMIT_16 or size >= LIMIT_32 or start >= LIMIT_32:
        version = _UNIX | 45
        found = _END_64.pack(b"PK\6\6", 44, version, 45, 0, 0, number, number, size, start)
        found += _LOCATOR_64.pack(b"PK\6\7", 0, start + size, 1)
        number, size, start = LIMIT_16, LIMIT_32, LIMIT_32
    return found + _END.pack(b"PK\5\6", 0, 0, number, number, size, start, 0)


def place_members(files: Sequence[tuple[str, int, int]]) -> list[Member]:
    """Lay out (name, size, crc) in the order of names. Raises PoolError for unfit names."""
    found: list[Member] = []
    for name, size, crc in sorted(files):
        _check_name(name, found[-1].name if found else "")
        found.append(Member(name, size, crc, found[-1].end if found else 0))
    return found


def directory(members: Sequence[Member]) -> bytes:
    """What stands behind the last member."""
    entries = b"".join(member.central_header() for member in members)
    return entries + _end(len(members), len(entries), members[-1].end if members else 0)


def read_members(file: BinaryIO) -> list[Member]:
    """Read the directory of an archive and every header. Raises PoolError for any other form."""
    total = file.seek(0, io.SEEK_END)
    number, size, start, end_size = _read_end(file, total)
    if start + size + end_size != total:
        _refuse("it has bytes that belong to nothing")
    file.seek(start)
    data, found = io.BytesIO(file.read(size)), list[Member]()
    folded: set[str] = set()
    for _ in range(number):
        member = _read_entry(data, found[-1] if found else None, start)
        if member.name.casefold() in folded:
            _refuse(f"two members have the name {member.name:.80}, but for upper and lower case")
        folded.add(member.name.casefold())
        found.append(member)
    if data.read(1) or start != (found[-1].end if found else 0):
        _refuse("its members do not fill it")
    for member in found:
        header = member.local_header()
        file.seek(member.start)
        if file.read(len(header)) != header:
            _refuse(f"the two headers of {member.name:.80} differ")
    return found


def _read_end(file: BinaryIO, total: int) -> tuple[int, int, int, int]:
    """Number of members, size and place of the directory, and the size of what follows it."""
    tail_size = min(total, _END_64.size + _LOCATOR_64.size + _END.size)
    file.seek(total - tail_size)
    tail = file.read(tail_size)
    if len(tail) < _END.size:
        _refuse("it is no zip archive")
    _, _, _, _, number, size, start, _ = _END.unpack(tail[-_END.size :])
    if LIMIT_16 in (number,) or LIMIT_32 in (size, start):
        if len(tail) < _END_64.size:
            _refuse("it is no zip archive")
        *_, number, size, start = _END_64.unpack(tail[: _END_64.size])
    expected = _end(number, size, start) if start + size < 1 << 63 else b""
    if not expected or not tail.endswith(expected):
        _refuse("it is no zip archive, is cut short, or goes on after its end")
    largest = MAX_MEMBERS * (_CENTRAL.size + MAX_NAME_SIZE + 28)
    if number > MAX_MEMBERS or size > largest:
        _refuse(f"it has more than {MAX_MEMBERS:,} members")
    return number, size, start, len(expected)


def _read_entry(data: BinaryIO, before: Member | None, limit: int) -> Member:
    place = data.tell()
    head = data.read(_CENTRAL.size)
    if len(head) < _CENTRAL.size:
        _refuse("its directory ends early")
    values = _CENTRAL.unpack(head)
    crc, size, name_size = values[7], values[9], values[10]
    try:
        name = data.read(name_size).decode("ascii")
    except UnicodeDecodeError:
        _refuse("a member has a name that is not plain")
    _check_name(name, before.name if before else "")
    if size == LIMIT_32 and (extra := data.read(28))[4:12]:
        size = int.from_bytes(extra[4:12], "little")
    member = Member(name, size, crc, before.end if before else 0)
    if member.end > limit:
        _refuse(f"{name:.80} reaches beyond the members")
    data.seek(place)
    expected = member.central_header()
    if data.read(len(expected)) != expected:
        _refuse(f"{name:.80} is not a plain stored file in its place")
    return member


def _check_name(name: str, before: str) -> None:
    parts = name.split("/")
    plain = all(_PART.fullmatch(part) and not part.endswith(".") for part in parts)
    if not plain or len(name) > MAX_NAME_SIZE:
        _refuse(f"{name!r:.80} is not a name of a member")
    if name <= before:
        _refuse(f"{name:.80} comes twice, or out of order")


def _refuse(why: str) -> NoReturn:
    raise PoolError(
        f"this archive cannot be read: {why}",
        code="bundle.archive",
        hint="fetch it again from where it came; a bundle is one whole, unchanged file",
    )


class MemberFile(io.RawIOBase):
    """The content of one member, read from an open file without moving its position."""

    def __init__(self, fd: int, member: Member) -> None:
        super().__init__()
        self._fd, self._member, self._at = fd, member, 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be gone about in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._member.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The place it is at."""
        return self._at

    def readinto(self, buffer: object) -> int:
        """Read as much as fits, and never beyond the member."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        wanted = max(0, min(len(view), self._member.size - self._at))
        data = os.pread(self._fd, wanted, self._member.content + self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Read a file to its end, piece by piece."""
    while piece := file.read(_PIECE):
        yield piece


def checksum(data: bytes, before: int = 0) -> int:
    """The CRC-32 that zip files carry."""
    return zlib.crc32(data, before)
