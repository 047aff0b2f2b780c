"""Every file below a pool, listed and read without trusting any of them.

Local folders are walked here and not through the store, because the audit also wants to see
what the store hides (files of any name) or would follow (links). Files are read, never mapped: a
file that shrinks while it is looked at must not end the process.
"""

from __future__ import annotations

import bisect
import errno
import io
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from grievance.errors import GrievanceError, PoolError
from grievance.names import check_pool_path
from grievance.pool.bundle import BundleStore
from grievance.pool.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.pool.store import Store

MAX_FILES = 1_000_000
MAX_DEPTH = 40
"""A pool has six levels: rounds/<id>/releases/<id>/noisy/<name>. Strangers' folders may go on."""

_OTHER_NAME = "not a name that occurs in a pool"


class PoolFiles:
    """The plain files of a pool by path, with their sizes, and everything else that was met.

    `sizes` are files whose names could occur in a pool, `others` plain files with other names.
    `odd` holds (rule, path, why, whether it is harmless) of what is no plain file, or was not
    walked into; `left_out` the sizes of files that a bundle was made without.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sizes: dict[str, int] = {}
        self.others: dict[str, int] = {}
        self.odd: list[tuple[str, str, str, bool]] = []
        self.folders: dict[str, list[str]] = {}
        self.left_out: dict[str, int] = {}
        self._full = False
        if isinstance(store, LocalStore):
            self._walk_local(store)
        elif isinstance(store, BundleStore):
            self._walk_bundle(store)
        else:
            self._walk_store(store)
        self._sorted = sorted(self.sizes)
        for path in self._sorted:
            folder, _, name = path.rpartition("/")
            self.folders.setdefault(folder, []).append(name)
        self._inner: dict[str, set[str]] = {}
        for path in self.sizes:
            parts = path.split("/")
            for depth in range(1, len(parts)):
                self._inner.setdefault("/".join(parts[: depth - 1]), set()).add(parts[depth - 1])

    def names(self, folder: str) -> list[str]:
        """Names of the plain files directly in a folder, sorted."""
        return self.folders.get(folder, [])

    def inner(self, folder: str) -> list[str]:
        """Names of the folders directly in a folder that hold any file, sorted."""
        return sorted(self._inner.get(folder, ()))

    def under(self, folder: str) -> list[str]:
        """Paths of all plain files anywhere below a folder, sorted."""
        first = bisect.bisect_left(self._sorted, f"{folder}/")
        last = bisect.bisect_left(self._sorted, f"{folder}0")  # the character after the slash
        return self._sorted[first:last]

    def _walk_local(self, store: LocalStore) -> None:
        waiting = [""]
        while waiting and not self._full:
            folder = waiting.pop()
            try:
                with os.scandir(store.root / folder) as entries:
                    for entry in entries:
                        path = f"{folder}/{entry.name}" if folder else entry.name
                        if self._local_entry(path, entry):
                            waiting.append(path)
            except OSError as error:
                self._add("file.read", folder or ".", f"cannot be listed ({error.strerror})")

    def _local_entry(self, path: str, entry: os.DirEntry[str]) -> bool:
        """Take one entry in; True for a folder that is to be walked."""
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            return self._deeper(path)
        if stat.S_ISREG(info.st_mode):
            self._count(path, info.st_size)
        else:
            link = stat.S_ISLNK(info.st_mode)
            why = "a link" if link else "neither a file nor a folder"
            self._add("file.kind", path, why, harmless=True)
        return False

    def _walk_store(self, store: Store) -> None:
        # A remote store lists folders inside the pool; what lies beside these it hides.
        waiting = ["partners", "ledger", "rounds", "backups"]
        while waiting and not self._full:
            folder = waiting.pop()
            try:
                names = store.names(folder)
            except (PoolError, OSError) as error:
                self._add("file.read", folder, f"cannot be listed ({type(error).__name__})")
                continue
            for name in names:
                path = f"{folder}/{name}"
                if not is_plain(name):
                    self._add("file.unread", path, _OTHER_NAME)
                    continue
                size = store.size(path)
                if size is not None:
                    self._count(path, size)
                elif self._deeper(path):
                    waiting.append(path)

    def _walk_bundle(self, store: BundleStore) -> None:
        # What a bundle leaves out because it is no file of a pool is a finding there as here.
        self.sizes.update(store.paths)
        self.odd += store.manifest.odd
        for path, item in store.manifest.left_out.items():
            (self.left_out if item.why == "sealed" else self.sizes)[path] = item.size

    def _deeper(self, path: str) -> bool:
        if path.count("/") + 1 < MAX_DEPTH:
            return True
        self._add("file.unread", path, "a folder deeper than any in a pool")
        return False

    def _count(self, path: str, size: int) -> None:
        plain = all(is_plain(part) for part in path.split("/"))
        (self.sizes if plain else self.others)[path] = size
        self._limit()

    def _add(self, rule: str, path: str, why: str, *, harmless: bool = False) -> None:
        self.odd.append((rule, path, why, harmless))
        self._limit()

    def _limit(self) -> None:
        if not self._full and len(self.sizes) + len(self.others) + len(self.odd) >= MAX_FILES:
            self._full = True
            self.odd.append(("file.unread", ".", f"more than {MAX_FILES:,} files; stopped", False))

    def size(self, path: str) -> int:
        """Bytes of a plain file, whatever its name."""
        return self.sizes.get(path, self.others.get(path, 0))

    def head(self, path: str, length: int) -> bytes | None:
        """The first bytes of a file, or None where only the whole of it could be fetched.

        Raises PoolError with one of the rules as its code.
        """
        if not isinstance(self.store, LocalStore | BundleStore):
            return None
        with self.open(path, self.size(path)) as file:
            try:
                return file.read(length)
            except OSError as error:
                raise PoolError(f"cannot be read ({error.strerror})", code="file.read") from None

    def open(self, path: str, limit: int) -> BinaryIO:
        """Open a plain file for reading. Raises PoolError with one of the rules as its code."""
        if self.size(path) > limit:
            raise PoolError(f"larger than {limit:,} bytes", code="file.size")
        if isinstance(self.store, BundleStore):
            return self._open_member(self.store, path)
        if not isinstance(self.store, LocalStore):
            return io.BytesIO(self._fetch(path, limit))
        try:
            fd = os.open(self.store.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            kind = "file.kind" if error.errno == errno.ELOOP else "file.read"
            raise PoolError(f"cannot be read ({error.strerror})", code=kind) from None
        file = os.fdopen(fd, "rb")
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            file.close()
            raise PoolError("not a plain file", code="file.kind")
        return file

    def _open_member(self, store: BundleStore, path: str) -> BinaryIO:
        try:
            return store.open(path)
        except PoolError as error:
            raise PoolError(error.message, code="file.read") from None

    def _fetch(self, path: str, limit: int) -> bytes:
        try:
            found = self.store.view(path, limit)
        except PoolError as error:
            code = "file.size" if error.code == "pool.size" else "file.read"
            raise PoolError(error.message, code=code) from None
        if found is None:
            raise PoolError("it has gone", code="file.read")
        return bytes(found)

    def read(self, path: str, limit: int) -> bytes:
        """Read a small file whole. Raises PoolError with one of the rules as its code."""
        with self.open(path, limit) as file:
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise PoolError(f"cannot be read ({error.strerror})", code="file.read") from None
        if len(data) > limit:
            raise PoolError(f"larger than {limit:,} bytes", code="file.size")
        return data


def is_plain(name: str) -> bool:
    """Whether a name could occur in a pool."""
    try:
        check_pool_path(name)
    except PoolError:
        return False
    return True


def attempt(work: Callable[..., None], *args: object) -> str | None:
    """Run one step of an audit; what stopped it, as the name of its kind, or None.

    A pool is written by strangers: no mistake in reading it may hide the findings so far. The
    text of such an error stays inside, since nobody has thought about what it might hold.
    """
    try:
        work(*args)
    except GrievanceError as error:
        return f"{type(error).__name__}: {error.code}"
    except Exception as error:  # noqa: BLE001  # see above
        return type(error).__name__
    return None
