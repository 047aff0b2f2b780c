"""One round from answers to tables, between two, three and remote aggregators."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from federation import ANSWERS, HYBRID, Federation
from grievance.aggregator import Office
from grievance.errors import ReleaseError, TaskError
from grievance.pool.events import Expel


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation.opened(tmp_path)


def test_a_round_ends_in_tables(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(30))
    federation.relay("carers", federation.seal(10, {"region": "Wales", "hours": "10"}))
    federation.settle()
    release = federation.release()
    assert release.accepted == 40
    table = release["problems_by_region"]
    figure = table.cell(problems="targets", region="London")
    assert figure.low - 40 < 30 < figure.high + 40
    assert set(release.names) == {"problems_by_region", "hours_mean", "hours_spread"}
    assert federation.reasons() and not any(federation.reasons().values())


@pytest.mark.parametrize("names", [("north", "south", "west"), ("a", "b", "c", "d", "e")])
def test_more_than_two_aggregators(tmp_path: Path, names: tuple[str, ...]) -> None:
    federation = Federation.opened(tmp_path, aggregators=names)
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    assert federation.release().accepted == 12


def test_the_default_envelope_is_hybrid(tmp_path: Path) -> None:
    federation = Federation.opened(tmp_path, HYBRID)
    task = federation.task
    assert {a.hpke.kem for a in task.aggregators} == {"MLKEM768_X25519"}
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    assert federation.release().accepted == 10


def test_a_pool_on_another_filesystem(tmp_path: Path) -> None:
    federation = Federation(tmp_path, pool=f"memory://{tmp_path.name}")
    federation.open_round()
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    assert federation.release().accepted == 10


def test_syncing_again_changes_nothing(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    federation.release()
    before = {p: p.read_bytes() for p in Path(federation.pool).rglob("*") if p.is_file()}
    assert not any(r.done or r.written for r in federation.sync())
    after = {p: p.read_bytes() for p in Path(federation.pool).rglob("*") if p.is_file()}
    assert before == after


def test_a_partner_can_be_admitted_in_the_middle(tmp_path: Path) -> None:
    federation = Federation(tmp_path, relays=("nurses", "carers", "late"))
    federation.relays = ["nurses", "carers"]
    federation.open_round()
    federation.relay("late", federation.seal(5))
    federation.relay("nurses", federation.seal(10))
    federation.settle()
    assert [b.partner for b in federation.chain().batches] == ["nurses"]
    federation.leader.admit_later(federation.round_id, ["late"])
    federation.settle()
    assert [b.partner for b in federation.chain().batches] == ["nurses", "late"]
    assert federation.release().accepted == 15


def test_no_release_below_the_minimum(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(9))
    federation.settle()
    federation.close()
    with pytest.raises(ReleaseError, match="only 9 sealed reports") as error:
        federation.propose()
    assert error.value.code == "release.minimum"


def test_no_release_before_the_round_is_closed(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(20))
    federation.settle()
    with pytest.raises(ReleaseError) as error:
        federation.propose()
    assert error.value.code == "release.early"


def test_a_batch_after_closing_is_not_counted(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(20))
    federation.settle()
    federation.close()
    federation.relay("carers", federation.seal(20))
    federation.settle()
    assert federation.release().accepted == 20


def test_each_statistic_is_released_once(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(20))
    federation.settle()
    first = federation.release(["hours_mean"])
    assert first.names == ("hours_mean",)
    with pytest.raises(ReleaseError) as error:
        federation.propose(statistics=["hours_mean", "hours_spread"])
    assert error.value.code == "release.twice"
    view = federation.propose("south", ["hours_spread", "problems_by_region"])
    federation.answer("north", view.release_id)
    federation.settle()
    from grievance.release import collect

    second = collect(federation.leader.store, federation.task, view.release_id)
    assert second.names == ("problems_by_region", "hours_spread")


def test_a_declined_release_charges_nothing_and_may_be_proposed_again(
    federation: Federation,
) -> None:
    federation.relay("nurses", federation.seal(20))
    federation.settle()
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id, "decline", "we want to talk first")
    federation.settle()
    assert not (Path(federation.pool) / "ledger").exists()
    again = federation.propose()
    assert again.proposal.attempt == 1 and again.release_id != view.release_id
    federation.answer("south", again.release_id)
    federation.settle()
    assert (Path(federation.pool) / "ledger/south/1.json").exists()


def test_a_lifetime_budget_that_is_used_up(tmp_path: Path) -> None:
    federation = Federation(tmp_path)
    from federation import PLAN

    plan = PLAN.replace(b"lifetime_epsilon = 4.0", b"lifetime_epsilon = 3.0")
    federation.open_round(plan)
    first = federation.task
    federation.open_round(plan)
    assert federation.task.previous == first.digest
    assert federation.task.reserved == first.cost + first.cost
    with pytest.raises(TaskError, match="promised that all its rounds") as error:
        federation.open_round(plan)
    assert error.value.code == "budget.lifetime"


def test_answers_never_reach_the_pool_in_the_clear(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(20, ANSWERS))
    federation.settle()
    federation.release()
    for path in Path(federation.pool).rglob("*"):
        if path.is_file() and path.name not in ("plan.toml", "task.json"):
            # As a word: keys and signatures in base64 may hold any six letters.
            assert not re.search(rb"(?<![\w-])London(?![\w-])", path.read_bytes()), path


def test_a_proposal_waits_for_whoever_is_away_and_keeps_its_id(tmp_path: Path) -> None:
    federation = Federation.opened(tmp_path, aggregators=("north", "south", "west"))
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id)
    for _ in range(3):
        federation.sync("north", "south")
    assert not (Path(federation.pool) / "ledger").exists()
    with pytest.raises(ReleaseError) as error:
        federation.propose("south")
    assert error.value.code == "release.open"
    federation.answer("west", view.release_id)
    federation.settle()
    from grievance.release import collect

    assert collect(federation.leader.store, federation.task).release_id == view.release_id


def test_an_expelled_partner_relays_no_more_and_what_it_relayed_counts(
    federation: Federation,
) -> None:
    federation.relay("carers", federation.seal(4))
    federation.settle()
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, Expel("carers"))
        office.publish()
    federation.relay("carers", federation.seal(5))
    federation.relay("nurses", federation.seal(8))
    federation.settle()
    assert [batch.rows for batch in federation.chain().batches] == [4, 8]
    assert federation.release().accepted == 12
