"""Consent by command: what is on the screen is what is signed, and what is asked a second time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cli_shell import PLAN, Ran, Town, type_words

from grievance import task as tasks
from grievance.crypto.signing import SigningKey
from grievance.home import Home
from grievance.plan.budget import write_mechanism
from grievance.task import BackupClaim
from grievance.task.backup import ClaimedTrustee

PUBLISHED = write_mechanism(PLAN, "gaussian")
"""The plan as `round new` publishes it, but for the witnesses before it."""
DEARER = PLAN.replace("epsilon = 2.0\ndelta = 1e-6", "epsilon = 10\ndelta = 1e-3").replace(
    "lifetime_epsilon = 8.0", "lifetime_epsilon = 10"
)


class Reader(io.StringIO):
    """A steward at the keyboard, who says y; before that something happens to the pool."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__("y\n")
        self.meanwhile = meanwhile

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:  # type: ignore[override]
        self.meanwhile()
        return "y\n"


def type_while(town: Town, name: str, meanwhile: Callable[[], None], *words: str) -> Ran:
    with mock.patch("cli_shell.Terminal", return_value=Reader(meanwhile)):
        return type_words(*words, home=town.home(name), keyboard="y\n")


def invited(town: Town) -> str:
    return town.new(f"--with={town.named('south')}", "--yes").done().out.strip()


def swap_invitation(town: Town, round_id: str) -> None:
    """The leader's second plan, and its second card, in the place of the first ones."""
    folder, north = town.pool / "rounds" / round_id, Home.open(town.home("north"))
    card = tasks.parse_card((folder / "cards/north.json").read_bytes())
    (folder / "plan.toml").write_text(DEARER)
    other = tasks.make_card(
        north.key,
        card.hpke,
        round_id=round_id,
        plan_sha256=hashlib.sha256(DEARER.encode()).digest(),
        members=card.members,
    )
    (folder / "cards/north.json").write_bytes(other)


def test_the_plan_is_swapped_before_the_answer(town: Town) -> None:
    round_id = invited(town)
    words = ("round", "join", round_id, "--no-backup", f"--expect={town.named('north')}")
    joined = type_while(town, "south", lambda: swap_invitation(town, round_id), *words).done()
    assert "epsilon 2 and delta 0.000001" in joined.err
    assert "epsilon 10 and" not in joined.err
    ran = town.type("south", "sync")
    assert ran.code == 1
    assert "that you agreed to" in ran.err
    assert "both versions are kept in" in ran.err
    kept = town.home("south") / "evidence" / round_id
    assert (kept / "agreed.plan.toml").read_text().endswith(PUBLISHED)
    assert DEARER in {path.read_text() for path in kept.glob("*.plan.toml")}
    as_json = town.type("south", "sync", "--json").json
    assert "consent.changed" in {fault["error"] for fault in as_json["faults"]}
    status = town.type("south", "status").done().out
    assert "has put another invitation in the place of the one that you agreed to" in status
    assert not (town.pool / "rounds" / round_id / "signatures/south.json").exists()
    town.type("south", "round", "join", round_id, "--yes").refused(1, "that you agreed to")


def test_the_leaders_own_plan_file_is_read_once(town: Town) -> None:
    """Somebody writes another plan over the leader's file while its steward reads."""
    words = ("round", "new", str(town.plan), "--no-backup", f"--with={town.named('south')}")
    ran = type_while(town, "north", lambda: town.plan.write_text(DEARER) and None, *words).done()
    plan = town.pool / "rounds" / ran.out.strip() / "plan.toml"
    assert plan.read_text().endswith(PUBLISHED)


# Other trustees than the leader knew.


