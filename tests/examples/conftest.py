"""The examples as modules: they are scripts beside the package, not part of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def load_example() -> Any:
    """Return a function from "osmi" or "census" to its `run.py`, imported."""

    def load(name: str) -> Any:
        path = EXAMPLES / name / "run.py"
        spec = importlib.util.spec_from_file_location(f"example_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    before = list(sys.path)
    yield load
    sys.path[:] = before
