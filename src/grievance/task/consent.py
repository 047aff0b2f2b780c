"""What an aggregator checks before it signs a task, beyond that the task is consistent.

`check_plan_file` and `check_cards`: the task is the plan and the keys that were agreed.
`check_successor`: it continues the campaign as the aggregator itself last signed it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from grievance.errors import TaskError
from grievance.plan import Plan
from grievance.task.card import card_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.task.card import Card
    from grievance.task.task import Task


def check_plan_file(task: Task, data: bytes) -> None:
    """Check that `data` is the plan file of this task. Raises TaskError or PlanError."""
    if not hmac.compare_digest(hashlib.sha256(data).digest(), task.plan_sha256):
        raise TaskError(
            "this is not the plan file that the task names",
            code="task.plan",
            hint="the file must be, byte for byte, the one the leader proposed; do not sign, ask "
            "the leader for it",
        )
    if Plan.from_toml(data) != task.plan:
        raise TaskError("the task's plan is not what the plan file says", code="task.plan")


def check_cards(task: Task, cards: Sequence[Card]) -> None:
    """Check that every HPKE key in the task is the one its owner offered for this round.

    `cards` hold one card of every aggregator, in any order. Raises TaskError.
    """
    ordered = sorted(cards, key=lambda card: card.index)
    if [card.index for card in ordered] != list(range(len(task.aggregators))):
        raise TaskError("a round needs one card of every aggregator", code="task.card")
    members = [entry.member for entry in task.aggregators]
    for card, entry in zip(ordered, task.aggregators, strict=True):
        card_matches(
            card,
            round_id=task.round_id,
            plan_sha256=task.plan_sha256,
            members=members,
            rehearsal=task.rehearsal,
        )
        if card.digest != entry.card or card.hpke != entry.hpke:
            raise TaskError(f"the task names another card of {entry.name}", code="task.card")
        if card.backup != entry.backup:
            raise TaskError(
                f"the task says something else about the backup of {entry.name} than its card",
                code="task.card",
            )


def check_successor(task: Task, previous: Task | None) -> None:
    """Check that `task` continues a campaign after `previous`. Raises TaskError.

    `previous` is the last task of this campaign that the caller itself signed or checked, None
    if there is none. What must stay: the campaign's name, mechanism, lifetime budget and its
    delta; whoever remains an aggregator keeps its identity key, and at least one remains.
    What only grows: `reserved`, by exactly the round's own cost; every ledger;
    `reports_per_worker` (its square is in the cost; to lower it would promise less to workers
    who still report as often). Questions, statistics, epsilon and the other aggregators may
    change from round to round.
    """
    if previous is None:
        if task.previous is not None:
            raise _refuse("it continues a round that was never signed here", code="task.previous")
        return
    if task.previous != previous.digest:
        raise _refuse("it does not name the last round signed here", code="task.previous")
    if task.round_id == previous.round_id:
        raise _refuse("it has the id of the round before it", code="task.round")
    if task.rehearsal is not previous.rehearsal:
        raise _refuse("a rehearsal and a real round share no campaign")
    old, new = previous.plan.privacy, task.plan.privacy
    if (task.campaign, task.mechanism, new.lifetime_epsilon, new.delta) != (
        previous.campaign,
        previous.mechanism,
        old.lifetime_epsilon,
        old.delta,
    ):
        raise _refuse("the campaign's name, mechanism, lifetime_epsilon and delta cannot change")
    if new.reports_per_worker < old.reports_per_worker:
        raise _refuse("reports_per_worker cannot be lowered within a campaign")
    if task.reserved != previous.reserved + task.cost:
        raise _refuse("it does not reserve what the campaign has used", code="task.reserved")
    _check_aggregators_stay(task, previous)


def _check_aggregators_stay(task: Task, previous: Task) -> None:
    before = {entry.name: entry.identity for entry in previous.aggregators}
    staying = [entry for entry in task.aggregators if entry.name in before]
    if not staying:
        raise _refuse("none of the campaign's aggregators remains", code="plan.aggregators")
    for entry in task.aggregators:
        if before.get(entry.name, entry.identity) != entry.identity:
            raise _refuse(f"{entry.name} has another identity key", code="plan.aggregators")
        if entry.name not in before and entry.identity in before.values():
            raise _refuse(f"{entry.name} has another's identity key", code="plan.aggregators")
    for entry in staying:
        old, new = previous.ledger_heads[entry.name], task.ledger_heads[entry.name]
        if old is None:
            continue
        if new is None or new["size"] < old["size"] or (new["size"] == old["size"] and new != old):
            raise _refuse(f"the ledger of {entry.name} went backwards", code="task.ledger")


def _refuse(why: str, code: str = "task.campaign") -> TaskError:
    return TaskError(
        f"this task does not continue the campaign: {why}",
        code=code,
        hint="do not sign; ask the leader for a task that continues the last signed round",
    )
