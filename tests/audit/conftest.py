"""Finished pools, made once a session; tests spoil copies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from audit_world import Pool, make_pool, make_round, pool_of

from federation import Federation

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """One finished round of two aggregators. Not to be changed."""
    return make_pool(tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="session")
def made_three(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """One finished round of three aggregators. Not to be changed."""
    return make_pool(tmp_path_factory.mktemp("three"), ("north", "south", "west"))


@pytest.fixture(scope="session")
def made_campaign(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A campaign of two finished rounds. Not to be changed."""
    federation, tasks = Federation(tmp_path_factory.mktemp("campaign")), []
    for _ in range(2):
        make_round(federation)
        tasks.append(federation.task)
    return pool_of(federation, tasks)


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
