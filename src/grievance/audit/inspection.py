"""Where the steps of an audit put what they find, and how they read a signed file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from grievance.audit.files import attempt
from grievance.audit.report import MAX_FINDINGS, Finding
from grievance.audit.rules import RULES
from grievance.crypto.documents import parse_document
from grievance.errors import GrievanceError, PoolError, SignatureError, WireError
from grievance.markup import plain_text
from grievance.pool.store import SMALL_FILE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from grievance.audit.files import PoolFiles
    from grievance.audit.report import Severity
    from grievance.crypto.documents import Document
    from grievance.crypto.signing import VerifyingKey

_MAX_MESSAGE = 400

MALFORMED = (GrievanceError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What a reader may run into in a body that is signed and nonsense: all of it is a finding."""


class Inspection:
    """Files, findings, and which files have been accounted for.

    Attributes:
        files: The pool.
        findings: What was found so far.
        omitted: Findings that were counted and not kept.
        signatures: How many signatures were checked.
        claimed: Paths that some step has dealt with; the others are unknown in the end.
        unread: Rounds whose task does not read: what depends on their keys is not known.
    """

    def __init__(self, files: PoolFiles) -> None:
        self.files = files
        self.findings: list[Finding] = []
        self.omitted = 0
        self.signatures = 0
        self.claimed: set[str] = set()
        self.unread: list[str] = []
        self._kept: Counter[Severity] = Counter()

    def fault(self, rule: str, file: str, message: str, evidence: Sequence[str] = ()) -> None:
        """A rule is broken. `evidence`: signed texts that prove it, kept whole."""
        self._add("fault", rule, file, message, evidence)

    def waiting(self, rule: str, file: str, message: str) -> None:
        """Something is not there that may rightly come."""
        self._add("waiting", rule, file, message)

    def left_out(self, path: str, rule: str, message: str) -> None:
        """Something cannot be checked, because the bundle was made without it."""
        self._add("unchecked", rule, path, message)

    def note(self, rule: str, file: str, message: str) -> None:
        """Something worth knowing."""
        self._add("note", rule, file, message)

    def lacks(self, rule: str, file: str, message: str, *, too_late: bool) -> None:
        """A file is missing: a fault if something that needs it first is there already."""
        self._add("fault" if too_late else "waiting", rule, file, message)

    def _add(
        self,
        severity: Severity,
        rule: str,
        file: str,
        message: str,
        evidence: Sequence[str] = (),
    ) -> None:
        self._kept[severity] += 1
        if self._kept[severity] > MAX_FINDINGS:
            self.omitted += 1
            return
        text = plain_text(message)[:_MAX_MESSAGE]
        self.findings.append(
            Finding(severity, RULES[rule].name, plain_text(file), text, tuple(evidence))
        )

    def has(self, path: str) -> bool:
        """Whether a plain file lies there."""
        return path in self.files.sizes

    def claim(self, path: str) -> bool:
        """Account for a file, if it is there. Returns whether it is."""
        self.claimed.add(path)
        return self.has(path)

    def unchecked(self, paths: Iterable[str], why: str) -> None:
        """Account for files that cannot be checked because of something found before."""
        for path in paths:
            if path not in self.claimed and self.claim(path):
                self.note("file.unchecked", path, why)

    def read(self, path: str, limit: int = SMALL_FILE_SIZE) -> bytes | None:
        """Read a file; None when it is not there, or cannot be read, which is a finding."""
        if not self.claim(path):
            return None
        try:
            return self.files.read(path, limit)
        except PoolError as error:
            self.fault(error.code, path, error.message)
            return None

    def document(
        self,
        path: str,
        kind: str,
        *owners: VerifyingKey,
        limit: int = SMALL_FILE_SIZE,
    ) -> Document | None:
        """Read a signed document by one of `owners` (anybody if none); None after a finding."""
        data = self.read(path, limit)
        return None if data is None else self.check_document(path, data, kind, *owners, limit=limit)

    def check_document(
        self,
        path: str,
        data: bytes,
        kind: str,
        *owners: VerifyingKey,
        limit: int = SMALL_FILE_SIZE,
    ) -> Document | None:
        """Check the bytes of a signed document as `document` does."""
        self.signatures += 1
        try:
            document = parse_document(data, kind=kind, limit=limit)
        except SignatureError as error:
            self.fault("file.signature", path, error.message)
        except WireError as error:
            rule = "file.place" if error.code == "document.kind" else "file.form"
            self.fault(rule, path, error.message)
        else:
            if not owners or document.signer in owners:
                return document
            self.fault("file.foreign", path, "signed by somebody else than the owner of this place")
        return None

    def refuse(self, rule: str, path: str, error: Exception) -> None:
        """Turn what a reader ran into into a finding; only our own errors' words are shown."""
        words = error.message if isinstance(error, GrievanceError) else "a field is of a wrong kind"
        self.fault(rule, path, words)

    def step(self, what: str, work: Callable[..., None], *args: object) -> None:
        """Run one step; whatever it runs into becomes a finding, and the audit goes on."""
        stopped = attempt(work, *args)
        if stopped is not None:
            self.fault("audit.error", what, f"the step ended early ({stopped})")
