"""Keys are backed up, lost, restored; a state is recovered; commands of it are cut.

The scene begins when a release is out: north makes a backup, rehearses it, loses its machine,
restores its keys into a new folder, recovers its state, and destroys the round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crash_town import ROUND, Ended, Town

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is typed, and the exit code when nothing goes wrong (3: others have to answer first).
ANSWER = ("backup", "answer", "north", "--fingerprint", "{request}", "--yes")
SCENE: tuple[tuple[str, tuple[str, ...], int], ...] = (
    (
        "north",
        (
            *("backup", "make", "--yes"),
            *("--to", "nurses:{print:nurses}", "--to", "carers:{print:carers}"),
        ),
        0,
    ),
    ("north", ("backup", "rehearse"), 3),
    ("nurses", ANSWER, 0),
    ("carers", ANSWER, 0),
    ("north", ("backup", "rehearse"), 0),
    ("again", ("restore", "north", "--pool", "pool"), 3),
    ("nurses", ANSWER, 0),
    ("carers", ANSWER, 0),
    ("again", ("restore", "north", "--pool", "pool"), 0),
    ("again", ("recover",), 3),
    ("again", ("recover", "--alone"), 0),
    ("nurses", ("sync",), 0),
    ("carers", ("sync",), 0),
    ("carers", ("sync",), 0),  # it had looked at no head before the question
    ("again", ("sync",), 0),
    ("again", ("release", "export", "tables", "--overwrite"), 0),
    ("again", ("round", "destroy", "--yes"), 0),
    ("south", ("round", "destroy", "--yes"), 0),
    ("again", ("sync",), 0),
    ("south", ("sync",), 0),
    ("again", ("sync",), 0),
)
MAY_BE_DONE = {
    "make": (),
    "restore": ("already belongs to an organisation",),
    "recover": ("there is a state at",),
}


class Scene:
    """The scene on a town, and what its commands meet."""

    def __init__(self, town: Town) -> None:
        homes = {"north": "again", "south": "south"}
        self.town = Town(
            town.base, town.runner, dict(town.snapshots), {}, homes, remote=town.remote
        )
        self.commands = self.town.placed([(name, words) for name, words, _ in SCENE])
        self.town.back_to(f"before-{len(ROUND)}")
        for index in range(len(SCENE)):
            self.town.keep(f"scene-{index}")
            ended = self.town.run(self.commands[index], record=True)
            assert ended.code == SCENE[index][2], (self.commands[index], ended)
            self.town.points[index] = ended.points()

    def cut(self, index: int, failpoint: str) -> Ended:
        """Cut one command, type it again, play on, and hold the end against what must be."""
        town = self.town
        town.back_to(f"scene-{index}")
        ended = town.run(self.commands[index], failpoint=failpoint)
        before = town.memories()
        if self._rehearsed(index):
            return self._finish(index, ended, before)
        again = town.run(self.commands[index])
        if again.code != SCENE[index][2]:
            self._check_refusal(index, again)
        return self._finish(index, ended, before)

    def _finish(self, index: int, ended: Ended, before: dict[str, dict[str, bytes]]) -> Ended:
        self._play_on(range(index + 1, len(SCENE)))
        self.town.check_kept(before)
        self.town.check_charged_once(2)
        self.town.check_audit()
        return ended

    def _rehearsed(self, index: int) -> bool:
        """The cut came when the rehearsal was recorded and over: typed again, it is another one."""
        if SCENE[index] != ("north", ("backup", "rehearse"), 0):
            return False
        recorded = list(self.town.pool.glob("backups/north/*/rehearsed.json"))
        return bool(recorded) and not (self.town.folder / "north" / "rehearse.json").exists()

    def _check_refusal(self, index: int, again: Ended) -> None:
        """A command typed again finds its work done, or goes on where the cut one was."""
        known = next((MAY_BE_DONE[w] for w in SCENE[index][1] if w in MAY_BE_DONE), ())
        assert "Traceback" not in again.err, again
        assert any(word in again.err for word in known), (self.commands[index], again)

    def _play_on(self, indices: Sequence[int]) -> None:
        for index in indices:
            ended = self.town.run(self.commands[index])
            assert ended.code == SCENE[index][2], (self.commands[index], ended)
