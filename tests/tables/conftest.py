"""Rounds of `client_rounds` as fixtures; plans and answers for properties are the plan tests'."""

from __future__ import annotations

import sys
from pathlib import Path

from client_rounds import (  # noqa: F401 - fixtures
    full,
    make_round,
    plan,
    plan_head,
    plan_text,
    small,
    small_text,
    write,
)

sys.path.append(str(Path(__file__).parent.parent / "plan"))
