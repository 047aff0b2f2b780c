"""Faults D17 to D28: clocks, folders, lost keys, other versions, damaged states, witnesses.

Every test here is short; the same faults are driven everywhere and in all their forms by
tests/crash, tests/aggregator, tests/hostile and tests/audit. Source: docs/faults.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from release_stage import FEW, ROWS, SYNC, codes_in, flat, spoil_pages

from grievance import failpoints
from grievance.aggregator import Office, clocks, witness
from grievance.aggregator import state as states
from grievance.errors import GrievanceError
from grievance.ledger import cosigned, read_ledger
from grievance.ledger.checkpoint import cosign, parse_checkpoint
from grievance.pool.layout import checkpoint_path, cosignature_path, ledger_path
from grievance.release import Release, to_csv
from grievance.task import task as tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from crash_town import Runner
    from release_stage import Stage


# -- clocks ------------------------------------------------------------------------------------


def set_clock(patch: pytest.MonkeyPatch, moment: datetime) -> None:
    """What this machine says the time is, to everything an aggregator does."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return moment.astimezone(tz)

    patch.setattr(states, "datetime", Clock)
    patch.setattr(clocks, "datetime", Clock)
    patch.setattr(witness, "time", SimpleNamespace(time=moment.timestamp))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime.now(UTC) + timedelta(days=2),
        # No such time in London that night; ahead of whatever was signed, for as long as it can be.
        datetime.fromisoformat("2099-03-29T02:30:00+01:00"),
    ],
    ids=["epoch", "two days ahead", "in the gap of a summer time"],
)
def test_d17_the_clock_decides_nothing(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch, moment: datetime
) -> None:
    """Rounds end by a signed event, whatever the clock says; a wrong clock is a warning."""
    stage = at("approved")
    set_clock(monkeypatch, moment)
    (result,) = stage.federation.sync("north")
    assert bool(result.warnings) == (moment.year == 1970)
    stage.finish()


