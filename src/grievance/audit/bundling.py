"""Makes a bundle of a pool: `grievance audit POOL --bundle FILE`.

The same files always make the same bytes, with one version of this program: names are sorted,
and no date, owner or mode of the pool's files goes in. What is no file of a pool is named in
`bundle.json` and left out, so an audit of the bundle finds what an audit of the pool finds.
Source: the form is `grievance.pool.bundle`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from grievance.audit.files import PoolFiles
from grievance.audit.leftovers import unfinished
from grievance.audit.strangers import HEAD_SIZE, NOTHING, looks_signed
from grievance.errors import PoolError, UsageError
from grievance.markup import plain_text
from grievance.pool.archive import checksum, directory, pieces, place_members
from grievance.pool.bundle import (
    FORMAT,
    MANIFEST,
    POOL,
    README,
    SUMS,
    BundleStore,
    LeftOut,
    Manifest,
    has_place,
    is_sealed,
    size_limit,
)
from grievance.pool.places import refuse_in_pool
from grievance.pool.store import open_store, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.pool.archive import Member
    from grievance.pool.store import Store

_README = """\
A bundle of a grievance pool ({format}), made with {made_with}.

It holds the files of a pool under pool/: plans, tasks, signatures, the order of events,
decisions, ledgers, releases{sealed}. Whoever made this
archive did not have to be trusted: the files carry the signatures of those who wrote them.
What signatures cannot tell is whose keys these are. Get the fingerprints of the aggregators,
or the digest of the round, from the organisations themselves, and not from this archive.

With the program, in the version above or a later one, without network, on this very file:

    grievance audit THIS-FILE --trust FINGERPRINT --trust FINGERPRINT

By hand:

    unzip THIS-FILE -d bundle && cd bundle
    sha256sum -c SHA256SUMS           every file is as it was when the archive was made
    cat bundle.json                   what of the pool is not here, and why
    grievance audit pool --trust ...  the unpacked folder is a pool like any other

