"""A round as the next step of its campaign: checked before a card, and before a signature.

A task counts against the campaign's budget in full from the moment its leader signs it, whether
or not the others ever do: the leader's next task names it. So whoever did not sign it follows
the chain through it. Source: docs/design.md, section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.cost import Cost
from grievance.errors import GrievanceError, TaskError
from grievance.plan import Layout, Plan
from grievance.plan.budget import round_budget, write_mechanism
from grievance.pool.layout import is_round_id
from grievance.pool.rounds import read_signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grievance.aggregator.state import State
    from grievance.crypto.signing import VerifyingKey
    from grievance.pool.rounds import SignedTask
    from grievance.pool.store import Store
    from grievance.task import Task
    from grievance.task.parties import Signable


def check_plan(state: State, plan: Plan, *, rehearsal: bool) -> None:
    """Refuse a round on other terms than its campaign has, before any card. Run by everybody.

    Raises TaskError `task.campaign` in words for a steward; also for a rehearsal among real
    rounds, which would end the campaign.
    """
    tasks.check_plan_continues(plan, last_task(state, plan.campaign), rehearsal=rehearsal)


def with_mechanism(state: State, plan_bytes: bytes) -> bytes:
    """The plan that a leader publishes: with its campaign's mechanism written out.

    Of a campaign's first plan it is what the plan resolves to. Run by `round new`.
    """
    text = plan_bytes.decode("utf-8")
    plan = Plan.from_toml(text)
    last = last_task(state, plan.campaign)
    mechanism = last.mechanism if last else round_budget(plan, Layout(plan)).mechanism
    return write_mechanism(text, mechanism).encode("utf-8")


def check_lifetime(state: State, plan: Plan) -> None:
    """Refuse a round that the campaign's promise to workers has no room for, before any card.

    Raises TaskError in words for a steward: `budget.lifetime`, or `task.mechanism` for noise of
    another kind than the campaign has.
    """
    last = last_task(state, plan.campaign)
    tasks.check_mechanism_stays(plan, last)
    found = round_budget(plan, Layout(plan))
    cost, lifetime = found.cost, found.lifetime
    privacy, reserved = plan.privacy, last.reserved if last else Cost.zero(cost.kind)
    if reserved + cost <= lifetime:
        return
    raise TaskError(
        f"the campaign {plan.campaign} promised that all its rounds together reveal at most "
        f"epsilon {float(privacy.lifetime_epsilon):g} about a worker; earlier rounds have taken "
        f"{float(100 * reserved.amount / lifetime.amount):.0f} % of that and this one needs "
        f"{float(100 * cost.amount / lifetime.amount):.0f} %, so it is not opened",
        code="budget.lifetime",
        hint="lower this round's epsilon, ask for less, or begin a new campaign and say so to "
        "the workers",
    )


def check_own_task(state: State, task: Task) -> None:
    """Check the task a leader is about to sign against all it signed for the campaign.

    A task that the others must refuse would stand in the way of every later one. Raises
    TaskError.
    """
    try:
        tasks.check_successor(task, last_task(state, task.campaign))
        for earlier in map(tasks.parse_task, state.tasks()):
            if earlier.campaign == task.campaign:
                tasks.check_parties_stay(task, earlier)
    except TaskError as error:
        raise TaskError(
            error.message,
            code=error.code,
            hint="nothing was signed; wait until the pool has arrived whole, or open another "
            "round with `grievance round new`",
        ) from None


def check_continues(store: Store, state: State, task: Task) -> list[Task]:
    """Check every step of a campaign up to a leader's task. Run by a helper before it signs.

    The steps begin at the last task signed here, or else at the campaign's first; so whatever
    was signed here is in `reserved` in full. A task between may lack signatures, but not that
    of its own leader and of the leader who goes on from it: nobody else may use up a campaign.
    Returns the tasks between, which were not signed here, the oldest first. Raises TaskError:
    `task.previous` when the steps do not lead there or one is not in the pool.
    """
    last = last_task(state, task.campaign)
    step, begin = task, last.digest if last else None
    between: list[Task] = []
    known: dict[bytes, SignedTask] | None = None
    while step.previous not in (None, begin):
        if known is None:
            known = {found.head.digest: found for found in _signed_tasks(store)}
        found = known.get(step.previous or b"")
        if found is None or not {_leader(step), _leader(found.head)} <= found.signers:
            raise _not_here(step)
        before = tasks.parse_task(found.data)
        tasks.check_successor(step, before)
        tasks.check_parties_stay(task, before)
        step = before
        between.insert(0, step)
    tasks.check_successor(step, last)
    if last is not None:
        tasks.check_parties_stay(task, last)
    else:
        _check_nothing_forgotten(store, [task, *between])
    return between


def _check_nothing_forgotten(store: Store, chain: list[Task]) -> None:
    """Refuse a campaign that somebody of this round has gone on with elsewhere.

    Whoever is new to a campaign has nothing of its own to hold the leader, `chain[0]`'s, against.
    Two rounds in force that follow the same one do not count what the other may reveal. Tasks
    that no party of this round has signed say nothing: anybody can put one into the pool.
    """
    task, followed = chain[0], {step.previous for step in chain}
    parties = {party.identity: party.name for party in task.aggregators}
    steps = {step.digest for step in chain}
    for found in _signed_tasks(store):
        in_force = {party.identity for party in found.head.aggregators} <= found.signers
        by = sorted(parties[key] for key in found.signers & parties.keys())
        if not in_force or not by or found.head.digest in steps:
            continue  # told before anything is laid out: a stranger's round costs nothing here
        try:
            other = tasks.parse_task(found.data)
        except GrievanceError:
            continue
        kin = (other.campaign, other.rehearsal) == (task.campaign, task.rehearsal)
        if kin and other.previous in followed:
            raise TaskError(
                f"{', '.join(by)} signed the round {other.round_id} of the campaign "
                f"{task.campaign} too, and this task does not count what that one may reveal",
                code="task.campaign",
                hint=f"ask {task.aggregators[0].name} to lead on from that round, or to begin a "
                "campaign of another name",
            )


def rounds_left(state: State, task: Task) -> int:
    """How many more rounds that cost what `task` costs fit into its campaign.

    A round is reserved in full when it is signed, so no release makes this less, and none that is
    declined makes it more.
    """
    newest = last_task(state, task.campaign) or task
    return int((newest.lifetime - newest.reserved).amount / task.cost.amount)


def last_task(state: State, campaign: str) -> Task | None:
    """The last task of a campaign that we signed; None if there is none."""
    data = state.last_task(campaign)
    return tasks.parse_task(data) if data is not None else None


def _leader(task: Signable) -> VerifyingKey:
    return task.aggregators[0].identity


def _signed_tasks(store: Store) -> Iterable[SignedTask]:
    """Every task of the pool that any of its aggregators has signed."""
    for round_id in filter(is_round_id, store.names("rounds")):
        found = read_signed(store, round_id)
        if found is not None:
            yield found


def _not_here(step: Task) -> TaskError:
    leader = step.aggregators[0].name
    return TaskError(
        f"the task of {step.round_id} follows another one that is not in the pool with the "
        f"signatures of {leader} and of its own leader",
        code="task.previous",
        hint="wait until the pool has arrived whole; if it stays so, whoever led that round and "
        f"{leader} run `grievance sync`, which writes their files again",
    )
