"""Every need of every step, left out: the audit misses it, though it reads no table of steps.

A deed is a pool in which a step was taken and what it needs was not there, made with the keys of
whoever took it. Where the others go on and bring it later, nobody can see afterwards in which order
things came; those needs are listed, and a test watches the files as they are put.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from audit_world import Pool
from defects_releases import propose

from federation import Federation
from grievance.aggregator import Office, destroy
from grievance.crypto.documents import b64encode
from grievance.history import STEPS
from grievance.pool.batch import BatchFile
from grievance.pool.proposals import parse_proposal
from grievance.pool.store import LocalStore

if TYPE_CHECKING:
    from grievance.audit import AuditResult

Deed = Callable[[Pool], object]


def gone(*paths: str) -> Deed:
    """Files that are not there; `{release}` and `{batch}` stand for the ones there are."""

    def deed(pool: Pool) -> None:
        seq = max(pool.batch_places())
        for path in paths:
            where = path.format(
                round=pool.paths.folder, release=f"{pool.paths.releases}/{pool.release_id}", seq=seq
            )
            found = list(pool.folder.glob(where))
            assert found, where
            pool.remove(*(str(one.relative_to(pool.folder)) for one in found))

    return deed


def after_the_close(event: dict[str, Any]) -> Deed:
    return lambda pool: pool.append_event(event)


def an_admission(pool: Pool) -> object:
    key = b64encode(pool.keys["south"].public.raw)
    return pool.append_event({"type": "admit", "partner": "late", "identity": key})


def a_batch_again(pool: Pool) -> object:
    (path, *_) = (pool.folder / pool.paths.batches).iterdir()
    rows = BatchFile(path.read_bytes(), pool.task).header.rows
    partner, _, digest = path.name.rpartition("-")
    event = {"type": "batch", "partner": partner, "batch": digest, "rows": rows}
    return pool.append_event(event)


def a_batch_of_nobody(pool: Pool) -> object:
    pool.without_close()
    event = {"type": "batch", "partner": "nobody", "batch": "ab" * 32, "rows": 3}
    return pool.append_event(event)


def a_void_after_the_release(pool: Pool) -> object:
    return pool.append_event({"type": "void", "batch": pool.batch_places()[0]})


def no_close(pool: Pool) -> object:
    """The release is proposed and approved, the round was never closed."""
    shutil.rmtree(pool.folder / "ledger")
    shutil.rmtree(pool.folder / pool.paths.releases / pool.release_id / "noisy")
    return pool.remove(*pool.events()[-2:])


def a_later_release(pool: Pool) -> object:
    """A release is ordered whose proposal has not arrived, and charged all the same."""
    event = {"type": "release", "release": "ab" * 8, "proposal": "cd" * 32}
    return pool.append_event(event)


def the_same_statistics(pool: Pool) -> object:
    release = propose(pool, attempt=1)
    body = pool.body(pool.paths.proposal(release))
    assert body["statistics"]
    proposal = parse_proposal(pool.read(pool.paths.proposal(release)), pool.task)
    digest = proposal.digest(pool.task).hex()
    return pool.append_event({"type": "release", "release": release, "proposal": digest})


def a_ledger_that_does_not_hold(pool: Pool) -> object:
    def halve(body: dict[str, Any]) -> None:
        body["spent"] = {"zcdp": "1/1000000"}

    return pool.charge_again("south", 1, halve)


def keys_gone_before(*deeds: Deed) -> Deed:
    """North declares its keys destroyed, and something that needs them is missing."""

    def destroy(pool: Pool) -> None:
        def end(body: dict[str, Any]) -> None:
            body["event"] = {"type": "destroyed"}

        pool.charge_again("north", 2, end)
        for deed in deeds:
            deed(pool)

    return destroy


NO_CLOSE = no_close
CARD = gone("{round}/cards/south.json")
BATCH = gone("{round}/batches/*")
SHARES = gone("{round}/verify/{seq}/south")
DECISION = gone("{round}/decide/{seq}/south.json")
APPROVAL = gone("{release}/approvals/south.json")
ENTRY = gone("ledger/south/*", "{release}/noisy/north.json")
UNORDERED = lambda pool: pool.remove(pool.events()[-1])  # noqa: E731

DEEDS: dict[tuple[str, str], Deed] = {
    ("write the task", "all_have_joined"): CARD,
    ("sign the task", "task_is_written"): gone("{round}/task.json"),
    ("admit", "round_is_open"): an_admission,
    ("expel", "round_is_open"): after_the_close({"type": "expel", "partner": "nurses"}),
    ("order the batch", "round_is_open"): a_batch_again,
    ("order the batch", "relay_is_admitted"): a_batch_of_nobody,
    ("order the batch", "batch_has_arrived"): BATCH,
    ("void", "nothing_is_released"): a_void_after_the_release,
    ("close", "round_is_open"): after_the_close({"type": "close"}),
    ("check", "batch_has_arrived"): BATCH,
    ("check", "earlier_are_checked"): gone("{round}/verify/4/south"),
    ("decide", "all_have_checked"): SHARES,
    ("decide", "earlier_are_decided"): gone("{round}/decide/4/south.json"),
    ("propose", "round_is_closed"): NO_CLOSE,
    ("propose", "all_is_decided"): DECISION,
    ("approve or decline", "round_is_closed"): NO_CLOSE,
    ("approve or decline", "all_is_decided"): DECISION,
    ("order the release", "all_have_approved"): APPROVAL,
    ("order the release", "earlier_are_here"): a_later_release,
    ("order the release", "statistics_are_free"): the_same_statistics,
    ("charge", "all_have_approved"): APPROVAL,
    ("charge", "is_ordered"): UNORDERED,
    ("charge", "earlier_are_here"): a_later_release,
    ("charge", "statistics_are_free"): the_same_statistics,
    ("charge", "ledgers_bear_it"): a_ledger_that_does_not_hold,
    ("sign the head", "entry_is_here"): gone("ledger/south/1.json"),
    ("cosign", "head_is_here"): gone("ledger/south/1.checkpoint"),
    ("witness", "head_is_here"): gone("ledger/south/1.checkpoint"),
    ("waive witnesses", "all_have_charged"): ENTRY,
    ("waive witnesses", "all_have_cosigned"): gone("ledger/south/1.north.cosignature"),
    ("publish", "all_have_charged"): ENTRY,
    ("publish", "all_have_cosigned"): gone("ledger/south/1.north.cosignature"),
    ("publish", "witnesses_have_seen"): gone("ledger/south/1.carers.cosignature"),
    ("destroy", "all_is_decided"): keys_gone_before(DECISION),
    ("destroy", "releases_are_complete"): keys_gone_before(gone("{release}/noisy/north.json")),
}

HARMLESS = {
    ("approve or decline", "nobody_declined"): "an approval beside a refusal moves nothing: a "
    "refused release is not ordered, and whoever goes on with it is named (release.approval)",
    ("destroy", "round_is_closed"): "whoever destroys its keys of an open round ends it: nothing "
    "can be released any more, and its ledger says so",
}

NOT_VISIBLE = {
    ("write the task", "cards_are_consented_to"): "consent is kept in each one's own state; what "
    "the cards say beyond the invitation is noted (task.cards)",
    ("sign the task", "cards_are_consented_to"): "as above: tests/aggregator/test_later_cards.py",
}
"""What leaves no trace in a pool, held by tests that watch who signs."""

IN_TIME = {
    pair: "whoever is late may still come: then the pool is like any other"
    for pair in DEEDS
    if pair[1]
    in {
        "all_have_joined", "task_is_written", "batch_has_arrived", "earlier_are_checked",
        "all_have_checked", "earlier_are_decided", "all_is_decided", "all_have_approved",
        "is_ordered", "earlier_are_here", "entry_is_here", "head_is_here", "all_have_charged",
        "all_have_cosigned", "witnesses_have_seen", "releases_are_complete",
    }
}  # fmt: skip
"""Needs whose order in time cannot be seen afterwards: missed for as long as they are missing."""


def pairs() -> set[tuple[str, str]]:
    """Every need of every step that leaves something in a pool."""
    return {(step.name, need.__name__) for step in STEPS if step.leaves for need in step.needs}


def test_every_need_of_every_step_is_here() -> None:
    listed = [*DEEDS, *HARMLESS, *NOT_VISIBLE]
    assert set(listed) == pairs()
    assert len(listed) == len(set(listed))
    assert len(HARMLESS) <= 5
    assert all(HARMLESS.values()) and all(NOT_VISIBLE.values())
    # What leaves nothing cannot be missed in a pool.
    assert {step.name for step in STEPS if step.needs and not step.leaves} == {
        "consent",
        "mend its ledger",
    }


@pytest.fixture(scope="module")
def watched(base: Callable[[str], Pool]) -> Pool:
    return base("watched")


@pytest.mark.parametrize("pair", sorted(DEEDS), ids=lambda pair: "-".join(pair).replace(" ", "_"))
def test_what_is_done_too_early_does_not_pass(
    pair: tuple[str, str], watched: Pool, copy: Callable[[Pool], Pool]
) -> None:
    pool = copy(watched)
    assert pool.audit().verdict == "pass"
    DEEDS[pair](pool)
    result: AuditResult = pool.audit()
    assert result.verdict in ("incomplete", "fail"), result.findings


CONTROLS = {
    ("order the release", "all_have_approved"): "check_answers",
    ("charge", "is_ordered"): "check_order",
}


@pytest.mark.parametrize("pair", CONTROLS, ids=lambda pair: pair[1])
def test_without_the_audits_own_order_it_would_pass(
    pair: tuple[str, str],
    watched: Pool,
    copy: Callable[[Pool], Pool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = copy(watched)
    DEEDS[pair](pool)
    monkeypatch.setattr(f"grievance.audit.releases.{CONTROLS[pair]}", lambda *_, **__: None)
    assert pool.audit().verdict == "pass"


# The order of what is put.


@pytest.fixture(scope="module")
def puts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every file of a round with two batches and two releases, in the order in which it was put."""
    found: list[str] = []
    put = LocalStore.put

    def noted(store: LocalStore, path: str, data: bytes) -> None:
        put(store, path, data)
        found.append(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalStore, "put", noted)
        federation = Federation(tmp_path_factory.mktemp("puts"))
        federation.open_watched()
        federation.relay("nurses", federation.seal(8))
        federation.relay("carers", federation.seal(4))
        federation.settle()
        federation.close()
        for statistic in ("hours_mean", "hours_spread"):
            federation.release([statistic])
        with Office.open(federation.leader) as office:
            destroy.destroy(office, federation.chain())
            office.publish()
    return list(dict.fromkeys(found))


