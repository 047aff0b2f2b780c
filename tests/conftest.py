"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

# Asserts in the modules beside the tests count under `python -O` too, as those in tests do.
pytest.register_assert_rewrite(
    *(
        path.stem
        for path in Path(__file__).resolve().parent.rglob("*.py")
        if not path.stem.startswith("test_") and path.stem != "conftest"
    )
)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of official vectors and survey tables beside the project, where there is one."""
    folder = PROJECT.parent / "shared"
    if not (folder / "vectors").is_dir():
        pytest.skip("no shared/ folder beside the project: official vectors and tables not at hand")
    return folder
