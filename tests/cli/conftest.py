"""Fixtures for the command line: a town before, in and after a round."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import Town


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Four organisations with identities, to be copied."""
    made = Town(tmp_path_factory.mktemp("founded") / "town")
    made.found("north", "south", "nurses", "carers")
    return made


@pytest.fixture(scope="session")
def signed(founded: Town, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A signed round, to be copied."""
    made = founded.copied(tmp_path_factory.mktemp("signed") / "town")
    made.open("nurses")
    return made


@pytest.fixture
def town(founded: Town, tmp_path: Path) -> Town:
    """Four organisations with identities, and no round yet."""
    return founded.copied(tmp_path)


@pytest.fixture
def opened(signed: Town, tmp_path: Path) -> Town:
    """A signed round that admits nurses."""
    return signed.copied(tmp_path)


@pytest.fixture(scope="session")
def checked(signed: Town, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A signed round with a batch of a hundred that both have checked, to be copied."""
    made = signed.copied(tmp_path_factory.mktemp("checked") / "town")
    made.collect()
    return made


@pytest.fixture
def collected(checked: Town, tmp_path: Path) -> Town:
    """A signed round with a batch of a hundred that both have checked."""
    return checked.copied(tmp_path)


@pytest.fixture(scope="session")
def released(checked: Town, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A whole round, released; tests may read it and must not change it."""
    made = checked.copied(tmp_path_factory.mktemp("released") / "town")
    made.release()
    return made
