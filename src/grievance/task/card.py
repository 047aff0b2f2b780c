"""An aggregator's card: a fresh HPKE key, offered for one round and one set of parties.

The card names everything it is good for (round, plan, all aggregators in order, whether
this is a rehearsal), so it cannot be carried into a task its owner did not mean. The leader's
card is the invitation: it also says what is known of everybody's backup. All other cards name
that one card, by its digest: with the plan's it is what their stewards agreed to. One round, one
card: an aggregator never makes a second one for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.hpke import HpkePublicKey
from grievance.crypto.strict import StrictObject
from grievance.errors import KeyFileError, SignatureError, TaskError
from grievance.task.backup import BackupClaim, read_backup_claim
from grievance.task.identity import (
    Identity,
    check_members,
    check_round_id,
    read_identity_fields,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey, VerifyingKey
    from grievance.plan import Plan

KIND = "grievance/2 card"
LIMIT = 65536
MEMBER_KEYS = ("display_name", "identity", "name")
_KEYS = (
    *("aggregator", "aggregators", "backup", "expected", "hpke", "index", "invitation", "kem"),
    *("plan", "rehearsal", "round"),
)


@dataclass(frozen=True)
class Card:
    """One aggregator's card, its signature checked.

    `plan_sha256` is SHA-256 of the plan file's bytes; `digest` SHA-256 of the card's;
    `members` are all aggregators in order, of whom the owner is number `index`; `backup` is
    what the owner says about the backup of its keys, None if it has none. `invitation` is the
    digest of the leader's card that the owner agreed to, None in the leader's own; `expected`, in
    that one alone, what the leader knew of the backup of every member, in order.
    """

    round_id: str
    plan_sha256: bytes
    index: int
    members: tuple[Identity, ...]
    hpke: HpkePublicKey
    rehearsal: bool
    backup: BackupClaim | None
    invitation: bytes | None
    expected: tuple[BackupClaim | None, ...]
    digest: bytes
    data: bytes

    @property
    def owner(self) -> Identity:
        """The aggregator whose key this is."""
        return self.members[self.index]


def make_card(
    key: SigningKey,
    hpke: HpkePublicKey,
    *,
    round_id: str,
    plan_sha256: bytes,
    members: Sequence[Identity],
    rehearsal: bool = False,
    backup: BackupClaim | None = None,
    invitation: bytes | None = None,
    expected: Sequence[BackupClaim | None] = (),
) -> bytes:
    """Write the card of the member whose identity key is `key`. Raises TaskError.

    `invitation` is the digest of the leader's card, in every card but the leader's; `expected`
    what that one says of everybody's backup, by default that nobody but the owner has one.
    """
    owners = [at for at, member in enumerate(members) if member.key == key.public]
    if not owners:
        raise TaskError("this key is not among the round's aggregators", code="plan.aggregators")
    said = expected or [backup if at == owners[0] else None for at in range(len(members))]
    body = {
        "aggregator": members[owners[0]].name,
        "aggregators": [member.to_json() for member in members],
        "backup": _write(backup),
        "expected": None if owners[0] else [_write(claim) for claim in said],
        "hpke": b64encode(hpke.raw),
        "index": owners[0],
        "invitation": None if invitation is None else invitation.hex(),
        "kem": hpke.kem,
        "plan": plan_sha256.hex(),
        "rehearsal": rehearsal,
        "round": round_id,
    }
    data = sign_document(KIND, body, key)
    return parse_card(data).data


def _write(claim: BackupClaim | None) -> dict[str, Any] | None:
    return None if claim is None else claim.to_json()


def parse_card(data: bytes, signer: VerifyingKey | None = None) -> Card:
    """Read a card. Raises WireError, SignatureError or TaskError.

    The signer must be the member the card says it belongs to. Without `signer` nobody says
    that this member is who it claims to be.
    """
    document = parse_document(data, kind=KIND, signer=signer, limit=LIMIT)
    fields = StrictObject(document.body, _KEYS, where="card", error=TaskError, code="task.card")
    members = tuple(
        read_identity_fields(
            StrictObject(
                item, MEMBER_KEYS, where="card.aggregators", error=TaskError, code="task.card"
            )
        )
        for item in fields.items("aggregators")
    )
    check_members(members)
    index = fields.integer("index", maximum=len(members) - 1)
    if fields.text("aggregator") != members[index].name:
        fields.refuse("is not the aggregator with this index", "aggregator")
    if document.signer != members[index].key:
        raise SignatureError(
            f"the card of {members[index].name} is signed by somebody else", code="document.signer"
        )
    leads, named = index == 0, fields.raw("invitation") is not None
    if leads is named or leads is (fields.raw("expected") is None):
        fields.refuse("names an invitation, or is one: the leader's is, and no other")
    expected = fields.items("expected") if leads else []
    if leads and len(expected) != len(members):
        fields.refuse("is not about every aggregator", "expected")
    backup = read_backup_claim(fields.raw("backup"), members[index], "card.backup", "task.card")
    claims = tuple(
        read_backup_claim(item, member, "card.expected", "task.card")
        for item, member in zip(expected, members if leads else (), strict=True)
    )
    if leads and claims[0] != backup:
        fields.refuse("says another thing about the owner's own backup", "expected")
    return Card(
        round_id=check_round_id(fields.text("round")),
        plan_sha256=fields.digest("plan"),
        index=index,
        members=members,
        hpke=read_hpke_key(fields),
        rehearsal=fields.flag("rehearsal"),
        backup=backup,
        invitation=fields.digest("invitation") if named else None,
        expected=claims,
        digest=document.digest,
        data=document.data,
    )


def read_hpke_key(fields: StrictObject) -> HpkePublicKey:
    """Read the `kem` and `hpke` of a card or task. Raises TaskError (code "task.key")."""
    kem, raw = fields.text("kem"), fields.blob("hpke")
    try:
        return HpkePublicKey(kem, raw)
    except KeyFileError as error:
        raise TaskError(error.message, code="task.key") from None


def check_envelope(plan: Plan, name: str, hpke: HpkePublicKey) -> None:
    """Check that an aggregator's key is for the plan's envelope. Raises TaskError."""
    if hpke.kem != plan.kem:
        raise TaskError(
            f"the plan seals reports with {plan.kem}, and the key of {name} is for {hpke.kem}",
            code="task.envelope",
            hint="do not sign; a round on other terms needs a new plan and a new round",
        )


def card_matches(
    card: Card,
    *,
    round_id: str,
    plan_sha256: bytes,
    members: Sequence[Identity],
    rehearsal: bool,
    invitation: bytes,
    kem: str,
) -> None:
    """Check that a card was made for this round. Raises TaskError (code "task.card") if not.

    `invitation` is the digest of the leader's card, `kem` that of the plan's envelope.
    """
    wrong = [
        what
        for what, same in (
            ("another round", card.round_id == round_id),
            ("another plan", card.plan_sha256 == plan_sha256),
            ("other aggregators", card.members == tuple(members)),
            ("a rehearsal" if card.rehearsal else "no rehearsal", card.rehearsal is rehearsal),
            ("another invitation", (card.invitation or card.digest) == invitation),
            (f"another envelope ({card.hpke.kem})", card.hpke.kem == kem),
        )
        if not same
    ]
    if wrong:
        raise TaskError(
            f"the card of {card.owner.name} was made for {', '.join(wrong)}",
            code="task.card",
            hint="a round has one card of everybody: ask the leader for a new round, and what "
            f"{card.owner.name} was shown",
        )
