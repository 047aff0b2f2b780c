"""What a card may say later: everybody is asked again, and exactly those cards are signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from federation import PLAN, Federation
from grievance import task as tasks
from grievance.aggregator import Office, consent
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.aggregator.rounds import join_round, new_round
from grievance.aggregator.status import status
from grievance.crypto.signing import SigningKey
from grievance.errors import TaskError
from grievance.pool.rounds import read_cards
from grievance.task import BackupClaim
from grievance.task.backup import ClaimedTrustee

if TYPE_CHECKING:
    from grievance.aggregator.status import RoundStatus
    from grievance.home import Home
    from grievance.task import Identity

PEOPLE = {name: SigningKey.generate().public for name in ("ann", "bob", "cem", "dee", "eva", "fay")}


def claim(threshold: int, *names: str) -> BackupClaim:
    trustees = tuple(ClaimedTrustee(name, PEOPLE[name]) for name in names)
    return BackupClaim("ab" * 8, threshold, trustees, "2026-09-30")


class Town:
    """A round that south joins with another backup than the leader knew of."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, BackupClaim | None] = {}
        self.true: dict[str, BackupClaim | None] = {}
        monkeypatch.setattr("grievance.aggregator.rounds.statement", self._statement)
        monkeypatch.setattr("grievance.aggregator.rounds.statement_of", self._statement_of)
        self.federation = Federation(folder, aggregators=("north", "south", "west"))

    def _statement(self, home: Home) -> BackupClaim | None:
        return self.true.get(home.name)

    def _statement_of(self, _store: object, owner: Identity) -> BackupClaim | None:
        return self.known.get(owner.name)

    def invite(self, plan: bytes = PLAN) -> None:
        federation, north = self.federation, self.federation.leader
        helpers = [federation.homes[name].identity for name in ("south", "west")]
        with Office.open(north) as office:
            made = new_round(north, office.state, plan, helpers)
            office.publish()
        federation.round_id = made.round_id

    def join(self, *names: str) -> None:
        for name in names or ("south", "west"):
            home = self.federation.homes[name]
            found = home.invitation(self.federation.round_id)
            assert found is not None
            with Office.open(home) as office:
                join_round(home, office.state, found)
                office.publish()

    def consent(self, *names: str) -> None:
        for name in names:
            home = self.federation.homes[name]
            with Office.open(home) as office:
                agreed = consent.find_consent(home, office.state, self.federation.round_id)
                assert agreed is not None
                cards = read_cards(home.store, agreed.invitation)
                consent.agree_to_cards(office.state, agreed, cards)

    def status(self, name: str) -> RoundStatus:
        with Office.open(self.federation.homes[name]) as office:
            (line,) = status(office)
        return line

    def there(self, path: str) -> bool:
        return self.federation.file(path).exists()

    @property
    def waiting(self) -> list[tuple[str, str]]:
        return [(item.who, item.command) for item in self.status("south").waiting]


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    return Town(tmp_path, monkeypatch)


def test_a_card_that_says_what_the_invitation_did_asks_nobody(town: Town) -> None:
    """The control: a backup that was known, tried again since, needs no second consent."""
    town.known["south"] = claim(2, "ann", "bob")
    town.true["south"] = BackupClaim("cd" * 8, 2, claim(2, "bob", "ann").trustees, "2026-10-30")
    town.invite()
    town.join()
    town.federation.settle()
    assert town.federation.task.aggregators[1].backup == town.true["south"]


def test_another_backup_waits_for_consent_of_everybody(town: Town) -> None:
    federation = town.federation
    town.true["south"] = claim(2, "ann", "bob")
    town.invite()
    town.join()
    task, ask = federation.paths.task, f"grievance round consent {federation.round_id}"
    results = federation.sync()
    assert all(any(ask in line for line in result.warnings) for result in results)
    assert not town.there(task)
    assert town.waiting == [("south", ask)]
    # One after the other, whoever comes first.
    town.consent("south")
    federation.sync()
    assert not town.there(task)
    assert town.waiting == [("north", f"{ask}, then grievance sync")]
    town.consent("north")
    federation.sync()
    assert town.there(task)
    assert town.there(federation.paths.signature("south"))
    assert not town.there(federation.paths.signature("west"))
    assert town.waiting == [("west", f"{ask}, then grievance sync")]
    town.consent("west")
    federation.settle()
    assert federation.task.aggregators[1].backup == claim(2, "ann", "bob")
    assert town.waiting == []


