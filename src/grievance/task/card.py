"""An aggregator's card: a fresh HPKE key, offered for one round and one set of parties.

The card names everything it is good for (round, plan, all aggregators in order, whether
this is a rehearsal), so it cannot be carried into a task its owner did not mean. One
card, one task: an aggregator that signs a task never signs a second one with that card.
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
    from collections.abc import Mapping, Sequence

    from grievance.crypto.signing import SigningKey, VerifyingKey

KIND = "grievance/2 card"
LIMIT = 32768
MEMBER_KEYS = ("display_name", "identity", "name")
_KEYS = (
    *("aggregator", "aggregators", "backup", "hpke", "index", "kem"),
    *("plan", "rehearsal", "round"),
)


@dataclass(frozen=True)
class Card:
    """One aggregator's card, its signature checked.

    `plan_sha256` is SHA-256 of the plan file's bytes; `digest` SHA-256 of the card's;
    `members` are all aggregators in order, of whom the owner is number `index`; `backup` is
    what the owner says about the backup of its keys, None if it has none.
    """

    round_id: str
    plan_sha256: bytes
    index: int
    members: tuple[Identity, ...]
    hpke: HpkePublicKey
    rehearsal: bool
    backup: BackupClaim | None
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
    backup: Mapping[str, Any] | None = None,
) -> bytes:
    """Write the card of the member whose identity key is `key`. Raises TaskError.

    `backup` is a `BackupClaim` in its JSON form, as `grievance.backup.statement` gives it.
    """
    owners = [at for at, member in enumerate(members) if member.key == key.public]
    if not owners:
        raise TaskError("this key is not among the round's aggregators", code="plan.aggregators")
    body = {
        "aggregator": members[owners[0]].name,
        "aggregators": [member.to_json() for member in members],
        "backup": None if backup is None else dict(backup),
        "hpke": b64encode(hpke.raw),
        "index": owners[0],
        "kem": hpke.kem,
        "plan": plan_sha256.hex(),
        "rehearsal": rehearsal,
        "round": round_id,
    }
    data = sign_document(KIND, body, key)
    return parse_card(data).data


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
    return Card(
        round_id=check_round_id(fields.text("round")),
        plan_sha256=fields.digest("plan"),
        index=index,
        members=members,
        hpke=read_hpke_key(fields),
        rehearsal=fields.flag("rehearsal"),
        backup=read_backup_claim(
            fields.raw("backup"), members[index].name, "card.backup", "task.card"
        ),
        digest=document.digest,
        data=document.data,
    )


def read_hpke_key(fields: StrictObject) -> HpkePublicKey:
    """Read the `kem` and `hpke` of a card or task. Raises TaskError (code "plan.key")."""
    kem, raw = fields.text("kem"), fields.blob("hpke")
    try:
        return HpkePublicKey(kem, raw)
    except KeyFileError as error:
        raise TaskError(error.message, code="plan.key") from None


def card_matches(
    card: Card,
    *,
    round_id: str,
    plan_sha256: bytes,
    members: Sequence[Identity],
    rehearsal: bool,
) -> None:
    """Check that a card was made for this round. Raises TaskError (code "task.card") if not."""
    wrong = [
        what
        for what, same in (
            ("another round", card.round_id == round_id),
            ("another plan", card.plan_sha256 == plan_sha256),
            ("other aggregators", card.members == tuple(members)),
            ("a rehearsal" if card.rehearsal else "no rehearsal", card.rehearsal is rehearsal),
        )
        if not same
    ]
    if wrong:
        raise TaskError(
            f"the card of {card.owner.name} was made for {', '.join(wrong)}",
            code="task.card",
            hint="ask them for a new card for this round",
        )
