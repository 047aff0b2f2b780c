"""The pool as a folder of files, each written once and complete.

A local or synced directory is handled here; what lies on a server in `grievance.pool.remote`.
Readers give a limit and never get more; only regular files inside the pool are read.
Source: docs/design.md, section 7.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import weakref
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from grievance.errors import PoolError, after_fault
from grievance.failpoints import failpoint
from grievance.names import check_pool_path

View = bytes | memoryview

# JSON documents are small; batches and verifier shares carry their own limits.
SMALL_FILE_SIZE = 4 << 20


class Source(Protocol):
    """A file of the pool that is read piece by piece, because it may be large."""

    size: int

    def read(self, at: int, length: int) -> bytes:
        """So many bytes from a place on. Raises PoolError `pool.short` where they are gone."""


class BytesSource:
    """Bytes that are in memory anyway."""

    def __init__(self, data: View) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def read(self, at: int, length: int) -> bytes:
        """So many bytes from a place on. Raises PoolError `pool.short`."""
        return _whole(bytes(self._data[at : at + length]), length)


class FileSource:
    """An open file. Not mapped: one that shrinks while it is read must not end the process."""

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        self._fd = fd
        weakref.finalize(self, os.close, fd)

    def read(self, at: int, length: int) -> bytes:
        """So many bytes from a place on. Raises PoolError `pool.short`, `pool.read`."""
        try:
            return _whole(os.pread(self._fd, length, at), length)
        except OSError as error:
            raise PoolError(f"cannot be read ({error.strerror})", code="pool.read") from None


def _whole(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise PoolError("the file has become shorter", code="pool.short")
    return data


class Store(Protocol):
    """What the library needs of a place where files lie."""

    location: str

    def names(self, folder: str) -> list[str]:
        """Names directly below `folder`, sorted; empty when it does not exist."""

    def size(self, path: str) -> int | None:
        """Size in bytes, or None when there is no such regular file."""

    def view(self, path: str, limit: int) -> View | None:
        """The file's bytes; None when it does not exist."""

    def source(self, path: str, limit: int) -> Source | None:
        """The file, to be read piece by piece; None when it does not exist."""

    def local_path(self, path: str) -> str | None:
        """Where other processes of this machine can open the same file, if they can."""

    def put(self, path: str, data: bytes) -> None:
        """Write the file, complete or not at all."""

    def delete(self, path: str) -> None:
        """Take the file away, if it is there. Copies elsewhere may live on."""


def open_store(location: str | Path) -> Store:
    """Open a pool by path or fsspec URL, or one in a bundle. Raises PoolError if it is not there.

    A file is a bundle, from which can only be read (see `grievance.pool.bundle`).
    """
    text = str(location)
    if "://" in text:
        from grievance.pool.remote import FsspecStore

        return FsspecStore(text)
    if Path(text).is_file():
        from grievance.pool.bundle import BundleStore

        return BundleStore(Path(text))
    return LocalStore(Path(text))


def find(store: Store, path: str, limit: int) -> View | None:
    """The file's bytes, or None where nothing lies that its owner could have written.

    A link, a pipe or something above `limit` under an organisation's name is as if it were
    not there, like a file with a signature that does not hold: else anybody who can write to
    the folder could stop those who read it. Raises PoolError when the pool itself fails.
    """
    try:
        return store.view(path, limit)
    except PoolError as error:
        if error.code in _NOT_THERE:
            return None
        raise


def find_source(store: Store, path: str, limit: int) -> Source | None:
    """As `find`, for a file that is read piece by piece."""
    try:
        return store.source(path, limit)
    except PoolError as error:
        if error.code in _NOT_THERE:
            return None
        raise


WHEN_MOVED = (
    "connect or mount it again, or wait until the synced folder has arrived; where the pool was "
    "moved: grievance home move-pool POOL"
)
"""The next step of an organisation whose pool is gone from where it was."""

OCCUPIED = ("pool.place", "pool.link")
"""Codes of PoolError where something else stands in a file's place; other files can be written."""
_TAKEN = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP)

_NOT_THERE = ("pool.kind", "pool.size", "pool.link", "pool.short")


