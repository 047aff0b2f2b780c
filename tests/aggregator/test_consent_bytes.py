"""What is shown is what is signed: a leader that swaps plan, card or names gets no signature."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from federation import PLAN, Federation
from grievance import task as tasks
from grievance.aggregator import Office, consent, rounds, sync
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.aggregator.rounds import join_round, new_round
from grievance.audit import audit_pool
from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import StateError, TaskError
from grievance.ledger.versions import parse_card_versions
from grievance.plan import Plan
from grievance.pool.rounds import read_task_and_signatures
from grievance.secret import VerifyKey
from grievance.task import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.aggregator import SyncResult
    from grievance.pool.rounds import Invitation
    from grievance.task import Task

DEARER = PLAN.replace(b"epsilon = 2.0\ndelta = 1e-6", b"epsilon = 10\ndelta = 1e-3").replace(
    b"lifetime_epsilon = 4.0", b"lifetime_epsilon = 10"
)


class Swap:
    """A leader that invites to one thing, and puts another in its place before a task is made."""

    def __init__(self, folder: Path) -> None:
        self.federation = Federation(folder)
        self.north, self.south = self.federation.leader, self.federation.homes["south"]
        with Office.open(self.north) as office:
            made = new_round(self.north, office.state, PLAN, [self.south.identity])
            office.publish()
        self.federation.round_id = made.round_id
        self.plan, self.card = PLAN, made.card

    def read(self) -> Invitation:
        """What south's steward reads."""
        found = self.south.invitation(self.federation.round_id)
        assert found is not None
        return found

    def join(self, invitation: Invitation | None = None) -> None:
        with Office.open(self.south) as office:
            join_round(self.south, office.state, invitation or self.read())
            office.publish()

    def swap(self, plan: bytes = PLAN, **changed: Any) -> None:
        """The leader writes another plan and another card of its own into the pool."""
        self.plan = plan
        terms: dict[str, Any] = {
            "round_id": self.card.round_id,
            "plan_sha256": hashlib.sha256(plan).digest(),
            "members": self.card.members,
        }
        hpke = changed.pop("hpke", self.card.hpke)
        data = tasks.make_card(self.north.key, hpke, **(terms | changed))
        paths = self.federation.paths
        self.federation.file(paths.plan).write_bytes(plan)
        self.federation.file(paths.card("north")).write_bytes(data)
        self.card = tasks.parse_card(data)

    def sign(self) -> Task:
        """The leader signs a task over its second card, whatever the other one says."""
        paths, federation = self.federation.paths, self.federation
        other = tasks.parse_card(federation.file(paths.card("south")).read_bytes())
        verify_key = VerifyKey.generate()
        with no_checks_of_cards():
            data = tasks.build_task(
                Plan.from_toml(self.plan), [self.card, other], verify_key, round_id=paths.round_id
            )
        task = tasks.parse_task(data)
        store = self.north.store
        store.put(paths.task, data)
        store.put(paths.verify_key, tasks.seal_verify_key(task, verify_key, self.north.key))
        store.put(paths.signature("north"), tasks.sign_task(task, self.north.key, "north"))
        return task

    def sync(self) -> SyncResult:
        with Office.open(self.south) as office:
            return sync(office)

    @property
    def signed(self) -> bool:
        return self.federation.file(self.federation.paths.signature("south")).exists()

    @property
    def kept(self) -> Path:
        return self.south.root / "evidence" / self.federation.round_id


@contextlib.contextmanager
def no_checks_of_cards() -> Iterator[None]:
    """What a dishonest leader's own program leaves out."""
    with mock.patch("grievance.task.task.card_matches"):
        yield


@pytest.fixture
def town(tmp_path: Path) -> Swap:
    return Swap(tmp_path)


def codes(result: SyncResult) -> list[str]:
    return [fault.code for fault in result.faults]


def test_the_plan_is_swapped_while_the_steward_reads(town: Swap) -> None:
    """The helper's card names what was shown, so the leader's dearer task finds no signature."""
    shown = town.read()
    town.swap(DEARER)
    town.join(shown)
    own = tasks.parse_card(town.federation.file(town.federation.paths.card("south")).read_bytes())
    assert own.plan_sha256 == hashlib.sha256(PLAN).digest()
    assert own.invitation == shown.card.digest
    task = town.sign()
    assert float(task.plan.privacy.epsilon) == 10
    result = town.sync()
    assert not town.signed
    (fault,) = [fault for fault in result.faults if fault.code == "consent.changed"]
    assert "north has put something else" in fault.message
    assert str(town.kept) in (fault.hint or "")
    assert (town.kept / "agreed.plan.toml").read_bytes() == PLAN
    assert (town.kept / "agreed.card.json").read_bytes() == shown.card.data
    (other,) = (path for path in town.kept.glob("*.plan.toml") if path.name[:6] != "agreed")
    assert other.read_bytes() == DEARER


