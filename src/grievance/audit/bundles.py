"""A bundle in the place of a pool: is it the one that was made, and what is not in it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.pool.bundle import POOL, BundleStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound


_BATCHES = (
    "that partners signed them, that each decision's root is that of its rows, and that no "
    "report counts twice; what the aggregators signed about them was checked"
)
_SHARES = "that every aggregator sealed its shares to every other before the decisions"


def check_bundle(inspection: Inspection, progress: Callable[[str, int, int], None]) -> None:
    """Hash every member of a bundle. Does nothing for any other kind of pool."""
    store = inspection.files.store
    if not isinstance(store, BundleStore):
        return
    for done, name in enumerate(store.sums):
        progress("files of the bundle", done, len(store.sums))
        if store.broken(name):
            path = name.removeprefix(POOL)
            message = "its SHA-256 is not the one in SHA256SUMS"
            inspection.uncertain("bundle.digest", path, message)
    progress("files of the bundle", len(store.sums), len(store.sums))


def note_left_out(inspection: Inspection, opened: OpenedRound) -> None:
    """Say in words what cannot be checked about a round without its sealed files."""
    left = inspection.files.left_out
    for folder, what, unchecked in (
        (opened.paths.batches, "batches", _BATCHES),
        (f"{opened.paths.folder}/verify", "files of verifier shares", _SHARES),
    ):
        number = sum(path.startswith(f"{folder}/") for path in left)
        if number:
            message = f"made without {number:,} {what}; not checked: {unchecked}"
            inspection.uncertain("bundle.left-out", folder, message)
