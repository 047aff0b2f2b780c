"""`grievance exposure`, typed: what it says before, in and after a round."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_shell import Town, type_words


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    made = Town(tmp_path_factory.mktemp("exposed") / "town")
    made.found("north", "south", "nurses", "carers")
    trustees = (f"--to={made.named(name)}" for name in ("nurses", "carers"))
    made.type("north", "backup", "make", *trustees, "--yes").done()
    made.open("nurses")
    made.collect()
    made.release()
    return made


def kinds(statement: dict, *parties: str) -> dict[str, str]:
    """What this group yields: kind -> how it is known."""
    (group,) = [g for g in statement["taken"] if set(g["parties"]) == set(parties)]
    return {item["kind"]: item["known"] for item in group["yields"]}


def test_an_aggregator_reads_its_own_home(town: Town) -> None:
    statement = town.type("north", "exposure", "--json").done().json
    assert (statement["party"], statement["read_from"]) == ("north", "home and pool")
    assert kinds(statement, "north") == {"noise": "found", "share": "found", "identity": "found"}
    assert kinds(statement, "north", "south")["answers"] == "inferred"
    assert kinds(statement, "north", "nurses", "carers")["archives"] == "inferred"
    assert "archives" not in kinds(statement, "north", "nurses")
    assert len(statement["taken"]) == 8 and statement["every_group"]
    there = {
        path.relative_to(town.home("north")).as_posix()
        for path in town.home("north").rglob("*")
        if path.is_file()
    }
    assert there <= {held["where"] for held in statement["holds"]}
    said = town.type("north", "exposure").done().out
    assert "opens the one share of 100 reports" in said
    assert f"grievance round destroy --round {town.round_id}" in said
    assert "north, south" in said and "EVERY ANSWER of 100 reports" in said


def test_one_group_can_be_asked_for(town: Town) -> None:
    ran = town.type("nurses", "exposure", "--party", "north", "--with", "south", "--json")
    statement = ran.done().json
    assert [group["parties"] for group in statement["taken"]] == [["north"], ["north", "south"]]
    assert statement["read_from"] == "pool alone"
    assert set(kinds(statement, "north").values()) == {"inferred"}
    assert kinds(statement, "north", "south")["answers"] == "inferred"
    town.type("nurses", "exposure", "--party", "north", "--with", "north").refused(2, "once")
    both = ("exposure", "--party", "north", "--with", "south", "--with", "south")
    town.type("nurses", *both).refused(2, "once")


def test_a_relay_and_a_trustee(town: Town) -> None:
    statement = town.type("nurses", "exposure", "--json").done().json
    assert statement["roles"] == [f"relay of {town.round_id}", "trustee of north"]
    assert kinds(statement, "nurses") == {"identity": "found"}
    whats = " | ".join(held["what"] for held in statement["holds"])
    assert "100 sealed reports that nurses relayed, blank ones included, in 1 batch," in whats
    assert "any 2 of 2" in whats


@pytest.mark.parametrize("role", ["public", "auditor", "worker", "@public"])
def test_roles_hold_no_keys(town: Town, role: str) -> None:
    pool = ("--pool", str(town.pool), "--json")
    statement = type_words("exposure", "--party", role, *pool).done().json
    name = f"@{role.removeprefix('@')}"
    assert statement["party"] == name
    assert kinds(statement, name) == {}
    assert statement["holds"]
    assert "answers" in kinds(statement, name, "north", "south")


def test_who_is_meant_must_be_said(town: Town, tmp_path: Path) -> None:
    type_words("exposure", "--pool", str(town.pool)).refused(2, "--party")
    refused = type_words("exposure", "--party", "somebody", "--pool", str(town.pool))
    refused.refused(2, "somebody", "north, nurses, south")
    type_words("exposure", home=tmp_path / "none").refused(2, "--pool DIR")


def test_what_does_not_belong_in_a_home_is_listed(town: Town) -> None:
    """A copied key, a key others can read, a key that came back after its round was destroyed."""
    home = town.home("south")
    folder = home / "rounds" / town.round_id
    shutil.copy2(folder / "hpke.key", home / "key.bak")
    (folder / "state.key").chmod(0o644)
    try:
        held = town.type("south", "exposure", "--json").done().json["holds"]
    finally:
        (folder / "state.key").chmod(0o600)
        (home / "key.bak").unlink()
    by_place = {item["where"]: item for item in held}
    assert by_place["key.bak"]["what"] == "a file that grievance did not write"
    assert "chmod 600" in by_place[f"rounds/{town.round_id}/state.key"]["what"]


@pytest.fixture
def kept(town: Town) -> Iterator[Town]:
    """The town, to be put back afterwards: homes remember where the pool is."""
    copy = town.folder.with_name("kept")
    shutil.copytree(town.folder, copy)
    yield town
    shutil.rmtree(town.folder)
    copy.rename(town.folder)


def test_after_destruction_nothing_is_left_to_take(kept: Town) -> None:
    town = kept
    folder = town.home("north") / "rounds" / town.round_id
    keys = {path.name: path.read_bytes() for path in folder.iterdir()}
    town.type("north", "round", "destroy", "--yes").done()
    statement = town.type("north", "exposure", "--json").done().json
    assert kinds(statement, "north") == {"identity": "found"}
    assert "answers" not in kinds(statement, "north", "south", "nurses", "carers")
    whats = " | ".join(item["what"] for item in statement["holds"])
    assert "sums" not in whats and "state key" not in whats and "noisy share" not in whats
    # A key that is put back is found, and is said to be what should not be there.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("hpke.key", "state.key"):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(keys[name])
    statement = town.type("north", "exposure", "--json").done().json
    assert kinds(statement, "north", "south")["answers"] == "inferred"
    untils = {item["where"]: item["until"] for item in statement["holds"]}
    assert "must not be here" in untils[f"rounds/{town.round_id}/hpke.key"]
