"""What an aggregator checks before it signs a task, beyond that the task is consistent.

`check_plan_file` and `check_cards`: the task is the plan and the keys that were agreed.
`check_successor`: it continues the campaign after the round before; `check_parties_stay`: after
an earlier one. `check_plan_continues`: the same of a plan, before there is a task.
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

_TERMS_STAY = "the campaign's name, mechanism, lifetime_epsilon and delta cannot change"


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
            invitation=ordered[0].digest,
            kem=task.plan.kem,
        )
        if card.digest != entry.card or card.hpke != entry.hpke:
            raise TaskError(f"the task names another card of {entry.name}", code="task.card")
        if card.backup != entry.backup:
            raise TaskError(
                f"the task says something else about the backup of {entry.name} than its card",
                code="task.card",
            )


def check_plan_continues(plan: Plan, previous: Task | None, *, rehearsal: bool) -> None:
    """Check that a round on `plan` may follow `previous`. Run before any card is made for it.

    `previous` is the last task of the campaign that the caller itself signed, None if there is
    none. The same terms as in `check_successor`, as far as a plan shows them. Raises TaskError
    `task.campaign`, in words for a steward.
    """
    why = None if previous is None else _changed_terms(plan, previous, rehearsal=rehearsal)
    if previous is None or why is None:
        return
    if rehearsal is not previous.rehearsal:
        hint = 'write another name after "campaign" in the plan, one for each'
    else:
        hint = "leave them as they were, or begin a new campaign and say so to the workers"
    kind = "the rehearsal" if previous.rehearsal else "the round"
    raise TaskError(
        f"this round cannot continue the campaign {previous.campaign} after {kind} "
        f"{previous.round_id}: {why}",
        code="task.campaign",
        hint=hint,
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
    changed = _changed_terms(task.plan, previous, rehearsal=task.rehearsal)
    if changed is None and task.mechanism != previous.mechanism:
        changed = _TERMS_STAY
    if changed is not None:
        raise _refuse(changed)
    if task.reserved != previous.reserved + task.cost:
        raise _refuse("it does not reserve what the campaign has used", code="task.reserved")
    if not {e.name for e in task.aggregators} & {e.name for e in previous.aggregators}:
        raise _refuse("none of the campaign's aggregators remains", code="plan.aggregators")
    check_parties_stay(task, previous)


def _changed_terms(plan: Plan, previous: Task, *, rehearsal: bool) -> str | None:
    """What a plan changes that must stay in a campaign, in words."""
    if rehearsal is not previous.rehearsal:
        return "a rehearsal and a real round share no campaign"
    old, new = previous.plan.privacy, plan.privacy
    if (plan.campaign, new.lifetime_epsilon, new.delta) != (
        previous.campaign,
        old.lifetime_epsilon,
        old.delta,
    ):
        return _TERMS_STAY
    if new.reports_per_worker < old.reports_per_worker:
        return "reports_per_worker cannot be lowered within a campaign"
    return None


def check_parties_stay(task: Task, earlier: Task) -> None:
    """Check a task against any earlier one of its campaign: keys stay, ledgers only grow.

    That is: an aggregator of both has one key, and no two of them share one. Raises TaskError.
    """
    before = {entry.name: entry.identity for entry in earlier.aggregators}
    for entry in task.aggregators:
        if before.get(entry.name, entry.identity) != entry.identity:
            raise _refuse(f"{entry.name} has another identity key", code="plan.aggregators")
        if entry.name not in before and entry.identity in before.values():
            raise _refuse(f"{entry.name} has another's identity key", code="plan.aggregators")
    for entry in task.aggregators:
        old, new = earlier.ledger_heads.get(entry.name), task.ledger_heads[entry.name]
        if old is None:
            continue
        if new is None or new.size < old.size or (new.size == old.size and new != old):
            raise _refuse(f"the ledger of {entry.name} went backwards", code="task.ledger")


def _refuse(why: str, code: str = "task.campaign") -> TaskError:
    return TaskError(
        f"this task does not continue the campaign: {why}",
        code=code,
        hint="do not sign; ask the leader for a task that continues the last signed round",
    )
