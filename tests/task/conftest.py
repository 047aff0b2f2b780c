"""One coalition for all tests of this folder: making one is cheap, but not free."""

from __future__ import annotations

import pytest

from grievance.testing import Coalition, make_coalition


@pytest.fixture(scope="session")
def coalition() -> Coalition:
    """Two aggregators that agreed on the example plan."""
    return make_coalition()


@pytest.fixture(scope="session")
def stranger() -> Coalition:
    """Two other organisations under the same names and the same plan."""
    return make_coalition()
