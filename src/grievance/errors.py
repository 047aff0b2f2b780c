"""Every exception of the library, each with a stable code.

The type says whose fault it is; the code (`plan.label`, `report.open`) is stable and
may be matched by programs; the message is for people and never holds an answer, a
share, a key or a salt; the hint is the next step.

    GrievanceError
    |-- ShapeError          a vector or byte string of the wrong length (our own caller)
    |-- WireError           bytes that are not the one encoding of a value
    |-- VdafError           Prio3 refuses
    |   |-- ProofError          the proof, or the joint randomness, does not hold
    |   `-- TestPointError      the test point is a root of unity
    |-- PlanError           the plan file breaks a rule
    |-- AnswerError         answers that do not fit the plan
    |-- RowsRefusedError    rows of a table do not fit (in `client`, with the causes)
    |-- MappingError        the mapping file, or a table that does not fit it
    |-- CryptoError         keys and signatures
    |   |-- SignatureError      a signature is missing or does not hold
    |   |-- OpenError           a ciphertext does not open
    |   `-- KeyFileError        a key file cannot or must not be used
    |-- TrustError          nobody vouched for these keys from outside
    |-- TaskError           a task that must not be signed or used
    |-- ReportError         a sealed report that is refused
    |-- PoolError           a file in the pool, or the pool itself
    |   |-- BatchError          a batch of reports
    |   `-- OrderError          the chain of events of a round
    |-- StateError          an aggregator's own state
    |-- PrivacyError        noise or sensitivity that would break the promise
    |   `-- BudgetExceededError the filter refused: nothing released, nothing spent
    |-- LedgerError         an entry that does not extend the ledger
    |-- ReleaseError        a release that must not happen, or does not add up
    `-- UsageError          the command cannot be carried out as typed
        `-- RoundChoiceError    it does not say which of several rounds it is about
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.cost import Cost

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_AWAY = {"pool.missing", "pool.denied", "pool.host-key", "pool.read"}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


def after_fault(error: OSError) -> str:
    """The next step for a person after the system refused to write."""
    if error.errno in _FULL:
        what = "free some space there, or ask for a larger quota"
    elif error.errno in _FORBIDDEN:
        what = "let this user write there"
    else:
        what = "see to the disk, or the connection to it"
    return f"{what}; then run the same command again: nothing is half done"


class GrievanceError(Exception):
    """Base of all errors: a message for people, a stable `code`, a `hint` for the next step."""

    default_code: ClassVar[str] = "grievance"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class ShapeError(GrievanceError):
    """A vector or byte string has the wrong length: a mistake in the calling code."""

    default_code = "shape"


class WireError(GrievanceError):
    """Bytes are not the one canonical encoding of a value: short, long or out of range."""

    default_code = "wire"


class VdafError(GrievanceError):
    """Prio3 refuses this report."""

    default_code = "vdaf"


class ProofError(VdafError):
    """The proof does not hold, or the aggregators did not see the same joint randomness."""

    default_code = "vdaf.proof"


class TestPointError(VdafError):
    """The test point is a root of unity: checking would leak, so the report is refused for good."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
    default_code = "vdaf.test-point"


class PlanError(GrievanceError):
    """The plan breaks a rule. `where` names the file and the key."""

    default_code = "plan"

    def __init__(
        self, message: str, *, code: str = "plan", where: str = "", hint: str | None = None
    ) -> None:
        super().__init__(f"{where}: {message}" if where else message, code=code, hint=hint)
        self.where = where


class AnswerError(GrievanceError):
    """Answers do not fit the plan. Names the field and the rule, never the value."""

    default_code = "answers"

    def __init__(
        self, message: str, *, field: str, code: str = "answers", hint: str | None = None
    ) -> None:
        super().__init__(f"{field}: {message}", code=code, hint=hint)
        self.field = field


class MappingError(GrievanceError):
    """The mapping file is wrong, or the table does not have what it names."""

    default_code = "mapping"


class CryptoError(GrievanceError):
    """Keys and signatures."""

    default_code = "crypto"


class SignatureError(CryptoError):
    """A signature is missing, or does not hold for these bytes and this key."""

    default_code = "signature"


class OpenError(CryptoError):
    """A ciphertext does not open: wrong key, wrong context, or altered. One code for all three."""

    default_code = "report.open"


class KeyFileError(CryptoError):
    """A key file is missing, readable by others, of the wrong kind, or the passphrase is wrong."""

    default_code = "key.file"


class TrustError(GrievanceError):
    """Nobody vouched for these keys from outside the file that names them."""

    default_code = "trust"


class TaskError(GrievanceError):
    """A task that must not be signed, or must not be used."""

    default_code = "task"


class ReportError(GrievanceError):
    """A sealed report that is refused; `code` is the public reason."""

    default_code = "report"


class PoolError(GrievanceError):
    """A file in the pool, or the pool itself."""

    default_code = "pool"


def is_away(error: GrievanceError) -> bool:
    """Whether a pool failed, and not a file in it: what it holds is unknown then, not absent."""
    return isinstance(error, PoolError) and error.code in _AWAY


class BatchError(PoolError):
    """A batch of reports that is not what its relay signed, or breaks the format."""

    default_code = "batch"


class OrderError(PoolError):
    """The chain of events of a round does not hold together."""

    default_code = "order"


class StateError(GrievanceError):
    """An aggregator's own state is missing, damaged, locked, or behind the pool."""

    default_code = "state"


class PrivacyError(GrievanceError):
    """Noise or sensitivity that would break the promise."""

    default_code = "privacy"


class BudgetExceededError(PrivacyError):
    """The filter refused. Nothing was released, nothing was spent."""

    default_code = "budget"

    def __init__(self, *, requested: Cost, spent: Cost, budget: Cost) -> None:
        left = budget - spent
        super().__init__(
            f"this needs {requested}, but {left} of {budget} is left",
            hint="ask for less noise-hungry statistics, or start a new campaign",
        )
        self.requested, self.spent, self.budget = requested, spent, budget


class LedgerError(GrievanceError):
    """An entry that does not extend the ledger."""

    default_code = "ledger"


class ReleaseError(GrievanceError):
    """A release that must not happen, or does not add up."""

    default_code = "release"


class UsageError(GrievanceError):
    """The command cannot be carried out as typed."""

    default_code = "usage"


class RoundChoiceError(UsageError):
    """The command does not say which round it is about.

    `rounds`: those it could be, each with `round`, `title`, `stage` and `line`, what was typed
    with the round named.
    """

    default_code = "round.which"

    def __init__(
        self, message: str, *, code: str, hint: str, rounds: Sequence[Mapping[str, str]]
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.rounds = [dict(one) for one in rounds]
