"""What readers say of one scripted history, after cuts and losses, and of the golden pools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pins import PINS, golden, play

if TYPE_CHECKING:
    from pathlib import Path


def test_every_reader_says_what_is_pinned(tmp_path: Path) -> None:
    """What `pins.py` says writes the pins anew; read every line that changes."""
    pinned, said = json.loads(PINS.read_text("utf-8"))["history"], play(tmp_path / "town")
    assert list(said) == list(pinned)
    assert {key: said[key] for key in said if said[key] != pinned[key]} == {}


def test_the_golden_pools_are_read_as_pinned() -> None:
    assert golden() == json.loads(PINS.read_text("utf-8"))["golden pools"]
