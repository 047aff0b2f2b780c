"""Requests and answers: how the pieces of a backup key come to the machine that needs them.

A request names a fresh HPKE key. Its file is called by the fingerprint of its own bytes, which
the person at that machine reads out to every trustee: the voice is the proof of who asks, since
a lost machine took the identity key with it. A request for a rehearsal is signed by the owner's
identity; any other is signed by a key that was made for it and proves nothing.

An answer is a trustee's piece, sealed to the request's key and bound to request, owner, set and
trustee. Requests and answers stay in the pool for everybody to see: an owner who finds an answer
to a request of which it knows nothing has been robbed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grievance.backup.sets import check_piece
from grievance.backup.split import archive_key, combine
from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.fingerprint import short
from grievance.crypto.hpke import HpkePublicKey
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, KeyFileError, OpenError, PoolError
from grievance.pool.layout import BackupPaths, is_request_id
from grievance.pool.store import find
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.backup.sets import BackupSet, Trustee
    from grievance.backup.split import Piece
    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store

REQUEST_KIND = "grievance/2 backup request"
ANSWER_KIND = "grievance/2 backup answer"
LIMIT = 16384
MAX_REQUESTS = 1000
"""Requests looked at for one owner; anybody who can write to the folder can add more."""


@dataclass(frozen=True)
class Request:
    """A request for the pieces of one set. `digest` is SHA-256 of the file."""

    set_id: str
    rehearsal: bool
    key: HpkePublicKey
    digest: bytes
    data: bytes

    @property
    def request_id(self) -> str:
        """What is read out, and what the file is called."""
        return short(self.digest)


def make_request(
    backup_set: BackupSet, hpke: HpkePublicKey, signer: SigningKey, *, rehearsal: bool
) -> Request:
    """Write a request for the pieces of a set. `signer`: the owner's identity in a rehearsal."""
    body = {
        "backup": backup_set.digest.hex(),
        "hpke": b64encode(hpke.raw),
        "kem": hpke.kem,
        "owner": backup_set.owner.name,
        "rehearsal": rehearsal,
        "set": backup_set.set_id,
    }
    return parse_request(sign_document(REQUEST_KIND, body, signer), backup_set)


def parse_request(data: bytes, backup_set: BackupSet) -> Request:
    """Read a request that concerns a set. Raises WireError, SignatureError or PoolError."""
    document = parse_document(data, kind=REQUEST_KIND, limit=LIMIT)
    fields = _request_fields(document.body)
    if (fields.text("owner"), fields.text("set"), fields.digest("backup")) != (
        backup_set.owner.name,
        backup_set.set_id,
        backup_set.digest,
    ):
        fields.refuse("concerns another organisation or another backup")
    rehearsal = fields.flag("rehearsal")
    if rehearsal and document.signer != backup_set.owner.key:
        fields.refuse("is called a rehearsal, but its owner did not sign it")
    try:
        key = HpkePublicKey(fields.text("kem"), fields.blob("hpke"))
    except KeyFileError as error:
        raise PoolError(f"request.hpke: {error.message}", code="backup.request") from None
    return Request(backup_set.set_id, rehearsal, key, document.digest, document.data)


def read_request(store: Store, sets: Sequence[BackupSet], request_id: str) -> Request | None:
    """A request from the pool that concerns one of an owner's sets; None when there is none."""
    if not sets or not is_request_id(request_id):
        return None
    data = find(store, BackupPaths(sets[0].owner.name).request(request_id), LIMIT)
    for backup_set in sets if data is not None else ():
        try:
            found = parse_request(bytes(data or b""), backup_set)
        except GrievanceError:
            continue
        # The name is the fingerprint of the bytes: a changed file has another name.
        if found.request_id == request_id:
            return found
    return None


def read_requests(store: Store, sets: Sequence[BackupSet]) -> list[Request]:
    """Every request in the pool for one owner's sets."""
    if not sets:
        return []
    names = store.names(BackupPaths(sets[0].owner.name).requests)[:MAX_REQUESTS]
    found = [read_request(store, sets, name.removesuffix(".json")) for name in names]
    return [request for request in found if request is not None]


def answer_info(backup_set: BackupSet, request: Request, trustee: Trustee) -> bytes:
    """What a piece on its way to a restoring machine is bound to."""
    owner = backup_set.owner
    return hashlib.sha256(
        length_prefixed(
            b"grievance/2 backup answer",
            *(request.digest, owner.name.encode(), owner.key.raw, backup_set.set_id.encode()),
            *(trustee.name.encode(), trustee.identity.key.raw, bytes([trustee.index])),
        )
    ).digest()