def test_without_the_check_the_dearer_plan_is_signed(
    town: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the checks of consent stop, goes through where they are taken out."""
    shown = town.read()
    town.swap(DEARER)
    town.join(shown)
    town.sign()
    monkeypatch.setattr(consent, "check_unchanged", lambda *_: None)
    monkeypatch.setattr(consent, "check_task", lambda *_: None)

    def all_cards(*_: object) -> dict[str, tasks.Card]:
        folder = town.federation.file(town.federation.paths.cards)
        return {p.stem: tasks.parse_card(p.read_bytes()) for p in folder.iterdir()}

    monkeypatch.setattr("grievance.pool.rounds.read_cards", all_cards)
    town.sync()
    assert town.signed


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_leaders_card_is_swapped(town: Swap, when: str) -> None:
    """Another card for the same plan, with another key or claim, before or after we joined."""
    shown = town.read()
    if when == "after":
        town.join(shown)
    town.swap(hpke=HpkePrivateKey.generate("X25519").public)
    if when == "before":
        town.join(shown)
    town.sign()
    result = town.sync()
    assert not town.signed
    assert codes(result).count("consent.changed") == 1
    # It is told every time, and work on other things goes on.
    assert "consent.changed" in codes(town.sync())


def test_a_task_alone_over_another_card_is_refused(town: Swap) -> None:
    """The leader puts its first card back, and a task over the second one beside it."""
    town.join()
    path = town.federation.file(town.federation.paths.card("north"))
    first = path.read_bytes()
    town.swap(DEARER)
    town.sign()
    path.write_bytes(first)
    result = town.sync()
    assert not town.signed
    assert codes(result) == ["consent.changed"]
    assert list(town.kept.glob("*.task.json"))


def test_members_and_names_are_those_that_were_shown(town: Swap) -> None:
    """The leader calls the other organisation something else in its second card."""
    shown = town.read()
    south = town.south.identity
    town.swap(members=(shown.members[0], Identity("south", "South and North United", south.key)))
    with pytest.raises(TaskError) as caught:
        town.join()
    # The name is not ours: so no card of ours can be about it.
    assert caught.value.code == "task.member"
    town.join(shown)
    town.sign()
    assert "consent.changed" in codes(town.sync())
    assert not town.signed


def test_a_display_name_is_the_one_its_owner_signed(tmp_path: Path) -> None:
    federation = Federation(tmp_path, aggregators=("north", "south", "west"))
    north, south, west = (federation.homes[name] for name in ("north", "south", "west"))
    false = Identity("west", "The Labour Inspectorate", west.identity.key)
    for other, code in ((false, "consent.name"), (west.identity, None)):
        with Office.open(north) as office:
            plan = PLAN if code else PLAN.replace(b"Pressure", b"Stress")
            made = new_round(north, office.state, plan, [south.identity, other])
            office.publish()
        found = south.invitation(made.round_id)
        assert found is not None
        with Office.open(south) as office:
            if code is None:
                join_round(south, office.state, found)  # the control
                continue
            with pytest.raises(TaskError) as caught:
                join_round(south, office.state, found)
            assert caught.value.code == code
            assert "The Labour Inspectorate" in caught.value.message
            assert office.state.outgoing(f"rounds/{made.round_id}/cards/south.json") is None


def test_another_envelope_is_refused(town: Swap) -> None:
    """A card with a key for another envelope than the plan's is not joined, nor counted."""
    town.swap(hpke=HpkePrivateKey.generate().public)
    with pytest.raises(TaskError) as caught:
        town.join()
    assert caught.value.code == "task.envelope"
    town.swap(hpke=HpkePrivateKey.generate("X25519").public)
    town.join()


def test_a_helpers_card_for_another_envelope_is_told(town: Swap) -> None:
    """South's program offers another key than the plan's: the leader makes no task, and says so."""
    town.join()
    path = town.federation.file(town.federation.paths.card("south"))
    good = path.read_bytes()
    terms = {"round_id": town.card.round_id, "plan_sha256": town.card.plan_sha256}
    hybrid = tasks.make_card(
        town.south.key,
        HpkePrivateKey.generate().public,
        members=town.card.members,
        invitation=town.card.digest,
        **terms,
    )
    path.write_bytes(hybrid)
    with Office.open(town.north) as office:
        result = sync(office)
    assert codes(result) == ["task.card"]
    assert "another envelope" in result.faults[0].message
    assert not town.federation.file(town.federation.paths.task).exists()
    path.write_bytes(good)
    with Office.open(town.north) as office:
        # Two cards of south's were seen, and that stays told.
        assert codes(sync(office)) == ["file.twice"]
    assert town.federation.file(town.federation.paths.task).exists()


# One card.


def test_no_second_card_is_made(town: Swap) -> None:
    shown = town.read()
    town.join(shown)
    path = town.federation.file(town.federation.paths.card("south"))
    card = path.read_bytes()
    town.join(shown)
    assert path.read_bytes() == card
    town.swap(DEARER)
    other = stranger_sees(town)
    with pytest.raises(TaskError) as caught:
        town.join(other)
    assert caught.value.code == "consent.twice"
    # Nor without a state: the pool says that there is one.
    town.south.state_path.unlink()
    with pytest.raises(StateError) as lost:
        town.join(other)
    assert lost.value.code == "state.behind"
    # Nor where the pool hides it too: it lies beside the keys.
    path.unlink()
    with pytest.raises(TaskError) as caught:
        town.join(other)
    assert caught.value.code == "consent.twice"
    # Without any of the three a second one would be made.
    town.south.card_file(town.card.round_id).unlink()
    town.join(other)


def stranger_sees(town: Swap) -> Invitation:  # as the pool would show it to a stranger
    from grievance.pool.rounds import read_invitation

    return read_invitation(town.card.round_id, town.plan, town.card)


# Recover.


@pytest.mark.parametrize("swapped", [False, True])
def test_recover_restores_what_was_agreed(town: Swap, swapped: bool) -> None:
    shown = town.read()
    town.join(shown)
    if swapped:
        town.swap(DEARER)
        town.sign()
    town.south.state_path.unlink()
    kept = town.south.card_file(shown.round_id)
    kept.unlink()
    done = recover(town.south, Told())
    assert tasks.parse_card(kept.read_bytes()).invitation == shown.card.digest
    with Office.open(town.south) as office:
        own = consent.own_card(town.south, office.state, shown.round_id)
        assert own is not None
        assert (own.plan_sha256, own.invitation) == (shown.card.plan_sha256, shown.card.digest)
        assert (office.state.consent(shown.round_id) is None) is swapped
    assert any("not here as we agreed to them" in line for line in done) is swapped
    if swapped:
        assert codes(town.sync()) == ["consent.changed"]
        assert not town.signed
    else:
        town.federation.settle()
        assert town.signed


# Evidence.


def test_two_cards_are_evidence_for_everybody(town: Swap) -> None:
    town.join()
    agreed = town.card
    assert audit_pool(town.federation.pool).verdict != "fail"
    town.swap(DEARER)
    town.sync()
    (path,) = town.federation.file(f"{town.federation.paths.folder}/evidence").iterdir()
    proven, key = parse_card_versions(path.read_bytes())
    assert key == town.north.key.public
    assert proven.place.author == "north"
    assert {version.kept for version in proven.versions} == {agreed.data, town.card.data}
    assert "for two plans" in str(proven)
    report = audit_pool(town.federation.pool)
    (found,) = [finding for finding in report.faults if finding.rule == "file.twice"]
    assert "north signed two versions" in found.message


def test_a_second_card_after_the_task_is_evidence_too(town: Swap) -> None:
    town.join()
    town.federation.settle()
    assert town.signed
    town.swap(hpke=HpkePrivateKey.generate("X25519").public)
    assert codes(town.sync()) == ["file.twice"]
    report = audit_pool(town.federation.pool)
    assert "file.twice" in {finding.rule for finding in report.faults}


def test_a_strangers_cards_are_no_evidence(town: Swap) -> None:
    """Somebody without the leader's key writes into its place: told of nobody, and nothing kept."""
    town.join()
    stranger = town.federation.homes["carers"]
    path = town.federation.file(town.federation.paths.card("north"))
    members = (stranger.identity, town.south.identity)
    path.write_bytes(
        tasks.make_card(
            stranger.key,
            HpkePrivateKey.generate("X25519").public,
            round_id=town.card.round_id,
            plan_sha256=town.card.plan_sha256,
            members=members,
        )
    )
    assert codes(town.sync()) == []
    assert not town.federation.file(f"{town.federation.paths.folder}/evidence").exists()
    town.federation.settle()  # north puts its own card back
    assert town.signed


# The rehearsal's helper.


def test_the_local_helper_agrees_to_what_its_own_organisation_was_shown(tmp_path: Path) -> None:
    from grievance.aggregator.rehearsal import make_helper, sync_helper

    federation = Federation(tmp_path)
    north = federation.leader
    helper = make_helper(north)
    with Office.open(north) as office:
        made = new_round(north, office.state, PLAN, [helper.identity], rehearsal=True)
        office.publish()
    other = tasks.make_card(
        north.key,
        made.card.hpke,
        round_id=made.round_id,
        plan_sha256=hashlib.sha256(DEARER).digest(),
        members=made.members,
        rehearsal=True,
    )
    folder = federation.file(f"rounds/{made.round_id}")
    (folder / "plan.toml").write_bytes(DEARER)
    (folder / "cards/north.json").write_bytes(other)
    result = sync_helper(north)
    assert "consent.changed" in codes(result)
    with Office.open(helper) as office:
        own = consent.own_card(helper, office.state, made.round_id)
    assert own is not None
    assert own.plan_sha256 == hashlib.sha256(PLAN).digest()


# A round before, signed when a later one follows.


@pytest.mark.parametrize("swapped", [False, True])
def test_a_round_before_is_signed_only_as_it_was_agreed(town: Swap, swapped: bool) -> None:
    town.join()
    if swapped:
        town.swap(DEARER)
        task = town.sign()
    else:
        town.federation.sync("north")
        found = read_task_and_signatures(town.south.store, town.federation.round_id)
        assert found is not None
        task = found[0]
    with Office.open(town.south) as office:
        with contextlib.suppress(TaskError):
            rounds._sign_earlier(town.south, office.state, task)
        signed = office.state.task_of_round(task.round_id)
    assert signed == (None if swapped else task.data)
