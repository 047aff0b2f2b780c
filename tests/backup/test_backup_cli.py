"""What people type: a backup made, rehearsed, asked for at a round, and a lost machine restored."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from backup_world import TRUSTEES

sys.path.append(str(Path(__file__).resolve().parent.parent / "cli"))

from cli_shell import ANSWERS, PLAN, Ran, type_words  # the shell of the command line's own tests

from grievance.home import Home


class Place:
    """Organisations around a pool, each typing at its own home."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pool = folder, folder / "pool"
        self.pool.mkdir()
        self.prints: dict[str, str] = {}
        for name in ("north", "south", *TRUSTEES):
            ran = self.type(name, "init", name, "--pool", str(self.pool)).done()
            self.prints[name] = ran.out.strip()
        self.plan = folder / "plan.toml"
        self.plan.write_text("witness_quorum = 0\nshared_trustees = true\n" + PLAN)

    def home(self, name: str) -> Path:
        return self.folder / name

    def type(self, name: str, *words: str, **how: object) -> Ran:
        return type_words(*words, home=self.home(name), **how)  # type: ignore[arg-type]

    def named(self, name: str) -> str:
        return f"{name}:{self.prints[name]}"

    def make(self, name: str = "north", *words: str) -> Ran:
        to = [f"--to={self.named(trustee)}" for trustee in TRUSTEES]
        return self.type(name, "backup", "make", *to, "--yes", *words)

    def answer(self, owner: str, request: str, *names: str) -> None:
        for name in names:
            words = ("backup", "answer", owner, request[:9], "--fingerprint", request, "--yes")
            self.type(name, *words).done()

    def rehearse(self, owner: str = "north", *names: str) -> Ran:
        ran = self.type(owner, "backup", "rehearse")
        assert ran.code == 3, ran.err
        self.answer(owner, ran.out.strip(), *(names or ("anna", "bert")))
        return self.type(owner, "backup", "rehearse").done()

    def settle(self) -> None:
        while any(self.type(n, "sync", "--json").done().json["done"] for n in ("north", "south")):
            pass


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def new(place: Place, *words: str) -> Ran:
    with_south = f"--with={place.named('south')}"
    return place.type("north", "round", "new", str(place.plan), with_south, "--yes", *words)


def test_a_real_round_wants_a_rehearsed_backup(place: Place) -> None:
    new(place).refused(2, "north's keys does not exist", "backup make", "--no-backup")
    place.make().done()
    new(place).refused(2, "was never rehearsed", "backup rehearse", "--no-backup")
    ran = place.rehearse()
    assert "anna, bert gave every key file back" in ran.err
    assert "Not tried, since they have not answered: cleo" in ran.err
    opened = new(place).done()
    assert "Backed the keys up again" in opened.err
    round_id = opened.out.strip()
    expect = f"--expect={place.named('north')}"
    join = ("round", "join", round_id, expect, "--yes")
    place.type("south", *join).refused(2, "south's keys does not exist")
    joined = place.type("south", *join, "--no-backup").done()
    assert "any 2 of anna, bert, cleo together can give them back" in joined.err
    place.settle()
    task = json.loads((place.pool / "rounds" / round_id / "task.json").read_bytes())
    north, south = task["aggregators"]
    assert [one["name"] for one in north["backup"]["trustees"]] == list(TRUSTEES)
    assert south["backup"] is None


def test_a_rehearsal_round_is_exempt(place: Place) -> None:
    words = ("round", "new", str(place.plan), "--rehearsal", "--yes")
    place.type("north", *words).done()