def make_answer(
    backup_set: BackupSet, request: Request, trustee: Trustee, piece: bytes, key: SigningKey
) -> bytes:
    """Seal a piece to a request's key and sign it. Run by the trustee."""
    body = {
        "owner": backup_set.owner.name,
        "request": request.digest.hex(),
        "sealed": b64encode(request.key.seal(piece, answer_info(backup_set, request, trustee))),
        "set": backup_set.set_id,
        "trustee": trustee.name,
    }
    return sign_document(ANSWER_KIND, body, key)


def read_answer(
    store: Store, backup_set: BackupSet, request: Request, trustee: Trustee
) -> bytes | None:
    """A trustee's sealed answer; None when there is none that it signed for this request."""
    path = BackupPaths(backup_set.owner.name).answer(request.request_id, trustee.name)
    data = find(store, path, LIMIT)
    if data is None:
        return None
    try:
        document = parse_document(
            bytes(data), kind=ANSWER_KIND, signer=trustee.identity.key, limit=LIMIT
        )
        fields = _fields(
            document.body, ("owner", "request", "sealed", "set", "trustee"), "backup.answer"
        )
        here = (backup_set.owner.name, backup_set.set_id, trustee.name, request.digest)
        there = (fields.text("owner"), fields.text("set"), fields.text("trustee"))
        return fields.blob("sealed") if (*there, fields.digest("request")) == here else None
    except GrievanceError:
        return None


@dataclass(repr=False)
class Answers:
    """What came in answer to a request: sound pieces by index, and the others by name."""

    pieces: dict[int, Piece] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    def hopeless(self, backup_set: BackupSet) -> bool:
        """Whether too many answers are wrong for the others ever to be enough."""
        return len(self.pieces) + len(self.waiting) < backup_set.threshold


def collect_answers(
    store: Store, backup_set: BackupSet, request: Request, key: HpkePrivateKey
) -> Answers:
    """Open every answer. A trustee that signed something else than its piece is named `wrong`."""
    found = Answers()
    for trustee in backup_set.trustees:
        sealed = read_answer(store, backup_set, request, trustee)
        if sealed is None:
            found.waiting.append(trustee.name)
            continue
        try:
            data = key.open(sealed, answer_info(backup_set, request, trustee))
            piece = check_piece(backup_set, trustee.index, data)
        except OpenError:
            piece = None
        if piece is None:
            found.wrong.append(trustee.name)
        else:
            found.pieces[trustee.index] = piece
            found.answered.append(trustee.name)
    return found


def reconstruct(backup_set: BackupSet, answers: Answers) -> HpkePrivateKey:
    """The key that opens the archives, from enough sound pieces.

    Raises PoolError `backup.waiting` naming who has not answered, `backup.wrong` naming whose
    answers are wrong when the others can never be enough, and `backup.key` when the owner sealed
    pieces of another key than it published.
    """
    if answers.hopeless(backup_set):
        raise PoolError(
            f"{_listed(answers.wrong)} sent something else than their pieces, and the other "
            "trustees are too few",
            code="backup.wrong",
            hint="is there an older backup, with other trustees? (--set)",
        )
    if len(answers.pieces) < backup_set.threshold:
        raise PoolError(
            f"{backup_set.threshold} trustees must answer, and so far "
            f"{_listed(answers.answered)} did",
            code="backup.waiting",
            hint=_what_is_missing(answers),
        )
    enough = dict(sorted(answers.pieces.items())[: backup_set.threshold])
    key = archive_key(combine(enough))
    if key.public != backup_set.key:
        raise PoolError(
            "the pieces are those that were sealed, but they make another key than the archives'",
            code="backup.key",
            hint="this backup was made wrong and opens nothing; is there an older one? (--set)",
        )
    return key


def _what_is_missing(answers: Answers) -> str:
    wrong = f"{_listed(answers.wrong)} sent a wrong piece; " if answers.wrong else ""
    return f"{wrong}not answered yet: {_listed(answers.waiting)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nobody"


def _request_fields(body: dict[str, Any]) -> StrictObject:
    return _fields(body, ("backup", "hpke", "kem", "owner", "rehearsal", "set"), "backup.request")


def _fields(value: object, names: Sequence[str], code: str) -> StrictObject:
    where = code.removeprefix("backup.")
    return StrictObject(value, names, where=where, error=PoolError, code=code)
