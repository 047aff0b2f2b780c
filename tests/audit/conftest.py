"""Finished pools, made once a session; tests spoil copies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from audit_world import BASES, Pool

from grievance.audit.bundling import make_bundle

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pool]:
    """A finished pool of `BASES` by name, made when it is first asked for. Not to be changed."""
    found: dict[str, Pool] = {}

    def make(name: str) -> Pool:
        if name not in found:
            found[name] = BASES[name](tmp_path_factory.mktemp(name))
        return found[name]

    return make


@pytest.fixture(scope="session")
def made(base: Callable[[str], Pool]) -> Pool:
    """One finished round of two aggregators. Not to be changed."""
    return base("round")


@pytest.fixture(scope="session")
def made_three(base: Callable[[str], Pool]) -> Pool:
    """One finished round of three aggregators. Not to be changed."""
    return base("three")


@pytest.fixture(scope="session")
def made_campaign(base: Callable[[str], Pool]) -> Pool:
    """A campaign of two finished rounds. Not to be changed."""
    return base("campaign")


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Pool], Pool]:
    """Copy a pool, to be spoilt."""
    return lambda pool: pool.copy(tmp_path / "copy")


@pytest.fixture
def pool(made: Pool, tmp_path: Path) -> Pool:
    """A copy of the pool of two aggregators, to be spoilt."""
    return made.copy(tmp_path / "copy")


@pytest.fixture
def campaign(made_campaign: Pool, tmp_path: Path) -> Pool:
    """A copy of the campaign, to be spoilt."""
    return made_campaign.copy(tmp_path / "copy")


@pytest.fixture
def made_bundle(made: Pool, tmp_path: Path) -> Path:
    make_bundle(made.folder, tmp_path / "a.zip")
    return tmp_path / "a.zip"
