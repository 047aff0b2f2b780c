"""Whoever cheats is named or gets nothing: trustees, thieves, and whoever can write to the pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from backup_world import TRUSTEES, World

from grievance import backup
from grievance.backup import sets
from grievance.backup.requests import make_answer, make_request
from grievance.backup.split import Piece
from grievance.crypto.documents import sign_document
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey
from grievance.errors import (
    GrievanceError,
    OpenError,
    PoolError,
    TrustError,
    UsageError,
)
from grievance.pool.layout import BackupPaths, partner_path
from grievance.task import make_identity


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.make()
    return made


def lie(world: World, name: str) -> None:
    """A trustee signs an answer that holds another piece than its own."""
    home = world.homes[name]
    plea = backup.find_plea(home, "owner")
    data = make_answer(
        plea.backup_set, plea.request, plea.trustee, Piece.generate().reveal(), home.key
    )
    path = world.paths.answer(plea.request.request_id, name)
    home.store.put(path, data)


def test_a_cheating_trustee_is_named_when_more_answered_than_needed(world: World) -> None:
    world.ask()
    lie(world, "anna")
    world.answer("bert", "cleo")
    asked = world.ask()
    assert (asked.answers.wrong, asked.answers.answered) == (["anna"], ["bert", "cleo"])
    assert world.finish(asked).home.key.public == world.owner.key.public


def test_a_cheating_trustee_is_named_when_just_enough_answered(world: World) -> None:
    world.ask()
    lie(world, "bert")
    world.answer("anna")
    asked = world.ask()
    assert asked.answers.wrong == ["bert"] and not asked.ready
    with pytest.raises(PoolError, match="so far anna did") as error:
        world.finish(asked)
    assert "bert sent a wrong piece; not answered yet: cleo" in (error.value.hint or "")
    lie(world, "cleo")
    asked = world.ask()
    assert asked.answers.hopeless(asked.backup_set)
    with pytest.raises(PoolError, match="bert, cleo sent something else") as error:
        world.finish(asked)
    assert error.value.code == "backup.wrong"


def test_an_answer_of_the_wrong_length_or_to_another_key_is_a_wrong_one(world: World) -> None:
    world.ask()
    for name, piece in (("anna", b""), ("bert", bytes(33))):
        home = world.homes[name]
        plea = backup.find_plea(home, "owner")
        data = make_answer(plea.backup_set, plea.request, plea.trustee, piece, home.key)
        home.store.put(world.paths.answer(plea.request.request_id, name), data)
    assert world.ask().answers.wrong == ["anna", "bert"]


def test_the_fingerprint_of_another_request_is_refused(world: World) -> None:
    asked = world.ask()
    world.ask("thief")
    for name in TRUSTEES:
        home = world.homes[name]
        for plea in backup.pleas(home, "owner"):
            if plea.request.request_id != asked.request.request_id:
                with pytest.raises(TrustError) as error:
                    backup.answer(home, plea, asked.request.request_id)
                assert error.value.code == "backup.fingerprint"
        for text in ("", "K3TQ", asked.request.request_id[:-1], asked.request.digest.hex()[:-1]):
            plea = backup.find_plea(home, "owner", asked.request.request_id)
            with pytest.raises(TrustError):
                backup.answer(home, plea, text)
    assert not world.ask().answers.answered
    # As it is read out, in any case, and also as full hex.
    plea = backup.find_plea(world.homes["anna"], "owner", asked.request.request_id.lower())
    backup.answer(world.homes["anna"], plea, asked.request.request_id.lower().replace("-", " "))
    backup.answer(world.homes["bert"], plea_of(world, "bert", asked), asked.request.digest.hex())
    assert world.ask().ready


def plea_of(world: World, name: str, asked: backup.Restore) -> backup.Plea:
    return backup.find_plea(world.homes[name], "owner", asked.request.request_id)


def test_several_requests_must_be_told_apart(world: World) -> None:
    with pytest.raises(UsageError, match="no request") as error:
        backup.find_plea(world.homes["anna"], "owner")
    assert error.value.code == "usage.request"
    world.ask()
    world.ask("thief")
    with pytest.raises(UsageError) as error:
        backup.find_plea(world.homes["anna"], "owner")
    assert error.value.code == "backup.which"
    with pytest.raises(UsageError):
        backup.find_plea(world.owner, "owner", "UUUU")


def test_a_rehearsal_request_that_its_owner_did_not_sign_does_not_exist(world: World) -> None:
    (backup_set,) = sets.read_sets(world.store, world.owner.identity)
    thief = HpkePrivateKey.generate()
    with pytest.raises(PoolError, match="its owner did not sign"):
        make_request(backup_set, thief.public, SigningKey.generate(), rehearsal=True)
    honest = make_request(backup_set, thief.public, world.owner.key, rehearsal=True)
    body = json.loads(honest.data)["body"]
    data = sign_document("grievance/2 backup request", body, SigningKey.generate())
    world.store.put(world.paths.request(honest.request_id), data)
    assert backup.pleas(world.homes["anna"]) == []
    world.store.put(world.paths.request(honest.request_id), honest.data)
    assert len(backup.pleas(world.homes["anna"])) == 1


def test_a_piece_opens_for_no_other_owner_set_or_trustee(world: World) -> None:
    """A trustee's own backup of the same trustees carries somebody else's sealed pieces."""
    (real,) = sets.read_sets(world.store, world.owner.identity)
    thief, anna = world.homes["cleo"], world.homes["anna"]
    mine, stolen = real.trustee(anna.identity), real.trustee(world.homes["bert"].identity)
    assert mine is not None and stolen is not None
    assert sets.open_piece(real, mine, anna.mailbox())
    trustees = [anna.identity, world.homes["bert"].identity]
    forged = backup.make(thief, trustees, 2)
    body = json.loads(forged.data)["body"]
    for entry, source in zip(body["trustees"], (mine, stolen), strict=True):
        entry["sealed"] = json.loads(real.data)["body"]["trustees"][source.index - 1]["sealed"]
        entry["piece"] = source.digest.hex()
    data = sign_document(sets.KIND, body, thief.key)
    thief.store.put(BackupPaths("cleo").set(forged.set_id), data)
    backup.ask(world.store, "cleo", world.folder / "thief")
    plea = backup.find_plea(anna, "cleo")
    with pytest.raises(OpenError):
        backup.answer(anna, plea, plea.request.request_id)
    # Nor in another set of the same owner, nor at another place, nor for another trustee.
    second = world.make(trustees=("bert", "anna"))
    other = second.trustee(anna.identity)
    assert other is not None and other.index == 2
    with pytest.raises(OpenError):
        sets.open_piece(
            second, sets.Trustee(anna.identity, 2, other.digest, mine.sealed), anna.mailbox()
        )
    with pytest.raises(OpenError):
        sets.open_piece(
            real, sets.Trustee(anna.identity, 3, mine.digest, mine.sealed), anna.mailbox()
        )
    with pytest.raises(OpenError):
        sets.open_piece(real, stolen, anna.mailbox())


def test_an_answer_fits_no_other_request(world: World) -> None:
    first = world.ask()
    world.answer("anna", "bert")
    assert world.ask().ready
    second = world.ask("thief")
    for name in ("anna", "bert"):
        old = world.file(world.paths.answer(first.request.request_id, name))
        new = world.file(world.paths.answer(second.request.request_id, name))
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(old.read_bytes())
    assert world.ask("thief").answers.waiting == list(TRUSTEES)


def test_a_swapped_organisation_gives_nothing_away(world: World) -> None:
    """Somebody replaces the owner's identity: the set is not signed by it, pieces do not open."""
    asked = world.ask()
    thief = SigningKey.generate()
    world.store.put(partner_path("owner"), make_identity("owner", "Owner", thief))
    with pytest.raises(UsageError):
        backup.find_plea(world.homes["anna"], "owner", asked.request.request_id)
    with pytest.raises(PoolError, match="no backup"):
        backup.ask(world.store, "owner", world.folder / "other")
    world.homes["bert"].trust(world.owner.identity)
    with pytest.raises(TrustError, match="another key"):
        backup.find_plea(world.homes["bert"], "owner")
    with pytest.raises(TrustError):
        backup.ask(
            world.store,
            "owner",
            world.folder / "other",
            fingerprint=world.owner.identity.fingerprint,
        )


