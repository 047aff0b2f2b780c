"""One runner for all crash tests, and the round they cut, recorded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash_town import Runner, Town, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def town() -> Iterator[Town]:
    """A town whose whole round was played once; `before-<i>` is a snapshot before command i.

    `points[i]` are the occurrences of failpoints that command i meets.
    """
    with scratch() as base:
        runner = Runner()
        try:
            found = Town(base, runner)
            found.warm()
            found.record()
            yield found
        finally:
            runner.close()
