"""Fixtures for the command line: a town before, in and after a round."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """Four organisations with identities, and no round yet."""
    made = Town(tmp_path)
    made.found("north", "south", "nurses", "carers")
    return made


@pytest.fixture
def opened(town: Town) -> Town:
    """A signed round that admits nurses."""
    town.open("nurses")
    return town


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A whole round, released; tests may read it and must not change it."""
    made = Town(tmp_path_factory.mktemp("released") / "town")
    made.found("north", "south", "nurses", "carers")
    made.open("nurses")
    made.collect()
    made.release()
    return made
