"""Rounds that nobody known here has signed or invited to cost nothing and stop nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from federation import PLAN, Federation
from grievance.aggregator import Office, sync
from grievance.aggregator.status import status
from grievance.audit import audit_pool, find_report
from grievance.cli.choice import any_round, pick_round
from grievance.errors import UsageError
from grievance.exposure import survey
from grievance.plan import Layout, Plan
from grievance.pool.layout import RoundPaths
from grievance.pool.rounds import is_seen, read_task
from grievance.testing import Coalition, make_coalition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.privacy import Mechanism

STRANGE = PLAN.decode().replace("Pressure at work", "A stranger's survey")


class Town:
    """A federation with an open round, and two rounds of strangers beside it."""

    def __init__(self, folder: Path) -> None:
        self.federation = Federation(folder)
        self.task = self.federation.open_round()
        names = ("mallory", "trudy")
        self.strangers = [
            make_coalition(STRANGE, names, round_id=f"evil-0000000{number}") for number in (1, 2)
        ]
        for coalition in self.strangers:
            self.put(coalition)
        self.file("rounds/zzz/plan.toml").parent.mkdir()
        self.file("rounds/zzz/plan.toml").write_text("this is no plan")

    def file(self, path: str) -> Path:
        return self.federation.file(path)

    def put(self, coalition: Coalition) -> None:
        """Lay a whole signed round into the pool, as its own parties would."""
        paths, store = RoundPaths(coalition.task.round_id), self.federation.leader.store
        store.put(paths.plan, coalition.plan_file)
        store.put(paths.task, coalition.task.data)
        store.put(paths.verify_key, coalition.sealed_verify_key)
        for name, data, card in zip(
            coalition.names, coalition.signatures, coalition.cards, strict=True
        ):
            store.put(paths.signature(name), data)
            store.put(paths.card(name), card.data)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Not to be changed but by what a `sync` of it does."""
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The titles of the plans that are laid out, or read at all, from here on."""
    from grievance.audit.terms import read_terms
    from grievance.task import task as tasks

    titles: list[str] = []
    made, read = Layout.__init__, Plan.from_json.__func__

    def lay_out(self: Layout, plan: Plan, *mechanism: Mechanism) -> None:
        titles.append(plan.title)
        made(self, plan, *mechanism)

    def from_json(cls: type[Plan], value: object, *, source: str) -> Plan:
        plan = read(cls, value, source=source)
        titles.append(plan.title)
        return plan

    monkeypatch.setattr(Layout, "__init__", lay_out)
    monkeypatch.setattr(Plan, "from_json", classmethod(from_json))
    for cached in (tasks._parse_task, read_terms):
        cached.cache_clear()
    yield titles
    for cached in (tasks._parse_task, read_terms):
        cached.cache_clear()


def everything(town: Town) -> None:
    """Every command that reads all rounds of a pool."""
    own, trust = town.federation.leader, [town.task.digest.hex()]
    with Office.open(own) as office:
        assert not sync(office).faults
        assert [line.round for line in status(office)] == [town.task.round_id]
    assert pick_round(own.store, None, any_round, own) == town.task.round_id
    assert list(survey(own.store, [own]).rounds) == [town.task.round_id]
    assert list(audit_pool(town.federation.pool, trust=trust).rounds) == [town.task.round_id]
    assert find_report(town.federation.pool, bytes(32), trust=trust).status == "absent"


def test_strangers_rounds_are_not_laid_out(town: Town, laid_out: list[str]) -> None:
    everything(town)
    assert "Pressure at work" in laid_out
    assert "A stranger's survey" not in laid_out


def test_whoever_compared_their_keys_reads_them(town: Town, laid_out: list[str]) -> None:
    """The control: the same look does lay out what it looks at."""
    own = town.federation.homes["nurses"]
    for party in town.strangers[0].task.aggregators:
        own.trust(party.member)
    with Office.open(own) as office:
        status(office)
    seen = [name for name in own.store.names("rounds") if is_seen(own.store, name, own.compared())]
    assert sorted(seen) == ["evil-00000001", town.task.round_id]
    assert read_task(own.store, "evil-00000001") is not None
    assert "A stranger's survey" in laid_out


def test_a_bogus_plan_stops_no_command_that_names_no_round(town: Town) -> None:
    own = town.federation.leader
    assert pick_round(own.store, None, any_round, own) == town.task.round_id
    assert pick_round(own.store, "", any_round, own) == town.task.round_id
    with pytest.raises(UsageError):
        pick_round(own.store, None, any_round)  # the control: whoever knows nobody is asked


def test_a_stranger_can_still_be_named(town: Town) -> None:
    own = town.federation.leader
    assert pick_round(own.store, "evil-00000001", any_round, own) == "evil-00000001"
    assert pick_round(own.store, "zzz", any_round, own) == "zzz"


def test_what_is_vouched_for_on_the_spot_is_seen(town: Town) -> None:
    """The first time, an organisation knows nobody: what it types says whom it was told of."""
    own, evil = town.federation.leader, town.strangers[0]
    store = own.store
    digest = evil.task.digest.hex()
    assert pick_round(store, None, any_round, None, [digest]) == "evil-00000001"
    key = town.task.aggregators[1].identity.fingerprint.hex()
    assert pick_round(store, None, any_round, None, [key]) == town.task.round_id


def test_a_signature_copied_from_another_round_shows_nothing(town: Town) -> None:
    """North's signature is under north's task; beside another task it is nobody's."""
    own, paths = town.federation.leader, RoundPaths("evil-00000001")
    copied = town.file(RoundPaths(town.task.round_id).signature("north")).read_bytes()
    card = town.file(RoundPaths(town.task.round_id).card("north")).read_bytes()
    for place, data in ((paths.signature("north"), copied), (paths.card("north"), card)):
        town.file(place).write_bytes(data)
        assert not is_seen(own.store, "evil-00000001", own.compared())
        town.file(place).unlink()


def test_a_named_round_of_strangers_is_incomplete_and_others_are_listed(town: Town) -> None:
    trust = [entry.identity.fingerprint.hex() for entry in town.task.aggregators]
    report = audit_pool(town.federation.pool, trust=trust)
    noted = {f.file for f in report.findings if (f.severity, f.rule) == ("note", "task.trust")}
    assert noted == {"rounds/evil-00000001", "rounds/evil-00000002", "rounds/zzz"}
    assert all("bytes" in f.message for f in report.findings if f.file in noted)
    assert report.verdict == "pass" and report.vouched
    named = audit_pool(town.federation.pool, trust=trust, round_id="evil-00000001")
    assert named.verdict == "incomplete" and not named.faults


def test_without_anchors_all_is_examined_and_nobody_vouched(town: Town) -> None:
    report = audit_pool(town.federation.pool)
    assert set(report.rounds) == {town.task.round_id, "evil-00000001", "evil-00000002"}
    assert report.sentence.startswith("Nobody vouched for these keys.")
    assert report.verdict == "untrusted"
