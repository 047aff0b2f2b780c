"""The same readers under the same contract, on whatever machine the tests run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fuzz import contract


@pytest.fixture(autouse=True)
def _slow_machines_are_no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is meant to be found takes minutes; the slowest honest input half a second."""
    monkeypatch.setattr(contract, "MAX_SECONDS", 20.0)
