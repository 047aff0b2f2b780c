"""Valid files in the wrong place or by the wrong hand: none is taken for what it is not.

Mix and match, wrong roles, and the same reports again. Source: docs/threats.md, section 4
(python-tuf) and faults B5, B7, B9, C13, D27, D28.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hostile_pool import Content
from hostile_world import ROWS, HostileCoalition, Scene, approve, finish, play, signed_by

from dishonest import decisions, publish
from grievance.crypto.documents import sign_document
from grievance.errors import GrievanceError, ReportError
from grievance.ledger import LedgerLog, cosigned, read_ledger
from grievance.ledger.checkpoint import cosign, parse_checkpoint
from grievance.pool.decisions import Status
from grievance.pool.events import Close
from grievance.pool.layout import RoundPaths, checkpoint_path, cosignature_path
from grievance.release import collect


def kind_of(path: str) -> str:
    """A path without what tells two files of one kind apart."""
    path = re.sub(r"north|south|nurses|carers", "NAME", path)
    return re.sub(r"[0-9a-f]{8,}|[0-9]+", "N", path)


@pytest.mark.parametrize("victim", ["south", pytest.param("north", marks=pytest.mark.slow)])
def test_mix_and_match_of_a_whole_campaign(victim: str, second: HostileCoalition) -> None:
    """One look in ten finds another valid file of the same kind.

    Of the other aggregator, batch, release or round: cards and tasks swapped, verifier shares
    of another batch, a share of another release, a decision of another round.
    """

    def swapped(path: str, truth: bytes) -> Content:
        alike = [p for p in second.hostile.files if p != path and kind_of(p) == kind_of(path)]
        return second.hostile.files[sorted(alike)[len(truth) % len(alike)]] if alike else truth

    play(second, victim, [swapped])


@pytest.mark.parametrize("victim", ["south", pytest.param("north", marks=pytest.mark.slow)])
def test_wrong_hands_everywhere(victim: str, opened: HostileCoalition) -> None:
    """One look in ten finds the right document signed by another organisation of the round."""
    keys = [home.key for home in opened.homes.values()]

    def resigned(_path: str, truth: bytes) -> Content:
        return signed_by(keys[len(truth) % len(keys)], truth)

    play(opened, victim, [resigned])


def test_every_file_of_another_round_is_named(
    campaign: HostileCoalition, scenes: dict[str, Scene]
) -> None:
    """The audit of a campaign in which one file of the second round is that of the first."""
    files = campaign.hostile.snapshot()
    ours, first = campaign.round_id, scenes["released"].round_id
    release = {
        r: next(p for p in files if f"{r}/releases/" in p).split("/")[3] for r in (ours, first)
    }
    tried = 0
    for path in sorted(files):
        if f"rounds/{ours}/" not in path:
            continue
        other = path.replace(ours, first).replace(release[ours], release[first])
        if other not in files or files[other] == files[path]:  # batches are named by content
            continue
        campaign.hostile.show(path, files[other], to="auditor")
        report = campaign.audit()
        named = {finding.file for finding in report.findings}
        # Whoever holds the digest alone cannot tell another task from a stranger's.
        assert {path, f"rounds/{ours}"} & named, path
        assert report.verdict in ("incomplete", "untrusted"), path
        campaign.hostile.honest()
        tried += 1
    assert tried > 12


@pytest.mark.parametrize("what", ["another release", "another aggregator"])
def test_a_noisy_share_of_elsewhere_is_not_added_up(
    what: str, campaign: HostileCoalition, scenes: dict[str, Scene]
) -> None:
    paths, files = campaign.paths, campaign.hostile.files
    release_id = next(iter(campaign.chain().releases))
    path = paths.noisy(release_id, "south")
    if what == "another aggregator":
        wrong = files[paths.noisy(release_id, "north")]
    else:
        first = RoundPaths(scenes["released"].round_id)
        wrong = next(
            d for p, d in files.items() if first.folder in p and p.endswith("noisy/south.json")
        )
    campaign.hostile.show(path, wrong)
    with pytest.raises(GrievanceError) as error:
        collect(campaign.leader.store, campaign.task, release_id)
    assert error.value.code == "release.share"
    assert path in str(error.value) and error.value.hint


# Wrong roles.


def place(coalition: HostileCoalition, path: str, data: bytes) -> None:
    coalition.hostile.files[path] = data


@pytest.mark.parametrize("who", ["south", "nurses"])
def test_an_order_event_by_somebody_else(who: str, checked: HostileCoalition) -> None:
    """A helper, or a relay, closes the round: it does not, and the leader takes the place."""
    chain = checked.chain()
    path = checked.paths.order(chain.length + 1)
    data = chain.sign_next(Close(), checked.leader.key)
    place(checked, path, signed_by(checked.homes[who].key, data))
    assert checked.codes() == [] and not checked.chain().closed
    report = checked.audit()
    assert report.verdict == "pass"
    assert [(f.rule, f.file) for f in report.findings] == [("file.unknown", path)]
    checked.order_close()
    checked.settle()
    finish(checked, approve(checked))


@pytest.mark.parametrize("signer", ["nurses", "north"])
def test_a_decision_in_the_folder_of_another(signer: str, closed: HostileCoalition) -> None:
    """A partner, or the other aggregator, signs in south's place: as if nothing were there."""
    path = closed.paths.decide(closed.chain().batches[0].seq, "south")
    data = signed_by(closed.homes[signer].key, closed.hostile.files[path])
    closed.hostile.show(path, data, to="north")
    closed.hostile.show(path, data, to="auditor")
    with pytest.raises(GrievanceError) as error:
        closed.propose()
    assert error.value.code == "release.early"
    report = closed.audit()
    assert ("file.foreign", path) in {(f.rule, f.file) for f in report.findings}
    assert not report.faults
    closed.hostile.honest()
    finish(closed, approve(closed))


