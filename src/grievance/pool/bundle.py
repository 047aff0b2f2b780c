"""A bundle: one file that holds a whole pool, to be audited offline, also years later.

    README.txt     what this is, and how to check it by hand
    SHA256SUMS     of every other member, as `sha256sum -c` reads it
    bundle.json    format, versions, and what of the pool is not here
    pool/...       the pool's files under their own paths

Whoever makes a bundle is trusted with nothing: the files in it prove themselves, as they do in
the pool, and the fingerprints to hold them against come from outside. What a maker could do is
leave files out, which an audit sees as it would in the pool.

`grievance audit POOL --bundle FILE` makes one (`grievance.audit.bundling`). Wherever a pool is
read, a bundle can be given in its place; nothing can be written into it.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, cast

from grievance.crypto.documents import canonical, parse_canonical
from grievance.crypto.strict import StrictObject
from grievance.errors import PoolError, WireError
from grievance.pool.archive import MAX_NAME_SIZE, Member, MemberFile, pieces, read_members
from grievance.pool.store import BytesSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grievance.pool.store import View

FORMAT = "grievance/2 bundle"
README, SUMS, MANIFEST, POOL = "README.txt", "SHA256SUMS", "bundle.json", "pool/"
SPECIFICATIONS = (
    "draft-irtf-cfrg-vdaf-20 (wire version 18)",
    "draft-ietf-ppm-dap-17",
    "RFC 9180 (HPKE)",
    "RFC 8785 (JCS)",
    "RFC 6962 (Merkle trees)",
    "C2SP tlog-checkpoint and tlog-cosignature",
)
MAX_MANIFEST_SIZE = 64 << 20
MAX_SUMS_SIZE = 512 << 20
MAX_SMALL_SIZE = 64 << 20
"""No file of a pool is larger, sealed batches and verifier shares apart; others are left out."""
MAX_SEALED_SIZE = 1 << 40

_NAME, _ROUND = "[a-z0-9][a-z0-9-]{0,39}", "[a-z0-9][a-z0-9-]{0,48}"
_ID, _NUMBER, _REQUEST = "[0-9a-f]{16}", "[1-9][0-9]{0,8}", "[0-9A-Z-]{24}"
_PLACES = (
    rf"partners/{_NAME}(\.mailbox)?\.json",
    rf"ledger/{_NAME}/{_NUMBER}\.(json|checkpoint|share|{_NAME}\.(cosignature|fork))",
    rf"rounds/{_ROUND}/(plan\.toml|task\.json|verify-key\.json)",
    rf"rounds/{_ROUND}/(cards|signatures)/{_NAME}\.json",
    rf"rounds/{_ROUND}/order/{_NUMBER}\.json",
    rf"rounds/{_ROUND}/evidence/(order-{_NUMBER}|twice-{_ID})-{_NAME}\.json",
    rf"rounds/{_ROUND}/decide/{_NUMBER}/{_NAME}\.json",
    rf"rounds/{_ROUND}/releases/{_ID}/(proposal|release)\.json",
    rf"rounds/{_ROUND}/releases/{_ID}/(approvals|noisy)/{_NAME}\.json",
    rf"backups/{_NAME}/{_ID}/(set\.json|rehearsed\.json|archive-{_NUMBER})",
    rf"backups/{_NAME}/(requests/{_REQUEST}|answers/{_REQUEST}/{_NAME})\.json",
)
_BULK = (
    rf"rounds/{_ROUND}/batches/{_NAME}-[0-9a-f]{{64}}",
    rf"rounds/{_ROUND}/verify/{_NUMBER}/{_NAME}",
)
_KNOWN = re.compile("|".join(_PLACES + _BULK))
_SEALED = re.compile("|".join(_BULK))
_SUM = re.compile(rf"([0-9a-f]{{64}})  ([A-Za-z0-9_][A-Za-z0-9._/-]{{0,{MAX_NAME_SIZE - 1}}})\n")
_ODD_RULES = (
    *("file.kind", "file.leftover", "file.placeholder", "file.read", "file.unknown"),
    "file.unread",
)
_REASONS = ("large", "sealed", "unknown")


def has_place(path: str) -> bool:
    """Whether the layout of a pool knows a path (see `grievance.pool.layout`)."""
    return bool(_KNOWN.fullmatch(path))


def is_sealed(path: str) -> bool:
    """Whether a path is that of a batch or of verifier shares: nearly all the bytes of a pool."""
    return bool(_SEALED.fullmatch(path))


def size_limit(path: str) -> int:
    """The size above which a file is no file of its place, and is left out."""
    return MAX_SEALED_SIZE if is_sealed(path) else MAX_SMALL_SIZE


@dataclass(frozen=True)
class LeftOut:
    """A file of the pool that is not in the bundle.

    `why`: it is "sealed" (left out by wish), "large" (larger than a file of its place can be)
    or "unknown" (no file of a pool).
    """

    size: int
    why: str
    sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it."""
        return {"sha256": self.sha256, "size": self.size, "why": self.why}


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself. `odd`: (rule, path, why, harmless) of what was no plain file.

    `made_with` names the program, `partial` says that sealed files were left out by wish.
    """

    made_with: str
    partial: bool = False
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    odd: tuple[tuple[str, str, str, bool], ...] = ()

    def to_bytes(self) -> bytes:
        """Write `bundle.json`, in the one form it has."""
        return canonical(
            {
                "format": FORMAT,
                "left_out": {path: item.to_json() for path, item in self.left_out.items()},
                "made_with": self.made_with,
                "odd": [list(item) for item in self.odd],
                "partial": self.partial,
                "specifications": list(SPECIFICATIONS),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read `bundle.json`. Raises PoolError for any other form, or a later format."""
        keys = ("format", "left_out", "made_with", "odd", "partial", "specifications")
        try:
            value = parse_canonical(data, MAX_MANIFEST_SIZE)
            if isinstance(value, dict) and value.get("format") != FORMAT:
                _refuse(f"its format is not {FORMAT!r}", "audit it with the program that made it")
            fields = StrictObject(value, keys, where=MANIFEST)
            left = {path: _left(path, v) for path, v in fields.mapping("left_out").items()}
            odd = tuple(_odd(item) for item in fields.items("odd"))
            partial = fields.flag("partial")
            made_with = fields.text("made_with")
        except WireError as error:
            _refuse(error.message)
        if not partial and any(item.why == "sealed" for item in left.values()):
            _refuse(f"{MANIFEST} says that nothing was left out, and lists what was")
        if len(made_with) > 100 or not made_with.isprintable():
            _refuse(f"{MANIFEST} does not say what made it")
        return cls(made_with, partial, left, odd)