Most files are JSON in the form of RFC 8785, {{"body","kind","signature","signer"}}: an Ed25519
signature by "signer" over a label for the kind and the body. A batch has its digest in its name.
Ledger heads and cosignatures are C2SP tlog-checkpoint notes; accepted reports, batches and
ledger entries are RFC 6962 Merkle trees. A release is the sum of its noisy shares, modulo the
prime of Field128 (VDAF). docs/audit in the program's source says of every rule how to check it.
"""
_ALL, _PARTIAL = (
    ", sealed batches and verifier shares",
    "; sealed batches and verifier\nshares were left out by wish and are listed in bundle.json",
)


@dataclass(frozen=True)
class BundleFacts:
    """What was made: number of files of the pool, bytes and SHA-256 of the archive.

    `left_out` counts the files that are named and not there.
    """

    path: str
    files: int
    left_out: int
    size: int
    sha256: str


@dataclass(frozen=True)
class _Content:
    size: int
    crc: int
    sha256: str


def made_with() -> str:
    """The name and version of this program."""
    try:
        return f"grievance {version('grievance')}"
    except PackageNotFoundError:
        return "grievance, from its source"


def make_bundle(
    pool: str | Path | Store,
    target: str | Path,
    *,
    without_batches: bool = False,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> BundleFacts:
    """Write a pool into one archive and read it back. Anyone can run this.

    Args:
        pool: A folder, an fsspec URL, an open store, or another bundle.
        target: The file to write; it must not exist.
        without_batches: Leave out sealed batches and verifier shares, nearly all of the bytes.
        progress: Called as progress(what, done, total).

    Raises UsageError when `target` exists or lies inside the pool, PoolError when there is no
    such pool, a file cannot be read, or one changes while it is archived.
    """
    store = open_store(pool) if isinstance(pool, str | Path) else pool
    target = Path(target)
    _check_target(store, target)
    maker = _Maker(PoolFiles(store), without_batches, progress)
    temporary = target.parent / f".{target.name[:60]}.{secrets.token_hex(6)}"
    try:
        try:
            with temporary.open("x+b") as file:
                digest = maker.write(file)
                file.flush()
                os.fsync(file.fileno())
            BundleStore(temporary)
            _check_target(store, target)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(target.parent)
    except OSError as error:
        raise PoolError(
            f"{target} cannot be written ({error.strerror})",
            code="bundle.write",
            hint="nothing was left behind; make room or choose another place",
        ) from None
    found = maker.manifest.left_out
    return BundleFacts(str(target), len(maker.found), len(found), target.stat().st_size, digest)


def _by_name(path: str) -> tuple[str, str, str]:
    rule, why = unfinished(path.rpartition("/")[2]) or ("file.unknown", NOTHING)
    return rule, path, why


def _check_target(store: Store, target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"{target} exists already",
            code="bundle.exists",
            hint="a bundle is evidence and never overwritten; choose another name",
        )
    refuse_in_pool(target, store.location, "a bundle")


class _Maker:
    """Reads a pool twice: for sizes and hashes, and to copy what it read the first time."""

    def __init__(
        self,
        files: PoolFiles,
        without_batches: bool,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.files, self.progress = files, progress
        self.found: dict[str, _Content] = {}
        self.odd: list[tuple[str, str, str, bool]] = []
        left = {}
        whole = not files.left_out
        for done, (path, size) in enumerate(sorted(files.sizes.items())):
            progress("hashing", done, len(files.sizes))
            if not has_place(path):
                left[path] = LeftOut(size, "unknown")
                self._note_unread(path)
            elif size > size_limit(path):
                left[path] = LeftOut(size, "large")
            elif without_batches and is_sealed(path):
                left[path] = LeftOut(size, "sealed", self._content(path).sha256)
            else:
                self.found[path] = self._content(path)
        progress("hashing", len(files.sizes), len(files.sizes))
        if isinstance(files.store, BundleStore):
            given = files.store.manifest.left_out
            left |= {path: item for path, item in given.items() if item.why == "sealed"}
        for path in files.others:
            # Of a file with such a name a bundle has nothing but the name.
            self.odd.append((*_by_name(path), True))
            self._note_unread(path)
        odd = tuple(
            (rule, plain_text(path), plain_text(why), harmless)
            for rule, path, why, harmless in [*files.odd, *self.odd]
        )
        self.manifest = Manifest(made_with(), without_batches or not whole, left, odd)

    def _note_unread(self, path: str) -> None:
        """An audit of the bundle must not pass over what may be signed, and is not in it."""
        if isinstance(self.files.store, BundleStore):
            return  # it said so itself
        try:
            head = self.files.head(path, HEAD_SIZE)
        except PoolError:
            head = None
        if head is None or looks_signed(head):
            why = "it may be signed, and is left out of the bundle: audit the pool itself"
            self.odd.append(("file.unread", path, why, False))

    def _open(self, path: str) -> BinaryIO:
        try:
            return self.files.open(path, max(self.files.sizes[path], 1))
        except PoolError as error:
            raise PoolError(f"{path}: {error.message}", code=error.code) from None

    def _content(self, path: str) -> _Content:
        size, crc, sha256 = 0, 0, hashlib.sha256()
        with self._open(path) as file:
            for piece in pieces(file):
                size, crc = size + len(piece), checksum(piece, crc)
                sha256.update(piece)
        if size != self.files.sizes[path]:
            raise _changed(path)
        return _Content(size, crc, sha256.hexdigest())

    def write(self, target: BinaryIO) -> str:
        """Write the archive. Returns its SHA-256."""
        sealed = _PARTIAL if self.manifest.partial else _ALL
        given = {
            README: _README.format(
                format=FORMAT, made_with=self.manifest.made_with, sealed=sealed
            ).encode(),
            MANIFEST: self.manifest.to_bytes(),
        }
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in given.items()}
        sums |= {f"{POOL}{path}": content.sha256 for path, content in self.found.items()}
        given[SUMS] = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()
        members = place_members(
            [(name, len(data), checksum(data)) for name, data in given.items()]
            + [(f"{POOL}{path}", item.size, item.crc) for path, item in self.found.items()]
        )
        whole = hashlib.sha256()

        def put(data: bytes) -> None:
            whole.update(data)
            target.write(data)

        for done, member in enumerate(members):
            self.progress("archiving", done, len(members))
            put(member.local_header())
            if member.name in given:
                put(given[member.name])
            else:
                self._copy(member, put)
        put(directory(members))
        self.progress("archiving", len(members), len(members))
        return whole.hexdigest()

    def _copy(self, member: Member, put: Callable[[bytes], None]) -> None:
        path = member.name.removeprefix(POOL)
        left, sha256 = member.size, hashlib.sha256()
        with self._open(path) as file:
            for piece in pieces(file):
                left -= len(piece)
                if left < 0:
                    raise _changed(path)
                sha256.update(piece)
                put(piece)
        if left or sha256.hexdigest() != self.found[path].sha256:
            raise _changed(path)


def _changed(path: str) -> PoolError:
    return PoolError(
        f"{path} changed while it was archived",
        code="bundle.changed",
        hint="wait until the folder has synced, then run it again",
    )
