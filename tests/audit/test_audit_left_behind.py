"""A round that not everybody signed, and that the campaign went on from: nothing is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from campaign_forger import Forger
from federation import PLAN, Federation
from grievance import task as tasks
from grievance.audit import AuditResult, audit_pool
from grievance.pool.layout import RoundPaths
from grievance.pool.rounds import read_task

if TYPE_CHECKING:
    from pathlib import Path


class Left:
    """North asked south, who never signed, and then west, who did."""

    def __init__(self, folder: Path) -> None:
        self.federation = Federation(folder, ("north", "south", "west"), relays=())
        self.left = self.invite(b"First", "south")
        self.federation.sync("north")
        self.opened = self.invite(b"Second", "west")
        self.federation.sync("north", "west")

    def invite(self, title: bytes, helper: str) -> str:
        return self.federation.invite_to(PLAN.replace(b"Pressure at work", title), helper)

    def audit(self, *names: str) -> AuditResult:
        trust = [self.federation.homes[name].key.public.fingerprint.hex() for name in names]
        return audit_pool(self.federation.pool, trust=trust)

    def file(self, path: str) -> Path:
        return self.federation.file(path)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def test_it_is_a_note_and_the_pool_passes(left: Left) -> None:
    for names in (("north", "south", "west"), ("north", "west")):
        report = left.audit(*names)
        assert (report.verdict, report.vouched) == ("pass", True)
        (found,) = report.findings
        assert (found.severity, found.rule) == ("note", "task.signatures")
        assert found.file == RoundPaths(left.left).signature("south")
        assert "its cost stays reserved" in found.message and left.opened in found.message
    totals = left.audit("north", "west").campaigns["trial"]
    task = read_task(left.federation.leader.store, left.opened)
    assert task is not None and totals.reserved == str(2 * task.cost.amount)


def test_the_digest_of_the_round_that_opened_vouches_for_the_pool(left: Left) -> None:
    task = read_task(left.federation.leader.store, left.opened)
    assert task is not None
    assert audit_pool(left.federation.pool, trust=[task.digest.hex()]).verdict == "pass"


def test_whoever_signed_it_has_to_be_vouched_for(left: Left) -> None:
    report = left.audit("south", "west")
    assert report.verdict == "untrusted"
    # South offered a card for the first and west signed the second: both are looked at.
    found = {(f.severity, f.file.split("/")[1]) for f in report.findings if f.rule == "task.trust"}
    assert found == {("unchecked", left.left), ("unchecked", left.opened)}


def test_without_a_round_after_it_it_waits(left: Left) -> None:
    for path in sorted(left.file(RoundPaths(left.opened).folder).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    left.file(RoundPaths(left.opened).folder).rmdir()
    report = left.audit("north", "south")
    assert report.verdict == "incomplete"
    assert {f.severity for f in report.findings} == {"waiting"}
    report = left.audit("north")
    assert report.verdict == "untrusted"
    assert "task.trust" in {f.rule for f in report.findings if f.severity == "unchecked"}


def test_without_its_leaders_signature_it_is_none_of_the_campaigns(left: Left) -> None:
    left.file(RoundPaths(left.left).signature("north")).unlink()
    assert left.audit("north", "south", "west").verdict == "incomplete"
    assert left.audit("north", "west").verdict != "pass"


def test_a_made_up_round_before_is_no_note(left: Left) -> None:
    """Whoever did not sign the round before it cannot go on from it."""
    federation = left.federation
    south, task = federation.homes["south"], read_task(federation.leader.store, left.opened)
    assert task is not None
    # South's signature is there and north's is not: north leads, and south is no leader of either.
    paths = RoundPaths(left.left)
    made = tasks.parse_task(left.file(paths.task).read_bytes())
    left.file(paths.signature("north")).unlink()
    left.file(paths.signature("south")).write_bytes(tasks.sign_task(made, south.key, "south"))
    report = left.audit("north", "south", "west")
    assert report.verdict == "incomplete"
    assert [f.file for f in report.findings if f.severity == "waiting"] == [
        paths.signature("north")
    ]


@pytest.mark.parametrize("signers", [["north"], ["north", "south"]])
def test_whoever_led_it_has_to_have_signed_it(tmp_path: Path, signers: list[str]) -> None:
    federation = Federation(tmp_path, ("north", "south", "west"), relays=())
    forger = Forger(federation)
    left = forger.task(["south", "north", "west"], None, signers=signers)
    forger.task(["north", "west"], left)
    paths = RoundPaths(left.round_id)
    found = {f.file: f.severity for f in audit_pool(federation.pool).findings}
    expected = "note" if "south" in signers else "waiting"
    assert found[paths.signature("west")] == expected


def test_what_happened_in_it_needs_every_signature(left: Left) -> None:
    folder = left.file(RoundPaths(left.left).folder)
    (folder / "order").mkdir()
    (folder / "order" / "1.json").write_bytes(b"{}")
    for names in (("north", "south", "west"), ("north", "west")):
        report = left.audit(*names)
        assert report.verdict in ("incomplete", "untrusted")
        waits = [f.message for f in report.findings if f.severity == "waiting"]
        assert "south has not signed the task" in waits
    assert report.verdict == "untrusted"


def test_a_round_before_that_is_not_there_is_waited_for(left: Left) -> None:
    left.file(RoundPaths(left.left).task).unlink()
    report = left.audit("north", "west")
    assert report.verdict == "incomplete"
    assert "task.campaign" in {f.rule for f in report.findings if f.severity == "waiting"}