def _left(path: str, value: object) -> LeftOut:
    fields = StrictObject(value, ("sha256", "size", "why"), where=f"{MANIFEST}.left_out")
    why, size = fields.literal("why", *_REASONS), fields.integer("size")
    digest = None if fields.raw("sha256") is None else fields.digest("sha256").hex()
    right = {
        "sealed": is_sealed(path) and digest is not None,
        "large": has_place(path) and size > size_limit(path),
        "unknown": not has_place(path),
    }[why]
    if not right or len(path) > MAX_NAME_SIZE or not path.isprintable():
        _refuse(f"{MANIFEST} gives a reason that cannot be for {path!r:.80}")
    return LeftOut(size, why, digest)


def _odd(value: object) -> tuple[str, str, str, bool]:
    if not isinstance(value, list) or len(value) != 4:
        _refuse(f"{MANIFEST} does not have the form it should")
    rule, path, why, harmless = value
    texts = all(type(text) is str and text.isprintable() for text in (path, why))
    if rule not in _ODD_RULES or not texts or type(harmless) is not bool:
        _refuse(f"{MANIFEST} does not have the form it should")
    return rule, path, why, harmless


def _refuse(why: str, hint: str = "fetch the bundle again from where it came") -> NoReturn:
    raise PoolError(f"this bundle cannot be read: {why}", code="bundle.manifest", hint=hint)


