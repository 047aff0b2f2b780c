"""The set: who the trustees of a backup are, with everybody's sealed piece, in one document.

A piece is sealed to its trustee's mailbox and bound to the owner's identity, the set, the
trustee's identity and the index: it opens for nothing else. The digest of every piece stands
beside it, so a trustee sees at once that its piece is sound, and a restoring machine sees which
trustee sent a wrong one. A digest gives nothing away: a piece is 32 uniform bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.backup.split import Piece
from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.hpke import HpkePublicKey
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, KeyFileError, PoolError, TaskError
from grievance.pool.layout import BackupPaths, is_backup_set_id
from grievance.pool.store import find
from grievance.task.backup import MAX_TRUSTEES, MIN_THRESHOLD, is_day
from grievance.task.identity import Identity, read_identity_fields
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store

KIND = "grievance/2 backup set"
LIMIT = 1 << 17
_KEYS = ("hpke", "kem", "made", "number", "owner", "set", "threshold", "trustees")
_TRUSTEE_KEYS = ("display_name", "identity", "name", "piece", "sealed")


@dataclass(frozen=True)
class Trustee:
    """One trustee: its place, its sealed piece, and the digest by which the piece is known."""

    identity: Identity
    index: int
    digest: bytes
    sealed: bytes

    @property
    def name(self) -> str:
        """The trustee's name."""
        return self.identity.name


@dataclass(frozen=True)
class BackupSet:
    """One backup of one organisation, its signature checked.

    `number` counts an owner's sets; `made` is a day, YYYY-MM-DD. Archives are sealed to `key`.
    """

    owner: Identity
    set_id: str
    number: int
    made: str
    threshold: int
    key: HpkePublicKey
    trustees: tuple[Trustee, ...]
    digest: bytes
    data: bytes

    @property
    def names(self) -> list[str]:
        """The trustees' names, in order."""
        return [trustee.name for trustee in self.trustees]

    def trustee(self, identity: Identity) -> Trustee | None:
        """The trustee with this name and this very key."""
        for trustee in self.trustees:
            if (trustee.name, trustee.identity.key) == (identity.name, identity.key):
                return trustee
        return None


def piece_info(owner: Identity, set_id: str, trustee: Identity, index: int) -> bytes:
    """What a sealed piece is bound to."""
    return hashlib.sha256(
        length_prefixed(
            b"grievance/2 backup piece",
            *(owner.name.encode(), owner.key.raw, set_id.encode()),
            *(trustee.name.encode(), trustee.key.raw, bytes([index])),
        )
    ).digest()


def piece_digest(owner: Identity, set_id: str, index: int, piece: Piece) -> bytes:
    """By which digest a piece is known."""
    return hashlib.sha256(
        length_prefixed(
            b"grievance/2 backup piece digest",
            *(owner.name.encode(), owner.key.raw, set_id.encode()),
            *(bytes([index]), piece.reveal()),
        )
    ).digest()


def check_piece(backup_set: BackupSet, index: int, data: bytes) -> Piece | None:
    """The piece with this index, or None when these bytes are not it."""
    trustee = backup_set.trustees[index - 1]
    if len(data) != Piece.SIZE:
        return None
    piece = Piece(data)
    found = piece_digest(backup_set.owner, backup_set.set_id, index, piece)
    return piece if found == trustee.digest else None


def open_piece(backup_set: BackupSet, trustee: Trustee, mailbox: HpkePrivateKey) -> Piece:
    """Open a trustee's own piece. Raises OpenError, or PoolError for what is not the piece."""
    info = piece_info(backup_set.owner, backup_set.set_id, trustee.identity, trustee.index)
    piece = check_piece(backup_set, trustee.index, mailbox.open(trustee.sealed, info))
    if piece is None:
        raise PoolError(
            f"the piece that {backup_set.owner.name} sealed to {trustee.name} is not the one it "
            "names",
            code="backup.piece",
            hint=f"{backup_set.owner.name} makes a new backup, once it is back",
        )
    return piece


