"""Faults of relays: a folder that forgot what it passed on, and what people hand in."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_world import tree

from cli.cli_shell import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A round into which nurses have passed twelve reports on, and a folder of them."""
    made = Town(tmp_path_factory.mktemp("relay") / "town")
    made.found("north", "south", "nurses")
    made.open("nurses")
    made.fill()
    made.type("nurses", "relay", str(made.folder / "inbox"), "--trust", made.digest).done()
    return made


def test_e20_a_relay_that_forgot_what_it_passed_on(town: Town) -> None:
    inbox, home = town.folder / "inbox", town.home("nurses")
    before = tree(town.pool)
    for path in home.glob("state.sqlite*"):
        path.unlink()
    for _ in range(2):
        ran = town.type("nurses", "relay", str(inbox))
        ran.refused(1, "this home does not remember it", "--memory-lost")
        assert '"error": "relay.memory"' in town.type("nurses", "relay", str(inbox), "--json").err
    assert tree(town.pool) == before, "nothing went out twice"
    gone_on = town.type("nurses", "relay", str(inbox), "--memory-lost").done()
    assert "12 reports have gone out before and were left out." in gone_on.err
    assert tree(town.pool) == before


def test_e21_a_file_that_does_not_read_among_those_handed_in(town: Town) -> None:
    inbox = town.folder / "mixed"
    inbox.mkdir()
    town.seal("--blank", "--out", str(inbox)).done()
    whole = next(inbox.glob("*.report")).read_bytes()
    bad = {"half.report": whole[: len(whole) // 2], "none.reports": b"", "list.reports": whole}
    for name, data in bad.items():
        (inbox / name).write_bytes(data)
    ran = town.type("nurses", "relay", str(inbox), "--json")
    assert ran.code == 1
    told = ran.json
    assert (told["reports"], len(told["batches"])) == (1, 1), "it stops nothing"
    assert {Path(one["file"]).name: one["error"] for one in told["refused"]} == dict.fromkeys(
        bad, "report.file"
    )
    assert all(Path(one["set_aside"]).parent == inbox / "refused" for one in told["refused"])
    assert {p.name: p.read_bytes() for p in (inbox / "refused").iterdir()} == bad
