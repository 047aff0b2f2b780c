"""Fixtures for exposure statements: the shell of the command line's tests, at hand here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "cli"))
