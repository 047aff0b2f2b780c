"""Rounds: open, join, hand out, admit, expel, sync, status, close, and who may do what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_shell import ANSWERS, Town, type_words


def test_a_round_opens(town: Town) -> None:
    ran = town.new(f"--with={town.named('south')}", "--yes").done()
    round_id = ran.out.strip()
    assert round_id.startswith("trial-")
    assert "What will be published, and nothing else" in ran.err
    assert f"south now runs: grievance round join {round_id}" in ran.err
    waiting = town.type("north", "status").done().out
    assert "waits for south: reads the plan and joins the round" in waiting
    assert f"grievance round join {round_id}" in waiting
    joined = town.join(round_id, f"--expect={town.named('north')}", "--yes").done()
    assert joined.out == ""
    assert "What is promised" in joined.err
    town.type("north", "round", "invite", str(town.bundle)).refused(3, "is not open yet")
    town.settle()
    invited = town.type("north", "round", "invite", str(town.bundle)).done()
    assert f"--trust {invited.out.strip()}" in invited.err
    town.type("north", "round", "invite", str(town.bundle)).refused(2, "exists already")


def test_opening_in_json(town: Town) -> None:
    found = town.new(f"--with={town.named('south')}", "--yes", "--json").done().json
    assert found["rehearsal"] is False
    expect = f"--expect={town.named('north')}"
    joined = town.join(found["round"], expect, "--yes", "--json").done().json
    assert joined == {"round": found["round"], "joined": True}
    town.settle()
    bundle = str(town.bundle)
    invited = town.type("north", "round", "invite", bundle, "--json").done().json
    assert invited["file"] == bundle
    assert len(invited["digest_hex"]) == 64


def test_a_round_needs_others(town: Town) -> None:
    town.new("--yes").refused(2, "--rehearsal", "two or more")
    with_south = f"--with={town.named('south')}"
    town.new("--rehearsal", with_south).refused(2, "alone")
    town.new("--with=nobody", "--yes").refused(1, "called nobody")
    town.new("--with=north", "--yes").refused(1, "twice")
    town.type("north", "round", "new", "no.toml", with_south, "--yes").refused(2, "no.toml")
    assert not (town.pool / "rounds").exists()


def test_consent_needs_a_person(town: Town) -> None:
    with_south = f"--with={town.named('south')}"
    town.new(with_south).refused(2, "needs a person's consent", "--yes")
    refused = town.new(with_south, keyboard="what?\nn\n").refused(1, "not confirmed")
    assert "Please answer y or n" in refused.err
    assert not (town.pool / "rounds").exists()
    round_id = town.new(with_south, keyboard="y\n").done().out.strip()
    expect = f"--expect={town.named('north')}"
    town.join(round_id, expect).refused(2, "needs a person's consent")
    town.join(round_id, expect, keyboard="\n").refused(1, "not confirmed")
    assert len(list((town.pool / "rounds" / round_id / "cards").iterdir())) == 1
    town.join(round_id, expect, keyboard="yes\n").done()


def test_closing_and_expelling_need_consent(opened: Town) -> None:
    opened.type("north", "round", "close").refused(2, "needs a person's consent")
    opened.type("north", "expel", "nurses").refused(2, "needs a person's consent")
    opened.type("north", "round", "close", keyboard="n\n").refused(1, "not confirmed")
    assert "[open]" in opened.type("north", "status").done().out


def test_fingerprints_are_compared(town: Town) -> None:
    wrong = f"--with=south:{town.prints['carers']}"
    town.new(wrong, "--yes").refused(1, "not the one you were told")
    # --yes is consent to a plan, not to a key that nobody compared.
    town.new("--with=south", "--yes").refused(1, "nobody has compared", "hint: call south")
    asked = town.new("--with=south", keyboard="y\ny\n").done()
    assert town.prints["south"] in asked.err
    assert "Have you called south" in asked.err
    # What was compared once is remembered.
    town.new("--with=south", "--yes").done()


def test_joining_checks_who_invites(town: Town) -> None:
    round_id = town.new(f"--with={town.named('south')}", "--yes").done().out.strip()
    town.join(round_id, "--yes").refused(1, "nobody has compared")
    wrong = f"--expect=north:{town.prints['carers']}"
    town.join(round_id, wrong, "--yes").refused(1, "not the one you were")
    strange = f"--expect={town.named('carers')}"
    town.join(round_id, strange, "--yes").refused(2, "does not name car")
    expect = f"--expect={town.named('north')}"
    town.join(round_id, expect, "--yes", name="carers").refused(
        1, "nobody has compared the fingerprint of south"
    )
    expects = (expect, f"--expect={town.named('south')}")
    town.join(round_id, *expects, "--yes", name="carers").refused(
        1, "does not name carers as a helper"
    )
    town.join("trial-none", expect, "--yes").refused(2, "no round")


def test_no_round_yet(town: Town) -> None:
    town.type("north", "round", "close", "--yes").refused(2, "no round yet", "round new")
    town.type("north", "round", "invite", "x.json").refused(2, "no round yet")


def test_several_rounds_are_told_apart(opened: Town) -> None:
    first = opened.round_id
    second = opened.open("nurses")
    assert first != second
    for words in (
        ("round", "close", "--yes"),
        ("round", "invite", str(opened.folder / "x.json")),
        ("relay", str(opened.folder)),
        ("admit", "carers"),
    ):
        ran = opened.type("north", *words).refused(2, "several rounds fit")
        assert first in ran.err
        assert second in ran.err
    for words in (("release", "show"), ("release", "propose", "--yes")):
        ran = opened.type("north", *words).refused(2, "no round of this pool is at the stage")
        assert f"grievance {' '.join(words)} --round {first}" in ran.err
    opened.type("north", "round", "close", "--round", "trial-", "--yes").refused(2, "several")
    # The start of a name is enough.
    start = next(second[:n] for n in range(1, 99) if not first.startswith(second[:n]))
    closed = opened.type("north", "round", "close", "--round", start, "--yes", "--json").done()
    assert closed.json["round"] == second
    assert (closed.json["closed"], closed.json["was_closed"]) == (True, False)
    stages = {r["round"]: r["stage"] for r in opened.type("north", "status", "--json").json}
    assert stages[first] == "open"
    assert stages[second] != "open"


def test_closing(opened: Town) -> None:
    opened.type("south", "round", "close", "--yes").refused(2, "does not lead", "ask north")
    opened.type("nurses", "round", "close", "--yes").refused(2, "has not signed")
    ran = opened.type("north", "round", "close", "--yes").done()
    assert "is closed." in ran.err
    again = opened.type("north", "round", "close").done()
    assert "was closed already" in again.err
    opened.settle()


def test_admitting_later(opened: Town) -> None:
    carers = opened.named("carers")
    opened.type("south", "admit", carers).refused(2, "does not lead", "ask north")
    opened.type("nurses", "admit", carers).refused(2, "does not lead")
    opened.type("north", "admit", "carers", "--yes").refused(1, "nobody has compared")
    opened.type("north", "admit", "nobody").refused(1, "nobody in this pool is called nobody")
    ran = opened.type("north", "admit", carers, "--json").done()
    assert ran.json == {"round": opened.round_id, "partner": "carers", "admitted": True}
    # Admitting twice is not an error.
    assert "may relay" in opened.type("north", "admit", "carers").done().err
    opened.close()
    opened.type("north", "admit", "south").refused(1, "is closed")


def test_admitting_before_the_round_is_signed(town: Town) -> None:
    round_id = town.new(f"--with={town.named('south')}", "--yes").done().out.strip()
    ran = town.type("north", "admit", town.named("nurses")).done()
    assert "as soon as all aggregators have signed" in ran.err
    town.join(round_id, f"--expect={town.named('north')}", "--yes").done()
    town.settle()
    assert "relays: nurses" in town.type("north", "status").done().out


def test_expelling(opened: Town) -> None:
    opened.type("south", "expel", "nurses", "--yes").refused(2, "does not lead")
    opened.type("north", "expel", "carers", "--yes").refused(2, "relays nothing", "nurses")
    ran = opened.type("north", "expel", "nurses", "--yes", "--json").done()
    assert ran.json == {"round": opened.round_id, "partner": "nurses", "expelled": True}
    opened.settle()
    opened.type("north", "expel", "nurses", "--yes").refused(2, "relays nothing")
    opened.type("north", "admit", opened.named("nurses")).refused(2, "that stands")
    assert "expelled: nurses" in opened.type("south", "status").done().out
    opened.fill(2)
    opened.type("nurses", "relay", str(opened.folder / "inbox"), "--trust", opened.digest).refused(
        1, "was expelled"
    )
    opened.type("north", "round", "close", "--yes").done()
    opened.type("north", "expel", "nurses", "--yes").refused(1, "is closed")


def test_sync_says_what_it_did(town: Town) -> None:
    idle = town.type("north", "sync").done()
    assert idle.out == ""
    assert "Nothing to do now" in idle.err
    found = town.type("north", "sync", "--json").done().json
    assert (found["done"], found["faults"]) == ([], [])


def test_sync_tells_of_faults_and_fails(opened: Town) -> None:
    key = opened.home("south") / "rounds" / opened.round_id / "hpke.key"
    key.rename(key.with_suffix(".away"))
    ran = opened.type("south", "sync")
    assert ran.code == 1
    assert "grievance: error: " in ran.err
    as_json = opened.type("south", "sync", "--json")
    assert as_json.code == 1
    assert [fault["error"] for fault in as_json.json["faults"]] == ["key.missing"]
    key.with_suffix(".away").rename(key)
    opened.type("south", "sync").done()


def test_watching_goes_on_after_errors(opened: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    away = opened.folder / "away"
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:
            opened.pool.rename(away)
        elif len(looks) == 2:
            away.rename(opened.pool)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    ran = opened.type("north", "sync", "--watch", "--interval", "5", "--json")
    assert ran.code == 130
    assert looks == [5, 5, 5]
    # One line for every look that worked, and the error of the one that did not.
    assert [json.loads(line)["faults"] for line in ran.out.splitlines()] == [[], []]
    assert "pool" in ran.err


def test_status_for_everybody(opened: Town) -> None:
    north = opened.type("north", "status").done().out
    assert north.startswith(f"{opened.round_id}: Pressure at work [open]\n")
    assert "aggregators: north, south (the first one leads)" in north
    assert "relays: nurses" in north
    assert "when all are in, grievance round close" in north
    assert "north types: grievance round close" in opened.type("south", "status").done().out
    told = opened.type("nurses", "status").done().out
    assert "Left alone, by nobody whose key you compared" in told  # a stranger's, so far
    for name in ("nurses", "carers"):
        opened.type(name, "compare", f"north:{opened.prints['north']}").done()
    assert f"grievance relay FOLDER --round {opened.round_id}" in (
        opened.type("nurses", "status").done().out
    )
    assert "the leader admits us: grievance admit carers:" in (
        opened.type("carers", "status").done().out
    )
    assert opened.type("north", "round", "status").done().out == north


def test_status_in_json(collected: Town) -> None:
    (north,) = collected.type("north", "status", "--json").done().json
    assert (north["role"], north["stage"], north["accepted"]) == ("aggregator", "open", 100)
    (nurses,) = collected.type("nurses", "status", "--json").done().json
    assert nurses == {
        "role": "relay",
        "round": collected.round_id,
        "title": "Pressure at work",
        "stage": "open",
        "rehearsal": False,
        "admitted": True,
        "batches": 1,
        "rows": 100,
        "decided": 1,
        "waiting": 0,
        "late": 0,
        "late_rows": 0,
        "given_up": [],
        "leader": "north",
        "opens": "2026-10-01",
        "closes": "2026-12-20",
        "overdue_days": 0,
    }
    relayed = collected.type("nurses", "status").done().out
    assert "100 sealed reports of ours, cover included, in 1 batch" in relayed


def test_status_before_anything(town: Town) -> None:
    assert "next: grievance plan new" in town.type("north", "status").done().out
    assert town.type("north", "status", "--json").done().json == []


def test_status_walks_a_round_through(collected: Town) -> None:
    collected.close()
    north = collected.type("north", "status").done().out
    assert "[decided]" in north
    assert "next: grievance release propose" in north
    assert "100 sealed reports, cover included, in 1 batch; 1 batch decided, in which" in north
    assert "in which 100 sealed reports count\n" in north
    release_id = collected.type("north", "release", "propose", "--yes").done().out.strip()
    waiting = collected.type("south", "status").done().out
    assert f"waits for you: approves or declines release {release_id}" in waiting
    assert f"grievance release approve {release_id}" in waiting
    collected.type("south", "release", "approve", "--yes").done()
    collected.settle()
    assert "next: grievance release show" in collected.type("south", "status").done().out


TRUSTED = ("digest", "prints")


@pytest.mark.parametrize("how", TRUSTED)
def test_trust_in_all_its_forms(opened: Town, how: str, tmp_path: Path) -> None:
    given = [opened.digest] if how == "digest" else [opened.prints["north"], opened.prints["south"]]
    trust = [word for text in given for word in ("--trust", text)]
    words = ("seal", str(opened.bundle), *trust, "--answers", "-")
    out = ("--out", str(tmp_path / "my.report"))
    type_words(*words, *out, stdin=ANSWERS).done()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "nothing says that these are the right aggregators"),
        (("north",), "nothing says that the key of south is theirs"),
        (("north", "carers"), "neither this task nor one of its aggregators"),
    ],
)
def test_trust_missing_partial_or_wrong(opened: Town, names: tuple[str, ...], said: str) -> None:
    trust = [word for name in names for word in ("--trust", opened.prints[name])]
    out = opened.folder / "my.report"
    sealed = type_words(
        "seal", str(opened.bundle), *trust, "--answers", "-", "--out", str(out), stdin=ANSWERS
    )
    sealed.refused(1, said, "hint: ")
    assert not out.exists()
    inbox = opened.fill(2)
    opened.type("nurses", "relay", str(inbox), *trust).refused(1, said, "hint: ")
    shown = type_words("release", "show", "--pool", str(opened.pool), *trust)
    shown.refused(1, said)
    assert not list(opened.pool.rglob("batches/*"))


def test_trust_must_be_readable(opened: Town) -> None:
    words = ("seal", str(opened.bundle), "--trust", "not a digest", "--blank")
    type_words(*words).refused(1)


def test_trust_is_remembered(opened: Town) -> None:
    inbox = opened.fill(2)
    opened.type("nurses", "relay", str(inbox)).refused(1, "nothing says")
    opened.type("nurses", "relay", str(inbox), "--trust", opened.digest).done()
    opened.type("nurses", "relay", str(inbox)).done()
