"""A coalition for faults of releases, built once; every test goes back to a moment of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "cli"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "crash"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "hostile"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "secrets"))

from crash_town import Runner
from release_stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Use `at`."""
    return Stage.build(tmp_path_factory.mktemp("faults") / "now")


@pytest.fixture
def at(built: Stage) -> Callable[[str], Stage]:
    """Go to a moment of the round; see `Stage`."""
    return built.back_to


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """Commands in forks that may be killed."""
    made = Runner()
    yield made
    made.close()
