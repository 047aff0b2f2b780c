"""Open a round: cards, then the task, then signatures. Run by each aggregator.

The leader's card is the invitation: it names the plan, every aggregator and whether this is
a rehearsal. A steward who joins consents to exactly that; `sync` then signs the task on
their behalf only if it holds nothing else. Source: design.md, section 5.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator.campaign import (
    check_continues,
    check_lifetime,
    check_own_task,
    check_plan,
)
from grievance.aggregator.releases import own_ledger
from grievance.backup import statement
from grievance.crypto import keys
from grievance.crypto.hpke import DEFAULT_KEM, HpkePrivateKey
from grievance.errors import (
    GrievanceError,
    PoolError,
    SignatureError,
    TaskError,
    TrustError,
    WireError,
)
from grievance.failpoints import failpoint
from grievance.ledger import read_ledger
from grievance.plan import Plan
from grievance.pool.layout import RoundPaths
from grievance.pool.rounds import (
    Invitation,
    plan_text,
    read_cards,
    read_task_and_signatures,
)
from grievance.pool.store import SMALL_FILE_SIZE, find
from grievance.secret import StateKey, VerifyKey
from grievance.task.identity import check_members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.state import State
    from grievance.crypto.signing import VerifyingKey
    from grievance.home import Home
    from grievance.pool.store import Store
    from grievance.task import Card, Identity, Task


def new_round(
    home: Home,
    state: State,
    plan_bytes: bytes,
    helpers: Sequence[Identity],
    *,
    rehearsal: bool = False,
    kem: str = DEFAULT_KEM,
    source: str = "plan.toml",
) -> Invitation:
    """Invite helpers to a round. Run by the leader; `helpers` are identities already vouched for.

    An invitation of ours to exactly this, of which no task has come yet, is gone on with: a
    command that was cut short and typed again opens one round and not two.

    Raises PlanError, TaskError (fewer than two different organisations, or no step that the
    campaign can take), PoolError.
    """
    plan = Plan.from_toml(plan_text(plan_bytes, source), source=source)
    check_plan(state, plan, rehearsal=rehearsal)
    check_lifetime(state, plan)
    members = (home.identity, *helpers)
    check_members(members)  # before any key is drawn for them
    sha256 = hashlib.sha256(plan_bytes).digest()
    for begun in _own_cards(home, state):
        terms = (begun.plan_sha256, begun.members, begun.rehearsal, begun.hpke.kem)
        if terms == (sha256, members, rehearsal, kem):
            return Invitation(begun.round_id, plan, begun)
    round_id = f"{plan.campaign}-{secrets.token_hex(4)}"
    paths = RoundPaths(round_id)
    card = _make_card(home, round_id, plan_bytes, members, rehearsal=rehearsal, kem=kem)
    keys.write_verify_key(home.round_files(round_id).verify, VerifyKey.generate(), home.passphrase)
    with state.transaction():
        state.spool(paths.plan, plan_bytes)
        state.spool(paths.card(home.name), card)
        failpoint("round.spooled")
    return Invitation(round_id, plan, tasks.parse_card(card))


def _own_cards(home: Home, state: State) -> list[Card]:
    """Our cards for rounds of which we know no task yet."""
    found = []
    for path, _ in state.all_outgoing():
        round_id = path.removeprefix("rounds/").split("/")[0]
        if path.endswith(f"/cards/{home.name}.json") and state.task_of_round(round_id) is None:
            found.append(tasks.parse_card(state.outgoing(path) or b""))
    return found


def _make_card(
    home: Home,
    round_id: str,
    plan_bytes: bytes,
    members: Sequence[Identity],
    *,
    rehearsal: bool,
    kem: str,
) -> bytes:
    """Draw the round's keys, write them to disk, and only then sign a card about them."""
    files = home.round_files(round_id)
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not files.hpke.exists():
        keys.write_hpke_key(files.hpke, HpkePrivateKey.generate(kem), home.passphrase)
    if not files.state.exists():
        keys.write_state_key(files.state, StateKey.generate(), home.passphrase)
    return tasks.make_card(
        home.key,
        keys.read_hpke_key(files.hpke, home.passphrase).public,
        round_id=round_id,
        plan_sha256=hashlib.sha256(plan_bytes).digest(),
        members=members,
        rehearsal=rehearsal,
        backup=statement(home),
    )


