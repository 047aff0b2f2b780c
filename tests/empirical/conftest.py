"""A test that runs every day must not fail once in some hundred thousand days for nothing."""

from __future__ import annotations

import pytest

from grievance.empirical import contrasts


@pytest.fixture
def seldom_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks flag noise that is as stated once in 10^9 times, and not once in a million."""
    monkeypatch.setattr(contrasts, "ALPHA", 1e-9)
