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
    from collections.abc import Callable, Iterator

    from grievance.task import Task

    Parse = Callable[[bytes], Task]


@pytest.fixture(scope="session")
def parse_once() -> Parse:
    """The few tasks of all histories are read once: what they say never changes."""
    return functools.cache(tasks.parse_task)


@pytest.fixture(scope="session")
def town(parse_once: Parse) -> Iterator[Town]:
    """One town for all histories."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    made = Town(Path(tempfile.mkdtemp(prefix="grievance-histories-", dir=where)) / "town")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "parse_task", parse_once)
        make_days(made)
    yield made
    remove(made)


@pytest.fixture(autouse=True)
def _tasks_are_parsed_once(parse_once: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """For these tests alone: the others of this process want to see tasks refused."""
    monkeypatch.setattr(tasks, "parse_task", parse_once)
