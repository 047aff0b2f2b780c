"""The coalition that all histories are about."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from history_machine import make_days, remove
from history_town import Town

from grievance import task as tasks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def town() -> Iterator[Town]:
    """One town for all histories. Its few tasks are read once: what they say never changes."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    patch = pytest.MonkeyPatch()
    patch.setattr(tasks, "parse_task", functools.cache(tasks.parse_task))
    made = Town(Path(tempfile.mkdtemp(prefix="grievance-histories-", dir=where)) / "town")
    make_days(made)
    yield made
    remove(made)
    patch.undo()
