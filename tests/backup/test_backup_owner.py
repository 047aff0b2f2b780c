"""The owner's side: made, rehearsed, kept up to date, forgotten with a destroyed round."""

from __future__ import annotations

import json
import stat
from datetime import date
from pathlib import Path

import pytest
from backup_world import TODAY, TRUSTEES, World

from federation import Federation
from grievance import backup
from grievance.aggregator import Office
from grievance.aggregator.destroy import destroy
from grievance.backup import archive, sets
from grievance.backup.requests import collect_answers, reconstruct
from grievance.crypto.documents import sign_document
from grievance.errors import KeyFileError, PoolError, StateError, UsageError
from grievance.home import Home
from grievance.pool.layout import BackupPaths, mailbox_path
from grievance.pool.store import LocalStore, open_store
from grievance.task import parse_mailbox


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def archives(world: World) -> list[str]:
    return [path.name for path in world.backup_files() if path.name.startswith("archive-")]


def test_every_organisation_has_a_mailbox(world: World) -> None:
    for name, home in world.homes.items():
        data = world.file(mailbox_path(name)).read_bytes()
        assert parse_mailbox(data, home.identity) == home.mailbox().public
        assert stat.S_IMODE((home.root / "mailbox.key").stat().st_mode) == 0o600


def test_a_home_from_before_gets_its_mailbox_when_first_needed(world: World) -> None:
    anna = world.homes["anna"]
    (anna.root / "mailbox.key").unlink()
    world.file(mailbox_path("anna")).unlink()
    with pytest.raises(PoolError) as error:
        world.make()
    assert error.value.code == "partner.mailbox"
    key = anna.mailbox()
    assert key.public == anna.mailbox().public
    world.make()
    # One that somebody changed in the pool is as if it were not there, and is put right.
    data = world.file(mailbox_path("anna")).read_bytes()
    world.file(mailbox_path("anna")).write_bytes(data.replace(b"anna", b"anne"))
    with pytest.raises(PoolError, match="no mailbox"):
        world.make()
    anna.mailbox()
    assert world.file(mailbox_path("anna")).read_bytes() == data


def test_who_can_be_a_trustee(world: World) -> None:
    one, two = (world.homes[name].identity for name in ("anna", "bert"))
    for trustees, threshold in (([], 2), ([one], 2), ([one, two], 3), ([one, two], 1)):
        with pytest.raises(UsageError) as usage:
            backup.make(world.owner, trustees, threshold)
        assert usage.value.code == "backup.threshold"
    for trustees in ([one, one], [one, world.owner.identity]):
        with pytest.raises(PoolError) as error:
            backup.make(world.owner, trustees, 2)
        assert error.value.code == "backup.trustees"
    assert not world.file("backups").exists()


def test_without_a_rehearsal_there_is_no_statement(world: World) -> None:
    assert backup.status(world.owner) is None
    assert backup.statement(world.owner) is None
    assert backup.refresh(world.owner) is None
    with pytest.raises(UsageError, match="no backup"):
        backup.rehearse(world.owner)
    made = world.make()
    assert backup.statement(world.owner) is None
    assert world.rehearse("anna", "cleo").day == "2026-10-01"
    said = backup.statement(world.owner)
    assert said is not None
    assert (said.set_id, said.threshold, said.names) == (made.set_id, 2, list(TRUSTEES))
    assert said.rehearsed == "2026-10-01"
    assert said.keys == {world.homes[name].key.public for name in TRUSTEES}
    # The others read the same in the pool.
    assert backup.statement_of(world.store, world.owner.identity) == said
    found = backup.status(world.owner)
    assert found is not None
    assert (found.rehearsed, found.rehearsed_with) == ("2026-10-01", ["anna", "cleo"])
    assert found.archive == 1 and found.up_to_date and found.threshold == 2
    (request,) = found.requests
    assert request["rehearsal"] and request["answered"] == ["anna", "cleo"]
    json.dumps(found.to_json())
    # A second one, later, is recorded anew.
    assert backup.rehearse(world.owner, TODAY).day is None
    world.answer("bert", "cleo")
    assert backup.rehearse(world.owner, date(2027, 3, 1)).day == "2027-03-01"
    statement = backup.statement(world.owner)
    assert statement is not None and statement.rehearsed == "2027-03-01"