def test_every_file_below_backups_is_held_against_its_signature(world: World) -> None:
    """Change any byte of any file: nothing opens that should not, nothing is taken as true."""
    world.rehearse("anna", "bert")
    world.ask()
    world.answer("anna", "bert")
    assert world.ask().ready
    statement = backup.statement(world.owner)
    assert statement is not None
    asked = world.ask()
    (set_id,) = [one.set_id for one in sets.read_sets(world.store, world.owner.identity)]
    kinds = set()
    for path in world.backup_files():
        data = path.read_bytes()
        name = path.relative_to(world.pool).as_posix()
        for at in range(0, len(data), max(1, len(data) // 40)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            kinds.add(refused(world, name, asked, set_id))
        for other in (data[:-1], data + b"\n", b""):
            path.write_bytes(other)
            kinds.add(refused(world, name, asked, set_id))
        path.write_bytes(data)
    assert kinds == {"set", "archive", "rehearsed", "request", "answer"}
    assert world.finish(world.ask()).home.name == "owner"


def refused(world: World, name: str, asked: backup.Restore, set_id: str) -> str:
    """Check what a changed file may not do. Returns the kind of file it was."""
    if name.endswith("set.json"):
        with pytest.raises(PoolError, match="no backup"):
            world.ask()
        return "set"
    if "/archive-" in name:
        with pytest.raises(PoolError, match="no archive"):
            world.finish(asked)
        return "archive"
    if name.endswith("rehearsed.json"):
        assert backup.statement(world.owner) is None
        return "rehearsed"
    if "/requests/" in name:
        request_id = Path(name).stem
        with pytest.raises(UsageError):
            backup.find_plea(world.homes["cleo"], "owner", request_id)
        return "request"
    if asked.request.request_id in name:
        assert Path(name).stem not in world.ask().answers.answered
    return "answer"


def test_no_error_shows_a_secret(world: World) -> None:
    pieces = []
    (backup_set,) = sets.read_sets(world.store, world.owner.identity)
    for name in TRUSTEES:
        trustee = backup_set.trustee(world.homes[name].identity)
        assert trustee is not None
        pieces.append(sets.open_piece(backup_set, trustee, world.homes[name].mailbox()).reveal())
    world.ask()
    lie(world, "anna")
    lie(world, "bert")
    asked = world.ask()
    shown = repr(asked) + repr(asked.answers) + repr(world.owner)
    for attempt in (lambda: world.finish(asked), lambda: world.answer("cleo", fingerprint="K3TQ")):
        with pytest.raises(GrievanceError) as error:
            attempt()
        shown += repr(error.value) + str(error.value.hint)
    for secret in pieces:
        assert secret.hex() not in shown and repr(secret) not in shown
        for path in (*world.backup_files(), *world.owner.root.rglob("*")):
            assert not path.is_file() or secret not in path.read_bytes()
