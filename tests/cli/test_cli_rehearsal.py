"""A rehearsal: one organisation tries a whole round out, and is told everywhere what it lacks."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_shell import ANSWERS, PLAN, Ran, type_words

from grievance.aggregator import Office, destroy
from grievance.audit import audit_pool
from grievance.home import Home
from grievance.ledger import read_ledger
from grievance.pool.rounds import read_task
from grievance.pool.store import open_store

if TYPE_CHECKING:
    from grievance.pool.order import OrderChain

LOUD = "REHEARSAL: all aggregators of this round are on one machine. There is NO SPLIT TRUST"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pool").mkdir()
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def type_(place: Path, *words: str, **how: str) -> Ran:
    return type_words(*words, home=place / "me", **how).done()  # type: ignore[arg-type]


def keys(place: Path) -> list[str]:
    """The round keys that lie in both homes of a rehearsal."""
    found = (place / "me").rglob("rounds/*/*.key")
    return sorted(str(path.relative_to(place / "me")) for path in found)


def play(place: Path, *, release: bool = True) -> str:
    """A rehearsal up to its release, or up to its close. Returns the round's id."""
    type_(place, "init", "me", "--pool", "pool")
    round_id: str = type_(
        place, "round", "new", "plan.toml", "--rehearsal", "--yes", "--json"
    ).json["round"]
    digest = type_(place, "round", "invite", "round.json").out.strip()
    type_(place, "seal", "round.json", "--trust", digest, "--answers", "-", stdin=ANSWERS)
    type_(place, "relay", ".")
    type_(place, "sync")
    type_(place, "round", "close", "--yes")
    if release:
        type_(place, "release", "propose", "--yes")
        type_(place, "sync")
    return round_id


def check_destroyed(place: Path, round_id: str) -> None:
    """No key of the round, no sum and no unpublished share is left in either home."""
    assert keys(place) == []
    for home in ("me", "me/rehearsal-helper"):
        assert not (place / home / "rounds" / round_id).exists()
        with contextlib.closing(sqlite3.connect(place / home / "state.sqlite")) as state:
            assert state.execute("SELECT SUM(LENGTH(sum)) FROM batches").fetchone() == (0,)
            assert state.execute("SELECT COUNT(*) FROM noisy_shares").fetchone() == (0,)
            assert state.execute("SELECT COUNT(*) FROM destroyed").fetchone() == (1,)
    type_(place, "sync")
    assert "Nothing to do now" in type_(place, "sync").err
    task = read_task(open_store(place / "pool"), round_id)
    assert task is not None
    report = audit_pool(place / "pool", trust=[task.short_digest])
    assert report.verdict == "pass", [str(one) for one in report.findings]
    for party in task.aggregators:
        log = read_ledger(open_store(place / "pool"), party.name, party.identity)
        assert log.destroyed(task.digest)


def test_destroying_a_rehearsal_destroys_it_for_the_helper_too(place: Path) -> None:
    round_id = play(place)
    before = keys(place)
    assert len(before) == 6, "three of ours, three of the helper's"
    asked = type_words("round", "destroy", home=place / "me", keyboard="n\n")
    asked.refused(1, LOUD, "and in the rehearsal helper's", "not confirmed")
    assert all(str(place / "me" / name) in asked.err for name in before)
    assert keys(place) == before
    ran = type_(place, "round", "destroy", "--yes", "--json")
    assert ran.json == {
        "round": round_id,
        "deleted": [str(place / "me" / name) for name in (*before[3:], *before[:3])],
        "rehearsal": True,
    }
    check_destroyed(place, round_id)
    again = type_(place, "round", "destroy", "--yes")
    assert again.out == ""
    assert f"{round_id} is destroyed here" in again.err
    # The helper itself stays, for the next rehearsal.
    type_(place, "round", "new", "plan.toml", "--rehearsal", "--yes")
    assert len(keys(place)) == 6


