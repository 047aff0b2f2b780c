"""A round as the pool tells it: the invitation, the cards, the signed task.

Nothing here is trusted for who the parties are: signatures prove agreement, not identity.
Source: design.md, sections 5 and 7.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.errors import GrievanceError, TaskError, UsageError
from grievance.names import is_name
from grievance.plan import Plan
from grievance.pool.layout import RoundPaths, is_round_id
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from grievance.pool.store import Store
    from grievance.task import Card, Identity, Task


@dataclass(frozen=True)
class Invitation:
    """What a steward consents to: a plan, read from the pool, and the leader's card about it.

    `plan_bytes` and `card.data` are the very bytes that were read: what is shown is made of them,
    and so is what is remembered and signed.
    """

    round_id: str
    plan: Plan
    plan_bytes: bytes
    card: Card

    @property
    def members(self) -> tuple[Identity, ...]:
        """All aggregators, the leader first."""
        return self.card.members


def plan_text(plan_bytes: bytes, source: str) -> str:
    """Decode a plan file. Raises UsageError."""
    try:
        return plan_bytes.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{source} is not UTF-8 text", code="plan.syntax") from None


def read_invitations(store: Store, round_id: str) -> list[Invitation]:
    """Read a round's plan with every leader's card that fits it.

    Anybody who can write into the pool can add one, so there may be several; whose to believe
    is for the reader to say (`Home.invitation`).
    """
    paths = RoundPaths(round_id)
    found: list[Invitation] = []
    view = find(store, paths.plan, SMALL_FILE_SIZE)
    if view is None:
        return found
    plan_bytes = bytes(view)
    for name in store.names(paths.cards):
        if not is_name(name.removesuffix(".json")):
            continue  # no card of anybody, and perhaps no path at all
        data = find(store, f"{paths.cards}/{name}", SMALL_FILE_SIZE)
        try:
            card = tasks.parse_card(bytes(data or b""))
        except GrievanceError:
            continue
        if card.index != 0 or f"{card.owner.name}.json" != name or card.round_id != round_id:
            continue
        if hashlib.sha256(plan_bytes).digest() != card.plan_sha256:
            continue
        found.append(read_invitation(round_id, plan_bytes, card))
    return found


def invitation_of(store: Store, card: Card) -> Invitation | None:
    """The invitation that an aggregator's card names, if the pool holds its very bytes."""
    wanted = (card.invitation or card.digest, card.plan_sha256)
    found = read_invitations(store, card.round_id)
    return next((i for i in found if (i.card.digest, i.card.plan_sha256) == wanted), None)


def own_cards(store: Store, owner: Identity) -> dict[str, Card]:
    """An organisation's card in every round of the pool that has one."""
    rounds = filter(is_round_id, store.names("rounds"))
    cards = ((round_id, read_card(store, round_id, owner)) for round_id in rounds)
    return {round_id: card for round_id, card in cards if card is not None}


def read_invitation(round_id: str, plan_bytes: bytes, card: Card) -> Invitation:
    """Put an invitation together from bytes that fit. Raises PlanError, UsageError."""
    source = RoundPaths(round_id).plan
    plan = Plan.from_toml(plan_text(plan_bytes, source), source=source)
    return Invitation(round_id, plan, plan_bytes, card)


def read_cards(
    store: Store, invitation: Invitation, others: list[GrievanceError] | None = None
) -> dict[str, Card]:
    """The cards that fit an invitation, by name.

    Whoever gives `others` is told in it of cards that a member signed for something else.
    """
    found = {}
    for member in invitation.members:
        card = read_card(store, invitation.round_id, member)
        if card is None:
            continue
        try:
            tasks.card_matches(
                card,
                round_id=invitation.round_id,
                plan_sha256=invitation.card.plan_sha256,
                members=invitation.members,
                rehearsal=invitation.card.rehearsal,
                invitation=invitation.card.digest,
                kem=invitation.plan.kem,
            )
        except TaskError as error:
            if others is not None:
                others.append(error)
            continue
        found[member.name] = card
    return found


def read_card(store: Store, round_id: str, owner: Identity) -> Card | None:
    """The card at an organisation's place in a round; None for one that it did not sign."""
    data = find(store, RoundPaths(round_id).card(owner.name), SMALL_FILE_SIZE)
    try:
        card = tasks.parse_card(bytes(data), owner.key) if data is not None else None
    except GrievanceError:
        return None
    if card is None or (card.round_id, card.owner.name) != (round_id, owner.name):
        return None
    return card


def read_task(store: Store, round_id: str) -> Task | None:
    """The task of a round with every aggregator's signature; None until all have arrived.

    The keys in it are as trustworthy as the pool: whoever relies on them compares a digest
    or fingerprints from outside (`task.load_task`).
    """
    found = read_task_and_signatures(store, round_id)
    if found is None or found[2]:
        return None
    return found[0]


def read_task_and_signatures(
    store: Store, round_id: str
) -> tuple[Task, dict[str, bytes], list[str]] | None:
    """A round's task, the signatures that hold, and the names of those still missing."""
    paths = RoundPaths(round_id)
    data = find(store, paths.task, SMALL_FILE_SIZE)
    if data is None:
        return None
    try:
        task = tasks.parse_task(bytes(data))
    except GrievanceError:
        return None
    if task.round_id != round_id:
        return None
    signatures, missing = {}, []
    for party in task.aggregators:
        signature = find(store, paths.signature(party.name), SMALL_FILE_SIZE)
        try:
            signer = tasks.parse_task_signature(bytes(signature or b""), task)
        except GrievanceError:
            signer = None
        if signer == party.name:
            signatures[party.name] = bytes(signature or b"")
        else:
            missing.append(party.name)
    return task, signatures, missing
