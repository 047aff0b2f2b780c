"""What a witness reads out: `heads`, `compare`, `recover --told`, `audit --newer-than`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from cli_shell import Town, type_words

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def watched(checked: Town, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A released round whose witnesses have synced, and a copy of the folder as it was before."""
    town = checked.copied(tmp_path_factory.mktemp("watched") / "town")
    town.close()
    shutil.copytree(town.pool, town.folder / "older")
    town.release()
    return town


def spoken(town: Town, witness: str, ledger: str) -> str:
    """A head as `audit --newer-than` and `recover --told` take it."""
    found = town.type(witness, "heads", ledger).done().out.split()
    return f"{found[1]}:{found[3]}"


def test_heads_are_printed_to_be_read_out(watched: Town) -> None:
    lines = watched.type("nurses", "heads").done().out.splitlines()
    assert [line.split(":")[0] for line in lines[::2]] == ["north", "south"]
    assert all(line.endswith(": 1 entry") for line in lines[::2])
    assert all(len(line.strip().split("-")) == 8 for line in lines[1::2])
    heads = watched.type("nurses", "heads", "--json").done().json["heads"]
    assert [(head["ledger"], head["size"]) for head in heads] == [("north", 1), ("south", 1)]
    assert watched.type("carers", "heads", "south").done().out == "\n".join(lines[2:]) + "\n"


def test_an_organisation_that_holds_none_says_how_to_get_them(watched: Town) -> None:
    ran = watched.type("nurses", "heads", "carers").done()
    assert ran.out == "" and "holds no head of carers; `grievance sync` takes" in ran.err


def test_an_older_folder_is_told_by_a_head_that_was_read_out(watched: Town) -> None:
    size, groups = spoken(watched, "nurses", "south").split(":")
    head = f"south:{size}:{groups}"
    trust = ("--trust", watched.digest)
    newest = type_words("audit", str(watched.pool), "--newer-than", head, *trust).done()
    assert ": PASS" in newest.out
    older = watched.folder / "older"
    type_words("audit", str(older), *trust).done()  # by itself it holds: that is the attack
    shown = type_words("audit", str(older), "--newer-than", head, *trust)
    assert shown.code != 0 and "PASS" not in shown.out
    garbled = f"south:{size}:{groups[:-1]}{'0' if groups[-1] != '0' else '1'}"
    ran = type_words("audit", str(watched.pool), "--newer-than", garbled, *trust)
    assert ran.code != 0 and "PASS" not in ran.out
    type_words("audit", str(watched.pool), "--newer-than", f"east:1:{groups}", *trust).refused(
        2, "no head of a ledger"
    )


def test_a_witness_that_was_not_compared_is_not_believed(watched: Town, tmp_path: Path) -> None:
    wrong = watched.prints["carers"]
    watched.type("south", "compare", f"nurses:{wrong}").refused(1, "nurses")
    lost = tmp_path / "lost"
    lost.mkdir()
    for part in watched.home("south").glob("state.sqlite*"):
        part.rename(lost / part.name)
    told = {
        name: f"--told={name}:{spoken(watched, name, 'south')}" for name in ("nurses", "carers")
    }
    ran = watched.type("south", "recover", *told.values())
    assert ran.code != 0 and not (watched.home("south") / "state.sqlite").exists()
    for name in told:
        found = watched.type("south", "compare", watched.named(name), "--json").done().json
        assert found == {"name": name, "fingerprint": watched.prints[name]}
    asked = watched.type("south", "recover", told["nurses"]).refused(3, "1 more of carers")
    assert "--told NAME:SIZE:GROUPS" in asked.err
    garbled = told["carers"][:-1] + ("0" if told["carers"][-1] != "0" else "1")
    watched.type("south", "recover", told["nurses"], garbled).refused(1)
    done = watched.type("south", "recover", *told.values()).done()
    assert "our ledger, 1 entries" in done.out
    assert "nurses holds a head of our ledger with 1 entries" in done.err
    assert watched.type("south", "sync", "--json").done().json["done"] == []


def test_sync_says_once_whose_rounds_are_watched(town: Town) -> None:
    """A witness that compared nobody sees no round; `sync --trust` is how it begins."""
    town.open()
    before = town.type("nurses", "status", "--json").done().json
    assert not before or town.round_id not in {line["round"] for line in before}
    wrong = town.digest[:-1] + ("0" if town.digest[-1] != "0" else "1")
    town.type("nurses", "sync", "--trust", wrong).refused(1)
    town.type("nurses", "sync", "--trust", town.digest).done()
    seen = town.type("nurses", "status", "--json").done().json
    assert town.round_id in {line["round"] for line in seen}