def test_nothing_is_destroyed_while_the_helper_needs_its_keys(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its noisy share is not out yet, ours is: else the release could never be complete."""
    play(place)
    real = destroy.pending

    def needs(office: Office, chain: OrderChain) -> list[str]:
        return (
            ["release abc is not complete"]
            if "rehearsal" in office.home.name
            else real(office, chain)
        )

    with monkeypatch.context() as patch:
        patch.setattr(destroy, "pending", needs)
        refused = type_words("round", "destroy", "--yes", home=place / "me")
        refused.refused(1, "still needs its keys: release abc is not complete", "hint: ")
        assert len(keys(place)) == 6


def test_what_an_earlier_version_left_of_a_rehearsal_goes_with_the_next_sync(place: Path) -> None:
    """Destroyed for us alone: by a version that did so, or by a run that was cut short."""
    round_id = play(place)
    with Office.open(Home.open(place / "me")) as office:
        task = office.task(round_id)
        assert task is not None
        destroy.destroy(office, office.chain(task))
    assert len(keys(place)) == 3
    ran = type_(place, "round", "destroy", "--yes")
    assert len(ran.out.splitlines()) == 3
    assert all("rehearsal-helper/rounds" in line for line in ran.out.splitlines())
    check_destroyed(place, round_id)


def test_a_helper_whose_keys_are_gone_stops_nothing(place: Path) -> None:
    """After a rehearsal is destroyed another one goes its whole way."""
    first = play(place)
    type_(place, "round", "destroy", "--yes")
    made = type_(place, "round", "new", "plan.toml", "--rehearsal", "--yes", "--json")
    second = made.json["round"]
    type_(place, "sync")
    type_(place, "round", "close", "--round", second, "--yes")
    stages = {line["round"]: line["stage"] for line in type_(place, "status", "--json").json}
    assert stages == {first: "destroyed", second: "decided"}
    type_(place, "round", "destroy", "--round", second, "--yes")
    assert keys(place) == []


def test_from_init_to_export(place: Path) -> None:
    def type_(*words: str, loud: bool = True, **how: str) -> Ran:
        ran = type_words(*words, home=place / "me", **how).done()  # type: ignore[arg-type]
        assert (LOUD in ran.err + ran.out) == loud, (words, ran)
        if "--json" in words:
            assert ran.json["rehearsal"] is True
        return ran

    type_("init", "me", "--pool", "pool", loud=False)
    type_("round", "new", "plan.toml", "--rehearsal", "--yes", "--json")
    type_("status")
    digest = type_("round", "invite", "round.json").out.strip()
    type_("round", "invite", "again.json", "--json")
    sealing = ("seal", "round.json", "--trust", digest, "--answers", "-")
    for _ in range(3):
        sealed = type_(*sealing, "--json", stdin=ANSWERS)
    worded = type_(*sealing, stdin=ANSWERS)
    assert "nobody there can read it" not in worded.err
    assert sealed.json["file"].endswith(".report")
    relayed = type_("relay", ".")
    assert "Relayed 4 reports" in relayed.err
    assert "not admitted" not in relayed.err
    assert "100 of 100 sealed reports count" in type_("sync").err
    type_("round", "close", "--yes")
    proposed = type_("release", "propose", "--yes")
    assert "the local helper approves" in proposed.err
    assert "published our noisy share" in type_("sync").err
    assert "hours_mean" in type_("release", "show").out
    type_("release", "export", "out")
    type_("release", "export", "out2", "--json")
    assert (place / "out" / "release.json").exists()
    assert "[released]" in type_("status").out


def test_a_rehearsal_asks_for_consent_too(place: Path) -> None:
    type_words("init", "me", "--pool", "pool", home=place / "me").done()
    words = ("round", "new", "plan.toml", "--rehearsal")
    type_words(*words, home=place / "me").refused(2, LOUD, "needs a person's consent")
    assert not (place / "pool" / "rounds").exists()
    type_words(*words, home=place / "me", keyboard="y\n").done()


def test_another_organisation_reads_that_it_is_one(place: Path) -> None:
    type_words("init", "me", "--pool", "pool", home=place / "me").done()
    type_words("init", "nurses", "--pool", "pool", home=place / "nurses").done()
    type_words("round", "new", "plan.toml", "--rehearsal", "--yes", home=place / "me").done()
    told = type_words("status", home=place / "nurses").done().out
    assert LOUD not in told and "Left alone" in told  # a stranger's, until a key was compared
    nurses = Home.open(place / "nurses")
    nurses.trust(Home.open(place / "me").identity)
    assert LOUD in type_words("status", home=place / "nurses").done().out
