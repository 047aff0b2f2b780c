"""Scenes of one round in a hostile pool, made once a session; every test goes back to one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hostile_world import ROWS, HostileCoalition, Scene


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """One round opened, checked, closed, released; then a second one opened, and released."""
    made = HostileCoalition(tmp_path_factory.mktemp("hostile") / "now")
    made.open_tiny()
    found = {"opened": Scene(made)}
    made.relay("nurses", made.seal(ROWS))
    made.settle()
    found["checked"] = Scene(made)
    made.close()
    found["closed"] = Scene(made)
    made.release()
    made.settle()
    found["released"] = Scene(made)
    made.open_tiny()
    found["second"] = Scene(made)
    made.relay("nurses", made.seal(ROWS))
    made.settle()
    made.release()
    made.settle()
    found["campaign"] = Scene(made)
    return found


@pytest.fixture
def opened(scenes: dict[str, Scene]) -> HostileCoalition:
    """A round that is open and empty."""
    return scenes["opened"].restore()


@pytest.fixture
def checked(scenes: dict[str, Scene]) -> HostileCoalition:
    """An open round with one batch, decided by both."""
    return scenes["checked"].restore()


@pytest.fixture
def closed(scenes: dict[str, Scene]) -> HostileCoalition:
    """A closed round, everything decided, nothing proposed."""
    return scenes["closed"].restore()


@pytest.fixture
def released(scenes: dict[str, Scene]) -> HostileCoalition:
    """A round whose one release is published."""
    return scenes["released"].restore()


@pytest.fixture
def second(scenes: dict[str, Scene]) -> HostileCoalition:
    """The second round of a campaign, open and empty; the first one is released."""
    return scenes["second"].restore()


@pytest.fixture
def campaign(scenes: dict[str, Scene]) -> HostileCoalition:
    """Two released rounds; the second one is the current one."""
    return scenes["campaign"].restore()