def test_an_approval_in_the_name_of_another(closed: HostileCoalition) -> None:
    """North approves for south: the release is not ordered, nothing is charged."""
    view = closed.propose()
    path = closed.paths.approval(view.release_id, "south")
    body = {
        "task": closed.task.digest.hex(),
        "proposal": view.proposal.digest(closed.task).hex(),
        "aggregator": "south",
        "answer": "approve",
        "reason": "",
    }
    place(closed, path, sign_document("grievance/2 release approval", body, closed.leader.key))
    assert closed.codes() == []
    assert closed.chain().releases == {}
    assert not [p for p in closed.hostile.files if p.startswith("ledger/")]


# Cosignatures that are worth nothing.


def north_ledger(coalition: HostileCoalition) -> LedgerLog:
    return read_ledger(coalition.truth, "north", coalition.leader.key.public)


def unsigned(coalition: HostileCoalition, size: int) -> list[str]:
    log = north_ledger(coalition)
    return cosigned.missing_cosignatures(coalition.truth, coalition.task, "north", log, size)


def test_ones_own_key_is_no_witness(released: HostileCoalition) -> None:
    """North cosigns its own head: under its own name, and under south's."""
    note = released.hostile.files[checkpoint_path("north", 1)]
    head = parse_checkpoint(note, "north", released.leader.key.public)
    assert unsigned(released, 1) == []
    own = cosignature_path("north", 1, "north")
    place(released, own, cosign(head, "north", 1_800_000_000, released.leader.key))
    report = released.audit()
    assert report.verdict == "pass"
    assert ("file.unknown", own) in {(f.rule, f.file) for f in report.findings}
    del released.hostile.files[cosignature_path("north", 1, "south")]
    assert unsigned(released, 1) == ["south"]
    for name in ("south", "north"):
        line = cosign(head, name, 1_800_000_000, released.leader.key)
        place(released, cosignature_path("north", 1, "south"), line)
        assert unsigned(released, 1) == ["south"]
        assert released.audit().verdict == "incomplete"


def test_a_cosignature_of_an_older_head_replayed(campaign: HostileCoalition) -> None:
    """South's true cosignature of one entry does not stand for two, nor for another ledger."""
    files = campaign.hostile.files
    assert unsigned(campaign, 2) == []
    path = cosignature_path("north", 2, "south")
    for other in (cosignature_path("north", 1, "south"), cosignature_path("south", 2, "north")):
        place(campaign, path, files[other])
        assert unsigned(campaign, 2) == ["south"]
        assert path in {f.file for f in campaign.audit().findings}
        assert campaign.audit().verdict == "incomplete"


def test_an_older_head_replayed_as_the_newest(campaign: HostileCoalition) -> None:
    """The pool shows south north's ledger as it was: nothing to cosign, and nothing to accuse."""
    for path in list(campaign.hostile.files):
        if path.startswith("ledger/north/2."):
            campaign.hostile.show(path, None, to="south")
    campaign.hostile.show(
        checkpoint_path("north", 2), campaign.hostile.files[checkpoint_path("north", 1)], to="south"
    )
    assert campaign.codes("south") == []


# The same reports again.


def test_reports_replayed_across_batches_relays_and_rounds(
    opened: HostileCoalition, scenes: dict[str, Scene]
) -> None:
    """Each counts once: in its first place, and in its own round only."""
    reports = opened.seal(ROWS)
    publish(opened, "nurses", reports)
    opened.settle()
    publish(opened, "nurses", [*reports[:4], *opened.seal(1)])  # another batch, same relay
    opened.settle()
    publish(opened, "carers", [*reports[4:], *opened.seal(1)])  # another relay
    opened.settle()
    accepted = [decisions(opened, batch)[0].accepted for batch in opened.chain().batches]
    assert accepted == [ROWS, 1, 1]
    for batch in opened.chain().batches[1:]:
        refused = decisions(opened, batch)[0].refused
        assert {status for status, _ in refused.values()} == {Status.REPLAY}
    later = scenes["second"].restore()
    with pytest.raises(ReportError) as error:  # the writer of a batch refuses to begin with
        for report in reports:
            report.check(later.task)
    assert error.value.code == "report.task"
    # A hostile relay relabels them: they do not open in another round.
    from grievance.client import Report

    task = later.task
    moved = [Report(task.digest, r.commitment, r.public_share, r.ciphertexts) for r in reports]
    publish(later, "nurses", [*moved, *later.seal(ROWS)])
    later.settle()
    (batch,) = later.chain().batches
    decision = decisions(later, batch)[0]
    assert decision.accepted == ROWS
    assert {status for status, _ in decision.refused.values()} == {Status.OPEN}


def test_a_whole_batch_file_replayed(campaign: HostileCoalition, scenes: dict[str, Scene]) -> None:
    """The signed file itself, in another round and under another relay's name: never ordered."""
    second = scenes["second"].restore()
    files = second.hostile.files
    path = next(p for p in files if "/batches/" in p)
    before = second.chain().length
    name = Path(path).name
    for new in (name, name.replace("nurses", "carers")):
        place(second, f"{second.paths.batches}/{new}", files[path])
    assert second.codes() == []
    assert second.chain().length == before