BEFORE: dict[str, list[tuple[str, str]]] = {
    "all_have_joined": [(r".*/cards/.*", r".*/task\.json")],
    "task_is_written": [(r".*/task\.json", r".*/signatures/south\.json")],
    "batch_has_arrived": [(r".*/batches/.*", r".*/(order/[34]\.json|verify/.*)")],
    "earlier_are_checked": [
        (rf".*/verify/3/{name}", rf".*/verify/4/{name}") for name in ("north", "south")
    ],
    "all_have_checked": [(rf".*/verify/{seq}/.*", rf".*/decide/{seq}/.*") for seq in (3, 4)],
    "earlier_are_decided": [
        (rf".*/decide/3/{name}\.json", rf".*/decide/4/{name}\.json") for name in ("north", "south")
    ],
    "all_is_decided": [(r".*/decide/.*", r".*/(proposal|approvals/.*)\.json|ledger/north/3\.json")],
    "all_have_approved": [("{one}/approvals/.*", r".*/order/6\.json|ledger/.*")],
    "is_ordered": [(r".*/order/6\.json", r"ledger/.*"), (r".*/order/7\.json", r"ledger/\w+/2\..*")],
    "earlier_are_here": [("{one}/proposal.json", r".*/order/7\.json|ledger/\w+/2\..*")],
    "entry_is_here": [(rf"ledger/{w}/1\.json", rf"ledger/{w}/1\.checkpoint") for w in ("north",)],
    "head_is_here": [
        (rf"ledger/{w}/{n}\.checkpoint", rf"ledger/{w}/{n}\..*cosignature")
        for w in ("north", "south")
        for n in (1, 2)
    ],
    "all_have_charged": [(r"ledger/\w+/1\.json", "{one}/noisy/.*")],
    "all_have_cosigned": [(r"ledger/\w+/1\.(checkpoint|(north|south)\..*)", "{one}/noisy/.*")],
    "witnesses_have_seen": [(r"ledger/\w+/1\.(nurses|carers)\..*", "{one}/noisy/.*")],
    "releases_are_complete": [(r".*/noisy/north\.json", r"ledger/north/3\.json")],
}
"""Need -> what is put before what. Events 3 and 4 order batches, 6 and 7 releases."""


def out_of_order(puts: list[str], need: str) -> list[tuple[str, str]]:
    """Pairs of expressions of which the later file did not come after all of the earlier."""
    (first, *_) = (path for path in puts if path.endswith("/proposal.json"))
    wrong = []
    for pair in BEFORE[need]:
        earlier, later = (
            [i for i, path in enumerate(puts) if re.fullmatch(text, path)]
            for text in (text.replace("{one}", str(Path(first).parent)) for text in pair)
        )
        assert earlier and later, pair
        if max(earlier) > min(later):
            wrong.append(pair)
    return wrong


def test_each_order_in_time_is_watched() -> None:
    assert {need for _, need in IN_TIME} == set(BEFORE)


@pytest.mark.parametrize("need", BEFORE)
def test_files_are_put_in_the_order_of_the_needs(need: str, puts: list[str]) -> None:
    assert out_of_order(puts, need) == []
    # The control: had the later ones come first, this would have been seen.
    assert out_of_order(puts[::-1], need)
