"""Evidence: two versions of one thing, with their author's signatures, kept by whoever noticed.

The two prove it by themselves. Who wrote them down, under which name, and whether that signature
is a party's, says nothing; and what does not prove anything accuses nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from grievance.audit.inspection import MALFORMED
from grievance.crypto.documents import document_kind
from grievance.errors import PoolError
from grievance.ledger.versions import KIND as VERSIONS_KIND
from grievance.ledger.versions import LIMIT, parse_versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound

EVIDENCE: Final = frozenset({VERSIONS_KIND})
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
    inspection.signatures += 3
    for opened in rounds:
        try:
            found = parse_versions(data, opened.task)
        except MALFORMED:
            continue
        place = found.place
        notes = found.versions if place.kind == "head" else ()
        texts = [note.kept.decode("utf-8") for note in notes]
        rule = {"head": "ledger.fork", "order": "order.fork"}.get(place.kind, "file.twice")
        inspection.fault(rule, path, f"{place.path}: {found}", [place.author], texts)
        return True
    return False