def test_d18_the_clock_is_behind_what_was_signed(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told, and nothing stops: entries carry no time, and a clock that ran ahead once must not
    stop an aggregator for as long as it was ahead."""
    stage = at("ordered")
    set_clock(monkeypatch, datetime.now(UTC) - timedelta(days=1))
    ran = stage.type("north", *SYNC).done()
    assert "warning: the clock here says" in ran.err
    assert "but we signed something at" in flat(ran.err)
    assert "set it if it is wrong: cosignatures carry a wrong time" in flat(ran.err)
    stage.finish()


# -- folders and keys --------------------------------------------------------------------------


def test_d19_a_pool_that_cannot_be_written(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, real = at("ordered"), os.statvfs
    mounted = lambda path: SimpleNamespace(f_flag=real(path).f_flag | os.ST_RDONLY)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", mounted)
        stage.refused(
            "south",
            *SYNC,
            code="pool.readonly",
            says="is read-only",
            next_step="let this user write",
        )

    def no_locks(_fd: int, _how: int) -> None:
        raise OSError(37, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks)
        stage.refused(
            "south",
            *SYNC,
            code="state.lock",
            says="cannot be locked",
            next_step="on a disk of this machine",
        )
    new = stage.federation.folder / "new"

    def both(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", both)
        ran = stage.type("north", "init", "new", "--pool", str(stage.pool), "--home", str(new))
    ran.refused(1, "does not take another's place by renaming", "grievance: hint: use a folder of")
    assert not (new / "identity.pem").exists()
    assert len({path.casefold() for path in stage.files()}) == len(stage.files())


def test_d20_a_lost_hpke_key(at: Callable[[str], Stage]) -> None:
    """The round whose key is gone stands still, and says why; the other one goes on."""
    stage = at("second")
    home = stage.federation.homes["south"]
    home.round_files(stage.round_id).hpke.unlink()
    stage.type("north", *SYNC).done()
    ran = stage.type("south", *SYNC)
    assert ran.code == 1
    assert "there is no key file" in flat(ran.err)
    assert stage.round_id in ran.err
    assert "put the right file back from a backup" in flat(ran.err)
    assert f"{stage.second_id}: checked batch" in ran.err
    assert "key.missing" in codes_in(stage.type("south", *SYNC, "--json"))
    assert stage.ledger("south") == []


def test_d21_another_version_of_the_library(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upgraded in the middle of a round to a program that speaks another VDAF, or writes another
    state: both are told before anything is done."""
    stage = at("ordered")
    with monkeypatch.context() as patch:
        tasks._parse_task.cache_clear()  # another program has read no task yet
        patch.setattr(tasks, "VDAF_VERSION", 19)
        stage.refused(
            "south",
            *SYNC,
            code="task.version",
            says="speaks version 18 of the VDAF, this program version 19",
            next_step="the version of this program that began it",
        )
    with monkeypatch.context() as patch:
        patch.setattr(states, "SCHEMA_VERSION", states.SCHEMA_VERSION + 1)
        stage.refused(
            "south",
            *SYNC,
            code="state.version",
            says="written by another version",
            next_step="use the version of this program that wrote it",
        )


def test_d22_fewer_reports_than_the_plan_asks_for(at: Callable[[str], Stage]) -> None:
    stage = at("second")
    stage.federation.round_id = stage.second_id
    stage.federation.settle()
    stage.federation.close()
    stage.refused(
        "north",
        *("release", "propose", "--round", stage.second_id, "--yes"),
        code="release.minimum",
        says=f"only {FEW} sealed reports count, cover included; the plan wants 10",
        next_step="cannot be released",
    )
    assert stage.ledger("north") == []
    # They stay where they are: the first round has its own, and no more.
    stage.federation.round_id = stage.round_id
    assert sum(batch.rows for batch in stage.federation.chain().batches) == ROWS


def test_d23_a_release_before_the_close(at: Callable[[str], Stage]) -> None:
    stage = at("checked")
    for name in ("north", "south"):
        stage.refused(
            name,
            *("release", "propose", "--yes"),
            code="release.early",
            says="is not closed yet",
            next_step="grievance round close",
        )
        # The same without what the command line checks beforehand.
        with pytest.raises(GrievanceError) as error:
            stage.federation.propose(name)
        assert (error.value.code, bool(error.value.hint)) == ("release.early", True)


@pytest.mark.parametrize("label", ["verify.burnt", "publish.put"])
def test_d24_interrupted_while_checking(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    stage = at("relayed")

    def interrupt(_action: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "_fail", interrupt)
        ran = stage.type("north", *SYNC, env={failpoints.VARIABLE: f"{label}:1:io"})
    assert ran.code == 130
    assert "nothing is half done, run the same command again" in flat(ran.err)
    memory = stage.memory("north")
    # All or nothing: no nonce is burnt whose verifier shares are not kept, byte for byte.
    verify = [row for row in memory["outgoing"] if "/verify/" in row["path"]]
    assert len(verify) == len(memory["burns"]) == (label == "publish.put")
    stage.federation.settle()
    assert stage.memory("north")["burns"][: len(memory["burns"])] == memory["burns"]
    for row in verify:
        assert (stage.pool / row["path"]).read_bytes() == row["data"]
    assert [row["accepted"] for row in stage.memory("north")["batches"]] == [ROWS]


@pytest.mark.parametrize("how", ["a damaged page", "another schema"])
def test_d25_a_state_that_does_not_fit(at: Callable[[str], Stage], how: str) -> None:
    stage = at("ordered")
    path = stage.federation.homes["south"].state_path
    if how == "a damaged page":
        spoil_pages(path)
        code, says, next_step = "state.damaged", "the state is damaged", "grievance recover"
    else:
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA user_version = 999")
        code, says, next_step = "state.version", "schema 999", "nothing was changed"
    for words in (SYNC, ("status",)):
        stage.refused("south", *words, code=code, says=says, next_step=next_step)


def test_d25_a_state_copied_without_its_log(at: Callable[[str], Stage], runner: Runner) -> None:
    stage = at("ordered")
    for count in range(1, 20):
        stage = at("ordered")
        stage.killed(runner, "south", f"publish.put:{count}")
        if (stage.pool / ledger_path("south", 1)).exists():
            break
    path = stage.federation.homes["south"].state_path
    log = path.with_name(f"{path.name}-wal")
    assert log.stat().st_size > 0
    log.unlink()
    path.with_name(f"{path.name}-shm").unlink()
    stage.refused(
        "south",
        *SYNC,
        code="ledger.rollback",
        says="older than what we published",
        next_step="grievance recover",
    )


def test_d26_negative_totals_and_nothing_at_all(at: Callable[[str], Stage]) -> None:
    """Noise is written as it is: no rounding up to nought, nothing left out.

    Tables for people say "under" so many where noise hides a number.
    """
    task = at("released").federation.task
    a, _ = task.layout.statistics["problems_by_region"].centre
    for number in (-7, 0):
        values = {n: [number] * task.layout.statistics[n].num_released for n in task.allocations}
        # So many ticks, where `number` people answered: 64 ticks - a answered.
        answered = task.layout.statistics["problems_by_region"].part("answered").size
        ticks = len(values["problems_by_region"]) - answered
        values["problems_by_region"][answered:] = [(64 - a) * number] * ticks
        made = Release.build(
            task,
            values,
            release_id="0" * 16,
            accepted=5000,
            accepted_root=bytes(32),
            noisy_shares={"north": "00" * 32, "south": "11" * 32},
        )
        table = made["problems_by_region"]
        assert {
            cell for part in made.to_json()["statistics"][0]["parts"] for cell in part["values"]
        } == {number, (64 - a) * number}
        rows = to_csv(table.raw).decode().splitlines()
        column = rows[0].split(",").index("estimate")
        assert {row.split(",")[column] for row in rows[1:]} == {str(number)}
        assert {round(row["estimate"]) for row in table.to_rows()} == {number}
        assert "under " in table.plain() and "-7" not in table.plain()
        assert made.suspect == ()


# -- witnesses ---------------------------------------------------------------------------------


def unsigned(stage: Stage, size: int) -> list[str]:
    """Who has not cosigned this size of north's ledger."""
    store, key = stage.federation.leader.store, stage.federation.leader.key.public
    log = read_ledger(store, "north", key)
    return cosigned.missing_cosignatures(store, stage.federation.task, "north", log, size)


def test_d27_ones_own_key_is_no_witness(at: Callable[[str], Stage]) -> None:
    stage = at("ordered")
    stage.type("south", *SYNC).done()
    assert unsigned(stage, 1) == []
    key = stage.federation.leader.key
    head = parse_checkpoint(
        (stage.pool / checkpoint_path("north", 1)).read_bytes(), "north", key.public
    )
    true = stage.pool / cosignature_path("north", 1, "south")
    kept = true.read_bytes()
    for claimed in ("south", "north"):
        true.write_bytes(cosign(head, claimed, 1_800_000_000, key))
        assert unsigned(stage, 1) == ["south"]
        stage.type("north", *SYNC).done()
        assert not (stage.pool / stage.federation.paths.noisy(stage.release_id, "north")).exists()
        assert "waits for south" in flat(stage.type("north", "status").done().out)
    assert cosignature_path("north", 1, "south") in {f.file for f in stage.audit().findings}
    true.write_bytes(kept)
    stage.finish()


def test_d28_an_older_head_replayed(at: Callable[[str], Stage]) -> None:
    stage = at("destroyed")
    assert unsigned(stage, 2) == []
    newest = stage.pool / cosignature_path("north", 2, "south")
    kept = newest.read_bytes()
    shutil.copy(stage.pool / cosignature_path("north", 1, "south"), newest)
    assert unsigned(stage, 2) == ["south"]
    assert cosignature_path("north", 2, "south") in {f.file for f in stage.audit().findings}
    newest.write_bytes(kept)
    shutil.copy(stage.pool / checkpoint_path("north", 1), stage.pool / checkpoint_path("north", 2))
    store, key = stage.federation.homes["south"].store, stage.federation.leader.key.public
    assert cosigned.read_checkpoint(store, "north", key, 2) is None
    assert unsigned(stage, 2) == ["north", "south"]
    with stage.unchanged():
        stage.type("south", *SYNC).done()
    with Office.open(stage.federation.homes["south"]) as office:
        assert (office.state.witnessed(key.raw) or (0,))[0] == 2
