"""A full or failing disk at every durable step: told in words, and nothing is half done.

Simulated with failpoints at every label, and for real with RLIMIT_FSIZE, under which the kernel
refuses to let any file grow beyond a size (EFBIG, which SQLite meets inside its own writes).
Not covered: a disk that lies about a flush, a torn sector, and faults of SQLite's own reads.
Source: docs/faults.md, fault D4; docs/threats.md, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash_town import END, ROUND, SETTLE, Ended, done_already

if TYPE_CHECKING:
    from crash_town import Town

COMMANDS = ROUND + END
SIZES = [0, 1000, 8192, 40_000, 90_000]
QUICK = [
    ("verify", "state.commit.before", 16, "full"),
    ("charge", "charge.stored", 23, "io"),
    ("seal", "file.opened", 11, "full"),
]
WORDS = {"full": "No space left on device", "io": "Input/output error"}
STEPS = {"full": "free some space", "io": "see to the disk"}


def check_words(ended: Ended, action: str) -> None:
    """What failed and what to do next; no traceback.

    Exit code 1, or 0 where the command's own step was done, and only the sync after it was not.
    """
    ended.refused(WORDS[action], STEPS[action], code=1 if ended.code else 0)


def places(town: Town) -> dict[str, list[tuple[int, int]]]:
    """For every label the round meets, its first and its last occurrence."""
    found: dict[str, list[tuple[int, int]]] = {}
    for index, points in sorted(town.points.items()):
        for label, number in points:
            found.setdefault(label, []).append((index, number))
    return {label: sorted({every[0], every[-1]}) for label, every in found.items()}


@pytest.mark.parametrize(("_what", "label", "index", "action"), QUICK)
def test_a_disk_fault_is_told_and_the_command_typed_again(
    town: Town, _what: str, label: str, index: int, action: str
) -> None:
    (ended,) = town.cut({index: f"{label}:1:{action}"})
    check_words(ended, action)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["full", "io"])
def test_a_disk_fault_at_every_label(town: Town, action: str) -> None:
    for label, where in places(town).items():
        for index, number in where:
            (ended,) = town.cut({index: f"{label}:{number}:{action}"})
            check_words(ended, action)


def test_files_that_may_not_grow_while_charging(town: Town) -> None:
    limit(town, 23, 8192)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(COMMANDS)))
def test_files_that_may_not_grow(town: Town, index: int) -> None:
    for size in SIZES:
        limit(town, index, size)


def limit(town: Town, index: int, size: int) -> None:
    """Type a command while no file may grow beyond `size` bytes, then again without."""
    town.back_to(f"before-{index}")
    ended = town.run(COMMANDS[index], file_size=size)
    assert ended.code in (0, 1), (COMMANDS[index], size, ended)
    if ended.code:
        ended.refused("grievance: error: ", "grievance: hint: ")
    before = town.memories()
    rest = (COMMANDS[index : len(ROUND)] + SETTLE) if index < len(ROUND) else COMMANDS[index:]
    again = town.run(*rest, first_may_fail=True)
    assert again.code == 0, (size, again)
    assert "(exit code" not in again.err or done_already(COMMANDS[index], again), (size, again)
    if index < len(ROUND):
        town.check_counted(again)
        town.done(*END)
    town.check_kept(before)
    town.check_charged_once(2)
    town.check_audit()
