"""Open a round: cards, then the task, then signatures. Run by each aggregator.

The leader's card is the invitation: it names the plan, every aggregator and whether this is
a rehearsal. A steward who joins consents to exactly that; `sync` then signs the task on
their behalf only if it holds nothing else (`aggregator.consent`).
Source: docs/design.md, section 5.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from grievance import task as tasks
from grievance.aggregator import consent
from grievance.aggregator.campaign import (
    check_continues,
    check_lifetime,
    check_own_task,
    check_plan,
)
from grievance.aggregator.releases import own_ledger
from grievance.backup import statement, statement_of
from grievance.crypto import keys
from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import (
    GrievanceError,
    PoolError,
    SignatureError,
    StateError,
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
    read_card,
    read_cards,
    read_task_and_signatures,
)
from grievance.pool.store import SMALL_FILE_SIZE, find
from grievance.secret import StateKey, VerifyKey
from grievance.task.identity import check_members
from grievance.task.trustees import check_trustees
from grievance.task.witnesses import check_outside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.consent import Consent
    from grievance.aggregator.state import State
    from grievance.crypto.signing import VerifyingKey
    from grievance.home import Home
    from grievance.pool.store import Store
    from grievance.task import BackupClaim, Card, Identity, Task
    from grievance.task.heads import LedgerHead


def new_round(
    home: Home,
    state: State,
    plan_bytes: bytes,
    helpers: Sequence[Identity],
    *,
    rehearsal: bool = False,
    expected: Sequence[BackupClaim | None] | None = None,
    source: str = "plan.toml",
) -> Invitation:
    """Invite helpers to a round. Run by the leader; `helpers` are identities already vouched for.

    `expected` is what was shown of everybody's backup, ours first; by default what the pool says
    of it now.

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
    check_outside(plan, members)
    sha256 = hashlib.sha256(plan_bytes).digest()
    if expected is None:
        expected = [statement(home), *(statement_of(home.store, helper) for helper in helpers)]
    check_trustees(list(zip(members, expected, strict=True)), shared=plan.shared_trustees)
    for round_id in consent.joined(home, state):
        begun = consent.own_card(home, state, round_id)
        if begun is None or state.task_of_round(round_id) is not None or begun.index:
            continue
        if (begun.plan_sha256, begun.members, begun.rehearsal) == (sha256, members, rehearsal):
            return Invitation(begun.round_id, plan, plan_bytes, begun)
    round_id = f"{plan.campaign}-{secrets.token_hex(4)}"
    paths = RoundPaths(round_id)
    card = _make_card(
        home,
        round_id,
        plan,
        plan_sha256=sha256,
        members=members,
        rehearsal=rehearsal,
        backup=expected[0],
        expected=expected,
    )
    keys.write_verify_key(home.round_files(round_id).verify, VerifyKey.generate(), home.passphrase)
    invitation = Invitation(round_id, plan, plan_bytes, card)
    with state.transaction():
        state.spool(paths.plan, plan_bytes)
        consent.remember(home, state, invitation, card.data)
        failpoint("round.spooled")
    return invitation


def _make_card(home: Home, round_id: str, plan: Plan, **terms: Any) -> Card:
    """Draw the round's keys, write them to disk, and only then sign a card about them.

    The card is kept beside the state before it can leave: an organisation's folder that has one for
    a round makes no second, whatever became of its state. Raises TaskError `consent.twice`.
    """
    kept, files = home.card_file(round_id), home.round_files(round_id)
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not files.hpke.exists():
        keys.write_hpke_key(files.hpke, HpkePrivateKey.generate(plan.kem), home.passphrase)
    if not files.state.exists():
        keys.write_state_key(files.state, StateKey.generate(), home.passphrase)
    hpke = keys.read_hpke_key(files.hpke, home.passphrase).public
    card = tasks.parse_card(tasks.make_card(home.key, hpke, round_id=round_id, **terms))
    if kept.exists():
        made = tasks.parse_card(kept.read_bytes(), home.key.public)
        if (made.plan_sha256, made.invitation) != (card.plan_sha256, card.invitation):
            raise _second_card(round_id)
        return made
    consent.keep_card(home, card)
    return card


