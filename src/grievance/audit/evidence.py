"""Evidence: two versions of one thing, with their author's signatures, kept by whoever noticed.

The two prove it by themselves. Who wrote them down, under which name, and whether that signature
is a party's, says nothing; and what does not prove anything accuses nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from grievance.audit.inspection import MALFORMED
from grievance.crypto.documents import Document, document_kind, parse_document
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, PoolError
from grievance.ledger.evidence import KIND as LEDGER_FORK_KIND
from grievance.ledger.evidence import parse_fork
from grievance.ledger.versions import KIND as VERSIONS_KIND
from grievance.ledger.versions import LIMIT, parse_versions
from grievance.pool.order import FORK_KIND as ORDER_FORK_KIND
from grievance.pool.order import KIND as ORDER_KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound

EVIDENCE: Final = frozenset({ORDER_FORK_KIND, LEDGER_FORK_KIND, VERSIONS_KIND})
"""Kinds of documents that prove something against somebody else than their signer."""

_PLACES: Final = re.compile(r"rounds/[^/]+/evidence/[^/]+\.json|ledger/[^/]+/[^/]+\.fork")


def check_evidence_files(inspection: Inspection, rounds: Sequence[OpenedRound]) -> None:
    """Look at everything that lies where evidence does."""
    for path in [*inspection.files.under("rounds"), *inspection.files.under("ledger")]:
        if path in inspection.claimed or not _PLACES.fullmatch(path):
            continue
        try:
            data = inspection.files.read(path, LIMIT)
        except PoolError:
            continue
        if document_kind(data) in EVIDENCE:
            inspection.claimed.add(path)
            if not check_evidence(inspection, rounds, path, data):
                inspection.not_ours(path, "it looks like evidence, and proves nothing")


def check_evidence(
    inspection: Inspection, rounds: Sequence[OpenedRound], path: str, data: bytes
) -> bool:
    """Tell what a piece of evidence proves. Returns whether it proves anything."""
    inspection.signatures += 1
    try:
        document = parse_document(data, kind=document_kind(data) or "", limit=LIMIT)
    except GrievanceError:
        return False
    if document.kind == LEDGER_FORK_KIND:
        return _ledger_fork(inspection, rounds, path, document)
    prove = _order_fork if document.kind == ORDER_FORK_KIND else _versions
    for opened in rounds:
        try:
            if prove(inspection, opened, path, document):
                return True
        except MALFORMED:
            continue
    return False


def _order_fork(inspection: Inspection, opened: OpenedRound, path: str, document: Document) -> bool:
    """Two events the leader signed for one place."""
    body = StrictObject(document.body, ("seq", "files"), where="the evidence")
    seq, leader = body.integer("seq", 1), opened.task.aggregators[0]
    digests = []
    for text in body.items("files"):
        inspection.signatures += 1
        event = parse_document(text.encode("utf-8"), kind=ORDER_KIND, signer=leader.identity)
        if (event.body.get("task"), event.body.get("seq")) != (opened.task.digest.hex(), seq):
            return False
        digests.append(event.digest.hex())
    if len(digests) != 2 or digests[0] == digests[1]:
        return False
    message = (
        f"{leader.name} signed two events for place {seq}: SHA-256 {digests[0]} and {digests[1]}"
    )
    inspection.fault("order.fork", path, message, [leader.name])
    return True


def _versions(inspection: Inspection, opened: OpenedRound, path: str, document: Document) -> bool:
    """Two versions of one file."""
    inspection.signatures += 2
    found = parse_versions(document.data, opened.task)
    message = f"{found.place.path}: {found}"
    inspection.fault("file.twice", path, message, [found.place.author])
    return True


def _ledger_fork(
    inspection: Inspection, rounds: Sequence[OpenedRound], path: str, document: Document
) -> bool:
    """Two heads of one size of a ledger."""
    owners = {(p.name, p.identity.raw): p for o in rounds for p in o.task.aggregators}
    for owner in owners.values():
        inspection.signatures += 2
        try:
            fork = parse_fork(document.data, owner.identity)
        except MALFORMED:
            continue
        if fork.ledger != owner.name:
            continue
        one, two = (head.root.hex() for head in fork.heads)
        message = (
            f"{owner.name} signed two heads of {fork.size} entries, with roots {one} and {two}"
        )
        notes = [head.data.decode("utf-8") for head in fork.heads]
        inspection.fault("ledger.fork", path, message, [owner.name], notes)
        return True
    return False
