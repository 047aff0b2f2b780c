"""Names that become parts of paths: short, plain ASCII, the same on every filesystem."""

from __future__ import annotations

import re

from grievance.errors import PoolError, UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,139}")
_WINDOWS = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(10)}


def is_name(text: object) -> bool:
    """Whether `text` may name an organisation or a campaign: `[a-z0-9-]`, at most 40."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text)) and text not in _WINDOWS


def check_name(text: str, what: str) -> str:
    """Return `text`, or raise UsageError saying what a name may be."""
    if not is_name(text):
        raise UsageError(
            f"{what} {text!r:.60} is not a name",
            code="name",
            hint="use 1 to 40 lowercase letters, digits and hyphens; the first is not a hyphen",
        )
    return text


def check_pool_path(path: str) -> None:
    """Raise PoolError unless every part of a pool path is a plain file name."""
    for part in path.split("/"):
        if not _PART.fullmatch(part) or part.rstrip(".") != part:
            raise PoolError(f"{path!r:.120} is not a path of the pool", code="pool.path")