def join_round(home: Home, state: State, invitation: Invitation) -> None:
    """Consent to an invitation, as it was read and shown, and offer our card. Run by a helper.

    Nothing of it is read again. Every other member's key must be one this organisation has
    compared, and every name the one its owner signed. To join again what was joined changes
    nothing. Raises TrustError, TaskError (`consent.twice` for a second card).
    """
    card = invitation.card
    own = consent.own_card(home, state, invitation.round_id)
    if own is not None:
        if (own.plan_sha256, own.invitation) != (card.plan_sha256, card.digest):
            raise _second_card(invitation.round_id)
        return
    if read_card(home.store, invitation.round_id, home.identity) is not None:
        raise _behind(RoundPaths(invitation.round_id).card(home.name))
    check_plan(state, invitation.plan, rehearsal=card.rehearsal)
    check_lifetime(state, invitation.plan)
    check_outside(invitation.plan, card.members)
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
    consent.check_names(home, card.members)
    tasks.check_envelope(invitation.plan, card.owner.name, card.hpke)
    claims = consent.claims_of(invitation, {})
    backup = statement(home)
    claims[card.members.index(home.identity)] = (home.identity, backup)
    check_trustees(claims, shared=invitation.plan.shared_trustees)
    made = _make_card(
        home,
        invitation.round_id,
        invitation.plan,
        plan_sha256=card.plan_sha256,
        members=card.members,
        rehearsal=card.rehearsal,
        backup=backup,
        invitation=card.digest,
    )
    with state.transaction():
        consent.remember(home, state, invitation, made.data)
        failpoint("join.spooled")


def _behind(path: str) -> StateError:
    return StateError(
        f"{path} carries our signature, but this state does not remember it",
        code="state.behind",
        hint="this folder was restored from an old backup, or its state was lost; move the state "
        "away and run `grievance recover`",
    )


def _second_card(round_id: str) -> TaskError:
    return TaskError(
        f"{round_id} has a card of ours already, for another plan or another invitation: there is "
        "never a second one",
        code="consent.twice",
        hint="on other terms there has to be another round: ask the leader for a new `grievance "
        "round new`",
    )


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


def _head(home: Home, state: State, name: str, key: VerifyingKey) -> LedgerHead | None:
    if name == home.name:
        return own_ledger(state, name, key).head
    return read_ledger(home.store, name, key).head


def sign_as_helper(
    home: Home, state: State, agreed: Consent, cards: dict[str, Card], task: Task
) -> None:
    """Check the leader's task against what our steward consented to, and sign it.

    Rounds before it in the campaign that we joined are signed first, where that can be done:
    afterwards it is too late. Raises TaskError, `consent.changed` where the task holds anything
    else than was shown.
    """
    _check_agreed(home, state, agreed, cards, task)
    for earlier in check_continues(home.store, state, task):
        with contextlib.suppress(GrievanceError):
            _sign_earlier(home, state, earlier)
    _sign(home, state, task)


def _sign_earlier(home: Home, state: State, task: Task) -> None:
    """Sign a task that a later one already follows, if our steward consented to it too."""
    agreed = consent.find_consent(home, state, task.round_id)
    if agreed is None:
        return
    cards = read_cards(home.store, agreed.invitation)
    if len(cards) < len(task.aggregators) or consent.waits_for_consent(agreed, cards):
        return
    _check_agreed(home, state, agreed, cards, task)
    _sign(home, state, task)


def _check_agreed(
    home: Home, state: State, agreed: Consent, cards: dict[str, Card], task: Task
) -> None:
    if state.task_of_round(task.round_id) not in (None, task.data):
        raise _twice(task)
    consent.check_task(home, agreed, cards, task)


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
    size = named.size if named else 0
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
