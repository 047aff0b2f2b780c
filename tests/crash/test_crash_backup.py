"""Power cuts and disk faults while keys are backed up, restored, and a state is recovered.

The scene begins when a release is out: north makes a backup, rehearses it, loses its machine,
restores its keys into a new folder, recovers its state, and destroys the round.
Source: docs/design.md, sections 5, 8 and 13; docs/faults.md, faults D1 to D4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash_scene import SCENE, Scene

from grievance.failpoints import LABELS

if TYPE_CHECKING:
    from crash_town import Town


@pytest.fixture(scope="module")
def scene(town: Town) -> Scene:
    return Scene(town)


def points(scene: Scene, index: int) -> list[tuple[str, int]]:
    return scene.town.points[index]


SPOOL = ("relay.moved", "relay.deleted")  # steps of a spool: test_crash_relay.py


@pytest.mark.slow
def test_round_and_scene_meet_every_label_but_those_of_remote_pools(
    town: Town, scene: Scene
) -> None:
    every = [*town.points.values(), *scene.town.points.values()]
    reached = {label for points in every for label, _ in points}
    assert {label for label in LABELS if label not in reached} == {
        label for label in LABELS if label.startswith("remote.") or label in SPOOL
    }


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(SCENE)))
def test_a_cut_at_every_step_of_backup_and_recovery(scene: Scene, index: int) -> None:
    for label, number in points(scene, index):
        assert scene.cut(index, f"{label}:{number}:kill").killed, (label, number)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["full", "io"])
def test_a_disk_fault_at_every_label_of_backup_and_recovery(scene: Scene, action: str) -> None:
    found: dict[str, list[tuple[int, int]]] = {}
    for index in range(len(SCENE)):
        for label, number in points(scene, index):
            found.setdefault(label, []).append((index, number))
    for label, every in found.items():
        for index, number in sorted({every[0], every[-1]}):
            ended = scene.cut(index, f"{label}:{number}:{action}")
            assert ended.code in (0, 1), (label, number, ended)
            assert "Traceback" not in ended.err, (label, number, ended)
            if "be deleted yet" in ended.err:  # a later sync takes it away
                continue
            assert "error: " in ended.err, (label, number, ended)
            assert "hint: " in ended.err, (label, number, ended)
