"""A round as the pool tells it: the invitation, the cards, the signed task.

Nothing here is trusted for who the parties are: signatures prove agreement, not identity.
Source: docs/design.md, sections 5 and 7.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.errors import GrievanceError, PlanError, PoolError, TaskError
from grievance.names import is_name
from grievance.plan import Plan
from grievance.pool.layout import RoundPaths, is_round_id
from grievance.pool.store import SMALL_FILE_SIZE, find
from grievance.task.card import LIMIT as CARD_LIMIT
from grievance.task.parties import LIMIT as TASK_LIMIT
from grievance.task.parties import HeadParty, TaskHead, read_head
from grievance.task.signatures import LIMIT as SIGNATURE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.crypto.signing import VerifyingKey
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
    """Decode a plan file. Raises PlanError."""
    try:
        return plan_bytes.decode("utf-8")
    except UnicodeDecodeError:
        raise PlanError("is not UTF-8 text", code="plan.syntax", where=source) from None


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


@dataclass(frozen=True)
class SignedTask:
    """A task file of a pool, with what of its signatures holds; not laid out yet."""

    head: TaskHead
    data: bytes
    signatures: dict[str, bytes]

    @property
    def signers(self) -> set[VerifyingKey]:
        """The keys that signed it."""
        return {p.identity for p in self.head.aggregators if p.name in self.signatures}


def read_signed(store: Store, round_id: str) -> SignedTask | None:
    """A round's task, if any of its aggregators has signed it. Costs as much as its file's size."""
    paths = RoundPaths(round_id)
    data = bytes(find(store, paths.task, TASK_LIMIT) or b"")
    try:
        head = read_head(data)
    except GrievanceError:
        return None
    signatures = {}
    for party in head.aggregators:
        signature = bytes(find(store, paths.signature(party.name), SIGNATURE_LIMIT) or b"")
        if _signer(signature, head) == party.name:
            signatures[party.name] = signature
    if head.round_id != round_id or not signatures:
        return None
    return SignedTask(head, data, signatures)


@lru_cache(maxsize=64)
def _signer(signature: bytes, head: TaskHead) -> str | None:
    """Whose signature under a task this is; None where it is nobody's. Read again at every step."""
    try:
        return tasks.parse_task_signature(signature, head)
    except GrievanceError:
        return None


def read_task_and_signatures(
    store: Store, round_id: str
) -> tuple[Task, dict[str, bytes], list[str]] | None:
    """A round's task, the signatures that hold, and the names of those still missing.

    None also for a task that none of its aggregators has signed: it is not laid out.
    """
    found = read_signed(store, round_id)
    if found is None:
        return None
    try:
        task = tasks.parse_task(found.data)
    except GrievanceError:
        return None
    missing = [party.name for party in task.aggregators if party.name not in found.signatures]
    return task, found.signatures, missing


def seen_rounds(store: Store, known: Mapping[str, VerifyingKey]) -> list[str]:
    """The rounds that an organisation of `known` has signed, or offered its card for.

    The leader's card is the invitation to a round.
    `known`: keys that were compared, by name. A pool is a folder that strangers may write to;
    the other rounds in it are nobody's, and are listed here by nothing but their names.
    """
    return [name for name in store.names("rounds") if is_seen(store, name, known)]


def is_seen(store: Store, round_id: str, known: Mapping[str, VerifyingKey]) -> bool:
    """Whether an organisation of `known` signed a round's task, or its card for the round."""
    if not is_round_id(round_id):
        return False
    paths = RoundPaths(round_id)
    try:
        return any(
            _offered(store, paths, name, key) or _signed(store, paths, name, key)
            for name, key in known.items()
        )
    except PoolError as error:
        if error.code in ("pool.link", "pool.path"):
            return False
        raise


def _offered(store: Store, paths: RoundPaths, name: str, key: VerifyingKey) -> bool:
    data = bytes(find(store, paths.card(name), CARD_LIMIT) or b"")
    try:
        card = tasks.parse_card(data, key)
    except GrievanceError:
        return False
    return (card.owner.name, card.round_id) == (name, paths.round_id)


def _signed(store: Store, paths: RoundPaths, name: str, key: VerifyingKey) -> bool:
    signature = bytes(find(store, paths.signature(name), SIGNATURE_LIMIT) or b"")
    if not signature:
        return False
    data = bytes(find(store, paths.task, TASK_LIMIT) or b"")
    head = TaskHead(hashlib.sha256(data).digest(), paths.round_id, (HeadParty(name, key),))
    try:
        return tasks.parse_task_signature(signature, head) == name
    except GrievanceError:
        return False
