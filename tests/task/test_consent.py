"""What an aggregator checks before it signs: plan file, cards, and the campaign so far."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from grievance.cost import Cost
from grievance.crypto.documents import canonical, parse_canonical
from grievance.crypto.signing import SigningKey
from grievance.errors import GrievanceError, TaskError
from grievance.task import check_cards, check_plan_file, check_successor, parse_task
from grievance.task.heads import LedgerHead
from grievance.testing import EXAMPLE_PLAN, make_coalition

if TYPE_CHECKING:
    from grievance.testing import Coalition


def test_the_plan_file_is_the_one_that_was_agreed(coalition: Coalition) -> None:
    check_plan_file(coalition.task, EXAMPLE_PLAN.encode())
    for other in (EXAMPLE_PLAN + "\n", EXAMPLE_PLAN.replace("\n", "\r\n"), ""):
        with pytest.raises(TaskError):
            check_plan_file(coalition.task, other.encode())
    # a leader that hashes one plan and writes another into the task
    swapped = make_coalition(coalition.plan.model_copy(update={"title": "Another title"}))
    with pytest.raises(GrievanceError):
        check_plan_file(swapped.task, swapped.plan_file)


def test_cards_are_checked_against_the_task(coalition: Coalition, stranger: Coalition) -> None:
    first, second = coalition.cards
    check_cards(coalition.task, [second, first])
    for cards in (
        [],
        [first],
        [first, first],
        stranger.cards,
        [first, stranger.cards[1]],
        [first, second, second],
    ):
        with pytest.raises(TaskError):
            check_cards(coalition.task, cards)


def with_plan(old: str, new: str) -> str:
    assert old in EXAMPLE_PLAN
    return EXAMPLE_PLAN.replace(old, new)


def test_a_campaign_goes_on(coalition: Coalition) -> None:
    check_successor(coalition.task, None)
    second = make_coalition(previous=coalition)
    check_successor(second.task, coalition.task)
    third = make_coalition(previous=second)
    check_successor(third.task, second.task)
    assert third.task.reserved.amount == 3 * coalition.task.cost.amount
    for wrong, before in ((second, None), (third, coalition), (coalition, second)):
        with pytest.raises(TaskError) as caught:
            check_successor(wrong.task, before and before.task)
        assert caught.value.code == "task.previous"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lifetime_epsilon = 4.0", "lifetime_epsilon = 5.0"),
        ("lifetime_epsilon = 4.0", "lifetime_epsilon = 3.0"),
        ("delta = 1e-6", "delta = 1e-7"),
        ('campaign = "example"', 'campaign = "another"'),
    ],
)
def test_the_terms_of_a_campaign_stay(coalition: Coalition, old: str, new: str) -> None:
    changed = make_coalition(with_plan(old, new), previous=coalition)
    with pytest.raises(TaskError) as caught:
        check_successor(changed.task, coalition.task)
    assert caught.value.code == "task.campaign"


def test_reports_per_worker_only_grows(coalition: Coalition) -> None:
    raised = make_coalition(
        with_plan("delta = 1e-6", "delta = 1e-6\nreports_per_worker = 2"), previous=coalition
    )
    check_successor(raised.task, coalition.task)
    lowered = make_coalition(previous=raised)
    with pytest.raises(TaskError, match="reports_per_worker"):
        check_successor(lowered.task, raised.task)


def test_what_may_change_between_rounds(coalition: Coalition) -> None:
    for old, new in (
        ("epsilon = 1.0", "epsilon = 0.5"),
        ('title = "Workload, a small example"', 'title = "Second round"'),
        ("pick = 2", "pick = 1"),
        ("minimum_reports = 10", "minimum_reports = 20"),
    ):
        check_successor(
            make_coalition(with_plan(old, new), previous=coalition).task, coalition.task
        )


def test_a_round_follows_under_an_id_of_its_own(coalition: Coalition) -> None:
    same = make_coalition(previous=coalition, round_id=coalition.task.round_id)
    with pytest.raises(TaskError) as caught:
        check_successor(same.task, coalition.task)
    assert caught.value.code == "task.round"


def test_a_rehearsal_is_no_part_of_a_campaign(coalition: Coalition) -> None:
    rehearsal = make_coalition(previous=coalition, rehearsal=True)
    assert rehearsal.task.rehearsal is True
    with pytest.raises(TaskError, match="rehearsal"):
        check_successor(rehearsal.task, coalition.task)


def test_reserved_continues_exactly(coalition: Coalition) -> None:
    second = make_coalition(previous=coalition)
    body = parse_canonical(second.task.data)
    more = second.task.cost + Cost("zcdp", Fraction(1, 10**9))
    for reserved in (more, second.task.lifetime):
        forged = parse_task(canonical(body | {"reserved": reserved.to_json()}))
        with pytest.raises(TaskError) as caught:
            check_successor(forged, coalition.task)
        assert caught.value.code == "task.reserved"


def test_who_may_come_and_go(coalition: Coalition, stranger: Coalition) -> None:
    joined = make_coalition(names=("south-network", "third"), previous=coalition)
    check_successor(joined.task, coalition.task)
    replaced = make_coalition(names=("third", "fourth"), previous=coalition)
    with pytest.raises(TaskError, match="none of the campaign's aggregators"):
        check_successor(replaced.task, coalition.task)


def test_nobody_changes_keys_within_a_campaign(coalition: Coalition) -> None:
    known = coalition.signing_keys[0]
    new_key = make_coalition(
        previous=replace(coalition, signing_keys=(known, SigningKey.generate()))
    )
    with pytest.raises(TaskError, match="another identity key"):
        check_successor(new_key.task, coalition.task)
    new_name = make_coalition(
        names=("north-union", "third"),
        previous=replace(coalition, names=("north-union", "third")),
    )
    with pytest.raises(TaskError, match="another's identity key"):
        check_successor(new_name.task, coalition.task)


def test_ledgers_only_grow() -> None:
    def head(size: int, fill: str) -> dict[str, LedgerHead]:
        return {"north-union": LedgerHead(size, bytes.fromhex(fill * 32))}

    first = make_coalition(ledger_heads=head(2, "aa"))
    for heads, fine in (
        (head(2, "aa"), True),
        (head(3, "bb"), True),
        (head(2, "bb"), False),
        (head(1, "aa"), False),
        (None, False),
    ):
        second = make_coalition(previous=first, ledger_heads=heads)
        if fine:
            check_successor(second.task, first.task)
            continue
        with pytest.raises(TaskError) as caught:
            check_successor(second.task, first.task)
        assert caught.value.code == "task.ledger"