def test_from_init_to_a_finished_round_over_a_lost_machine(place: Place) -> None:
    west = place.home("west")
    to = [f"--backup-to={place.named(name)}" for name in TRUSTEES]
    words = ("init", "west", "--pool", str(place.pool), *to, "--threshold", "2")
    place.prints["west"] = place.type("west", *words, "--yes").done().out.strip()
    place.rehearse("west", "bert", "cleo")
    place.make("south").done()
    place.rehearse("south")
    with_south = f"--with={place.named('south')}"
    admit = f"--admit={place.named('anna')}"
    round_id = (
        place.type("west", "round", "new", str(place.plan), with_south, admit, "--yes").done().out
    ).strip()
    expect = f"--expect={place.named('west')}"
    place.type("south", "round", "join", round_id, expect, "--yes").done()
    for name in ("west", "south") * 3:
        place.type(name, "sync").done()
    bundle, inbox = place.folder / "round.json", place.folder / "inbox"
    digest = place.type("west", "round", "invite", str(bundle)).done().out.strip()
    inbox.mkdir()
    sealing = ("seal", str(bundle), "--trust", digest, "--answers", "-", "--out")
    for number in range(12):
        type_words(*sealing, str(inbox / f"{number}.report"), stdin=ANSWERS).done()
    place.type("anna", "relay", str(inbox), "--trust", digest).done()
    for name in ("west", "south") * 2:
        place.type(name, "sync").done()
    shown = place.type("west", "backup", "status", "--json").done().json["backup"]
    assert shown["up_to_date"] and shown["rehearsed"] and shown["trustees"] == list(TRUSTEES)

    # The laptop dies.
    west.rename(place.folder / "west-broken")
    restore = ("restore", place.named("west"), "--pool", str(place.pool))
    asked = place.type("west", *restore)
    assert asked.code == 3 and asked.out.count("\n") == 1
    request = asked.out.strip()
    assert f"Call them, and read this out: {request}" in asked.err
    assert f"anna types: grievance backup answer west {request[:4]}" in asked.err
    waiting = place.type("anna", "backup", "status", "--json").done().json["pleas"]
    assert waiting == [{"owner": "west", "request": request, "rehearsal": False}]
    place.answer("west", request, "anna")
    again = place.type("west", *restore, "--json")
    assert again.code == 3 and again.json["waiting"] == ["bert", "cleo"]
    assert again.json["request"] == request and again.json["restored"] is False
    place.answer("west", request, "cleo")
    back = place.type("west", *restore).done()
    assert back.out.strip() == place.prints["west"]
    assert "grievance recover" in back.err
    place.type("west", "recover", "--alone").done()
    seen = place.type("south", "status").done().out
    assert round_id in seen
    place.type("west", "round", "close", "--yes").done()
    release_id = place.type("west", "release", "propose", "--yes").done().out.strip()
    place.type("south", "release", "approve", release_id, "--yes").done()
    for name in ("west", "south") * 3:
        place.type(name, "sync").done()
    place.type("west", "release", "show").done()
    # An owner sees a restore that somebody answered.
    told = place.type("west", "backup", "status").done().out
    assert f"request {request} (RESTORE), answered by anna, cleo" in told
    assert "Did you ask for that restore?" in told


def test_a_trustee_must_be_told_the_fingerprint(place: Place) -> None:
    place.make().done()
    restore = ("restore", "north", "--pool", str(place.pool))
    into = place.folder / "Nextcloud" / "new"
    asked = type_words(*restore, home=into)
    assert "warning: " in asked.err and "Nextcloud" in asked.err  # before keys are written there
    request = asked.out.strip()
    answer = ("backup", "answer", "north")
    silent = place.type("anna", *answer, "--yes").refused(2, "by voice")
    assert request not in silent.err and request[:9] in silent.err
    assert "Nothing but a voice" in silent.err
    wrong = request[:-1] + ("0" if request[-1] != "0" else "1")
    place.type("anna", *answer, "--fingerprint", wrong, "--yes").refused(1, "not the fingerprint")
    place.type("anna", *answer, "--fingerprint", request).refused(2, "person's consent")
    place.type("anna", *answer, keyboard=f"{request}\nn\n").refused(1, "not confirmed")
    # U is no symbol of a fingerprint, so no request begins so.
    place.type("anna", *answer, "UUUU", "--fingerprint", request, "--yes").refused(2, "no request")
    place.type("south", *answer, "--fingerprint", request, "--yes").refused(2, "south could answer")
    assert not (place.pool / "backups/north/answers").exists()
    done = place.type("anna", *answer, keyboard=f"{request.lower()}\ny\n").done()
    assert "gave its piece back" in done.err and done.out == ""
    found = place.type("bert", *answer, "--fingerprint", request, "--yes", "--json").done().json
    assert found["rehearsal"] is False and found["request"] == request
    type_words(*restore, home=into).done()