@pytest.fixture
def later(town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """South has a backup by the time it joins."""
    trustees = tuple(ClaimedTrustee(n, SigningKey.generate().public) for n in ("ann", "bob"))
    claim = BackupClaim("ab" * 8, 2, trustees, "2026-09-30")
    for place in ("grievance.aggregator.rounds.statement", "grievance.backup.statement"):
        monkeypatch.setattr(place, lambda home: claim if home.name == "south" else None)
    monkeypatch.setattr("grievance.aggregator.rounds.statement_of", lambda *_: None)
    monkeypatch.setattr("grievance.backup.statement_of", lambda *_: None)
    return town


def test_other_trustees_are_asked_about(later: Town) -> None:
    new = later.new(f"--with={later.named('south')}", "--yes").done()
    round_id = new.out.strip()
    assert "south has no rehearsed backup" in new.err
    ask = f"grievance round consent {round_id}"
    later.type("south", "round", "consent", round_id, "--yes").refused(2, "has not joined")
    joined = later.join(round_id, f"--expect={later.named('north')}", "--yes").done()
    assert "Your own backup is another one by now" in joined.err
    assert ask in joined.err
    assert ask in later.type("north", "sync").done().err
    waiting = later.type("north", "status").done().out
    assert "waits for you: reads what the cards say now, and consents or not" in waiting
    assert ask in waiting
    # Nobody is asked without a person.
    later.type("north", "round", "consent", round_id).refused(2, "needs a person's consent")
    later.type("north", "round", "consent", round_id, keyboard="n\n").refused(1, "not confirmed")
    read = later.type("north", "round", "consent", round_id, keyboard="y\n").done()
    assert "the invitation: south has no rehearsed backup" in read.err
    assert "its card now:   If south loses its keys, any 2 of ann, bob together" in read.err
    later.settle()
    assert not (later.pool / "rounds" / round_id / "signatures/south.json").exists()
    waiting = later.type("north", "status").done().out
    assert "waits for south: reads what the cards say now, consents or not, and signs" in waiting
    found = later.type("south", "round", "consent", round_id, "--yes", "--json").done().json
    assert (found["round"], found["consented"]) == (round_id, True)
    (item,) = found["differences"]
    assert (item["name"], item["expected"]) == ("south", None)
    assert [one["name"] for one in item["claimed"]["trustees"]] == ["ann", "bob"]
    later.settle()
    assert (later.pool / "rounds" / round_id / "signatures/south.json").exists()
    again = later.type("north", "round", "consent", round_id, "--json").done().json
    assert again == {"round": round_id, "consented": False, "differences": []}


def test_nothing_to_consent_to(town: Town) -> None:
    round_id = invited(town)
    town.type("north", "round", "consent", round_id).refused(3, "the card of south is not here")
    town.join(round_id, f"--expect={town.named('north')}", "--yes").done()
    assert "nothing new" in town.type("north", "round", "consent", round_id).done().err


def test_another_name_than_its_owner_signed(town: Town) -> None:
    """The invitation calls a helper something else: it is not shown as if it were so."""
    round_id = (
        town.new(f"--with={town.named('south')}", f"--with={town.named('carers')}", "--yes")
        .done()
        .out.strip()
    )
    card = town.pool / "rounds" / round_id / "cards/north.json"
    made, north = tasks.parse_card(card.read_bytes()), Home.open(town.home("north"))
    carers = tasks.Identity("carers", "The Labour Inspectorate", made.members[2].key)
    card.write_bytes(
        tasks.make_card(
            north.key,
            made.hpke,
            round_id=round_id,
            plan_sha256=made.plan_sha256,
            members=(*made.members[:2], carers),
        )
    )
    known = (f"--expect={town.named('north')}", f"--expect={town.named('carers')}")
    ran = town.join(round_id, *known, "--yes").refused(1, "The Labour Inspectorate", "calls itself")
    assert "What is asked" not in ran.err


def test_files_of_a_home(town: Town) -> None:
    """The card is kept beside the state, for this machine's user alone."""
    round_id = invited(town)
    path: Path = town.home("north") / "cards" / f"{round_id}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == (town.pool / "rounds" / round_id / "cards/north.json").read_bytes()


# A release is answered as it was shown.


def test_a_proposal_that_is_exchanged_is_not_approved(
    collected: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids are short: a proposer can make two proposals with one id, and show one of them."""
    from grievance.aggregator import releases

    collected.close()
    release_id = collected.type("north", "release", "propose", "--yes").done().out.strip()
    real, shown = releases.find_release, []

    def find(bench: Any, wanted: str) -> Any:
        view = real(bench, wanted)
        if shown:  # what was read is on the screen; now the pool shows the other one
            names = view.proposal.statistics[:1]
            view = replace(view, proposal=replace(view.proposal, statistics=names))
        shown.append(view)
        return view

    with monkeypatch.context() as patch:
        patch.setattr(releases, "find_release", find)
        ran = collected.type("south", "release", "approve", release_id, "--yes")
    ran.refused(1, "is another one by now", "nothing was signed")
    collected.type("south", "release", "approve", release_id, "--yes").done()
