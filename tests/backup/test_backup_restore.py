"""A machine is lost, and its keys come back, in the middle of a round too."""

from __future__ import annotations

import itertools
import stat
from pathlib import Path

import pytest
from backup_world import TRUSTEES, World

from federation import HYBRID, Federation
from grievance import backup
from grievance.aggregator import Office
from grievance.aggregator.asked import Told
from grievance.aggregator.destroy import destroy
from grievance.aggregator.recover import recover
from grievance.backup import archive, sets
from grievance.crypto import keys
from grievance.errors import (
    KeyFileError,
    PoolError,
    StateError,
    UsageError,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.make()
    return made


@pytest.mark.parametrize("names", list(itertools.combinations(TRUSTEES, 2)))
def test_any_two_of_three_give_the_keys_back(world: World, names: tuple[str, str]) -> None:
    before = archive.collect_files(world.owner)
    restored = world.restore(*names)
    assert restored.home.key.public == world.owner.key.public
    assert restored.home.mailbox().public == world.owner.mailbox().public
    after = archive.collect_files(restored.home)
    assert {p: d for p, d in after.items() if p != "organisation.json"} == {
        p: d for p, d in before.items() if p != "organisation.json"
    }
    assert restored.home.known_key("anna") == world.homes["anna"].key.public
    assert restored.archive == 1 and not restored.missing and not restored.unreadable
    # The request's own key is gone, and the backup goes on.
    left = {path.name for path in (world.folder / "new").iterdir()}
    assert not {"restore.key", "restore.json"} & left
    assert backup.status(restored.home) is not None
    assert backup.refresh(restored.home) is not None
    assert backup.refresh(restored.home) is None


def test_every_file_that_comes_back_is_private(world: World) -> None:
    restored = world.restore("anna", "bert")
    assert stat.S_IMODE((world.folder / "new").stat().st_mode) == 0o700
    for path in restored.files:
        assert stat.S_IMODE((world.folder / "new" / path).stat().st_mode) == 0o600
    # The backup key itself is nowhere, not on the machine that made it either.
    for home in (world.owner, restored.home):
        assert not (home.root / "backup.key").exists()


def test_one_answer_is_not_enough_and_says_who_is_missing(world: World) -> None:
    world.ask()
    world.answer("cleo")
    asked = world.ask()
    assert not asked.ready and asked.answers.waiting == ["anna", "bert"]
    with pytest.raises(PoolError, match="2 trustees must answer, and so far cleo did") as error:
        world.finish(asked)
    assert error.value.code == "backup.waiting"
    assert "anna, bert" in (error.value.hint or "")
    assert not (world.folder / "new/identity.pem").exists()
    world.answer("bert")
    assert world.finish(world.ask()).home.name == "owner"


def test_an_aggregator_comes_back_in_the_middle_of_a_round(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=("nurses", "carers", "patients"))
    trustees = [federation.homes[name].identity for name in ("nurses", "carers", "patients")]
    for name in federation.aggregators:
        backup.make(federation.homes[name], trustees, 2)
    federation.open_round(HYBRID)
    federation.relay("nurses", federation.seal(8))
    federation.settle()
    for lost in federation.aggregators:
        home = federation.homes[lost]
        backup.refresh(home)
        home.root.rename(tmp_path / f"{lost}-broken")
        for _ in range(2):
            asked = backup.ask(home.store, lost, tmp_path / lost)
            for name in ("carers", "patients"):
                trustee = federation.homes[name]
                plea = backup.find_plea(trustee, lost)
                backup.answer(trustee, plea, plea.request.request_id)
        restored = backup.finish(home.store, asked, tmp_path / lost)
        assert restored.missing == []
        federation.homes[lost] = restored.home
        done = recover(restored.home, Told())
        assert any("the task we signed" in line for line in done)
        federation.relay("carers", federation.seal(4))
        federation.settle()
    assert federation.release().accepted == 16


def test_a_verify_key_from_after_the_archive_is_opened_again(tmp_path: Path) -> None:
    """A helper's archive of the day it joined has no verify key: the sealed one is in the pool."""
    federation = Federation(tmp_path, relays=("nurses", "carers"))
    south = federation.homes["south"]
    trustees = [federation.homes[name].identity for name in ("nurses", "carers")]
    backup.make(south, trustees, 2)
    federation.open_round()
    verify = south.round_files(federation.round_id).verify
    moved = verify.rename(tmp_path / "verify.key")
    backup.refresh(south)
    restored = restored_by_all(federation, "south", tmp_path / "new")
    found = keys.read_verify_key(restored.home.round_files(federation.round_id).verify)
    assert found == keys.read_verify_key(moved)
    recover(restored.home, Told())


def restored_by_all(federation: Federation, name: str, root: Path) -> backup.Restored:
    """An organisation restored into a new folder with the help of nurses and carers."""
    store = federation.homes[name].store
    for _ in range(2):
        asked = backup.ask(store, name, root)
        for trustee in ("nurses", "carers"):
            plea = backup.find_plea(federation.homes[trustee], name)
            backup.answer(federation.homes[trustee], plea, plea.request.request_id)
    return backup.finish(store, asked, root)


def test_rounds_newer_than_the_archive_are_named(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=("nurses", "carers"))
    north = federation.homes["north"]
    backup.make(north, [federation.homes[n].identity for n in ("nurses", "carers")], 2)
    federation.open_round()
    restored = restored_by_all(federation, "north", tmp_path / "new")
    assert restored.missing == [federation.round_id]


def test_the_identity_that_comes_back_must_be_the_pools(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = archive.collect_files(world.homes["cleo"])
    monkeypatch.setattr(archive, "open_archive", lambda *_args: stranger)
    with pytest.raises(StateError) as error:
        world.restore("anna", "bert")
    assert error.value.code == "backup.identity"
    assert {p.name for p in (world.folder / "new").iterdir()} == {"restore.key", "restore.json"}


def test_nothing_is_ever_overwritten(world: World) -> None:
    with pytest.raises(UsageError, match="already belongs"):
        backup.ask(world.store, "owner", world.owner.root)
    world.ask()
    world.answer("anna", "bert")
    mine = world.folder / "new/mailbox.key"
    mine.write_bytes(b"mine")
    mine.chmod(0o600)
    with pytest.raises(KeyFileError, match="exists already"):
        world.finish(world.ask())
    assert mine.read_bytes() == b"mine"
    mine.unlink()
    # What the interrupted run wrote is accepted as it is.
    assert world.finish(world.ask()).home.mailbox().public == world.owner.mailbox().public
    with pytest.raises(UsageError, match="already belongs"):
        world.ask()


@pytest.mark.slow
def test_a_passphrase_stays_on_the_keys(tmp_path: Path) -> None:
    world = World(tmp_path, passphrase="correct horse")
    world.make()
    assert world.rehearse("anna", "bert").day == "2026-10-01"
    world.ask(passphrase="correct horse")
    plea = backup.find_plea(world.homes["bert"], "owner")
    backup.answer(world.homes["bert"], plea, plea.request.request_id)
    plea = backup.find_plea(world.homes["cleo"], "owner")
    backup.answer(world.homes["cleo"], plea, plea.request.request_id)
    asked = world.ask(passphrase="correct horse")
    for wrong in (None, "wrong"):
        with pytest.raises(KeyFileError) as error:
            backup.finish(world.store, asked, tmp_path / "new", passphrase=wrong)
        assert error.value.code == "key.passphrase"
        assert not (tmp_path / "new/identity.pem").exists()
    restored = backup.finish(world.store, asked, tmp_path / "new", passphrase="correct horse")
    assert restored.home.key.public == world.owner.key.public
    assert b"ENCRYPTED" in (tmp_path / "new/identity.pem").read_bytes()


def test_two_runs_may_differ_in_the_passphrase(world: World) -> None:
    world.ask()
    world.answer("anna", "bert")
    assert world.ask(passphrase="something").ready


def test_a_newer_archive_that_does_not_read_is_told(world: World) -> None:
    world.owner.admit_later("a-round", ["anna"])
    assert backup.refresh(world.owner) is not None
    (set_id,) = [one.set_id for one in sets.read_sets(world.store, world.owner.identity)]
    newest = world.file(world.paths.archive(set_id, 2))
    newest.write_bytes(newest.read_bytes()[:-1])
    restored = world.restore("anna", "bert")
    assert (restored.archive, restored.unreadable) == (1, [2])


def test_keys_of_a_destroyed_round_do_not_come_back(tmp_path: Path) -> None:
    """An archive from before the destruction has them still; the ledger says that they are gone."""
    federation = Federation(tmp_path, relays=("nurses", "carers"))
    south = federation.homes["south"]
    backup.make(south, [federation.homes[name].identity for name in ("nurses", "carers")], 2)
    rounds = [federation.open_round().round_id]
    federation.close()
    rounds.append(federation.open_round().round_id)
    backup.refresh(south)
    with Office.open(south) as office:
        _, chain = office.open_bench(rounds[0])
        destroy(office, chain)
        office.publish()
    restored = restored_by_all(federation, "south", tmp_path / "new")
    assert (restored.destroyed, restored.missing) == ([rounds[0]], [])
    assert not any(rounds[0] in path for path in restored.files)
    assert not restored.home.round_files(rounds[0]).folder.exists()
    assert restored.home.round_files(rounds[1]).hpke.exists()
    # The next archive replaces the one that holds them.
    refreshed = backup.refresh(restored.home)
    assert refreshed is not None and refreshed.forgotten and refreshed.deleted
