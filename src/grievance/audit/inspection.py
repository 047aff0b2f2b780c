"""Where the steps of an audit put what they find, and how they read a signed file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from grievance.audit.files import attempt
from grievance.audit.once import Statements, claim_of
from grievance.audit.result import MAX_FINDINGS, Finding
from grievance.audit.rules import RULES
from grievance.crypto.documents import parse_document
from grievance.errors import GrievanceError, PoolError, SignatureError, WireError
from grievance.markup import plain_text
from grievance.pool.store import SMALL_FILE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from grievance.audit.files import PoolFiles
    from grievance.audit.once import Claim, Statement
    from grievance.audit.result import Severity
    from grievance.crypto.documents import Document
    from grievance.crypto.signing import VerifyingKey

_MAX_MESSAGE = 400
_SPOILT = "cut short, overwritten, or not arrived whole"

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
        spoilt: Claimed paths where something else lies than their owner signed.
        unread: Rounds whose task does not read: what depends on their keys is not known.
        strange: Rounds of the pool that nobody vouched for has signed.
        parties: The names of the parties of this pool, by key.
        tasks: The rounds of this pool, by the digest of their task in hex.
        statements: What was signed once, in this pool and in others looked at with it.
        label: What to call this pool where there are several; else nothing.
    """

    def __init__(
        self, files: PoolFiles, statements: Statements | None = None, label: str = ""
    ) -> None:
        self.files = files
        self.findings: list[Finding] = []
        self.omitted = 0
        self.signatures = 0
        self.claimed: set[str] = set()
        self.spoilt: set[str] = set()
        self.unread: list[str] = []
        self.strange: list[str] = []
        self.parties: dict[bytes, str] = {}
        self.tasks: dict[str, str] = {}
        self.statements = Statements() if statements is None else statements
        self.label = label
        self.registered: dict[str, Claim] = {}
        self._kept: Counter[Severity] = Counter()

    def fault(
        self, rule: str, file: str, message: str, by: Iterable[str], evidence: Sequence[str] = ()
    ) -> None:
        """A rule is broken, by those whose signatures say so: `by` names them, one at least.

        `evidence`: signed texts that prove it, kept whole. Raises ValueError without a name:
        what nobody signed is not ours, or has not arrived.
        """
        names = tuple(dict.fromkeys(by))
        if not names:
            raise ValueError("a fault names who signed it")
        self._add("fault", rule, file, message, evidence, names)

    def differs(self, rule: str, file: str, message: str) -> None:
        """A published file that was named is not what the pool says. Nobody signed it."""
        self._add("fault", rule, file, message)

    def waiting(self, rule: str, file: str, message: str) -> None:
        """Something of ours is not there, or not whole, and may rightly come."""
        self._add("waiting", rule, file, message)

    def uncertain(self, rule: str, file: str, message: str) -> None:
        """Something cannot be checked here."""
        self._add("unchecked", rule, file, message)

    def note(self, rule: str, file: str, message: str) -> None:
        """Something worth knowing."""
        self._add("note", rule, file, message)

    def not_ours(self, file: str, why: str) -> None:
        """A file that no party of this pool answers for. It changes no verdict."""
        self._add("note", "file.unknown", file, f"not ours: {why}; do not open it")

    def spoil(self, rule: str, file: str, message: str) -> None:
        """Something else lies in a place of ours than its owner signed: as if it were not there.

        It was cut short, overwritten or never arrived whole; anybody may have done that.
        """
        self.spoilt.add(file)
        self._add("waiting", rule, file, message)

    def lacks(self, rule: str, file: str, message: str) -> None:
        """A file of ours is missing. What lies spoilt in its place has been told already."""
        if file not in self.spoilt:
            self._add("waiting", rule, file, message)

    def _add(
        self,
        severity: Severity,
        rule: str,
        file: str,
        message: str,
        evidence: Sequence[str] = (),
        by: tuple[str, ...] = (),
    ) -> None:
        self._kept[severity] += 1
        if self._kept[severity] > MAX_FINDINGS:
            self.omitted += 1
            return
        text = plain_text(message)[:_MAX_MESSAGE]
        self.findings.append(
            Finding(severity, RULES[rule].name, plain_text(file), text, tuple(evidence), by)
        )

    # Who signed what.

    def know(self, name: str, key: VerifyingKey) -> None:
        """Take a party of this pool in; of two names for a key the first is told."""
        self.parties.setdefault(key.raw, name)

    def name_of(self, document: Document) -> str:
        """Who signed a document of a party."""
        return self.parties.get(document.signer.raw, "nobody here")

    def state(self, claim: Claim | None, path: str) -> Statement | None:
        """Note what a party signed. Two versions for one place are a fault that names it.

        Returns the statement met before for the same place, if there was one.
        """
        name = None if claim is None else self.parties.get(claim.signer)
        if claim is None or name is None or self.registered.get(path) == claim:
            return None
        self.registered[path] = claim
        where = f"{self.label}: {path}" if self.label else path
        before = self.statements.add(claim, where)
        if before is not None and before.claim.says != claim.says:
            message = (
                f"{name} signed two versions of {claim.words}: here one that says "
                f"{claim.says.hex()[:16]}, in {before.where} one that says "
                f"{before.claim.says.hex()[:16]}"
            )
            self.fault(claim.rule, path, message, [name])
        return before

    # Files.

    def has(self, path: str) -> bool:
        """Whether a plain file lies there that was not found spoilt."""
        return path in self.files.sizes and path not in self.spoilt

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
        """Read a file of ours; None when it is not there, or cannot be read, which is told."""
        if not self.claim(path):
            return None
        try:
            return self.files.read(path, limit)
        except PoolError as error:
            if error.code == "file.read":
                self.spoilt.add(path)
                self.uncertain(error.code, path, error.message)
            else:
                self.spoil(error.code, path, error.message)
            return None

    def document(
        self,
        path: str,
        kind: str,
        *owners: VerifyingKey,
        limit: int = SMALL_FILE_SIZE,
    ) -> Document | None:
        """Read a document in a place of one of `owners`; None after it was told what is wrong."""
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
            self.spoil("file.signature", path, f"{error.message}: {_SPOILT}")
        except WireError as error:
            rule = "file.place" if error.code == "document.kind" else "file.form"
            self.spoil(rule, path, f"{error.message}: {_SPOILT}")
        else:
            if document.signer in owners:
                self.state(claim_of(document), path)
                return document
            message = f"signed by somebody else than the owner of this place: {_SPOILT}"
            self.spoil("file.foreign", path, message)
        return None

    def signed_document(
        self, path: str, kind: str, limit: int = SMALL_FILE_SIZE
    ) -> Document | None:
        """Read a document by anybody, in a place that may be nobody's.

        Accounts for nothing where it is none: what it is then, `strangers` says.
        """
        if not self.has(path):
            return None
        self.signatures += 1
        try:
            document = parse_document(self.files.read(path, limit), kind=kind, limit=limit)
        except GrievanceError:
            return None
        self.claimed.add(path)
        return document

    def refuse(self, rule: str, path: str, error: Exception, by: Iterable[str]) -> None:
        """Turn what a reader ran into in a signed body into a fault of who signed it.

        Only our own errors' words are shown.
        """
        words = error.message if isinstance(error, GrievanceError) else "a field is of a wrong kind"
        self.fault(rule, path, words, by)

    def step(self, what: str, work: Callable[..., None], *args: object) -> None:
        """Run one step; whatever it runs into becomes a finding, and the audit goes on."""
        stopped = attempt(work, *args)
        if stopped is not None:
            self.uncertain("audit.error", what, f"the step ended early ({stopped})")
