"""What our steward agreed to, and that nothing else is signed.

Consent is to bytes: the plan, the leader's card and the identities in it, read once, shown, and
kept in our own state in one transaction with our card, which names them. So a pool that shows
something else afterwards changes nothing: what is signed is held against what is kept here. What
others may only say later (who holds pieces of their keys) stands in the invitation as far as the
leader knew it; a card that says otherwise is asked about again (`round consent`), and what is
answered is kept here too. Source: docs/decisions/consent-to-bytes.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.crypto import keys
from grievance.errors import PlanError, PoolError, StateError, TaskError, TrustError
from grievance.home import read_identity
from grievance.ledger.versions import parse_card_versions, sign_versions
from grievance.pool.layout import RoundPaths
from grievance.pool.rounds import Invitation, invitation_of, read_card, read_invitation
from grievance.pool.store import SMALL_FILE_SIZE, LocalStore, find
from grievance.task.backup import same_claim
from grievance.task.trustees import check_trustees

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.aggregator.state import State
    from grievance.home import Home
    from grievance.task import BackupClaim, Card, Identity, Task


@dataclass(frozen=True)
class Consent:
    """What we agreed to in a round, from our own state.

    `pinned` are the digests of all cards that were agreed to later on, by name, or None.
    """

    invitation: Invitation
    pinned: Mapping[str, str] | None

    @property
    def round_id(self) -> str:
        """The round."""
        return self.invitation.round_id

    @property
    def leader(self) -> Identity:
        """Who invited to it."""
        return self.invitation.members[0]


@dataclass(frozen=True)
class Difference:
    """A card that says something else about its owner's backup than the invitation did."""

    member: Identity
    expected: BackupClaim | None
    claimed: BackupClaim | None


def own_card(home: Home, state: State, round_id: str) -> Card | None:
    """The one card we made for a round; None when we made none."""
    data = state.outgoing(RoundPaths(round_id).card(home.name))
    return tasks.parse_card(data, home.key.public) if data is not None else None


def joined(home: Home, state: State) -> list[str]:
    """Every round for which we made a card, the oldest first."""
    ending = f"/cards/{home.name}.json"
    found = [path for path, _ in state.all_outgoing() if path.endswith(ending)]
    return [path.removeprefix("rounds/").removesuffix(ending) for path in found]


def find_consent(home: Home, state: State, round_id: str) -> Consent | None:
    """What we agreed to in a round; None when we made no card for it.

    After `recover` only our card is left of it: then the plan and the leader's card come from the
    pool, if it holds the very bytes that ours names. Raises TaskError `consent.changed` when it
    holds others.
    """
    own = own_card(home, state, round_id)
    if own is None:
        return None
    kept = state.consent(round_id)
    if kept is None:
        return Consent(_find_again(home, own), None)
    plan, data, cards = kept
    invitation = read_invitation(round_id, plan, tasks.parse_card(data, own.members[0].key))
    named = (own.plan_sha256, own.invitation or own.digest, own.members)
    if named != (invitation.card.plan_sha256, invitation.card.digest, invitation.members):
        raise StateError(
            f"our card for {round_id} names another plan or invitation than our state keeps",
            code="state.damaged",
            hint="stop here and keep the state; run `grievance recover` beside it",
        )
    return Consent(invitation, None if cards is None else json.loads(cards))


def _find_again(home: Home, own: Card) -> Invitation:
    """The invitation that our card names, from the pool."""
    found, leader = invitation_of(home.store, own), own.members[0]
    if found is not None and found.members == own.members:
        return found
    other = read_card(home.store, own.round_id, leader)
    if other is not None and other.digest != (own.invitation or own.digest):
        raise _changed(
            leader,
            own.round_id,
            hint="our state was recovered, and our card names what we agreed to only by its "
            f"digest: ask the others for the plan whose SHA-256 is {own.plan_sha256.hex()}",
        )
    raise PoolError(
        f"the plan and the card of {leader.name} that we agreed to in {own.round_id} are not here",
        code="pool.waiting",
        hint=f"wait until the pool has synced; if they stay away, {leader.name} runs `grievance "
        "sync`, which writes them again",
    )