@pytest.mark.parametrize("lost", [False, True])
def test_a_backup_that_is_gone_is_asked_about_too(town: Town, lost: bool) -> None:
    town.known["west"] = claim(2, "ann", "bob")
    town.true["west"] = None if lost else claim(2, "ann", "bob")
    town.invite()
    town.join()
    town.federation.sync()
    assert town.there(town.federation.paths.task) is not lost


def test_without_the_check_the_claim_is_signed(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the guard: who looks at no claim signs what no steward has read."""
    town.true["south"] = claim(2, "ann", "bob")
    town.invite()
    town.join()
    monkeypatch.setattr(consent, "waits_for_consent", lambda *_: False)
    town.federation.settle()
    assert town.federation.task.aggregators[1].backup == claim(2, "ann", "bob")


def test_only_the_cards_that_were_read_are_signed(town: Town) -> None:
    """South swaps its card for one with other trustees after everybody has consented."""
    federation = town.federation
    town.true["south"] = claim(2, "ann", "bob")
    town.invite()
    town.join()
    town.consent("north", "south", "west")
    path = federation.file(federation.paths.card("south"))
    first = tasks.parse_card(path.read_bytes())
    other = tasks.make_card(
        federation.homes["south"].key,
        first.hpke,
        round_id=first.round_id,
        plan_sha256=first.plan_sha256,
        members=first.members,
        backup=claim(2, "cem", "dee"),
        invitation=first.invitation,
    )
    path.write_bytes(other)
    (result,) = federation.sync("west", clean=False)
    assert any("round consent" in line for line in result.warnings)
    federation.sync("north", clean=False)
    assert not town.there(federation.paths.task)
    path.write_bytes(first.data)
    federation.sync("north", clean=False)
    assert town.there(federation.paths.task)


def test_recover_asks_again(town: Town) -> None:
    federation = town.federation
    town.true["south"] = claim(2, "ann", "bob")
    town.invite()
    town.join()
    town.consent("north", "south", "west")
    federation.homes["west"].state_path.unlink()
    recover(federation.homes["west"], Told())
    federation.sync()
    assert town.there(federation.paths.task)
    assert not town.there(federation.paths.signature("west"))
    town.consent("west")
    federation.settle()
    assert federation.task is not None
    # What is signed stays so: nobody is asked about it any more.
    federation.homes["west"].state_path.unlink()
    recover(federation.homes["west"], Told())
    federation.settle()


# Trustees in common.


def test_trustees_in_common_are_refused_at_every_step(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.true["north"] = claim(2, "ann", "bob", "cem")
    town.known["south"] = claim(2, "ann", "bob", "dee")
    with pytest.raises(TaskError) as caught:
        town.invite()
    assert caught.value.code == "task.trustees"
    assert not town.there("rounds")
    # The leader did not know: south's own program refuses to join.
    town.known["south"], town.true["south"] = None, claim(2, "ann", "bob", "dee")
    town.invite()
    with pytest.raises(TaskError) as caught:
        town.join("south")
    assert caught.value.code == "task.trustees"
    # South's program does not look: then nobody's signs, and nobody can consent.
    with monkeypatch.context() as blind:
        blind.setattr("grievance.aggregator.rounds.check_trustees", lambda *_, **__: None)
        town.join()
    for result in town.federation.sync(clean=False):
        assert [fault.code for fault in result.faults] == ["task.trustees"]
    assert not town.there(town.federation.paths.task)
    with pytest.raises(TaskError) as caught:
        town.consent("north")
    assert caught.value.code == "task.trustees"
    assert "task.trustees" not in (town.status("south").fault or "")
    assert "ann, bob" in (town.status("south").fault or "")


def test_a_plan_may_allow_trustees_in_common(town: Town) -> None:
    town.true["north"] = claim(2, "ann", "bob", "cem")
    town.known["south"] = town.true["south"] = claim(2, "ann", "bob", "dee")
    town.invite(PLAN.replace(b"[privacy]", b"shared_trustees = true\n\n[privacy]"))
    town.join()
    town.federation.settle()
    assert town.federation.task.plan.shared_trustees
