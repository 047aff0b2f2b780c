"""Two processes at once, Ctrl-C, a damaged or copied state, clocks, and folders that cannot serve.

Source: docs/faults.md, faults D5, D18, D19, D24, D25.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crash_town import AGGREGATORS, END, ROUND, SETTLE, Town

from grievance.aggregator.state import State
from grievance.aggregator.state_faults import in_words
from grievance.errors import PoolError, StateError
from grievance.home import Home
from grievance.pool.layout import is_request_id
from grievance.pool.preflight import check_writable, try_folder
from grievance.pool.store import LocalStore, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

SYNC = {name: (name, ("sync",)) for name in AGGREGATORS}
# Numbers of commands in the round: an aggregator verifies, decides, charges.
VERIFIES, DECIDES, CHARGES, APPROVED = 15, 16, 23, 23


def finish(town: Town, start: int) -> None:
    """Play the round on from a command, and hold its end against what must be."""
    town.check_counted(town.done(*ROUND[start:], *SETTLE))
    town.done(*END)
    town.check_charged_once(2)
    town.check_audit()


@contextlib.contextmanager
def state_of(town: Town, name: str = "north") -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(town.folder / name / "state.sqlite")) as db:
        yield db
        db.commit()


# -- two processes at once (D5) --------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["charge.drawn", pytest.param("publish.put", marks=pytest.mark.slow)]
)
def test_of_two_that_release_at_once_one_is_told_to_wait(town: Town, label: str) -> None:
    town.back_to(f"before-{CHARGES}")
    first = town.run(SYNC["north"], failpoint=f"{label}:1:io", pause=True)
    assert first.code == 0, "it stands at the failpoint"
    during = town.memory("north")
    second = town.run(SYNC["north"]).refused("another command is at work", "wait until it ends")
    third = town.run(("north", ("round", "destroy", "--yes")))
    third.refused("another command is at work")
    assert town.memory("north") == during
    ended = town.run(go_on=True)
    assert ended.code == 0, ended.err
    assert second.out == ""
    finish(town, CHARGES)


@pytest.mark.slow
def test_the_others_work_on_while_one_is_at_work(town: Town) -> None:
    town.back_to(f"before-{CHARGES}")
    town.run(SYNC["north"], failpoint="charge.drawn:1:io", pause=True)
    town.done(SYNC["south"])
    assert town.run(go_on=True).code == 0
    finish(town, CHARGES)


# -- Ctrl-C (D24) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        CHARGES,
        pytest.param(VERIFIES, marks=pytest.mark.slow),
        pytest.param(DECIDES, marks=pytest.mark.slow),
    ],
)
def test_interrupted_anywhere_and_gone_on_with(town: Town, index: int) -> None:
    """At the first occurrence of every label the command meets, one history for all."""
    town.back_to(f"before-{index}")
    for label in dict(town.points[index]):
        ended = town.run(ROUND[index], failpoint=f"{label}:1:io", interrupt=True)
        if ended.code == 0:
            # An earlier run, cut further on, has passed this label for good.
            continue
        assert ended.code == 130, (label, ended)
        assert "nothing is half done" in ended.err
        assert "Traceback" not in ended.err
    finish(town, index)


@pytest.mark.slow
def test_what_was_burnt_stays_burnt_after_ctrl_c(town: Town) -> None:
    """Interrupted after the commit: the same verifier shares leave, from the spool."""
    town.back_to(f"before-{VERIFIES}")
    last = max(n for label, n in town.points[VERIFIES] if label == "state.commit.after")
    ended = town.run(
        ROUND[VERIFIES], failpoint=f"state.commit.after:{last // 2}:io", interrupt=True
    )
    assert ended.code == 130
    before = town.memory("north")
    finish(town, VERIFIES)
    town.check_kept({"north": before})


# -- a damaged, foreign or copied state (D25) --------------------------------------------------


def spoil_pages(path: Path) -> None:
    """Write noise into the middle of every page but the first, as a dying disk does."""
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = b"\xa5" * 64
    path.write_bytes(bytes(data))


def test_a_damaged_page_is_found_on_opening(town: Town) -> None:
    town.back_to(f"before-{CHARGES}")
    spoil_pages(town.folder / "north" / "state.sqlite")
    before = sorted(path for path in town.pool.rglob("*") if path.is_file())
    for command in (SYNC["north"], ("north", ("status",))):
        town.run(command).refused("state.sqlite", "damaged", "grievance recover")
    assert sorted(path for path in town.pool.rglob("*") if path.is_file()) == before


def test_a_damaged_state_is_recovered_from_the_pool(town: Town) -> None:
    town.back_to(f"before-{CHARGES}")
    path = town.folder / "north" / "state.sqlite"
    spoil_pages(path)
    town.run(SYNC["north"]).refused("move it away")
    for found in path.parent.glob("state.sqlite*"):
        found.rename(found.with_name(f"old-{found.name}"))
    town.done(("north", ("recover", "--alone")))
    # Who recovered alone signs no waiver: the second witness sees it instead.
    rest = [c if c[1][:2] != ("release", "waive") else ("carers", ("sync",)) for c in ROUND]
    town.check_counted(town.done(*rest[CHARGES:], *SETTLE))
    town.done(*END)


def test_an_index_that_misses_a_row_is_found(town: Town) -> None:
    """A row that its table has and its index has not."""
    town.back_to(f"before-{CHARGES}")
    with state_of(town) as db:
        root = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_outgoing_1'"
        ).fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = town.folder / "north" / "state.sqlite"
    data = bytearray(path.read_bytes())
    start = (root - 1) * size
    cells = int.from_bytes(data[start + 3 : start + 5], "big")
    data[start + 3 : start + 5] = (cells - 1).to_bytes(2, "big")
    path.write_bytes(bytes(data))
    town.run(SYNC["north"]).refused("damaged")


@pytest.mark.parametrize("version", [0, 999])
def test_another_version_of_the_state_is_refused(town: Town, version: int) -> None:
    town.back_to(f"before-{CHARGES}")
    with state_of(town) as db:
        db.execute(f"PRAGMA user_version = {version}")
    before = (town.folder / "north" / "state.sqlite").read_bytes()
    town.run(SYNC["north"]).refused(f"schema {version}", "use the version")
    assert (town.folder / "north" / "state.sqlite").read_bytes() == before


def test_a_file_that_is_no_database_is_refused(town: Town) -> None:
    town.back_to(f"before-{CHARGES}")
    (town.folder / "north" / "state.sqlite").write_bytes(b"minutes of our last meeting " * 400)
    town.run(SYNC["north"]).refused("damaged", "not a database")


@pytest.mark.parametrize(
    ("label", "index"), [("publish.put", VERIFIES), ("publish.put", CHARGES), ("publish.put", 5)]
)
def test_a_state_copied_without_its_log_is_refused(town: Town, label: str, index: int) -> None:
    """Killed after publishing; then somebody copies state.sqlite and leaves the -wal behind."""
    town.back_to(f"before-{index}")
    last = max(n for found, n in town.points[index] if found == label)
    assert town.run(ROUND[index], failpoint=f"{label}:{last}:kill").killed
    path = town.folder / "north" / "state.sqlite"
    log = path.with_name("state.sqlite-wal")
    assert log.stat().st_size > 0
    for beside in (log, path.with_name("state.sqlite-shm")):
        beside.rename(beside.with_name(f"left-{beside.name}"))
    town.run(SYNC["north"]).refused("remember", "grievance recover")
    for beside in (path.with_name("state.sqlite-shm"), log):
        beside.with_name(f"left-{beside.name}").rename(beside)


def test_an_empty_state_beside_published_cards_is_refused(town: Town) -> None:
    """Else the budget of earlier rounds would be forgotten together with them."""
    town.back_to("before-10")
    (town.folder / "north" / "state.sqlite").unlink()
    town.run(SYNC["north"]).refused("does not remember", "grievance recover")


def test_a_commit_that_fails_leaves_the_state_usable(tmp_path: Path) -> None:
    """SQLite may have rolled back by itself, or not: the next transaction begins all the same."""
    with contextlib.closing(State(tmp_path / "state.sqlite")) as state:
        for size, statement in enumerate(("COMMIT", "ROLLBACK", "SELECT * FROM nothing"), 1):
            with pytest.raises(StateError), state.transaction():
                state.add_entry(size, b"x")
                state._db.execute(statement)
                raise OSError(errno.ENOSPC, "No space left on device")
        assert list(state.ledger()) in ([], [b"x"])
        with state.transaction():
            state.add_entry(7, b"y")
        assert state.ledger()[-1] == b"y"


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (sqlite3.SQLITE_FULL, "state.write", "free some space"),
        (sqlite3.SQLITE_IOERR_FSYNC, "state.write", "see to the disk"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "state.write", "let this user write"),
        (sqlite3.SQLITE_CANTOPEN, "state.write", "let this user write"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "state.busy", "close it"),
        (sqlite3.SQLITE_CORRUPT_VTAB, "state.damaged", "never edit it"),
        (sqlite3.SQLITE_NOTADB, "state.damaged", "never edit it"),
    ],
)
def test_what_sqlite_says_in_words(number: int, code: str, hint: str) -> None:
    error = sqlite3.OperationalError("database or disk")
    error.sqlite_errorcode = number
    told = in_words(Path("home/state.sqlite"), error)
    assert told.code == code
    assert "home/state.sqlite" in told.message
    assert hint in (told.hint or "")


@pytest.mark.parametrize("number", [sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_MISUSE, None])
def test_a_mistake_of_ours_is_no_damage(number: int | None) -> None:
    """Nobody is told to move a sound state away."""
    error = sqlite3.IntegrityError("UNIQUE constraint failed")
    if number is not None:
        error.sqlite_errorcode = number
    assert in_words(Path("home/state.sqlite"), error) is error
    error.sqlite_errorcode = sqlite3.SQLITE_NOMEM
    assert isinstance(in_words(Path("home/state.sqlite"), error), MemoryError)


# -- clocks (D18) ------------------------------------------------------------------------------


@pytest.mark.parametrize(("made", "warns"), [("2999-01-01T00:00:00+00:00", True), (None, False)])
def test_a_clock_behind_what_we_signed_is_told(town: Town, made: str | None, warns: bool) -> None:
    town.back_to(f"before-{CHARGES}")
    if made is not None:
        with state_of(town) as db:
            db.execute("UPDATE outgoing SET made = ? WHERE rowid = 1", (made,))
    ended = town.done(("north", ("sync", "--json")))
    warnings = json.loads(ended.out)["warnings"]
    assert bool(warnings) == warns
    said = town.done(SYNC["north"]).err
    assert ("warning: the clock here says" in said) == warns
    # It stops nothing: a clock that ran ahead once must not stop an aggregator for years.
    if warns:
        finish(town, CHARGES)


# -- folders that cannot serve (D19) -------------------------------------------------------------


def read_only(store: LocalStore, patch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    class Mounted:
        def __init__(self, path: Path) -> None:
            self.f_flag = real(path).f_flag | os.ST_RDONLY

    patch.setattr(os, "statvfs", Mounted)


def test_a_pool_mounted_read_only_is_told_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    store = LocalStore(pool)
    check_writable(store)
    read_only(store, monkeypatch)
    for check in (check_writable, try_folder):
        with pytest.raises(PoolError) as caught:
            check(store)
        assert caught.value.code == "pool.readonly"
    (tmp_path / "home").mkdir()
    with pytest.raises(PoolError):
        Home.create(tmp_path / "home", "north", "North", str(pool))
    assert not list((tmp_path / "home").iterdir()), "no key was drawn"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_pool_that_another_user_owns(town: Town) -> None:
    """The real thing: the command runs as a user who may not write the pool."""
    town.back_to(f"before-{CHARGES}")
    stranger = 65_534
    for path in [town.folder / "north", *(town.folder / "north").rglob("*")]:
        os.chown(path, stranger, stranger)
    for path in (town.base, town.folder):
        path.chmod(0o755)
    ended = town.run(SYNC["north"], uid=stranger)
    ended.refused("is read-only for this user", "let this user write")
    assert town.memory("north").ledger == []
    for path in [town.folder / "north", *(town.folder / "north").rglob("*")]:
        os.chown(path, 0, 0)
    finish(town, CHARGES)


@pytest.mark.parametrize("how", ["refuses", "leaves both", "keeps the old"])
def test_a_folder_in_which_a_rename_does_not_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def replace(source: Path, target: Path) -> None:
        if how == "refuses":
            raise OSError(errno.EEXIST, "File exists")
        if how == "leaves both":
            target.write_bytes(source.read_bytes())
        else:
            source.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(PoolError) as caught:
            try_folder(LocalStore(tmp_path))
    assert caught.value.code == "pool.rename"
    assert not list(tmp_path.iterdir())
    try_folder(LocalStore(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_full_pool_is_told_before_a_key_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PoolError) as caught:
        try_folder(LocalStore(tmp_path))
    assert (caught.value.code, "free some space" in (caught.value.hint or "")) == (
        "pool.write",
        True,
    )


def test_a_remote_pool_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("memory://preflight")
    monkeypatch.setattr(store, "put", None)
    check_writable(store)
    try_folder(store)


def test_no_two_paths_of_a_pool_differ_by_capital_letters_alone(town: Town) -> None:
    """So a folder that does not tell them apart (macOS, Windows) serves as well."""
    town.back_to("end")
    paths = [str(path.relative_to(town.pool)) for path in town.pool.rglob("*")]
    assert len(paths) > 40
    assert len({path.casefold() for path in paths}) == len(paths)
    # The one kind of name with capitals, a request for a backup, has no small letters.
    assert all(path == path.lower() for path in paths)
    assert is_request_id("ABCD-EFGH-JKMN-PQRS-TVWX")
    assert not is_request_id("abcd-efgh-jkmn-pqrs-tvwx")


def test_a_home_where_files_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pool").mkdir()
    home = Home.create(tmp_path / "north", "north", "North", str(tmp_path / "pool"))

    def no_locks(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StateError) as caught, home.lock():
        raise AssertionError("nobody may work here")
    assert caught.value.code == "state.lock"
    assert "on a disk of this machine" in (caught.value.hint or "")


# -- init, gone on with ----------------------------------------------------------------------------


def test_init_goes_on_with_the_key_it_had_drawn(town: Town) -> None:
    town.back_to("before-0")
    ended = town.run(ROUND[0], failpoint="pool.put.begin:1:kill")
    assert ended.killed
    key = (town.folder / "north" / "identity.pem").read_bytes()
    town.done(("stranger", ("init", "north", "--pool", "pool")))
    town.run(ROUND[0]).refused("somebody in this pool is called north already", code=1)
    assert (town.folder / "north" / "identity.pem").read_bytes() == key
    shutil.rmtree(town.pool / "partners")
    town.done(ROUND[0])
    assert (town.folder / "north" / "identity.pem").read_bytes() == key
    town.run(ROUND[0]).refused("already belongs to an organisation", code=2)


def test_init_does_not_take_over_a_restore(town: Town) -> None:
    town.back_to("before-0")
    (town.folder / "north").mkdir()
    (town.folder / "north" / "restore.json").write_text("{}")
    town.run(ROUND[0]).refused("a restore of keys is under way", "grievance restore", code=2)


def test_round_new_typed_again_opens_one_round(town: Town) -> None:
    town.back_to("before-5")
    ended = town.run(ROUND[5], failpoint="publish.put:1:kill")
    assert ended.killed
    one = town.done(ROUND[5]).out
    assert town.done(ROUND[5]).out == one
    assert len(list((town.pool / "rounds").iterdir())) == 1
    finish(town, 6)