class LocalStore:
    """A directory. Symbolic links, devices and pipes inside it are not followed or read."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise PoolError(
                f"there is no pool folder at {root}",
                code="pool.missing",
                hint="create the folder, or wait until the synced folder has arrived",
            )
        self.root = root.resolve()
        self.location = str(self.root)

    def _path(self, path: str) -> Path:
        check_pool_path(path)
        if not self.root.is_dir():
            # An unmounted pool must not look empty, nor be written into its mount point.
            raise PoolError(
                f"the pool folder {self.root} is gone",
                code="pool.missing",
                hint=WHEN_MOVED,
            )
        # Also where the last folders do not exist yet: they would be made behind the link.
        for folder in accumulate((self.location, *path.split("/")[:-1]), "{}/{}".format):
            try:
                status = os.lstat(folder)
            except OSError:
                break  # nothing lies there yet, or nothing that can be reached
            if stat.S_ISLNK(status.st_mode):
                said = f"{path}: a folder of the pool is a symbolic link"
                raise PoolError(said, code="pool.link")
        return Path(f"{self.location}/{path}")

    def names(self, folder: str) -> list[str]:
        """Names directly below `folder`, sorted; temporary files are left out."""
        full = self._path(folder)
        if full.is_symlink():
            return []
        try:
            with os.scandir(full) as entries:
                return sorted(e.name for e in entries if not e.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def size(self, path: str) -> int | None:
        """Size in bytes, or None when there is no such regular file."""
        try:
            status = self._path(path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def view(self, path: str, limit: int) -> View | None:
        """Read the file. Raises PoolError when it is larger than `limit`."""
        source = self.source(path, limit)
        return None if source is None else source.read(0, source.size)

    def source(self, path: str, limit: int) -> FileSource | None:
        """Open the file. Raises PoolError when it is larger than `limit`, or not a plain file."""
        try:
            fd = os.open(self._path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            # A socket or a device without a driver is no file; it says nothing about the pool.
            codes = {errno.ELOOP: "pool.link", errno.ENXIO: "pool.kind", errno.ENODEV: "pool.kind"}
            raise PoolError(
                f"{path}: cannot be read ({error.strerror})",
                code=codes.get(error.errno or 0, "pool.read"),
            ) from None
        status = os.fstat(fd)
        source = FileSource(fd, status.st_size)
        if not stat.S_ISREG(status.st_mode):
            raise PoolError(f"{path}: not a regular file", code="pool.kind")
        if status.st_size > limit:
            raise PoolError(f"{path}: larger than {limit} bytes", code="pool.size")
        return source

    def local_path(self, path: str) -> str | None:
        """Its path in the directory."""
        return str(self._path(path))

    def put(self, path: str, data: bytes) -> None:
        """Write to a temporary name, flush to disk, rename, flush the folder."""
        full = self._path(path)
        try:
            failpoint("pool.put.begin")
            full.parent.mkdir(parents=True, exist_ok=True)
            temporary = full.parent / f".{full.name[:60]}.{secrets.token_hex(6)}"
            try:
                with temporary.open("xb") as file:
                    failpoint("pool.put.opened")
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                failpoint("pool.put.written")
                temporary.replace(full)
                failpoint("pool.put.renamed")
            finally:
                temporary.unlink(missing_ok=True)
            sync_folder(full.parent)
            failpoint("pool.put.done")
        except OSError as error:
            taken = error.errno in _TAKEN
            raise PoolError(
                f"{full}: cannot be written ({error.strerror})",
                code="pool.place" if taken else "pool.write",
                hint="move away what stands there; only this file waits"
                if taken
                else after_fault(error),
            ) from None

    def delete(self, path: str) -> None:
        """Unlink the file, if it is there. Raises PoolError when that is refused."""
        full = self._path(path)
        try:
            failpoint("pool.delete.begin")
            full.unlink(missing_ok=True)
            sync_folder(full.parent)
            failpoint("pool.delete.done")
        except NotADirectoryError:
            return
        except OSError as error:
            raise PoolError(
                f"{full}: cannot be deleted ({error.strerror})",
                code="pool.delete",
                hint=after_fault(error),
            ) from None


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk where the system can."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
