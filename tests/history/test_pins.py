"""What readers say of one scripted history, after cuts and losses, and of the golden pools.

The pins were made before any reader asked the table of steps. What they say otherwise since, all of
it wanted:

1. A noisy share is waited for when it may leave, and not before.
2. All who have to charge a release are named at once.
3. So are those who have to cosign or witness, before we have charged ourselves.
4. Of the batches that somebody has to check, the first is named: others wait for it.
5. `release show` says cosignatures before quorums, and names all who have not charged.
6. Where a ledger stops holding after we charged, its owner is said to see to it.
7. A waiver that is refused says what is lacking in the words of `release show`.
"""

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


def test_until_a_release_is_out_somebody_is_waited_for() -> None:
    """No state of the history is one in which everybody waits for nobody."""
    looked = 0
    for state in json.loads(PINS.read_text("utf-8"))["history"].values():
        for reader, said in state.items() if isinstance(state, dict) else ():
            if reader.startswith("status") and {"RELEASE: proposed", "RELEASE: approved"} & {*said}:
                looked += 1
                assert any("[grievance" in line for line in said), said
    assert looked > 20