def remember(home: Home, state: State, invitation: Invitation, card: bytes) -> None:
    """Keep what was shown, together with our card about it. Run inside a transaction."""
    paths, leader = RoundPaths(invitation.round_id), invitation.card.owner.name
    state.add_consent(invitation.round_id, invitation.plan_bytes, invitation.card.data)
    if leader != home.name and state.seen(paths.card(leader)) is None:
        state.see(paths.card(leader), invitation.card.data)
    state.spool(paths.card(home.name), card)


def check_names(home: Home, members: tuple[Identity, ...]) -> None:
    """Check that everybody is shown as its own signed file in the pool has it.

    Raises TaskError `consent.name`, TrustError, PoolError.
    """
    for member in members:
        own = home.identity if member.name == home.name else read_identity(home.store, member.name)
        if own.key != member.key:
            raise TrustError(
                f"the invitation has another key for {member.name} than the pool",
                code="trust.changed",
                hint=f"the pool may have been tampered with; call {member.name}",
            )
        if own.display_name != member.display_name:
            raise TaskError(
                f'the invitation calls {member.name} "{member.display_name}", and it calls itself '
                f'"{own.display_name}"',
                code="consent.name",
                hint=f"join nothing; ask the leader for a new round, with the name {member.name} "
                "gave itself",
            )


def keep_card(home: Home, card: Card) -> None:
    """Keep our card beside the state, for good, so that no second one is ever made."""
    path = home.card_file(card.round_id)
    if not path.exists():
        path.parent.mkdir(exist_ok=True, mode=0o700)
        keys.write_file(path, card.data)


# What others say later.


def differences(invitation: Invitation, cards: Mapping[str, Card]) -> list[Difference]:
    """Every card that claims another backup than the invitation said."""
    found = []
    for member, expected in zip(invitation.members, invitation.card.expected, strict=True):
        card = cards.get(member.name)
        if card is not None and not same_claim(card.backup, expected):
            found.append(Difference(member, expected, card.backup))
    return found


def claims_of(
    invitation: Invitation, cards: Mapping[str, Card]
) -> list[tuple[Identity, BackupClaim | None]]:
    """Everybody's backup: what its card says, or the invitation while there is none."""
    return [
        (member, cards[member.name].backup if member.name in cards else expected)
        for member, expected in zip(invitation.members, invitation.card.expected, strict=True)
    ]


def pins_of(cards: Mapping[str, Card]) -> dict[str, str]:
    """The digests of cards, as they are pinned."""
    return {name: card.digest.hex() for name, card in sorted(cards.items())}


def waits_for_consent(consent: Consent, cards: Mapping[str, Card]) -> bool:
    """Whether our steward has to read what these cards say before a task is signed on them."""
    if consent.pinned is not None:
        return consent.pinned != pins_of(cards)
    return bool(differences(consent.invitation, cards))


def agree_to_cards(state: State, consent: Consent, cards: Mapping[str, Card]) -> None:
    """Pin all cards of a round, as they were shown. Run for a steward. Raises TaskError."""
    check_claims(consent.invitation, cards)
    with state.transaction():
        if state.consent(consent.round_id) is None:
            invitation = consent.invitation
            state.add_consent(consent.round_id, invitation.plan_bytes, invitation.card.data)
        state.pin_cards(consent.round_id, json.dumps(pins_of(cards)))


def check_claims(invitation: Invitation, cards: Mapping[str, Card]) -> None:
    """Check who would hold pieces of the keys. Raises TaskError `task.trustees`."""
    check_trustees(claims_of(invitation, cards), shared=invitation.plan.shared_trustees)


# What somebody put in its place.


