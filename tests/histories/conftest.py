"""The coalition that all histories are about."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from history_days import make_days, remove
from history_town import Town

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def town() -> Iterator[Town]:
    """One town for all histories."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    made = Town(Path(tempfile.mkdtemp(prefix="grievance-histories-", dir=where)) / "town")
    make_days(made)
    yield made
    remove(made)
