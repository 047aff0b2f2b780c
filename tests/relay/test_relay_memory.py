"""No report goes out twice: by memory, by the pool, and after either is lost."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from relay_scene import Scene

from grievance.aggregator import Office
from grievance.aggregator.destroy import destroy
from grievance.client import read_report
from grievance.errors import StateError
from grievance.pool.relay import make_batches
from grievance.relay import read_files, tidy
from grievance.relay.memory import Memory


def real(scene: Scene, inbox: Path) -> set[bytes]:
    return {read_report(path, scene.task).digest for path in inbox.glob("*.report")}


def named_by_a_stranger(scene: Scene) -> set[bytes]:
    """The attack: whoever reads the folder takes rows that stand in two batches for real ones.

    Blank reports are drawn anew for every batch, so no blank one ever does.
    """
    seen = Counter(row for data in scene.batches().values() for row in set(scene.rows(data)))
    return {row for row, times in seen.items() if times > 1}


def forget(patch: pytest.MonkeyPatch) -> None:
    """Switch the memory off: what earlier versions did."""
    patch.setattr(Memory, "of", classmethod(lambda cls, _rows, _found=(): cls({})))


def test_five_runs_over_the_same_files_send_each_once(scene: Scene) -> None:
    inbox = scene.inbox(137)
    first = scene.pass_on(inbox)
    assert (first.reports, first.blank, len(first.paths)) == (137, 63, 1)
    for _ in range(4):
        again = scene.pass_on(inbox)
        assert (again.reports, again.blank, again.paths, again.before) == (0, 0, (), 137)
    assert list(scene.batches()) == list(first.paths)
    scene.settle()
    assert scene.reasons() == {seq: {} for seq in scene.reasons()}
    assert [batch.rows for batch in scene.chain().batches] == [200]


def test_a_stranger_names_nobody_by_comparing_batches(scene: Scene) -> None:
    inbox = scene.inbox(8)
    scene.pass_on(inbox)
    scene.inbox(3)
    scene.pass_on(inbox)
    assert len(scene.batches()) == 2
    assert named_by_a_stranger(scene) == set()


def test_control_without_a_memory_the_stranger_names_every_real_row(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch)
    inbox = scene.inbox(8)
    scene.pass_on(inbox)
    eight = real(scene, inbox)
    scene.inbox(3)
    scene.pass_on(inbox)
    assert named_by_a_stranger(scene) == eight
    scene.settle()
    replays = [code for rows in scene.reasons().values() for code in rows.values()]
    assert replays == ["report.replay"] * 8


def test_batches_of_137_and_of_101_have_one_public_size(scene: Scene) -> None:
    many, few = scene.inbox(137, "many"), scene.inbox(101, "few")
    scene.pass_on(many)
    scene.pass_on(few, name="carers")
    (nurses,), (carers,) = (scene.batches(name).values() for name in ("nurses", "carers"))
    assert len(nurses) == len(carers)
    assert len(scene.rows(nurses)) == len(scene.rows(carers)) == 200
    # Control: without cover the sizes tell.
    task, key = scene.task, scene.homes["nurses"].key
    bare = [
        make_batches(
            task,
            [report for file in read_files([folder], task)[0] for report in file.new],
            key,
            pad_to=1,
        )
        for folder in (many, few)
    ]
    assert len(bare[0][0]) > len(bare[1][0])


def test_what_the_memory_holds_does_not_tell_real_from_blank(scene: Scene) -> None:
    inbox = scene.inbox(3)
    scene.pass_on(inbox)
    ((path, data),) = scene.batches().items()
    with Office.open(scene.homes["nurses"]) as office:
        assert office.state.relayed(scene.task.digest) == {path: b"".join(scene.rows(data))}
        assert office.state.outgoing(path) == data


def test_a_lost_batch_is_put_back_byte_for_byte(scene: Scene) -> None:
    inbox = scene.inbox(2)
    scene.pass_on(inbox)
    before = scene.batches()
    for path in before:
        scene.file(path).unlink()
    assert scene.pass_on(inbox).paths == ()
    assert scene.batches() == before


# Homes that do not remember.


def test_a_home_that_forgot_stops_and_asks(scene: Scene) -> None:
    inbox = scene.inbox(4)
    scene.pass_on(inbox)
    before = scene.batches()
    scene.lose_memory()
    with pytest.raises(StateError) as caught:
        scene.pass_on(inbox)
    assert caught.value.code == "relay.memory"
    assert "--memory-lost" in (caught.value.hint or "")
    assert "1 batch in the pool hold" in (caught.value.hint or "")
    # Asked again it says the same: nothing was begun.
    with pytest.raises(StateError):
        scene.pass_on(inbox)
    # Whoever goes on sends nothing that the pool shows to have gone out.
    assert scene.pass_on(inbox, lost=True).before == 4
    assert scene.batches() == before
    # What was found is remembered from now on, and kept.
    for path in before:
        scene.file(path).unlink()
    assert scene.pass_on(inbox).before == 4
    assert scene.batches() == before


@pytest.mark.parametrize(("days", "asks"), [(0, False), (2, True)])
def test_a_home_without_a_memory_asks_a_day_after_it_was_admitted(
    scene: Scene, days: int, asks: bool
) -> None:
    inbox, then = scene.inbox(1), datetime.now(UTC) - timedelta(days=days)
    for path in scene.file(scene.paths.order(1)).parent.iterdir():
        os.utime(path, (then.timestamp(), then.timestamp()))
    if not asks:
        assert scene.pass_on(inbox).reports == 1
        return
    with pytest.raises(StateError) as caught:
        scene.pass_on(inbox)
    assert caught.value.code == "relay.memory"
    assert "was admitted" in caught.value.message
    assert not scene.batches()
    assert scene.pass_on(inbox, lost=True).reports == 1
    assert scene.pass_on(inbox).before == 1, "it asks once"


def test_a_batch_that_is_nowhere_stops_and_asks(scene: Scene) -> None:
    """An old copy of the home is put back, and the folder has not arrived whole."""
    inbox = scene.inbox(2)
    scene.pass_on(inbox)
    old = {p: p.read_bytes() for p in scene.homes["nurses"].root.glob("state.sqlite*")}
    scene.inbox(2)
    scene.pass_on(inbox)
    scene.settle()
    assert len(scene.chain().batches) == 2
    for path in scene.homes["nurses"].root.glob("state.sqlite*"):
        path.unlink()
    for path, data in old.items():
        path.write_bytes(data)
    with Office.open(scene.homes["nurses"]) as office:
        (known,) = office.state.relayed(scene.task.digest)
    second = next(path for path in scene.batches() if path != known)
    kept = scene.file(second).read_bytes()
    scene.file(second).unlink()
    with pytest.raises(StateError) as caught:
        scene.pass_on(inbox)
    assert (caught.value.code, "neither this home nor the pool" in caught.value.message) == (
        "relay.memory",
        True,
    )
    scene.file(second).write_bytes(kept)
    assert scene.pass_on(inbox).before == 4, "it arrived, and is remembered"


def test_a_batch_that_is_gone_for_good_is_asked_for_once(scene: Scene) -> None:
    inbox = scene.inbox(2)
    scene.pass_on(inbox)
    scene.settle()
    scene.lose_memory()
    for path in scene.batches():
        scene.file(path).unlink()
    with pytest.raises(StateError):
        scene.pass_on(inbox)
    assert scene.pass_on(inbox, lost=True).reports == 2
    assert scene.pass_on(inbox).before == 2


def test_a_file_of_our_name_that_we_did_not_sign_is_no_batch_of_ours(scene: Scene) -> None:
    inbox = scene.inbox(2)
    (path,) = scene.pass_on(inbox, name="carers").paths
    stranger = scene.file(path.replace("carers-", "nurses-"))
    stranger.write_bytes(scene.file(path).read_bytes())
    assert scene.pass_on(inbox).reports == 2


# The end.


def held(scene: Scene, needle: bytes) -> bool:
    return any(needle in p.read_bytes() for p in scene.homes["nurses"].root.glob("state.sqlite*"))


def test_batches_and_memory_are_deleted_when_all_have_destroyed_the_round(scene: Scene) -> None:
    scene.pass_on(scene.inbox(2))
    ((path, data),) = scene.batches().items()
    row, nonce = scene.rows(data)[0], data[-400:-300]
    scene.settle()
    scene.close()
    now, task = datetime.now(UTC), scene.task
    with Office.open(scene.homes["nurses"]) as office:
        assert not tidy(office, task, scene.chain(), now, 1)
    assert held(scene, row)
    scene.release()
    destroyed = []
    for name in scene.aggregators:
        with Office.open(scene.homes["nurses"]) as office:
            destroyed.append(tidy(office, task, scene.chain(), now, 1))
        with Office.open(scene.homes[name]) as office:
            destroy(office, office.chain(task))
            office.publish()
    assert destroyed == [False, False], "one that has not destroyed its keys may need the batches"
    with Office.open(scene.homes["nurses"]) as office:
        assert tidy(office, task, scene.chain(), now, 1)
        assert office.state.relayed(task.digest) == {}
        assert office.state.outgoing(path) is None
        assert path not in [name for name, _ in office.state.all_outgoing()]
    assert not held(scene, row)
    assert not held(scene, nonce)


def test_batches_are_kept_so_long_after_the_last_release_and_no_longer(scene: Scene) -> None:
    scene.pass_on(scene.inbox(2))
    scene.settle()
    scene.close()
    now, task = datetime.now(UTC), scene.task

    def tidied(days: int) -> bool:
        with Office.open(scene.homes["nurses"]) as office:
            return tidy(office, task, scene.chain(), now + timedelta(days=days), 30)

    assert not tidied(0)
    assert not tidied(400), "nothing was released: recover may need them"
    scene.release()
    assert not tidied(401)
    assert not tidied(430)
    assert tidied(431)
    assert not tidied(900), "there is nothing left to forget"


def test_an_open_round_is_never_forgotten(scene: Scene) -> None:
    scene.pass_on(scene.inbox(1))
    with Office.open(scene.homes["nurses"]) as office:
        later = datetime.now(UTC) + timedelta(days=9_999)
        assert not tidy(office, scene.task, scene.chain(), later, 1)
        assert office.state.relayed(scene.task.digest)
