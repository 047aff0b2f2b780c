"""Where compiled kernels are kept: a private directory that only these sources share.

Numba's own cache notices a change in the file of a cached function, but not in the files of
what it calls, so an upgrade could go on running old arithmetic; and it loads whatever its files
hold, so one damaged byte of machine code ends the process. Here the directory is named by the
hash of all kernel sources and of the versions that compile them, and every file begins with the
digest of the rest. A file that is not whole is as if it were not there: the kernel is compiled
again and the file replaced. The digest tells damage from code, not friend from foe: nobody else
may be able to write there.
Source: docs/design.md, section 14.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import pickle  # noqa: TID251  # our own user's files, in a directory nobody else writes to
import secrets
import shutil
import stat
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGEST_SIZE = 32

SOURCES = Path(__file__).parent


def source_digest() -> str:
    """Return what names the directory: a hash over all kernel sources and the tools' versions."""
    digest = hashlib.sha256()
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    parts = [version.encode() for version in versions]
    for path in sorted(SOURCES.glob("*.py")):
        parts += [path.name.encode(), path.read_bytes()]
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


@lru_cache(maxsize=1)
def directory() -> Path | None:
    """Return the directory, made if need be: the user's own, else one for this process alone.

    None where neither can be made, with every disk full or read-only: then nothing is kept.
    """
    try:
        return _private(_users_cache() / "grievance" / f"kernels-{source_digest()}")
    except (OSError, RuntimeError):  # no home, a read-only one, or one that others may write to
        with contextlib.suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix="grievance-kernels-"))
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            return made
        return None


class KernelCache(NullCache):
    """The cache of one kernel, as Numba asks for it: one file for each list of argument types.

    A file's name follows from what is in it, and it takes that name whole, so processes that
    compile at the same moment write the same file. `missed` is called before a compilation.
    """

    def __init__(self, name: str, missed: Callable[[], None]) -> None:
        self._name = name
        self._missed = missed

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function, or None where no whole file holds it."""
        target_context.refresh()
        data = self._read(self._path(sig, target_context.codegen()))
        if data is None:
            self._missed()
            return None
        rebuild: Callable[..., Any] = CompileResult._rebuild
        return rebuild(target_context, *pickle.loads(data))  # noqa: S301

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function; where that cannot be done it is compiled again next time."""
        path = self._path(sig, data.codegen)
        if path is None:
            return
        body: bytes = dumps(data._reduce())  # type: ignore[no-untyped-call]
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            with contextlib.suppress(OSError):
                temporary.write_bytes(hashlib.sha256(body).digest() + body)
                temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        """The file for these types on this machine: its processor may run what others cannot."""
        folder = directory()
        key = hashlib.sha256(repr((sig, codegen.magic_tuple())).encode()).hexdigest()[:32]
        return None if folder is None else folder / f"{self._name}-{key}.nbc"

    @staticmethod
    def _read(path: Path | None) -> bytes | None:
        """What was saved, byte for byte, or None."""
        try:
            found = b"" if path is None else path.read_bytes()
        except OSError:
            return None
        digest, body = found[:_DIGEST_SIZE], found[_DIGEST_SIZE:]
        return body if hashlib.sha256(body).digest() == digest else None


def _users_cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if Path(named).is_absolute() else Path.home() / ".cache"


def _private(path: Path) -> Path:
    """Make `path`, for this user alone. Raises OSError where others could change what is in it."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    for place, forbidden in ((path.parent, 0o022), (path, 0o077)):
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError("the cache directory is not this user's")
        if found.st_mode & forbidden:
            raise PermissionError("the cache directory is open to others")
    tempfile.TemporaryFile(dir=path).close()
    return path
