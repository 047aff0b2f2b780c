"""Bundles taken apart and put together again."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from grievance.pool.bundle import SUMS


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as found:
        return {name: found.read(name) for name in found.namelist()}


def resum(files: dict[str, bytes]) -> dict[str, bytes]:
    """With a list that fits, as somebody would write it who changes a bundle."""
    listed = {name: data for name, data in files.items() if name != SUMS}
    lines = (f"{hashlib.sha256(listed[n]).hexdigest()}  {n}\n" for n in sorted(listed))
    return {**listed, SUMS: "".join(lines).encode()}