def join_round(home: Home, state: State, invitation: Invitation) -> None:
    """Consent to an invitation and offer our card. Run by a helper, for its steward.

    Every other member's key must be one this organisation has compared. Raises TrustError,
    TaskError.
    """
    card, paths = invitation.card, RoundPaths(invitation.round_id)
    check_plan(state, invitation.plan, rehearsal=card.rehearsal)
    check_lifetime(state, invitation.plan)
    if home.identity not in card.members[1:]:
        raise TaskError(
            f"the invitation to {invitation.round_id} does not name {home.name} as a helper",
            code="task.member",
        )
    for member in card.members:
        if member.name != home.name and home.known_key(member.name) != member.key:
            raise TrustError(
                f"nobody here has compared the fingerprint of {member.name}",
                code="trust.unknown",
                hint=f"call {member.name}; if they read out {member.fingerprint}, "
                f"add --expect {member.name}:{member.fingerprint}",
            )
    plan_bytes = bytes(home.store.view(paths.plan, SMALL_FILE_SIZE) or b"")
    own = _make_card(
        home,
        invitation.round_id,
        plan_bytes,
        card.members,
        rehearsal=card.rehearsal,
        kem=card.hpke.kem,
    )
    with state.transaction():
        state.spool(paths.card(home.name), own)
        failpoint("join.spooled")


def build_task(home: Home, state: State, invitation: Invitation, cards: dict[str, Card]) -> Task:
    """Write, sign and spool the task with everybody's sealed verify key. Run by the leader.

    Raises BudgetExceededError when the campaign's lifetime budget would not hold it, TaskError
    when it does not continue the campaign as we signed it so far.
    """
    verify_key = keys.read_verify_key(home.round_files(invitation.round_id).verify, home.passphrase)
    last = state.last_task(invitation.plan.campaign)
    heads = {
        member.name: _head(home, state, member.name, member.key) for member in invitation.members
    }
    data = tasks.build_task(
        invitation.plan,
        [cards[member.name] for member in invitation.members],
        verify_key,
        round_id=invitation.round_id,
        previous=tasks.parse_task(last) if last else None,
        ledger_heads=heads,
        rehearsal=invitation.card.rehearsal,
    )
    task = tasks.parse_task(data)
    check_own_task(state, task)
    paths = RoundPaths(task.round_id)
    with state.transaction():
        state.add_task(task.digest, task.round_id, task.plan.campaign, data)
        state.spool(paths.task, data)
        state.spool(paths.verify_key, tasks.seal_verify_key(task, verify_key, home.key))
        state.spool(paths.signature(home.name), tasks.sign_task(task, home.key, home.name))
        failpoint("task.spooled")
    return task


def _head(home: Home, state: State, name: str, key: VerifyingKey) -> dict[str, object] | None:
    if name == home.name:
        return own_ledger(state, name, key).head
    return read_ledger(home.store, name, key).head


def sign_as_helper(
    home: Home, state: State, invitation: Invitation, cards: dict[str, Card], task: Task
) -> None:
    """Check the leader's task against what our steward consented to, and sign it.

    Rounds before it in the campaign that we joined are signed first, where that can be done:
    afterwards it is too late. Raises TaskError, naming the difference, when the task holds
    anything else.
    """
    _check_agreed(home, state, invitation, cards, task)
    for earlier in check_continues(home.store, state, task):
        with contextlib.suppress(GrievanceError):
            _sign_earlier(home, state, earlier)
    _sign(home, state, task)


