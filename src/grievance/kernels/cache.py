"""Where compiled kernels are kept: a private directory that only these sources share.

Numba notices a change in the file of a cached function, but not in the files of what it
calls, so an upgrade could go on running old arithmetic. The directory is therefore named by
the hash of all kernel sources and of the versions that compile them. It holds machine code
that is loaded without question, so nobody else may be able to write there.
Source: design.md, section 14.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np

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
def directory() -> Path:
    """Return the directory, made if need be: the user's own, else one for this process alone."""
    try:
        return _private(_users_cache() / "grievance" / f"kernels-{source_digest()}")
    except (OSError, RuntimeError):  # no home, a read-only one, or one that others may write to
        made = Path(tempfile.mkdtemp(prefix="grievance-kernels-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        return made


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
