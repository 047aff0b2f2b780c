"""Files that no step has dealt with: what they are, by their content and not by their name.

A pool is a folder. Desktops and sync clients leave files in it, copies get other names, and
anybody who can write to it can put anything there. So every such file is tried as something that
a party of this pool signed. What one signed against what holds is a fault, whatever the file is
called and whoever put it there; a copy is a copy; all else is not ours, is said so, and changes no
verdict. Sizes come first: of what is larger than `MAX_SIZE` only the first bytes are read, which
are enough to tell that it is nothing that anybody here signs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grievance.audit.evidence import EVIDENCE, check_evidence
from grievance.audit.leftovers import unfinished
from grievance.audit.once import claim_head, claim_of, claim_shares
from grievance.crypto.documents import document_kind, parse_document
from grievance.crypto.signing import VerifyingKey
from grievance.errors import CryptoError, GrievanceError, PoolError
from grievance.ledger.checkpoint import MAX_NOTE_SIZE, parse_checkpoint
from grievance.pool.batch import HEADER_SIZE
from grievance.pool.batch import LABEL as BATCH_LABEL
from grievance.pool.batch import MAGIC as BATCH_MAGIC
from grievance.pool.bundle import BundleStore
from grievance.pool.decisions import MAGIC as VERIFY_MAGIC
from grievance.pool.decisions import header_size, signed_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.once import Claim
    from grievance.audit.opening import OpenedRound

MAX_SIZE: Final = 64 << 10
"""Bytes of an unknown file that is read whole."""

MAX_TRIED: Final = 10_000
"""Unknown files that are read at all."""

MAX_ALL: Final = 64 << 20
"""With `--all-files`: no document of a pool is larger."""

_DOCUMENT: Final = b'{"body":'
_NOTE: Final = b"grievance/"
HEAD_SIZE: Final = len(_NOTE)
"""Bytes that tell whether a file can be signed at all (see `looks_signed`)."""

NOTHING: Final = "nothing in it is signed by a party of this pool"


def check_strangers(
    inspection: Inspection,
    rounds: Sequence[OpenedRound],
    *,
    within: str = "",
    all_files: bool = False,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> None:
    """Look at every file that is not accounted for, below the folder `within`."""
    _Strangers(inspection, rounds, all_files=all_files).run(within, progress)


class _Strangers:
    def __init__(
        self, inspection: Inspection, rounds: Sequence[OpenedRound], *, all_files: bool
    ) -> None:
        self.inspection, self.rounds, self.all_files = inspection, rounds, all_files
        self.tried = self.large = self.beyond = 0
        self.keys = {(name, raw): VerifyingKey(raw) for raw, name in inspection.parties.items()}
        self.head_size = max(
            [HEADER_SIZE, len(_DOCUMENT), *(header_size(opened.task) for opened in rounds)]
        )

    def run(self, within: str, progress: Callable[[str, int, int], None]) -> None:
        inspection, files = self.inspection, self.inspection.files
        left = (set(files.sizes) | set(files.others)) - inspection.claimed
        # What lies spoilt in a place of ours may be another file of ours, under a wrong name.
        left |= inspection.spoilt - set(inspection.registered)
        paths = sorted(path for path in left if path.startswith(within))
        for done, path in enumerate(paths):
            progress("files of other names", done, len(paths))
            self._look(path)
        progress("files of other names", len(paths), len(paths))
        for rule, path, why, harmless in files.odd:
            alone = any(path.startswith(f"rounds/{name}/") for name in inspection.strange)
            if alone or not path.startswith(within):
                continue
            if rule == "file.kind":
                inspection.note(rule, path, f"not ours: {why}; it is not followed, do not open it")
            elif rule in ("file.leftover", "file.placeholder"):
                inspection.waiting(rule, path, why)
            elif harmless:
                inspection.not_ours(path, why)
            else:
                inspection.uncertain(rule, path, why)
        if self.large or self.beyond:
            parts = []
            if self.large:
                parts.append(f"{self.large:,} of more than {MAX_SIZE:,} bytes")
            if self.beyond:
                parts.append(f"{self.beyond:,} beyond the first {MAX_TRIED:,}")
            message = f"files that no place here knows were not read: {' and '.join(parts)}"
            inspection.uncertain("file.unread", within or ".", message)

    def _look(self, path: str) -> None:
        inspection = self.inspection
        spoilt = path in inspection.spoilt
        found = None if spoilt else unfinished(path.rpartition("/")[2])
        if found is not None:
            inspection.waiting(found[0], path, found[1])
        quiet = spoilt or found is not None
        if spoilt and inspection.files.size(path) > MAX_SIZE:
            return  # told already, whatever it may be
        store = inspection.files.store
        if isinstance(store, BundleStore) and path in store.manifest.left_out:
            if not quiet:  # its maker looked: of what may be signed the bundle says so
                inspection.not_ours(path, NOTHING)
            return
        try:
            data = self._read(path)
        except PoolError as error:
            if not quiet:
                inspection.uncertain("file.read", path, error.message)
            return
        if data is None:
            return
        words = self._try(path, data)
        if quiet or words is None:
            return
        if words == NOTHING:
            inspection.not_ours(path, words)
        else:
            inspection.note("file.unknown", path, words)

    def _read(self, path: str) -> bytes | None:
        """Enough of a file to tell what it is; None where that was not read, and counted."""
        files = self.inspection.files
        size = files.size(path)
        if size > MAX_SIZE and not self.all_files:
            head = files.head(path, self.head_size)
            if head is None or head.startswith(_DOCUMENT):
                self.large += 1
                return None
            return head
        self.tried += 1
        if self.tried > MAX_TRIED and not self.all_files:
            self.beyond += 1
            return None
        if size > MAX_ALL:
            return files.head(path, self.head_size) or b""
        return files.read(path, MAX_ALL)

    # What a file may be.

    def _try(self, path: str, data: bytes) -> str | None:
        """What a file is, in words; None where that has been told as a finding."""
        if data.startswith(_DOCUMENT):
            return self._document(path, data)
        if data.startswith(BATCH_MAGIC):
            return self._batch(data)
        if data.startswith(VERIFY_MAGIC):
            return self._shares(path, data)
        return self._head(path, data) if len(data) <= MAX_NOTE_SIZE else NOTHING

    def _document(self, path: str, data: bytes) -> str | None:
        inspection, kind = self.inspection, document_kind(data)
        if kind in EVIDENCE:
            return None if check_evidence(inspection, self.rounds, path, data) else NOTHING
        inspection.signatures += 1
        try:
            document = parse_document(data, kind=kind or "", limit=MAX_ALL)
        except GrievanceError:
            return NOTHING
        name = inspection.parties.get(document.signer.raw)
        if name is None:
            return NOTHING
        if not self._is_here(document.body):
            return f"not ours: {name} signed it for a round that is not here"
        claim = claim_of(document)
        if claim is None:
            return f"signed by {name}, under another name than its own; nothing needs it here"
        return self._told(claim, path, name)

    def _is_here(self, body: dict[str, object]) -> bool:
        task, round_id = body.get("task"), body.get("round")
        if isinstance(task, str):
            return task in self.inspection.tasks
        return not isinstance(round_id, str) or round_id in self.inspection.tasks.values()

    def _told(self, claim: Claim, path: str, name: str) -> str | None:
        """Hold a claim against what holds. Returns words for what contradicts nothing."""
        before = self.inspection.state(claim, path)
        if before is None:
            return f"{claim.words}, signed by {name}; in its own place there is none"
        if before.claim.says != claim.says:
            return None
        return f"a copy of {before.where}, under another name; nothing needs it"

    def _batch(self, data: bytes) -> str:
        raw, signed = data[37:69], data[: HEADER_SIZE - 64]
        name = self.inspection.parties.get(raw)
        self.inspection.signatures += 1
        try:
            if name is not None:
                VerifyingKey(raw).check(BATCH_LABEL, signed, data[HEADER_SIZE - 64 : HEADER_SIZE])
                return f"it begins like a batch that {name} signed, under another name"
        except CryptoError:
            pass
        return NOTHING

    def _shares(self, path: str, data: bytes) -> str | None:
        for opened in self.rounds:
            try:
                head = signed_head(data, opened.task)
                if head.task_digest != opened.task.digest:
                    continue
                party = opened.task.aggregators[head.sender]
                head.check(party.identity)
            except (GrievanceError, IndexError):
                continue
            says = head.batch_digest + head.rows.to_bytes(4, "big") + head.plaintext_digest
            claim = claim_shares(party.identity.raw, head.task_digest, head.seq, head.sender, says)
            return self._told(claim, path, party.name)
        return NOTHING

    def _head(self, path: str, data: bytes) -> str | None:
        for (name, raw), key in self.keys.items():
            try:
                head = parse_checkpoint(data, name, key)
            except GrievanceError:
                continue
            self.inspection.signatures += 1
            return self._told(claim_head(raw, name, head.size, head.root), path, name)
        return NOTHING


def looks_signed(head: bytes) -> bool:
    """Whether a file begins like one that somebody here signs, whatever its name."""
    return head.startswith((_DOCUMENT, BATCH_MAGIC, VERIFY_MAGIC, _NOTE))
