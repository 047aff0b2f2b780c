"""The plan of the design's section 3, as people write it."""

from __future__ import annotations

import pytest
from strategies import EXAMPLE


@pytest.fixture
def example_toml() -> str:
    return EXAMPLE
