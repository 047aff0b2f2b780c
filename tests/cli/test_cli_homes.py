"""Identities, folders, passphrases: `init`, `--home`, GRIEVANCE_HOME, GRIEVANCE_PASSPHRASE."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cli_shell import Town, type_words


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    (tmp_path / "pool").mkdir()
    return tmp_path / "pool"


def test_init(pool: Path, tmp_path: Path) -> None:
    words = ("init", "north", "--pool", str(pool), "--display-name", "Union North")
    ran = type_words(*words, home=tmp_path / "home").done()
    assert len(ran.out.strip().split("-")) == 5
    assert (pool / "partners" / "north.json").exists()
    key = tmp_path / "home" / "identity.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"ENCRYPTED" not in key.read_bytes()


def test_init_in_json(pool: Path, tmp_path: Path) -> None:
    words = ("init", "north", "--pool", str(pool), "--json")
    found = type_words(*words, home=tmp_path / "home").done().json
    assert found["name"] == "north"
    assert len(found["fingerprint_hex"]) == 64
    assert Path(found["pool"]) == pool


def test_init_refuses(pool: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    type_words("init", "North!", "--pool", str(pool), home=home).refused(2, "lowercase letters")
    type_words("init", "north", "--pool", str(tmp_path / "x"), home=home).refused(
        1, "there is no pool folder", "hint: "
    )
    assert not home.exists()
    type_words("init", "north", "--pool", str(pool), home=home).done()
    type_words("init", "north", "--pool", str(pool), home=home).refused(2, "--home")
    type_words("init", "north", "--pool", str(pool), home=tmp_path / "other").refused(
        1, "somebody in this pool is called north"
    )
    assert not (tmp_path / "other").exists()


def test_home_by_option_beats_the_environment(town: Town) -> None:
    ran = type_words(
        "status", "--home", str(town.home("south")), env={"GRIEVANCE_HOME": str(town.home("north"))}
    ).done()
    assert "south" in ran.out
    assert "north" not in ran.out


def test_home_by_default_is_in_the_users_folder(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    type_words("init", "north", "--pool", str(pool)).done()
    assert (tmp_path / ".grievance" / "organisation.json").exists()
    assert "north" in type_words("status").done().out


def test_no_home(tmp_path: Path) -> None:
    type_words("sync", home=tmp_path / "nobody").refused(2, "grievance init NAME --pool DIR")


def test_a_damaged_home(town: Town) -> None:
    (town.home("north") / "organisation.json").write_text("{}")
    town.type("north", "status").refused(1, "damaged")


def test_a_pool_that_is_away(town: Town) -> None:
    town.pool.rename(town.folder / "unmounted")
    town.type("north", "sync").refused(1, "there is no pool folder", "hint: ")


def test_passphrase(pool: Path, tmp_path: Path) -> None:
    home, secret = tmp_path / "home", "correct horse"
    words = ("init", "north", "--pool", str(pool))
    type_words(*words, home=home, env={"GRIEVANCE_PASSPHRASE": secret}).done()
    assert b"ENCRYPTED" in (home / "identity.pem").read_bytes()
    type_words("status", home=home, env={"GRIEVANCE_PASSPHRASE": secret}).done()
    missing = type_words("status", home=home).refused(1, "protected by a passphrase")
    assert "set GRIEVANCE_PASSPHRASE" in missing.err
    wrong = type_words("status", home=home, env={"GRIEVANCE_PASSPHRASE": "wrong"})
    wrong.refused(1, "does not open", "is GRIEVANCE_PASSPHRASE the one")
    assert "wrong" not in wrong.err.replace("wrong passphrase", "")


def test_a_passphrase_is_asked_for_in_a_terminal(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, typed = tmp_path / "home", ["no", "correct horse"]
    words = ("init", "north", "--pool", str(pool))
    type_words(*words, home=home, env={"GRIEVANCE_PASSPHRASE": "correct horse"}).done()
    monkeypatch.setattr("typer.prompt", lambda *_a, **_k: typed.pop(0))
    ran = type_words("status", home=home, keyboard="").done()
    assert "does not open" in ran.err
    assert not typed
    typed += ["no", "no", "no"]
    type_words("status", home=home, keyboard="").refused(1, "does not open")