class BundleStore:
    """A pool inside a bundle. Reading streams; nothing is unpacked, nothing can be written.

    Raises PoolError for any file that is not exactly a bundle: see `grievance.pool.archive`
    and `Manifest`. That the contents are those of `SHA256SUMS` is for an audit to check.
    """

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise PoolError(
                f"{path}: cannot be read ({error.strerror})", code="pool.read"
            ) from None
        self._close = weakref.finalize(self, os.close, self._fd)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise PoolError(f"{path} is neither a pool nor a bundle", code="pool.missing")
        with os.fdopen(os.dup(self._fd), "rb") as file:
            try:
                self.members = {member.name: member for member in read_members(file)}
            except PoolError as error:
                what = f"{path}: {error.message}"
                raise PoolError(what, code=error.code, hint=error.hint) from None
        manifest = self._whole(MANIFEST, MAX_MANIFEST_SIZE)
        self.manifest = Manifest.parse(manifest)
        self.sums = self._read_sums()
        self._folders: dict[str, set[str]] = {}
        for path_ in self.paths:
            parts = path_.split("/")
            for depth in range(len(parts)):
                self._folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])

    def _whole(self, name: str, limit: int) -> bytes:
        member = self.members.get(name)
        if member is None or member.size > limit:
            _refuse(f"its {name} is missing or too large")
        return self._open(member).read()

    def _read_sums(self) -> dict[str, str]:
        """The stated SHA-256 of every member but the list itself."""
        found: dict[str, str] = {}
        text = self._whole(SUMS, MAX_SUMS_SIZE).decode("ascii", "replace")
        at, last = 0, ""
        while (match := _SUM.match(text, at)) and match[2] > last:
            last, at = match[2], match.end()
            found[last] = match[1]
        if at < len(text) or list(found) != sorted(set(self.members) - {SUMS}):
            _refuse(f"{SUMS} does not list its members")
        for name in found:
            path = name.removeprefix(POOL)
            inside = name.startswith(POOL) and has_place(path)
            if not inside and name not in (README, MANIFEST):
                _refuse(f"{name:.80} is no place that a bundle has")
            if path in self.manifest.left_out:
                _refuse(f"{path:.80} is here, and said to be left out")
        return found

    @property
    def paths(self) -> dict[str, int]:
        """Size of every file of the pool, by its path."""
        return {
            name.removeprefix(POOL): member.size
            for name, member in self.members.items()
            if name.startswith(POOL)
        }

    def _open(self, member: Member) -> BinaryIO:
        raw = cast("io.RawIOBase", MemberFile(self._fd, member))
        return cast("BinaryIO", io.BufferedReader(raw, 1 << 16))

    def open(self, path: str) -> BinaryIO:
        """A file of the pool, to be read piece by piece. Raises PoolError where there is none."""
        member = self.members.get(f"{POOL}{path}")
        if member is None:
            raise PoolError("it is not in this bundle", code="pool.read")
        return self._open(member)

    def broken(self, name: str) -> bool:
        """Whether a member is not the one that `SHA256SUMS` names."""
        found = hashlib.sha256()
        with self._open(self.members[name]) as file:
            for piece in pieces(file):
                found.update(piece)
        return found.hexdigest() != self.sums[name]

    def names(self, folder: str) -> list[str]:
        """Names directly below `folder`, sorted; empty when it does not exist."""
        return sorted(self._folders.get(folder, ()))

    def size(self, path: str) -> int | None:
        """Size in bytes, or None when there is no such file."""
        member = self.members.get(f"{POOL}{path}")
        return None if member is None else member.size

    def local_path(self, path: str) -> str | None:  # noqa: ARG002
        """None: members are no files."""
        return None

    def view(self, path: str, limit: int) -> View | None:
        """The file's bytes. Raises PoolError when it is larger than `limit`, or left out."""
        if path in self.manifest.left_out:
            raise PoolError(f"{path}: left out of this bundle", code="bundle.left-out")
        size = self.size(path)
        if size is None:
            return None
        if size > limit:
            raise PoolError(f"{path}: larger than {limit} bytes", code="pool.size")
        with self.open(path) as file:
            return file.read()

    def source(self, path: str, limit: int) -> BytesSource | None:
        """The file, read whole. Raises PoolError as `view` does."""
        data = self.view(path, limit)
        return None if data is None else BytesSource(data)

    def put(self, path: str, data: bytes) -> None:
        """Raise PoolError: a bundle is never changed."""
        del data
        self._unchanged(path)

    def delete(self, path: str) -> None:
        """Raise PoolError: a bundle is never changed."""
        self._unchanged(path)

    def _unchanged(self, path: str) -> NoReturn:
        raise PoolError(
            f"{path}: a bundle cannot be changed",
            code="bundle.fixed",
            hint="give the pool itself, not its bundle",
        )
