"""Who an organisation is: a name for paths, a name for people, and a long-lived key.

The document is self-signed. It shows that whoever wrote it holds the key, and nothing
else: that the key is the organisation's, people find out by comparing fingerprints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.fingerprint import short
from grievance.crypto.signing import VerifyingKey
from grievance.crypto.strict import StrictObject
from grievance.errors import CryptoError, TaskError
from grievance.names import is_name
from grievance.plan.labels import find_twins, label_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey

KIND = "grievance/2 identity"
LIMIT = 4096
MAX_AGGREGATORS = 16
"""More than any coalition needs, and well below the 255 shares a Prio3 instance may have."""
ONE_EACH = "each aggregator is an organisation with a name and keys of its own"
"""The hint where one organisation would be two aggregators."""

_ROUND_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,48}")


@dataclass(frozen=True)
class Identity:
    """An organisation. Raises TaskError (code "task.name") for names that are refused.

    `name` is a path part, `[a-z0-9-]{1,40}`, starting with a letter or digit and free of
    names that Windows reserves. `display_name` is one line of printable text in one script.
    """

    name: str
    display_name: str
    key: VerifyingKey

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise TaskError(
                f"{self.name!r:.60} is not the name of an organisation",
                code="task.name",
                hint="use 1 to 40 lowercase letters, digits and hyphens, starting with no hyphen",
            )
        problem = label_problem(self.display_name)
        if problem is not None:
            raise TaskError(f"the display name of {self.name} {problem}", code="task.name")

    @property
    def fingerprint(self) -> str:
        """The short form of the key's fingerprint, for reading aloud."""
        return short(self.key.fingerprint)

    def to_json(self) -> dict[str, Any]:
        """Write the three facts as they stand in cards and tasks."""
        return {
            "display_name": self.display_name,
            "identity": b64encode(self.key.raw),
            "name": self.name,
        }


def read_identity_fields(fields: StrictObject) -> Identity:
    """Read what `Identity.to_json` wrote. Raises TaskError."""
    raw = fields.blob("identity")
    try:
        key = VerifyingKey(raw)
    except CryptoError as error:
        raise TaskError(error.message, code="task.key") from None
    return Identity(fields.text("name"), fields.text("display_name"), key)


def check_members(members: Sequence[Identity]) -> None:
    """Check that these can be the aggregators of one task: two or more, all different.

    Raises TaskError (code "plan.aggregators").
    """
    if len(members) < 2:
        raise TaskError(
            "a round needs two or more aggregators: one alone could read every answer",
            code="plan.aggregators",
            hint=ONE_EACH,
        )
    if len(members) > MAX_AGGREGATORS:
        raise TaskError(
            f"a round has at most {MAX_AGGREGATORS} aggregators", code="plan.aggregators"
        )
    if len({member.name for member in members}) < len(members):
        raise TaskError("one organisation is named twice", code="plan.aggregators", hint=ONE_EACH)
    if find_twins(tuple(member.display_name for member in members)):
        raise TaskError(
            "two aggregators have one display name", code="plan.aggregators", hint=ONE_EACH
        )
    if len({member.key for member in members}) < len(members):
        raise TaskError(
            "two aggregators have one identity key", code="plan.aggregators", hint=ONE_EACH
        )


def check_round_id(text: str) -> str:
    """Return the id of a round, a path part. Raises TaskError (code "task.round")."""
    if not _ROUND_ID.fullmatch(text) or not (len(text) > 40 or is_name(text)):
        raise TaskError(f"{text!r:.60} is not the id of a round", code="task.round")
    return text


def make_identity(name: str, display_name: str, key: SigningKey) -> bytes:
    """Write an organisation's self-signed identity. Raises TaskError for a bad name."""
    identity = Identity(name, display_name, key.public)
    body = {"display_name": identity.display_name, "name": identity.name}
    return sign_document(KIND, body, key)


def parse_identity(data: bytes) -> Identity:
    """Read an organisation's identity. Raises WireError, SignatureError or TaskError."""
    document = parse_document(data, kind=KIND, limit=LIMIT)
    fields = StrictObject(
        document.body, ("display_name", "name"), where="identity", error=TaskError, code="task.card"
    )
    return Identity(fields.text("name"), fields.text("display_name"), document.signer)