def test_refusals_of_backup_make(place: Place) -> None:
    place.type("north", "backup", "make", "--yes").refused(2, "0 trustees cannot be 2")
    to = [f"--to={place.named(name)}" for name in ("anna", "bert")]
    make = ("backup", "make", *to)
    place.type("north", *make, "--threshold", "3", "--yes").refused(2, "2 trustees cannot be 3")
    unknown = place.type("north", "backup", "make", "--to=anna", "--to=bert", "--yes")
    unknown.refused(1, "nobody has compared", "hint: call anna")
    asked = place.type("north", *make).refused(2, "person's consent")
    assert "Any 2 of them together" in asked.err
    assert not (place.pool / "backups").exists()
    place.type("north", "backup", "rehearse").refused(2, "no backup", "backup make")
    assert place.type("north", *make, "--threshold", "1", "--yes").code == 2
    found = place.type("north", *make, "--yes", "--json").done().json
    assert found["trustees"] == ["anna", "bert"] and found["threshold"] == 2
    assert "never rehearsed" in place.type("north", "backup", "status").done().out


def test_an_identity_survives_a_backup_that_is_refused(place: Place) -> None:
    words = ("init", "west", "--pool", str(place.pool), "--backup-to=anna", "--backup-to=bert")
    ran = place.type("west", *words, "--yes")
    assert ran.code == 1 and "nobody has compared" in ran.err
    assert ran.out.strip() == Home.open(place.home("west")).identity.fingerprint


def test_restoring_with_a_passphrase(place: Place) -> None:
    env = {"GRIEVANCE_PASSPHRASE": "correct horse"}
    place.type("west", "init", "west", "--pool", str(place.pool), env=env).done()
    to = [f"--to={place.named(name)}" for name in TRUSTEES]
    place.type("west", "backup", "make", *to, "--yes", env=env).done()
    new_home = place.folder / "new"
    restore = ("restore", "west", "--pool", str(place.pool))
    request = type_words(*restore, home=new_home).out.strip()
    place.answer("west", request, "anna", "bert")
    type_words(*restore, home=new_home).refused(1, "passphrase", "GRIEVANCE_PASSPHRASE")
    wrong = {"GRIEVANCE_PASSPHRASE": "wrong"}
    type_words(*restore, home=new_home, env=wrong).refused(1, "does not open")
    type_words(*restore, home=new_home, env=env).done()
    type_words("backup", "status", home=new_home, env=env).done()


def test_destroying_a_round_renews_the_archive(place: Place) -> None:
    place.make("south").done()
    place.rehearse("south")
    round_id = new(place, "--no-backup").done().out.strip()
    expect = f"--expect={place.named('north')}"
    place.type("south", "round", "join", round_id, expect, "--yes").done()
    place.settle()
    place.type("north", "round", "close", "--yes").done()
    place.settle()
    shown = place.type("south", "backup", "status", "--json").done().json["backup"]
    assert shown["up_to_date"] and shown["archive"] > 1
    told = place.type("south", "round", "destroy", "--yes").done().err
    assert "Backed the keys up again" in told and "Copies\nof them elsewhere may survive" in told
    (folder,) = [p.parent for p in (place.pool / "backups/south").glob("*/set.json")]
    assert len(list(folder.glob("archive-*"))) == 1


def test_who_joins_is_told_of_trustees_that_both_aggregators_have(place: Place) -> None:
    """Two trustees of both aggregators could read every answer: seen before consent."""
    place.make().done()
    place.rehearse()
    place.make("south").done()
    place.rehearse("south", "bert", "cleo")
    round_id = new(place).done().out.strip()
    told = place.type("south", "round", "join", round_id, f"--expect={place.named('north')}")
    assert "trustees in common: anna, bert, cleo of north and south" in told.err
    assert told.code == 2  # nobody there to consent
