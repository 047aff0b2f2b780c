"""The documentation's tests use the shell of the command line's tests."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "cli"):
    sys.path.insert(0, str(folder))
