"""Proposals and approvals that are forged, bent, early, or about another release.

Source: docs/design.md, section 10.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN, Snapshot, flip
from federation import PLAN, Federation
from grievance.aggregator import Office, releases
from grievance.crypto.documents import sign_document
from grievance.errors import GrievanceError, ReleaseError
from grievance.pool.layout import RoundPaths
from grievance.pool.proposals import (
    APPROVAL_KIND,
    MAX_REASON_LENGTH,
    PROPOSAL_KIND,
    Approval,
    Proposal,
    parse_approval,
    parse_proposal,
    read_releases,
)
from grievance.pool.store import open_store
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.pool.store import Store
    from grievance.testing import Coalition

PROPOSAL = Proposal("north", b"\1" * 32, ("problems_by_region", "hours_mean"), 50, b"\2" * 32, 0)


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition(PLAN.decode(), ("north", "south"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def put(coalition: Coalition, store: Store, data: bytes, release_id: str | None = None) -> str:
    release_id = release_id or PROPOSAL.release_id(coalition.task)
    store.put(RoundPaths(coalition.task.round_id).proposal(release_id), data)
    return release_id


def answer(coalition: Coalition, store: Store, name: str, data: bytes) -> None:
    release_id = PROPOSAL.release_id(coalition.task)
    store.put(RoundPaths(coalition.task.round_id).approval(release_id, name), data)


def test_a_release_with_its_answers_reads_back(coalition: Coalition, store: Store) -> None:
    task, (north, south) = coalition.task, coalition.signing_keys
    release_id = put(coalition, store, PROPOSAL.sign(task, north))
    (view,) = read_releases(store, task)
    assert (view.release_id, view.proposal) == (release_id, PROPOSAL)
    assert view.missing(task) == ["north", "south"]
    answer(coalition, store, "north", Approval("north", "approve", "").sign(task, PROPOSAL, north))
    no = Approval("south", "decline", "let us talk first")
    answer(coalition, store, "south", no.sign(task, PROPOSAL, south))
    (view,) = read_releases(store, task)
    assert view.missing(task) == []
    assert view.declined_by == no


def test_any_change_is_another_release(coalition: Coalition) -> None:
    task = coalition.task
    changes = [
        {"proposer": "south"},
        {"close": b"\3" * 32},
        {"statistics": ("hours_mean",)},
        {"accepted": 51},
        {"root": b"\3" * 32},
        {"attempt": 1},
    ]
    ids = {replace(PROPOSAL, **change).release_id(task) for change in changes}  # type: ignore[arg-type]
    assert len(ids | {PROPOSAL.release_id(task)}) == len(changes) + 1


def test_a_proposal_under_another_id_is_not_there(coalition: Coalition, store: Store) -> None:
    put(coalition, store, PROPOSAL.sign(coalition.task, coalition.signing_keys[0]), "0" * 16)
    assert read_releases(store, coalition.task) == []


BENT: dict[str, dict[str, Any]] = {
    "another round": {"task": "00" * 32},
    "a proposer outside": {"proposer": "west"},
    "another proposer": {"proposer": "south"},
    "nothing": {"statistics": []},
    "an unknown statistic": {"statistics": ["wages"]},
    "a statistic twice": {"statistics": ["hours_mean", "hours_mean"]},
    "another order": {"statistics": ["hours_mean", "problems_by_region"]},
    "no list": {"statistics": "hours_mean"},
    "a list in a list": {"statistics": [["hours_mean"]]},
    "a negative count": {"accepted": -1},
    "a count in words": {"accepted": "50"},
    "an attempt that is true": {"attempt": True},
    "a root in capitals": {"root": "AB" * 32},
    "a short root": {"root": "ab"},
    "one field more": {"note": ""},
    "one field less": {"close": ...},
}


@pytest.mark.parametrize("name", BENT)
def test_proposals_that_are_none(coalition: Coalition, store: Store, name: str) -> None:
    body = PROPOSAL.body(coalition.task) | BENT[name]
    body = {key: value for key, value in body.items() if value is not ...}
    data = sign_document(PROPOSAL_KIND, body, coalition.signing_keys[0])
    with pytest.raises(GrievanceError):
        parse_proposal(data, coalition.task)
    put(coalition, store, data)
    assert read_releases(store, coalition.task) == []


def test_every_flipped_byte_of_a_proposal(coalition: Coalition) -> None:
    data = PROPOSAL.sign(coalition.task, coalition.signing_keys[0])
    for at in range(len(data)):
        with pytest.raises(GrievanceError):
            parse_proposal(flip(data, at), coalition.task)


def test_answers_that_are_none(coalition: Coalition, store: Store) -> None:
    task, (north, south) = coalition.task, coalition.signing_keys
    put(coalition, store, PROPOSAL.sign(task, north))
    yes = Approval("south", "approve", "")
    good = yes.sign(task, PROPOSAL, south)
    body = {
        "task": task.digest.hex(),
        "proposal": PROPOSAL.digest(task).hex(),
        "aggregator": "south",
        "answer": "approve",
        "reason": "",
    }
    others = [
        yes.sign(task, PROPOSAL, north),
        yes.sign(task, replace(PROPOSAL, attempt=1), south),
        Approval("north", "approve", "").sign(task, PROPOSAL, south),
        Approval("south", "approve", "x" * (MAX_REASON_LENGTH + 1)).sign(task, PROPOSAL, south),
        sign_document(APPROVAL_KIND, body | {"answer": "maybe"}, south),
        sign_document(APPROVAL_KIND, body | {"answer": True}, south),
        sign_document(APPROVAL_KIND, body | {"task": "00" * 32}, south),
        sign_document(APPROVAL_KIND, body | {"more": ""}, south),
        sign_document(PROPOSAL_KIND, body, south),
        good[:-1],
        good + b"\n",
        b"",
        *(flip(good, at) for at in range(0, len(good), 5)),
    ]
    for data in others:
        with pytest.raises(GrievanceError):
            parse_approval(data, task, PROPOSAL, 1)
        answer(coalition, store, "south", data)
        assert "south" not in read_releases(store, task)[0].answers
    answer(coalition, store, "south", good)
    assert read_releases(store, task)[0].answers == {"south": yes}


def test_junk_among_the_releases(coalition: Coalition, store: Store, tmp_path: Path) -> None:
    release_id = put(coalition, store, PROPOSAL.sign(coalition.task, coalition.signing_keys[0]))
    folder = tmp_path / RoundPaths(coalition.task.round_id).releases
    (folder / "notes.txt").write_bytes(b"hello")
    (folder / ("f" * 16)).mkdir()
    (folder / ("e" * 16)).symlink_to(folder / release_id)
    (folder / release_id / "approvals").symlink_to("/etc")
    assert [view.release_id for view in read_releases(store, coalition.task)] == [release_id]


# -- what an aggregator signs -----------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    made = Federation.opened(tmp_path_factory.mktemp("proposals") / "now", TINY_PLAN)
    made.relay("nurses", made.seal(12, TINY_ANSWERS))
    made.settle()
    made.close()
    return Snapshot(made)


@pytest.fixture
def federation(closed: Snapshot) -> Federation:
    return closed.restore()


def plant(federation: Federation, proposal: Proposal, name: str = "north") -> str:
    """A dishonest aggregator's proposal, with its own approval."""
    task, home = federation.task, federation.homes[name]
    release_id = proposal.release_id(task)
    approval = Approval(name, "approve", "").sign(task, proposal, home.key)
    with Office.open(home) as office:
        with office.state.transaction():
            office.state.spool(federation.paths.proposal(release_id), proposal.sign(task, home.key))
            office.state.spool(federation.paths.approval(release_id, name), approval)
        office.publish()
    return release_id


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"accepted": 13}, "release.root"),
        ({"root": b"\0" * 32}, "release.root"),
        ({"close": b"\0" * 32}, "release.root"),
    ],
)
def test_nobody_approves_another_set_of_reports(
    federation: Federation, change: dict[str, Any], code: str
) -> None:
    honest = federation.propose().proposal
    release_id = plant(federation, replace(honest, attempt=7, **change))
    with pytest.raises(ReleaseError) as error:
        federation.answer("south", release_id)
    assert error.value.code == code
    federation.settle()
    assert not federation.file("ledger").exists()


def test_an_answer_stands(federation: Federation) -> None:
    release_id = federation.propose().release_id
    federation.answer("south", release_id, "decline", "no")
    federation.answer("south", release_id, "decline", "no")
    with pytest.raises(ReleaseError) as error:
        federation.answer("south", release_id, "approve")
    assert error.value.code == "release.answered"


def test_two_proposals_for_one_statistic_charge_it_once(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when a dishonest proposer gets both approved before either is charged."""
    view = federation.propose()
    second = plant(federation, replace(view.proposal, attempt=1))
    federation.answer("south", view.release_id)
    with pytest.raises(ReleaseError) as refused:
        federation.answer("south", second)
    assert refused.value.code == "release.open"
    monkeypatch.setattr(releases, "_check_no_other", lambda *_: None)
    federation.answer("south", second)
    for _ in range(4):
        federation.sync(clean=False)
    for name in federation.aggregators:
        with Office.open(federation.homes[name]) as office:
            assert len(office.state.ledger()) <= 1
