"""Who vouches: which rounds of a pool are looked at, and whether all keys in them are known."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Final

from grievance.audit.terms import LIMIT as TASK_LIMIT
from grievance.crypto.documents import parse_document
from grievance.crypto.fingerprint import TASK_GROUPS, matches, normalise
from grievance.errors import CryptoError, GrievanceError, PoolError, TrustError
from grievance.pool.layout import RoundPaths, is_round_id
from grievance.task.card import KIND as CARD_KIND
from grievance.task.card import LIMIT as CARD_LIMIT
from grievance.task.identity import MAX_AGGREGATORS
from grievance.task.parties import read_head
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.task.signatures import LIMIT as SIGNATURE_LIMIT
from grievance.task.signatures import check_signatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound

_MAX_PARTIES: Final = 4 * MAX_AGGREGATORS
"""Files looked at to find out whether a round is somebody's that is known."""


class Anchors:
    """What was vouched for from outside the pool, and whose word that makes heard.

    A digest vouches for its task and for whoever it names, where all of them signed it.
    """

    def __init__(self, inspection: Inspection, texts: Sequence[str]) -> None:
        self.inspection, self.wanted = inspection, [normal(text) for text in texts]
        self.keys: set[bytes] = set()
        for round_id in inspection.files.inner("rounds") if self.wanted else ():
            if is_round_id(round_id):
                self._learn(RoundPaths(round_id))

    def _learn(self, paths: RoundPaths) -> None:
        data = self._read(paths.task, TASK_LIMIT)
        digest = hashlib.sha256(data).digest()
        if not any(matches(text, digest, TASK_GROUPS) for text in self.wanted):
            return
        with contextlib.suppress(GrievanceError):
            head = read_head(data)
            signed = [
                self._read(paths.signature(p.name), SIGNATURE_LIMIT) for p in head.aggregators
            ]
            check_signatures(head, signed)
            self.keys |= {party.identity.raw for party in head.aggregators}

    def _read(self, path: str, limit: int) -> bytes:
        with contextlib.suppress(PoolError):
            if path in self.inspection.files.sizes:
                return self.inspection.files.read(path, limit)
        return b""

    def sees(self, paths: RoundPaths) -> bool:
        """Whether somebody vouched for signed a round. Reads small files alone, and hashes."""
        if not self.wanted:
            return True
        data = self._read(paths.task, TASK_LIMIT)
        digest = hashlib.sha256(data).digest()
        if any(matches(text, digest, TASK_GROUPS) for text in self.wanted):
            return True
        return self._is_by_known(paths, SIGNATURE_KIND, "signatures", "task", digest.hex()) or (
            self._is_by_known(paths, CARD_KIND, "cards", "round", paths.round_id)
        )

    def _is_by_known(self, paths: RoundPaths, kind: str, folder: str, key: str, value: str) -> bool:
        """Whether a document of this kind about this round is by somebody vouched for."""
        for path in self.inspection.files.under(f"{paths.folder}/{folder}")[:_MAX_PARTIES]:
            try:
                document = parse_document(self._read(path, CARD_LIMIT), kind=kind)
            except GrievanceError:
                continue
            signer = document.signer
            known = signer.raw in self.keys or any(
                matches(text, signer.fingerprint) for text in self.wanted
            )
            if known and document.body.get(key) == value:
                return True
        return False


def leave_alone(inspection: Inspection, paths: RoundPaths) -> None:
    """List a round of strangers by its name and size."""
    theirs = inspection.files.under(paths.folder)
    inspection.claimed.update(theirs)
    inspection.claimed.update(p for p in inspection.files.others if _inside(p, paths))
    size = sum(inspection.files.sizes[path] for path in theirs)
    message = (
        f"left alone: nobody vouched for has signed it ({len(theirs):,} files, {size:,} bytes)"
    )
    inspection.strange.append(paths.round_id)
    inspection.note("task.trust", paths.folder, message)


def _inside(path: str, paths: RoundPaths) -> bool:
    return path.startswith(f"{paths.folder}/")


def check_trust(
    inspection: Inspection, rounds: Sequence[OpenedRound], texts: Sequence[str]
) -> bool:
    """Hold the rounds' keys against what was vouched for. Returns whether all keys are.

    A digest vouches for its task and for the keys in it, fingerprints for the keys alone; a
    round is vouched for when its digest is, or all its keys are. In a round that never opened only
    the keys of those who signed it need that. Raises TrustError for a text that is neither a
    digest nor a fingerprint.
    """
    if not texts:
        return False
    wanted = [normal(text) for text in texts]
    keys = {p.identity for r in rounds for p in r.task.aggregators}
    known = {key for key in keys if any(matches(text, key.fingerprint) for text in wanted)}
    for opened in rounds:
        vouched = any(matches(text, opened.task.digest, TASK_GROUPS) for text in wanted)
        if vouched and not opened.unsigned:
            opened.vouched = True
            known |= {party.identity for party in opened.task.aggregators}
    moot = set()
    for opened in rounds:
        strange = [p.name for p in opened.task.aggregators if p.identity not in known]
        opened.vouched = opened.vouched or not strange
        # Keys whose owners let a round go by never counted for anything in it.
        if opened.after and not opened.signed & set(strange):
            moot.add(opened.task.digest)
        elif not opened.vouched:
            message = f"nothing given vouches for the key of {', '.join(strange)}"
            inspection.uncertain("task.trust", opened.paths.task, message)
    for text in wanted:
        is_known = any(matches(text, key.fingerprint) for key in keys) or any(
            matches(text, opened.task.digest, TASK_GROUPS) for opened in rounds
        )
        # A text may be meant for a round that does not read, which is a finding already.
        if not inspection.unread and not is_known:
            message = f"{text} is neither a round of this pool nor a key in it"
            inspection.uncertain("task.trust", "--trust", message)
    # Where no round reads, that is what the findings are about, not the anchors.
    counted = [opened.vouched for opened in rounds if opened.task.digest not in moot]
    return all(counted) and bool(counted or inspection.unread)


def normal(text: str) -> str:
    """An anchor as it is compared. Raises TrustError for what is none."""
    try:
        return normalise(text)
    except CryptoError as error:
        raise TrustError(error.message, code="trust.syntax", hint=error.hint) from None