def check_task(home: Home, consent: Consent, cards: Mapping[str, Card], task: Task) -> None:
    """Check a leader's task against what we agreed to. Raises TaskError `consent.changed`."""
    invitation = consent.invitation
    agreed = (
        _is_plan_of(task, invitation.plan_bytes),
        task.round_id == invitation.round_id,
        task.rehearsal is invitation.card.rehearsal,
        task.aggregators[0].card == invitation.card.digest,
        tuple(entry.member for entry in task.aggregators) == invitation.members,
    )
    if not all(agreed):
        folder = _keep(home, consent, {f"{task.digest.hex()[:16]}.task.json": task.data})
        raise _changed(consent.leader, consent.round_id, folder)
    tasks.check_cards(task, list(cards.values()))


def _is_plan_of(task: Task, plan: bytes) -> bool:
    try:
        tasks.check_plan_file(task, plan)
    except (PlanError, TaskError):
        return False
    return True


def check_unchanged(home: Home, state: State, consent: Consent) -> None:
    """Look whether the leader has signed another invitation than the one we agreed to.

    If so, both are kept: in our folder to be read, and both cards in the pool, where they prove
    it to anybody. Raises TaskError `consent.changed`.
    """
    agreed, found = consent.invitation, find_change(home, consent)
    if found is None:
        return
    short = found.digest.hex()[:16]
    files = {f"{short}.card.json": found.data}
    plan = find(home.store, RoundPaths(consent.round_id).plan, SMALL_FILE_SIZE)
    if plan is not None and bytes(plan) != agreed.plan_bytes:
        files[f"{short}.plan.toml"] = bytes(plan)
    folder = _keep(home, consent, files)
    prove_two_cards(home, state, agreed.card, found)
    raise _changed(consent.leader, consent.round_id, folder)


def find_change(home: Home, consent: Consent) -> Card | None:
    """Another card that the leader signed for the round than the one we agreed to, if it lies."""
    found = read_card(home.store, consent.round_id, consent.leader)
    if found is None or found.digest == consent.invitation.card.digest:
        return None
    return found


def prove_two_cards(home: Home, state: State, first: Card, second: Card) -> None:
    """Spool the proof that an aggregator signed two cards for one round, if they differ so."""
    paths = RoundPaths(first.round_id)
    path = paths.card(first.owner.name)
    where = paths.two_versions(path, home.name)
    if first.digest == second.digest or state.outgoing(where) is not None:
        return
    evidence = sign_versions(path, first.data, second.data, home.key)
    parse_card_versions(evidence)
    with state.transaction():
        state.spool(where, evidence)


def note_cards(home: Home, state: State, round_id: str, members: tuple[Identity, ...]) -> None:
    """Keep the first card of everybody else that we see; a second one is evidence."""
    for member in members:
        card = read_card(home.store, round_id, member)
        if member.name == home.name or card is None:
            continue
        path = RoundPaths(round_id).card(member.name)
        seen = state.seen(path)
        if seen is None:
            with state.transaction():
                state.see(path, card.data)
        else:
            prove_two_cards(home, state, tasks.parse_card(seen, member.key), card)


def _keep(home: Home, consent: Consent, files: Mapping[str, bytes]) -> str:
    """Keep what was agreed to and what was found in its place in our own folder; its path."""
    place, store = f"evidence/{consent.round_id}", LocalStore(home.root)
    agreed = consent.invitation
    kept = {"agreed.plan.toml": agreed.plan_bytes, "agreed.card.json": agreed.card.data, **files}
    for name, data in kept.items():
        if store.size(f"{place}/{name}") is None:
            store.put(f"{place}/{name}", data)
    return str(home.root / place)


def _changed(leader: Identity, round_id: str, folder: str = "", hint: str = "") -> TaskError:
    return TaskError(
        f"{leader.name} has put something else in the place of the plan or the invitation to "
        f"{round_id} that you agreed to, and asks for our signature under that: nothing is signed",
        code="consent.changed",
        hint=hint
        or f"both versions are kept in {folder}; show them to the others and ask {leader.name} "
        "why. On other terms there has to be a new round, and a new `grievance round join`",
    )