def make_set(
    owner: Identity,
    key: SigningKey,
    *,
    set_id: str,
    number: int,
    made: str,
    threshold: int,
    archives: HpkePublicKey,
    pieces: Sequence[tuple[Identity, HpkePublicKey, Piece]],
) -> bytes:
    """Seal every piece to its trustee's mailbox, and sign the set."""
    trustees = []
    for index, (trustee, mailbox, piece) in enumerate(pieces, start=1):
        sealed = mailbox.seal(piece.reveal(), piece_info(owner, set_id, trustee, index))
        digest = piece_digest(owner, set_id, index, piece)
        trustees.append({**trustee.to_json(), "piece": digest.hex(), "sealed": b64encode(sealed)})
    body = {
        "hpke": b64encode(archives.raw),
        "kem": archives.kem,
        "made": made,
        "number": number,
        "owner": owner.name,
        "set": set_id,
        "threshold": threshold,
        "trustees": trustees,
    }
    return parse_set(sign_document(KIND, body, key), owner, set_id).data


def parse_set(data: bytes, owner: Identity, set_id: str) -> BackupSet:
    """Read a set. Raises WireError, SignatureError, or PoolError `backup.set`."""
    document = parse_document(data, kind=KIND, signer=owner.key, limit=LIMIT)
    fields = _fields(document.body, _KEYS, "set")
    if fields.text("owner") != owner.name or fields.text("set") != set_id:
        fields.refuse("belongs to another organisation or another place")
    listed = fields.items("trustees")
    if not MIN_THRESHOLD <= len(listed) <= MAX_TRUSTEES:
        fields.refuse(f"are not {MIN_THRESHOLD} to {MAX_TRUSTEES}", "trustees")
    trustees = tuple(_read_trustee(item, index) for index, item in enumerate(listed, start=1))
    check_trustees(owner, [trustee.identity for trustee in trustees])
    try:
        archives = HpkePublicKey(fields.text("kem"), fields.blob("hpke"))
    except KeyFileError as error:
        raise PoolError(f"set.hpke: {error.message}", code="backup.set") from None
    if not is_day(fields.text("made")):
        fields.refuse("is not a day", "made")
    return BackupSet(
        owner=owner,
        set_id=set_id,
        number=fields.integer("number", 1),
        made=fields.text("made"),
        threshold=fields.integer("threshold", MIN_THRESHOLD, len(trustees)),
        key=archives,
        trustees=trustees,
        digest=document.digest,
        data=document.data,
    )


def check_trustees(owner: Identity, trustees: Sequence[Identity]) -> None:
    """Check that these are different organisations and none is the owner. Raises PoolError."""
    everybody = [owner, *trustees]
    names, keys = {one.name for one in everybody}, {one.key for one in everybody}
    if len(names) < len(everybody) or len(keys) < len(everybody):
        raise PoolError(
            "the trustees must be different organisations, and others than the owner",
            code="backup.trustees",
        )


def read_set(store: Store, owner: Identity, set_id: str) -> BackupSet | None:
    """A set from the pool; None when there is none that its owner signed."""
    data = find(store, BackupPaths(owner.name).set(set_id), LIMIT)
    try:
        return parse_set(bytes(data), owner, set_id) if data is not None else None
    except GrievanceError:
        return None


def read_sets(store: Store, owner: Identity) -> list[BackupSet]:
    """Every set of an organisation, the newest last."""
    names = store.names(BackupPaths(owner.name).folder)
    found = [read_set(store, owner, name) for name in names if is_backup_set_id(name)]
    return sorted((one for one in found if one is not None), key=lambda one: one.number)


def _read_trustee(value: object, index: int) -> Trustee:
    fields = _fields(value, _TRUSTEE_KEYS, "set.trustees")
    try:
        identity = read_identity_fields(fields)
    except TaskError as error:
        raise PoolError(f"set.trustees: {error.message}", code="backup.set") from None
    return Trustee(identity, index, fields.digest("piece"), fields.blob("sealed"))


def _fields(value: Any, keys: Sequence[str], where: str) -> StrictObject:
    return StrictObject(value, keys, where=where, error=PoolError, code="backup.set")
