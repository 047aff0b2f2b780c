"""Where folders lie: an organisation's own apart from the pool, and neither where it spreads.

What is in the pool everybody reads; keys in it would be everybody's. A folder that a sync client
copies to other machines is made for a pool and wrong for keys: whoever runs the service would
have them, and two machines with one state sign two different things.

Folders are compared as the system does, by device and number: links, `..`, bind mounts and names
that differ by capital letters alone lead to the same place.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from grievance.errors import UsageError

_MARKERS: Final = (
    (re.compile(r"\.stfolder.*|\.stversions"), "Syncthing"),
    (re.compile(r"\.sync_[0-9a-f]+\.db|\._sync_[0-9a-f]+\.db|\.nextcloudsync\.log"), "Nextcloud"),
    (re.compile(r"\.owncloudsync\.log|\.csync_journal\.db"), "ownCloud"),
    (re.compile(r"\.dropbox|\.dropbox\.cache"), "Dropbox"),
    (re.compile(r"\.849c9593-d756-4e56-8d6e-42412f2a707b"), "OneDrive"),
    (re.compile(r"\.tmp\.drive(up|down)load"), "Google Drive"),
)
"""Files that a sync client leaves in the folder it looks after."""

_NAMES: Final = (
    (re.compile(r"nextcloud\d*"), "Nextcloud"),
    (re.compile(r"owncloud\d*"), "ownCloud"),
    (re.compile(r"dropbox( \(.*\)|-.*)?"), "Dropbox"),
    (re.compile(r"onedrive( - .*|-.*)?"), "OneDrive"),
    (re.compile(r"google ?drive(-.*)?"), "Google Drive"),
    (re.compile(r"icloud ?drive.*|mobile documents|com~apple~clouddocs"), "iCloud"),
    (re.compile(r"cloudstorage"), "a cloud service"),
    (re.compile(r"seafile|pcloud ?drive|megasync|proton ?drive|box sync"), "a sync client"),
)
"""Names that such folders get when nobody chooses another, in small letters."""

_OURS: Final = frozenset({"partners", "ledger", "rounds", "backups"})
_HOME_FILES: Final = ("organisation.json", "identity.pem")


def local_root(location: str | Path) -> Path | None:
    """The folder of this machine that a pool is, if it is one. A bundle is none."""
    text = str(location)
    kind, url, _ = text.partition("://")
    if not url:
        return None if Path(text).is_file() else Path(text)
    return Path(unquote(urlsplit(text).path)) if kind in ("file", "local") else None


def within(inner: Path, outer: Path) -> bool:
    """Whether `inner`, which may not exist yet, is `outer` or lies anywhere below it."""
    whole = inner.resolve()
    for place in (whole, *whole.parents):
        with contextlib.suppress(OSError):
            if place.samefile(outer):
                return True
    return whole.is_relative_to(outer.resolve())


def check_apart(home: Path, location: str | Path) -> None:
    """Raise UsageError `home.place` where an organisation's folder and its pool are in each other.

    A pool on a server, or one that is not there, is apart.
    """
    pool = local_root(location)
    if pool is None:
        return
    if within(home, pool):
        raise UsageError(
            f"the organisation's own folder {home} lies in the pool {pool}: everybody who can "
            "read the pool could read its keys",
            code="home.place",
            hint="choose another --home, outside the pool. If keys lie there already, move the "
            "folder out and treat them as stolen: docs/steward/trouble.md says what to do",
        )
    if pool.exists() and within(pool, home):
        raise UsageError(
            f"the pool {pool} lies in the organisation's own folder {home}: sharing the one would "
            "share the keys in the other",
            code="home.place",
            hint="choose another --home, or move the pool out of it",
        )


def refuse_in_pool(path: Path, location: str | Path, what: str) -> None:
    """Raise UsageError `pool.inside` where something of our own would lie in the pool."""
    pool = local_root(location)
    if pool is not None and within(path, pool):
        raise UsageError(
            f"{path} lies inside the pool, which everybody reads",
            code="pool.inside",
            hint=f"choose a place outside for {what}: the pool holds nothing but its own files",
        )


def synced_by(folder: Path) -> str | None:
    """The sync client that seems to copy a folder to other machines, by what it leaves there."""
    whole = folder.resolve()
    for place in (whole, *whole.parents):
        for name, who in _NAMES:
            if name.fullmatch(place.name.casefold()):
                return who
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                for name, who in _MARKERS:
                    if entry.name.startswith(".") and name.fullmatch(entry.name.casefold()):
                        return who
    return None


def synced_warning(home: Path) -> str | None:
    """What to say about an organisation's own folder that a sync client seems to own."""
    who = synced_by(home)
    if who is None:
        return None
    return (
        f"{home} seems to lie in a folder that {who} copies to other machines. The keys would "
        "go there too, and two machines that work in one such folder break each other's rounds: "
        "choose a --home outside, or tell that program to leave this folder out"
    )


def homes_inside(location: str | Path) -> list[Path]:
    """Folders in a pool, two deep, that are an organisation's own: their keys are everybody's."""
    pool = local_root(location)
    if pool is None:
        return []
    found, waiting = [], [(pool, 0)]
    while waiting:
        folder, depth = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            inside = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
            if all(inside.get(name) is False for name in _HOME_FILES):
                found.append(folder)
            if depth < 2:
                waiting += [
                    (folder / name, depth + 1)
                    for name, is_folder in inside.items()
                    if is_folder and not (depth == 0 and name in _OURS)
                ]
    return sorted(found)