def _sign_earlier(home: Home, state: State, task: Task) -> None:
    """Sign a task that a later one already follows, if our steward consented to it too."""
    invitation = home.invitation(task.round_id)
    joined = state.outgoing(RoundPaths(task.round_id).card(home.name)) is not None
    if joined and invitation is not None:
        _check_agreed(home, state, invitation, read_cards(home.store, invitation), task)
        _sign(home, state, task)


def _check_agreed(
    home: Home, state: State, invitation: Invitation, cards: dict[str, Card], task: Task
) -> None:
    paths = RoundPaths(task.round_id)
    if state.task_of_round(task.round_id) not in (None, task.data):
        raise _twice(task)
    if (task.round_id, task.rehearsal) != (invitation.round_id, invitation.card.rehearsal):
        raise TaskError("the task is for another round than agreed", code="task.consent")
    plan_bytes = find(home.store, paths.plan, SMALL_FILE_SIZE)
    if plan_bytes is None:
        raise _missing(paths.plan, invitation.members[0].name)
    tasks.check_plan_file(task, bytes(plan_bytes))
    tasks.check_cards(task, list(cards.values()))


def _sign(home: Home, state: State, task: Task) -> None:
    check_continues(home.store, state, task)
    _check_own_head(home, state, task)
    verify_key = _open_verify_key(home, task)
    verify_path = home.round_files(task.round_id).verify
    if not verify_path.exists():
        keys.write_verify_key(verify_path, verify_key, home.passphrase)
    with state.transaction():
        state.add_task(task.digest, task.round_id, task.plan.campaign, task.data)
        path = RoundPaths(task.round_id).signature(home.name)
        state.spool(path, tasks.sign_task(task, home.key, home.name))
        failpoint("sign.spooled")


def check_one_task(store: Store, task: Task) -> None:
    """Check that the leader of a round we signed has not signed another task for it.

    Run while the round is not, or no longer, complete in the pool. Raises TaskError.
    """
    found = read_task_and_signatures(store, task.round_id)
    if found is None or found[0].digest == task.digest:
        return
    other, signatures, _ = found
    if other.aggregators[0].member == task.aggregators[0].member and (
        task.aggregators[0].name in signatures
    ):
        raise _twice(other)


def _twice(other: Task) -> TaskError:
    leader, folder = other.aggregators[0].name, RoundPaths(other.round_id).folder
    return TaskError(
        f"{leader} signed another task for {other.round_id} than the one we signed",
        code="task.twice",
        hint=f"do not sign it; keep a copy of {folder}, which holds theirs, and of our state, "
        f"which holds ours; show both to the others and ask {leader} why",
    )


def _check_own_head(home: Home, state: State, task: Task) -> None:
    log = own_ledger(state, home.name, home.key.public)
    named = task.ledger_heads[home.name]
    size = named["size"] if named else 0
    older = type(log)(log.aggregator, log.entries[:size])
    if older.head != named:
        raise TaskError(
            "the task names a state of our ledger that never was",
            code="task.ledger",
            hint="do not sign; compare the pool with your own backup",
        )


def _open_verify_key(home: Home, task: Task) -> VerifyKey:
    path, leader = RoundPaths(task.round_id).verify_key, task.aggregators[0].name
    data = find(home.store, path, SMALL_FILE_SIZE)
    if data is None:
        raise _missing(path, leader)
    hpke = keys.read_hpke_key(home.round_files(task.round_id).hpke, home.passphrase)
    try:
        return tasks.open_verify_key(bytes(data), task, home.name, hpke)
    except (SignatureError, WireError):
        # Not the leader's: as if it were not there.
        raise _missing(path, leader) from None


def _missing(path: str, leader: str) -> PoolError:
    return PoolError(
        f"{path} has not arrived as {leader} wrote it",
        code="pool.waiting",
        hint=f"wait until the pool has synced; if it stays, {leader} runs `grievance sync`, which "
        "writes it again",
    )
