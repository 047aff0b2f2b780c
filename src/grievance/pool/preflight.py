"""Before anything depends on a pool: can it be written, and does a rename replace a file?

Everything published relies on a complete file taking its name in one step. Whether a rename is
atomic cannot be proved by trying; whether it works at all can, and shares on which it does not
are found here, in words, before a key is drawn. Capital letters need no test: no two paths of a
pool differ by them alone, so a folder that does not tell them apart serves as well.

Source: docs/design.md, section 7; docs/faults.md, fault D19.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from grievance.errors import PoolError, after_fault
from grievance.pool.store import LocalStore

if TYPE_CHECKING:
    from grievance.pool.store import Store


def check_writable(store: Store) -> None:
    """Ask the system whether the folder may be written; writes nothing. Run by every sync.

    Raises PoolError `pool.readonly`. A remote pool is taken at its word until it refuses.
    """
    if not isinstance(store, LocalStore):
        return
    mounted = os.statvfs(store.root).f_flag & os.ST_RDONLY
    if mounted or not os.access(store.root, os.W_OK | os.X_OK):
        raise PoolError(
            f"the pool folder {store.root} is read-only for this user",
            code="pool.readonly",
            hint="let this user write there, or wait until the share accepts writing again; then "
            "run the same command again: nothing is half done",
        )


def try_folder(store: Store) -> None:
    """Write two small files, put one in the other's place, and take it away. Run by `init`.

    Raises PoolError: `pool.readonly`, `pool.write`, or `pool.rename` where that does not work.
    """
    check_writable(store)
    if not isinstance(store, LocalStore):
        return
    # Named like every half-written file, so that no reader and no audit takes it for more.
    old = store.root / f".probe.{secrets.token_hex(6)}"
    new = store.root / f".probe.{secrets.token_hex(6)}"
    try:
        try:
            old.write_bytes(b"old")
            new.write_bytes(b"new")
        except OSError as error:
            raise PoolError(
                f"the pool folder {store.root} cannot be written ({error.strerror})",
                code="pool.write",
                hint=after_fault(error),
            ) from None
        try:
            new.replace(old)
            replaced = old.read_bytes() == b"new" and not new.exists()
        except OSError:
            replaced = False
        if not replaced:
            raise PoolError(
                f"in the pool folder {store.root} a file does not take another's place by renaming",
                code="pool.rename",
                hint="use a folder of this machine that a program keeps in step (Nextcloud, "
                "Syncthing, Dropbox), or a remote pool by its fsspec URL",
            )
    finally:
        for path in (old, new):
            path.unlink(missing_ok=True)
