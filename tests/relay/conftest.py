"""One round, opened once, and a copy of it for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from relay_scene import Scene

from dishonest import TINY_PLAN


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene.opened(tmp_path / "town", TINY_PLAN)
