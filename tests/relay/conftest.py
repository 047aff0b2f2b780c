"""One round, opened once, and a copy of it for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from relay_scene import PLAN, Scene

from federation import Federation


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    found = Federation(tmp_path_factory.mktemp("made"))
    found.open_round(PLAN)
    return found


@pytest.fixture
def scene(made: Federation, tmp_path: Path) -> Scene:
    return Scene(made, tmp_path / "town")
