"""Names that sync clients, desktops and browsers leave in a shared folder.

A name decides one thing only: whether something of the pool may still be on its way. What a
file is, its content says (`grievance.audit.strangers`). A placeholder stands for a file that is
elsewhere; the advice for it is to fetch that file, never to move or delete the placeholder, for a
client takes that as the wish to delete the real file for everybody.
"""

from __future__ import annotations

import re
from typing import Final

_ANY = ".{1,200}"
_PLACEHOLDERS: Final = (
    (
        rf"\.({_ANY})\.icloud",
        "iCloud Drive",
        "in the Finder, control-click the pool's folder and choose Keep Downloaded",
    ),
    (
        rf"({_ANY})\.nextcloud",
        "Nextcloud",
        "right-click the pool's folder and choose Nextcloud, Make always available locally",
    ),
    (
        rf"({_ANY})\.owncloud",
        "ownCloud",
        "right-click the pool's folder and choose ownCloud, Make always available locally",
    ),
    (rf"({_ANY})\.cloudf?", "odrive", "right-click the pool's folder and choose Sync, everything"),
    (
        rf"({_ANY})\.(?:rsls|bts)",
        "Resilio Sync",
        "in Resilio Sync, switch Selective Sync off for the pool's folder",
    ),
)
_HALF: Final = (
    r"\.(.{1,60})\.[0-9a-f]{12}",  # this program's own, from `pool.store`
    rf"\.syncthing\.({_ANY})\.tmp|~syncthing~({_ANY})\.tmp",
    rf"\.?({_ANY})\.[0-9a-f]{{8}}\.partial",  # rclone
    rf"\.?({_ANY})\.(?:part|partial|crdownload|opdownload|download|filepart|!sync|!ut|!bt)",
    rf"\.({_ANY})\.~[0-9a-f]{{1,10}}",  # Nextcloud and ownCloud
    rf"\.unison\.({_ANY})\.[0-9a-f]{{10,40}}\.unison\.tmp",
)
_COMPILED: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _HALF)
_ONLINE: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), client, how) for pattern, client, how in _PLACEHOLDERS
)


def unfinished(name: str) -> tuple[str, str] | None:
    """(rule, words) for the name of a placeholder or of a half-written file; None for others."""
    for pattern, client, how in _ONLINE:
        match = pattern.fullmatch(name)
        if match is not None:
            return "file.placeholder", (
                f"{client} keeps {match[1]} elsewhere and left this in its place: {how}; leave "
                "the placeholder where it is"
            )
    for half in _COMPILED:
        match = half.fullmatch(name)
        if match is not None:
            whole = next(text for text in match.groups() if text)
            return "file.leftover", f"half written: {whole} is still on its way, or was given up"
    return None