def test_a_rehearsal_writes_no_key_anywhere(world: World) -> None:
    world.make()
    before = {path for path in world.owner.root.rglob("*") if path.suffix in (".key", ".pem")}
    assert backup.rehearse(world.owner).day is None
    assert stat.S_IMODE((world.owner.root / "rehearse.key").stat().st_mode) == 0o600
    world.answer("anna", "bert")
    assert backup.rehearse(world.owner).day is not None
    after = {path for path in world.owner.root.rglob("*") if path.suffix in (".key", ".pem")}
    assert after == before
    assert not (world.owner.root / "rehearse.json").exists()


def test_a_rehearsal_compares_every_byte(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.make()
    backup.rehearse(world.owner)
    world.answer("anna", "bert")
    real = archive.open_archive

    def other(*args: object) -> archive.Files:
        files = real(*args)  # type: ignore[arg-type]
        return files | {"mailbox.key": files["mailbox.key"] + b" "}

    with monkeypatch.context() as patch:
        patch.setattr(archive, "open_archive", other)
        with pytest.raises(StateError) as error:
            backup.rehearse(world.owner)
    assert error.value.code == "backup.differs"
    assert backup.statement(world.owner) is None
    assert backup.rehearse(world.owner).day is not None


def test_a_forged_record_of_a_rehearsal_counts_for_nothing(world: World) -> None:
    made = world.make()
    world.rehearse("anna", "bert")
    path = world.paths.rehearsed(made.set_id)
    body = json.loads(world.file(path).read_bytes())["body"]
    kind, key = "grievance/2 backup rehearsed", world.owner.key
    for signer, changes in (
        (world.homes["anna"].key, {}),
        (key, {"trustees": ["anna"]}),
        (key, {"trustees": ["anna", "anna"]}),
        (key, {"trustees": ["anna", ["bert"]]}),
        (key, {"trustees": ["anna", "north"]}),
        (key, {"date": "2026-02-30"}),
        (key, {"date": "20261001"}),
        (key, {"set": "00" * 8}),
        (key, {"backup": "00" * 32}),
        (key, {"owner": "anna"}),
        (key, {"archive": 0}),
        (key, {"more": 1}),
    ):
        world.store.put(path, sign_document(kind, body | changes, signer))
        assert backup.statement(world.owner) is None, changes
    world.store.put(path, sign_document(kind, body, key))
    assert backup.statement(world.owner) is not None


def test_the_archive_follows_the_key_files(world: World) -> None:
    made = world.make()
    assert backup.refresh(world.owner) is None
    for number in range(2, 7):
        world.owner.admit_later(f"round-{number}", ["anna"])
        found = backup.status(world.owner)
        assert found is not None and not found.up_to_date
        done = backup.refresh(world.owner)
        assert done is not None and done.number == number
    assert archives(world) == ["archive-4", "archive-5", "archive-6"]
    assert backup.refresh(world.owner) is None
    # Gone from the pool: it is published again, under a number of its own.
    world.file(world.paths.archive(made.set_id, 6)).unlink()
    world.file(world.paths.set(made.set_id)).write_bytes(b"x")
    found = backup.status(world.owner)
    assert found is not None and not found.up_to_date
    done = backup.refresh(world.owner)
    assert done is not None and done.number == 7
    assert sets.read_set(world.store, world.owner.identity, made.set_id) is not None


def test_an_old_backup_lasts_until_the_new_one_is_rehearsed(world: World) -> None:
    first = world.make()
    world.rehearse("anna", "bert")
    second = world.make(trustees=("bert", "cleo"))
    assert (first.number, second.number) == (1, 2)
    assert backup.statement(world.owner) is None
    assert archive.archive_numbers(world.store, "owner", first.set_id) == [1]
    world.rehearse("bert", "cleo")
    assert archive.archive_numbers(world.store, "owner", first.set_id) == []
    assert archive.archive_numbers(world.store, "owner", second.set_id) == [1]
    asked = world.ask()
    assert asked.backup_set.set_id == second.set_id


def test_a_rehearsal_under_way_ends_with_its_set(world: World) -> None:
    world.make()
    old = backup.rehearse(world.owner).request
    new_set = world.make()
    new = backup.rehearse(world.owner).request
    assert new.request_id != old.request_id and new.set_id == new_set.set_id


def test_only_one_command_at_a_time(world: World) -> None:
    world.make()
    with world.owner.lock(), pytest.raises(StateError) as error:
        backup.refresh(world.owner)
    assert error.value.code == "state.busy"


def test_a_key_file_that_others_can_read_is_not_backed_up(world: World) -> None:
    world.make()
    (world.owner.root / "mailbox.key").chmod(0o644)
    with pytest.raises(KeyFileError) as error:
        backup.refresh(world.owner)
    assert error.value.code == "key.mode"


def test_a_damaged_note_is_told(world: World) -> None:
    world.make()
    path = world.owner.settings_file("backup")
    note = json.loads(path.read_text())
    for broken in ("[]", "{", json.dumps(note | {"number": "x"}), json.dumps({"set": "1"})):
        path.write_text(broken)
        with pytest.raises(StateError):
            backup.statement(world.owner)


class Closed(Federation):
    """Two aggregators, one with a backup, and a released round with keys that can go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, relays=("nurses", "carers"))
        self.trustees = [self.homes[name].identity for name in ("nurses", "carers")]
        self.south = self.homes["south"]
        self.first = backup.make(self.south, self.trustees, 2)
        self.open_round()
        self.relay("nurses", self.seal(12))
        self.settle()
        backup.refresh(self.south)
        self.release()

    def destroy(self) -> None:
        with Office.open(self.south) as office:
            task = office.task(self.round_id)
            assert task is not None
            destroy(office, office.chain(task))
            office.publish()

    def everything_that_opens(self) -> dict[str, archive.Files]:
        """What all trustees together can open of every archive in the pool, of any set."""
        opened = {}
        for one in sets.read_sets(self.south.store, self.south.identity):
            folder = self.folder / f"seized-{one.set_id}-{len(opened)}"
            asked = backup.ask(self.south.store, "south", folder, set_id=one.set_id)
            for name in ("nurses", "carers"):
                plea = backup.find_plea(self.homes[name], "south", asked.request.request_id)
                backup.answer(self.homes[name], plea, asked.request.request_id)
            asked = backup.ask(self.south.store, "south", folder, set_id=one.set_id)
            from grievance.backup import pending

            going = pending.resume(folder, "restore", one, None)
            answers = collect_answers(self.south.store, one, going.request, going.key)
            key = reconstruct(one, answers)
            for number in archive.archive_numbers(self.south.store, "south", one.set_id):
                found = archive.read_archive(self.south.store, one, number)
                assert found is not None
                opened[f"{one.set_id}/{number}"] = archive.open_archive(one, found, key)
        return opened


def test_after_destruction_no_archive_opens_the_round(tmp_path: Path) -> None:
    federation = Closed(tmp_path)
    backup.make(federation.south, federation.trustees, 2)
    folder = federation.south.round_files(federation.round_id).folder
    secrets = [path.read_bytes() for path in folder.glob("*.key")]
    assert len(secrets) == 3
    held = [d for files in federation.everything_that_opens().values() for d in files.values()]
    assert all(secret in held for secret in secrets)
    federation.destroy()
    done = backup.refresh(federation.south)
    # Two archives of the first set, one of the second.
    assert done is not None and len(done.deleted) == 3 and not done.left
    after = federation.everything_that_opens()
    assert len(after) == 1
    for files in after.values():
        assert not any(path.startswith("rounds/") for path in files)
        assert not any(secret in files.values() for secret in secrets)


def test_what_cannot_be_deleted_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation = Closed(tmp_path)
    federation.destroy()

    def refuse(_self: object, path: str) -> None:
        raise PoolError(f"{path}: cannot be deleted", code="pool.delete")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", refuse)
        done = backup.refresh(federation.south)
    assert done is not None and len(done.left) == 2 and not done.deleted
    store, set_id = federation.south.store, federation.first.set_id
    assert archive.archive_numbers(store, "south", set_id) == [1, 2, 3]
    # A synced folder brings one back: it goes again.
    old = federation.file(BackupPaths("south").archive(set_id, 1)).read_bytes()
    assert backup.refresh(federation.south) is None
    assert archive.archive_numbers(store, "south", set_id) == [3]
    federation.file(BackupPaths("south").archive(set_id, 1)).write_bytes(old)
    backup.refresh(federation.south)
    assert archive.archive_numbers(store, "south", set_id) == [3]


def test_the_machine_that_made_an_archive_cannot_open_it(world: World) -> None:
    """Nothing in the owner's home opens an archive: a seized machine gives no old round back."""
    from grievance.crypto import keys
    from grievance.errors import OpenError

    made = world.make()
    found = archive.newest_archive(world.store, made)
    assert found is not None
    for path in world.owner.root.rglob("*.key"):
        if path.name in ("mailbox.key", "hpke.key"):
            with pytest.raises(OpenError):
                archive.open_archive(made, found, keys.read_hpke_key(path))


def test_an_archive_opens_at_its_own_place_only(world: World) -> None:
    made = world.make()
    world.owner.admit_later("a-round", ["anna"])
    backup.refresh(world.owner)
    first, second = (archive.read_archive(world.store, made, number) for number in (1, 2))
    assert first is not None and second is not None
    with pytest.raises(PoolError, match="another organisation, set or place"):
        archive.parse_archive(first.data, made, 2)
    other = world.make()
    with pytest.raises(PoolError):
        archive.parse_archive(first.data, other, 1)


@pytest.mark.parametrize(
    "path",
    ["../identity.pem", "/etc/passwd", "rounds/../hpke.key", "rounds/a/b/hpke.key", "state.sqlite"],
)
def test_an_archive_writes_nowhere_else(world: World, path: str) -> None:
    files = archive.collect_files(world.owner)
    assert archive.unpack(archive.pack(files)) == files
    with pytest.raises(PoolError) as error:
        archive.unpack(archive.pack(files | {path: b"x"}))
    assert error.value.code == "backup.archive"
    for name in ("identity.pem", "mailbox.key", "organisation.json"):
        with pytest.raises(PoolError):
            archive.unpack(archive.pack({p: d for p, d in files.items() if p != name}))
    for data in (b"", b"{}", archive.pack(files) + b" "):
        with pytest.raises(PoolError):
            archive.unpack(data)


def test_a_set_that_breaks_a_rule(world: World) -> None:
    made = world.make()
    body = json.loads(made.data)["body"]
    anna, bert = body["trustees"][:2]
    for changes in (
        {"threshold": 1},
        {"threshold": 4},
        {"threshold": True},
        {"number": 0},
        {"made": "today"},
        {"owner": "anna"},
        {"set": "00" * 8},
        {"trustees": []},
        {"trustees": [anna]},
        {"trustees": [anna, anna]},
        {"trustees": [anna, bert | {"name": "anna"}]},
        {"trustees": [anna, bert | {"name": "owner"}]},
        {"trustees": [anna, bert | {"piece": "00"}]},
        {"trustees": [anna, bert | {"more": 1}]},
        {"trustees": [anna | {"name": f"t{i}"} for i in range(17)]},
        {"hpke": "AAAA"},
        {"kem": "P256"},
        {"more": 1},
    ):
        data = sign_document(sets.KIND, body | changes, world.owner.key)
        with pytest.raises(PoolError):
            sets.parse_set(data, world.owner.identity, made.set_id)


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_a_store_deletes_what_is_there(tmp_path: Path, kind: str) -> None:
    place = str(tmp_path) if kind == "folder" else f"memory://{tmp_path.name}-delete"
    store = open_store(place)
    store.put("a/b", b"x")
    store.put("a/c", b"y")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("nothing/at/all")
    assert store.names("a") == ["c"]
    with pytest.raises(PoolError):
        store.delete("../c")


def test_a_folder_that_cannot_be_changed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    store = open_store(tmp_path)
    store.put("a", b"x")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PoolError) as error:
        store.delete("a")
    assert error.value.code == "pool.delete"


def test_a_pool_on_another_filesystem(tmp_path: Path) -> None:
    pool = f"memory://{tmp_path.name}-backup"
    homes = [Home.create(tmp_path / name, name, name.title(), pool) for name in ("a", "b", "c")]
    owner, trustees = homes[0], homes[1:]
    backup.make(owner, [home.identity for home in trustees], 2)
    backup.rehearse(owner)
    for home in trustees:
        plea = backup.find_plea(home, "a")
        backup.answer(home, plea, plea.request.request_id)
    assert backup.rehearse(owner).day is not None
    assert backup.statement(owner) is not None
