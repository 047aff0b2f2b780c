"""Power cuts and faults around the one PUT with which a file gets into a remote pool.

The pool is reached through fsspec, as one on a server is: `file://` is its filesystem for a
folder, so what a killed process left in it can be looked at. Not covered: a server that takes a
PUT and loses it, or keeps half of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash_scene import Scene
from crash_town import Command, Runner, Town, scratch

from grievance.failpoints import LABELS
from grievance.home import Home
from grievance.pool.remote import FsspecStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REMOTE = {label for label in LABELS if label.startswith("remote.")}
INVITES, NORTH_SIGNS = 5, 7
"""Numbers of commands: north invites south; north signs the task."""


@pytest.fixture(scope="module")
def bare() -> Iterator[Town]:
    """A town with a remote pool, in which nothing was done yet."""
    with scratch() as base:
        runner = Runner()
        try:
            yield Town(base, runner, remote=True)
        finally:
            runner.close()


@pytest.fixture(scope="module")
def remote(bare: Town) -> Town:
    """A whole round in it, recorded."""
    bare.record()
    return bare


@pytest.fixture(scope="module")
def scene(remote: Town) -> Scene:
    """And backups, a restore and a recovery after it."""
    return Scene(remote)


def remote_points(points: Mapping[int, list[tuple[str, int]]]) -> list[tuple[int, str, int]]:
    return [
        (index, label, number)
        for index, found in sorted(points.items())
        for label, number in found
        if label in REMOTE
    ]


def test_a_round_is_opened_through_cuts_around_every_kind_of_put(bare: Town) -> None:
    """Before and after a PUT, killed and refused; each command is typed again and goes on."""
    bare.lay_out()
    commands = bare.round
    bare.done(*commands[:INVITES])
    assert isinstance(Home.open(bare.folder / "north").store, FsspecStore)
    cut(bare, commands[INVITES], "remote.put.begin:1:kill", published=0)
    cut(bare, commands[INVITES + 1], "remote.put.done:1:kill", published=1)
    ended = bare.run(commands[NORTH_SIGNS], failpoint="remote.put.begin:2:full")
    ended.refused("cannot be written", "No space left on device", "free some space")
    ended = bare.run(commands[NORTH_SIGNS], failpoint="remote.put.done:1:io")
    ended.refused("cannot be written", "Input/output error", "see to the disk")
    bare.done(*commands[NORTH_SIGNS : NORTH_SIGNS + 4])
    bare.check_kept(bare.memories())
    bare.check_audit()


def cut(town: Town, command: Command, point: str, *, published: int) -> None:
    """Kill a command that offers a card, look at what got into the pool, and type it again."""
    before = set(town.pool.rglob("*.*"))
    assert town.run(command, failpoint=point).killed
    assert len(set(town.pool.rglob("*.*")) - before) == published
    town.done(command)
    town.check_kept(town.memories())


@pytest.mark.slow
def test_round_and_scene_meet_every_label_of_remote_pools(remote: Town, scene: Scene) -> None:
    reached = {label for _, label, _ in remote_points(remote.points)}
    assert reached == {"remote.put.begin", "remote.put.done"}
    assert reached | {label for _, label, _ in remote_points(scene.town.points)} == REMOTE
    every = [*remote.points.values(), *scene.town.points.values()]
    assert not any(label.startswith("pool.") for points in every for label, _ in points)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["kill", "full", "io"])
def test_a_cut_or_a_fault_around_the_puts_of_every_command(remote: Town, action: str) -> None:
    """What lies between two files of one command, test_crash_round goes through."""
    for index, found in ends(remote.points).items():
        # A disk that fails is told at one end, so that all three take no longer than two.
        for label, number in found if action == "kill" else found[action == "io" :][:1]:
            (ended,) = remote.cut({index: f"{label}:{number}:{action}"})
            assert ended.killed == (action == "kill"), (index, label, number)
            if not ended.killed:
                ended.refused("cannot be written", code=1 if ended.code else 0)


@pytest.mark.slow
def test_a_cut_around_the_puts_and_deletes_of_backup_and_recovery(scene: Scene) -> None:
    for index, found in ends(scene.town.points).items():
        for label, number in found:
            assert scene.cut(index, f"{label}:{number}:kill").killed, (index, label, number)


def ends(points: Mapping[int, list[tuple[str, int]]]) -> dict[int, list[tuple[str, int]]]:
    """For every command: before its first PUT, after its last; and around its deletes, all."""
    found: dict[int, list[tuple[str, int]]] = {}
    for index, label, number in remote_points(points):
        found.setdefault(index, []).append((label, number))
    return {
        index: [
            *[point for point in every if point == ("remote.put.begin", 1)],
            *[point for point in every if point[0] == "remote.put.done"][-1:],
            *[point for point in every if point[0].startswith("remote.delete.")],
        ]
        for index, every in found.items()
    }
