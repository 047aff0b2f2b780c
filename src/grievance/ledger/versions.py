"""Portable proof that an aggregator signed two versions of one file.

Every file of a pool is written once. An aggregator that signs a second version which says
something else (another decision about a batch, a refusal where it approved, another entry
of its ledger, a card or an invitation to other terms) tells different readers different
things. Two such files, both with its signature, prove it to anybody who has the round's task,
or for cards its key; the signature of the witness only says who noticed. A plan has no signature
of its own: a leader's two cards that name two plans are its two versions. Two heads of one size of
a ledger, and two events for one place of the order, are proved in the same form; they are noticed
elsewhere (`aggregator.witness`, `aggregator.office`). Source: docs/design.md, sections 7 and 10;
docs/threats.md, section 3.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import (
    b64decode,
    b64encode,
    canonical,
    parse_document,
    sign_document,
)
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, PoolError
from grievance.ledger.checkpoint import parse_checkpoint
from grievance.ledger.entry import KIND as ENTRY_KIND
from grievance.ledger.entry import entry_size_limit
from grievance.pool.decisions import DECISION_KIND, signed_head
from grievance.pool.noisy import KIND as SHARE_KIND
from grievance.pool.noisy import LIMIT as SHARE_LIMIT
from grievance.pool.order import KIND as ORDER_KIND
from grievance.pool.proposals import APPROVAL_KIND
from grievance.pool.store import SMALL_FILE_SIZE
from grievance.task.card import KIND as CARD_KIND
from grievance.task.card import LIMIT as CARD_LIMIT
from grievance.task.card import parse_card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grievance.crypto.signing import VerifyingKey
    from grievance.pool.store import View
    from grievance.task import RoundTerms

KIND = "grievance/2 two versions"
LIMIT = 64 << 20
_DECISION_LIMIT = 16 << 20
_PLACE = re.compile(
    r"rounds/(?P<round>[^/]+)/(?:"
    r"verify/(?P<verify>[1-9][0-9]{0,8})/(?P<a>[^/.]+)"
    r"|cards/(?P<card>[^/.]+)\.json"
    r"|decide/(?P<decide>[1-9][0-9]{0,8})/(?P<b>[^/.]+)\.json"
    r"|releases/(?P<approved>[0-9a-f]{16})/approvals/(?P<c>[^/.]+)\.json"
    r"|releases/(?P<shared>[0-9a-f]{16})/noisy/(?P<d>[^/.]+)\.json)"
    r"|ledger/(?P<e>[^/.]+)/(?P<entry>[1-9][0-9]{0,8})\.json"
)

_FORKED = re.compile(
    r"rounds/(?P<round>[^/]+)/order/(?P<order>[1-9][0-9]{0,8})\.json"
    r"|ledger/(?P<owner>[^/.]+)/(?P<head>[1-9][0-9]{0,8})\.checkpoint"
)


@dataclass(frozen=True)
class Place:
    """A path that one aggregator writes once: who, what kind of file, about what.

    `author` is "" for an event of the order: that is the leader's, whoever leads the round.
    """

    path: str
    author: str
    kind: str
    about: str
    round_id: str | None


@dataclass(frozen=True)
class Statement:
    """What an aggregator signed for a place. `kept` is enough of the file to check it again.

    Two statements for one place contradict each other when `says` differs: other bytes that
    say the same (verifier shares are sealed with fresh randomness) do not.
    """

    kept: bytes
    says: bytes

    @property
    def digest(self) -> str:
        """What people compare: SHA-256 of what was kept."""
        return hashlib.sha256(self.kept).hexdigest()


def place_of(path: str) -> Place | None:
    """What a path is for; None for paths that need no watching here."""
    match = _PLACE.fullmatch(path)
    if match is None:
        return None
    if match["card"] is not None:
        return Place(path, match["card"], "card", match["round"], match["round"])
    author = next(text for name in "abcde" if (text := match[name]) is not None)
    for kind in ("verify", "decide", "approved", "shared", "entry"):
        if match[kind] is not None:
            return Place(path, author, kind, match[kind], match["round"])
    return None


def _proven_place(path: str) -> Place | None:
    """What a path is for, also where others than `Sightings` watch it."""
    match = _FORKED.fullmatch(path)
    if match is None:
        return place_of(path)
    if match["order"] is not None:
        return Place(path, "", "order", match["order"], match["round"])
    return Place(path, match["owner"], "head", match["head"], None)


def read_statement(place: Place, data: View, task: RoundTerms) -> Statement | None:
    """What the owner of a place signed for it; None for anything that is not that.

    `task` has the keys; a place of a round is about that task.
    """
    author = place.author or task.aggregators[0].name
    owner = next((p.identity for p in task.aggregators if p.name == author), None)
    if owner is None or place.round_id not in (None, task.round_id):
        return None
    try:
        if place.kind == "card":
            return _card(place, bytes(data), owner)
        if place.kind == "verify":
            return _verifier_shares(place, data, task, owner)
        if place.kind == "head":
            return _head(place, bytes(data), owner)
        return _document(place, bytes(data), task, owner)
    except (GrievanceError, TypeError, ValueError):
        return None


def _card(place: Place, data: bytes, owner: VerifyingKey | None) -> Statement:
    card = parse_card(data, owner)
    if (card.round_id, card.owner.name) != (place.round_id, place.author):
        raise PoolError("the card of another place", code="pool.evidence")
    body = parse_document(data, kind=CARD_KIND, limit=CARD_LIMIT).body
    return Statement(data, canonical(body))


def _verifier_shares(
    place: Place, data: View, task: RoundTerms, owner: VerifyingKey
) -> Statement | None:
    head = signed_head(data, task)
    head.check(owner)
    about = (task.digest, int(place.about), task.index_of(place.author))
    if (head.task_digest, head.seq, head.sender) != about:
        return None
    return Statement(
        head.data, head.batch_digest + head.rows.to_bytes(4, "big") + head.plaintext_digest
    )


def _head(place: Place, data: bytes, owner: VerifyingKey) -> Statement | None:
    head = parse_checkpoint(data, place.author, owner)
    return Statement(data, head.root) if head.size == int(place.about) else None


def _document(place: Place, data: bytes, task: RoundTerms, owner: VerifyingKey) -> Statement | None:
    kinds: Mapping[str, tuple[str, int]] = {
        "decide": (DECISION_KIND, _DECISION_LIMIT),
        "approved": (APPROVAL_KIND, 1 << 20),
        "shared": (SHARE_KIND, SHARE_LIMIT),
        "entry": (ENTRY_KIND, entry_size_limit()),
        "order": (ORDER_KIND, SMALL_FILE_SIZE),
    }
    kind, limit = kinds[place.kind]
    body = parse_document(data, kind=kind, signer=owner, limit=limit).body
    return Statement(data, canonical(body)) if _is_about(place, body, task) else None


def _is_about(place: Place, body: dict[str, Any], task: RoundTerms) -> bool:
    if place.kind == "entry":
        return body.get("ledger") == place.author and body.get("size") == int(place.about)
    if body.get("task") != task.digest.hex():
        return False
    if place.kind in ("order", "decide"):
        return type(body.get("seq")) is int and body["seq"] == int(place.about)
    if body.get("aggregator") != place.author:
        return False
    if place.kind == "approved":
        return str(body.get("proposal")).startswith(place.about)
    return bool(body.get("release") == place.about)


@dataclass(frozen=True)
class TwoVersions:
    """The author of a place signed two things for it."""

    place: Place
    versions: tuple[Statement, Statement]

    def __str__(self) -> str:
        one, two = (version.digest for version in self.versions)
        said = f"{self.place.author} signed two versions of it: SHA-256 {one} and {two}"
        if self.place.kind == "card":
            plans = [parse_card(version.kept).plan_sha256.hex() for version in self.versions]
            if plans[0] != plans[1]:
                said += f", for two plans: {plans[0]} and {plans[1]}"
        return said


def sign_versions(path: str, first: bytes, second: bytes, key: Any) -> bytes:
    """Write evidence down. Run by the witness that noticed; `first` and `second` as kept."""
    return sign_document(
        KIND, {"path": path, "versions": [b64encode(first), b64encode(second)]}, key
    )


def parse_versions(data: bytes, task: RoundTerms) -> TwoVersions:
    """Check evidence against a task's keys. Raises PoolError `pool.evidence` if it proves nothing.

    Whoever relies on it has compared the task's digest or its keys' fingerprints elsewhere.
    """
    found = _parse(data, lambda place, version: read_statement(place, version, task))
    author = found.place.author or task.aggregators[0].name
    return replace(found, place=replace(found.place, author=author))


def parse_card_versions(data: bytes) -> tuple[TwoVersions, VerifyingKey]:
    """Check evidence of two cards for one round, also where there is no task yet.

    Returns the key that signed both: whoever relies on it knows whose that is from elsewhere.
    Raises PoolError `pool.evidence` if it proves nothing.
    """
    keys: list[VerifyingKey] = []

    def read(place: Place, version: bytes) -> Statement | None:
        try:
            statement = _card(place, version, keys[0] if keys else None)
        except GrievanceError:
            return None
        keys.append(parse_card(version).owner.key)
        return statement

    return _parse(data, read), keys[0]


def _parse(data: bytes, read: Callable[[Place, bytes], Statement | None]) -> TwoVersions:
    document = parse_document(data, kind=KIND, limit=LIMIT)
    body = StrictObject(
        document.body,
        {"path", "versions"},
        where="the evidence",
        error=PoolError,
        code="pool.evidence",
    )
    place = _proven_place(body.text("path"))
    if place is None:
        body.refuse("is about no file that has one author", "path")
    found = []
    for item in body.items("versions"):
        statement = read(place, b64decode(item)) if type(item) is str else None
        if statement is None:
            body.refuse("holds something that its author did not sign for this place")
        found.append(statement)
    if len(found) != 2 or found[0].says == found[1].says:
        body.refuse("does not hold two versions that differ")
    return TwoVersions(place, (found[0], found[1]))
