"""Putting a task together from cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grievance.crypto.documents import b64encode
from grievance.errors import BudgetExceededError, TaskError
from grievance.secret import VerifyKey
from grievance.task import build_task, load_task
from grievance.testing import EXAMPLE_PLAN, make_coalition, with_envelope

if TYPE_CHECKING:
    from grievance.testing import Coalition


def build(coalition: Coalition, cards: Any = None, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {"round_id": coalition.task.round_id} | changes
    chosen = coalition.cards if cards is None else cards
    return build_task(coalition.plan, chosen, coalition.verify_key, **arguments)


def test_building_needs_one_matching_card_of_everybody(
    coalition: Coalition, stranger: Coalition
) -> None:
    first, second = coalition.cards
    assert build(coalition) == coalition.task.data
    assert build(coalition, [second, first]) == coalition.task.data
    for cards in ([], [first], [first, first], [first, second, second]):
        with pytest.raises(TaskError):
            build(coalition, cards)
    with pytest.raises(TaskError, match="other aggregators"):
        build(coalition, [first, stranger.cards[1]])
    with pytest.raises(TaskError, match="another round"):
        build(coalition, round_id="round-9")
    with pytest.raises(TaskError, match="rehearsal"):
        build(coalition, rehearsal=True)


def test_building_refuses_what_the_campaign_cannot_pay() -> None:
    plan = EXAMPLE_PLAN.replace("lifetime_epsilon = 4.0", "lifetime_epsilon = 1.5")
    first = make_coalition(plan)
    second = make_coalition(plan, previous=first)
    assert second.task.reserved == first.task.reserved + second.task.cost
    with pytest.raises(BudgetExceededError):
        make_coalition(plan, previous=second)


@pytest.mark.parametrize(("envelope", "kem"), [("hybrid", "MLKEM768_X25519"), ("x25519", "X25519")])
def test_three_aggregators_of_either_envelope(envelope: str, kem: str) -> None:
    coalition = make_coalition(with_envelope(EXAMPLE_PLAN, envelope), names=("a", "b", "c"))
    assert [entry.hpke.kem for entry in coalition.task.aggregators] == [kem] * 3
    assert coalition.task.vdaf.SHARES == 3
    assert len(load_task(coalition.bundle, trust=coalition.fingerprints).aggregators) == 3


def test_a_task_does_not_show_the_verify_key(coalition: Coalition) -> None:
    key = coalition.verify_key
    for form in (key.reveal(), key.reveal().hex().encode(), b64encode(key.reveal()).encode()):
        assert form not in coalition.bundle
    assert build_task(
        coalition.plan, coalition.cards, VerifyKey.generate(), round_id=coalition.task.round_id
    ) != (coalition.task.data)
