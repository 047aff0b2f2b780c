"""A folder that the relay owns: when it passes on, where files go, what the close leaves."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from relay_scene import Scene

from grievance.aggregator import Office
from grievance.client import write_reports
from grievance.relay import Rule
from grievance.relay.spool import RELAYED

NOW = datetime(2026, 11, 2, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)


def on_top(spool: Path) -> list[str]:
    return sorted(path.name for path in spool.iterdir() if path.is_file())


def below(spool: Path, what: str) -> list[str]:
    return sorted(p.relative_to(spool / what).as_posix() for p in (spool / what).rglob("*.report*"))


def age(path: Path, minutes: int, now: datetime = NOW) -> None:
    then = (now - timedelta(minutes=minutes)).timestamp()
    os.utime(path, (then, then))


def test_what_is_new_goes_out_once_and_moves_beside(scene: Scene) -> None:
    spool = scene.inbox(3)
    names = on_top(spool)
    first = scene.look(spool, now=NOW)
    assert first.passed is not None
    (path,) = first.passed.paths
    batch = path.rsplit("/", 1)[-1]
    assert on_top(spool) == []
    assert below(spool, RELAYED) == [f"{batch}/{name}" for name in names]
    again = scene.look(spool, now=NOW)
    assert again.passed is not None
    assert again.passed.paths == ()
    # A copy of one of them that comes later joins its like, and nothing goes out.
    copy = (spool / RELAYED / batch / names[0]).read_bytes()
    (spool / "copy.report").write_bytes(copy)
    assert scene.look(spool, now=NOW).passed == type(again.passed)(0, 0, (), 0, 1)
    assert f"{batch}/copy.report" in below(spool, RELAYED)
    assert len(scene.batches()) == 1


@pytest.mark.parametrize(
    ("rule", "number", "due"),
    [
        (Rule(), 1, True),
        (Rule(at_least=3), 2, False),
        (Rule(at_least=3), 3, True),
        (Rule(every=HOUR), 1, True),
        (Rule(at_least=3, every=HOUR), 2, True),
    ],
)
def test_the_first_time(scene: Scene, rule: Rule, number: int, due: bool) -> None:
    spool = scene.inbox(number)
    done = scene.look(spool, rule, NOW)
    assert (done.passed is not None, done.waiting) == (due, 0 if due else number)
    assert len(scene.batches()) == due
    assert len(on_top(spool)) == (0 if due else number)


def test_by_the_hour_also_where_nothing_came(scene: Scene) -> None:
    """Else whoever comes first after a quiet hour would have a batch of their own at once."""
    rule, spool = Rule(every=HOUR), scene.inbox(1)
    scene.look(spool, rule, NOW)
    quiet = scene.look(spool, rule, NOW + HOUR)
    assert quiet.passed is not None
    assert quiet.passed.paths == ()
    scene.inbox(1)
    assert scene.look(spool, rule, NOW + 1.9 * HOUR).passed is None
    assert scene.look(spool, rule, NOW + 2 * HOUR).passed is not None
    assert len(scene.batches()) == 2
    # A clock that was set back by years holds nothing up.
    scene.inbox(1)
    assert scene.look(spool, rule, NOW - 9_999 * HOUR).passed is not None


def test_enough_of_them_do_not_wait_for_the_hour(scene: Scene) -> None:
    rule, spool = Rule(at_least=2, every=HOUR), scene.inbox(1)
    scene.look(spool, rule, NOW)
    scene.inbox(1)
    assert scene.look(spool, rule, NOW + 0.1 * HOUR).waiting == 1
    scene.inbox(1)
    assert scene.look(spool, rule, NOW + 0.2 * HOUR).passed is not None


def test_a_bad_file_is_set_aside_unless_it_is_still_arriving(scene: Scene) -> None:
    spool = scene.inbox(1)
    bad, arriving = spool / "bad.report", spool / "arriving.reports"
    for path, minutes in ((bad, 5), (arriving, 0)):
        path.write_bytes(b"half of it")
        age(path, minutes)
    done = scene.look(spool, now=NOW)
    assert done.passed is not None
    assert done.passed.reports == 1
    assert [(one.path, place) for one, place in done.refused] == [
        (bad, spool / "refused" / "bad.report")
    ]
    assert on_top(spool) == ["arriving.reports"]
    assert [one.path for one, _ in scene.look(spool, now=NOW + HOUR).refused] == [arriving]


def test_a_file_of_many_reports_goes_where_its_first_went(scene: Scene) -> None:
    spool, task = scene.inbox(0), scene.task
    reports = scene.seal_here(4)
    write_reports(spool / "first.reports", task, reports[:2])
    scene.look(spool, now=NOW)
    write_reports(spool / "mixed.reports", task, reports[1:])
    done = scene.look(spool, now=NOW)
    assert done.passed is not None
    assert (done.passed.reports, done.passed.before) == (2, 1)
    first, second = sorted(scene.batches(), key=lambda p: scene.file(p).stat().st_mtime_ns)
    placed = below(spool, RELAYED)
    assert f"{first.rsplit('/', 1)[-1]}/mixed.reports" in placed
    assert len(placed) == 2
    rows = [row for data in scene.batches().values() for row in scene.rows(data)]
    assert len(rows) == len(set(rows))
    assert second != first


def test_files_are_deleted_when_every_aggregator_has_decided_their_batch(scene: Scene) -> None:
    """They say which rows of it are real."""
    spool = scene.inbox(2)
    scene.look(spool, now=NOW)
    scene.sync("north")
    assert scene.look(spool, now=NOW).deleted == 0
    scene.settle()
    assert len(below(spool, RELAYED)) == 2
    assert scene.look(spool, now=NOW).deleted == 2
    assert list((spool / RELAYED).iterdir()) == []
    with Office.open(scene.homes["nurses"]) as office:
        assert len(office.state.relayed(scene.task.digest)) == 1, "the batch is kept"


def test_what_the_close_leaves_is_told_kept_and_deleted(scene: Scene) -> None:
    spool = scene.inbox(2)
    scene.look(spool, now=NOW)
    scene.settle()
    scene.look(spool, now=NOW)
    # One batch comes too late, one report was never passed on, one file does not read.
    scene.inbox(1)
    scene.look(spool, now=NOW)
    late = next(
        p
        for p in scene.batches()
        if p.rsplit("/", 1)[-1] in {f.name for f in (spool / RELAYED).iterdir()}
    )
    kept = scene.file(late).read_bytes()
    scene.file(late).unlink()
    scene.close()
    scene.file(late).write_bytes(kept)
    scene.inbox(3)
    (spool / "bad.report").write_bytes(b"x")
    age(spool / "bad.report", 5)
    told = scene.look(spool, now=NOW, keep_days=30)
    assert told.passed is None
    assert told.left is not None
    assert (told.left.reports, told.left.batches) == (3, (late,))
    assert told.left.until == NOW + timedelta(days=30)
    assert [one.code for one, _ in told.refused] == ["report.file"]
    assert len(scene.batches()) == 2, "nothing goes out after the close"
    again = scene.look(spool, now=NOW + timedelta(days=29), keep_days=30)
    assert (again.left, again.deleted) == (told.left, 0)
    over = scene.look(spool, now=NOW + timedelta(days=30), keep_days=30)
    assert over.deleted == 5
    assert not list(spool.rglob("*.report*"))
    after = scene.look(spool, now=NOW + timedelta(days=31), keep_days=30)
    assert (after.deleted, after.left is not None and after.left.reports) == (0, 0)
    # The batches stay: nothing was released, and somebody may have to recover.
    with Office.open(scene.homes["nurses"]) as office:
        assert len(office.state.relayed(scene.task.digest)) == 2


def test_a_spool_that_never_passed_anything_on_tells_of_it_too(scene: Scene) -> None:
    scene.close()
    spool = scene.inbox(2)
    told = scene.look(spool, now=NOW, keep_days=1)
    assert told.left is not None
    assert (told.left.reports, told.left.batches) == (2, ())
    assert scene.look(spool, now=NOW + timedelta(days=1), keep_days=1).deleted == 2
    assert not scene.batches()


def test_an_empty_spool_is_nothing_to_speak_of(scene: Scene) -> None:
    spool = scene.inbox(0)
    done = scene.look(spool, now=NOW)
    assert (done.waiting, done.refused, done.left, done.deleted) == (0, (), None, 0)
    scene.close()
    assert scene.look(spool, now=NOW).left is None
