"""The aggregators' signatures under a task, and the bundle in which both travel to clients.

A task counts only with the signature of every aggregator it names. A bundle is one JSON
file of the task and those signatures, for people who do not see the pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.crypto.documents import canonical, parse_canonical, parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import SignatureError
from grievance.task.identity import MAX_AGGREGATORS
from grievance.task.task import LIMIT as TASK_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey
    from grievance.task.parties import Signable
    from grievance.task.task import Task

KIND = "grievance/2 task signature"
BUNDLE_KIND = "grievance/2 task bundle"
LIMIT = 4096
BUNDLE_LIMIT = TASK_LIMIT + (MAX_AGGREGATORS + 1) * LIMIT


def sign_task(task: Task, key: SigningKey, name: str) -> bytes:
    """Sign a task as aggregator `name`. Run after the checks of `grievance.task.consent`.

    Raises TaskError when `name` is no aggregator, SignatureError when `key` is not its key.
    """
    if task.aggregators[task.index_of(name)].identity != key.public:
        raise SignatureError(f"this is not the identity key of {name}", code="plan.signer")
    return sign_document(KIND, {"aggregator": name, "task": task.digest.hex()}, key)


def parse_task_signature(data: bytes, task: Signable) -> str:
    """Check one signature under `task` and return whose it is. Raises WireError, SignatureError."""
    document = parse_document(data, kind=KIND, limit=LIMIT)
    fields = StrictObject(
        document.body,
        ("aggregator", "task"),
        where="task signature",
        error=SignatureError,
        code="signature",
    )
    if fields.digest("task") != task.digest:
        raise SignatureError("this signature belongs to another task", code="task.signature")
    name = fields.text("aggregator")
    identity = {entry.name: entry.identity for entry in task.aggregators}.get(name)
    if identity is None or identity != document.signer:
        raise SignatureError(
            f"the signature for {name!r:.60} is not by an aggregator of this round",
            code="plan.signer",
        )
    return name


def check_signatures(task: Signable, signatures: Sequence[bytes]) -> None:
    """Check that every aggregator signed the task, once. Raises WireError or SignatureError."""
    if len(signatures) > MAX_AGGREGATORS:
        raise SignatureError("there are more signatures than aggregators", code="task.signature")
    signed = [parse_task_signature(data, task) for data in signatures]
    if len(set(signed)) < len(signed):
        raise SignatureError("an aggregator signed twice", code="task.signature")
    missing = [entry.name for entry in task.aggregators if entry.name not in signed]
    if missing:
        raise SignatureError(
            f"the task is not signed by {', '.join(missing)}",
            code="task.unsigned",
            hint="a round opens only when every aggregator has signed it; wait, or ask them",
        )


def bundle(task: Task, signatures: Sequence[bytes]) -> bytes:
    """Put a task and all its signatures into one file. Raises as `check_signatures` does."""
    check_signatures(task, signatures)
    ordered = sorted(signatures, key=lambda data: task.index_of(parse_task_signature(data, task)))
    return canonical(
        {
            "kind": BUNDLE_KIND,
            "signatures": [parse_canonical(data, LIMIT) for data in ordered],
            "task": parse_canonical(task.data, TASK_LIMIT),
        }
    )


def parse_bundle(data: bytes) -> tuple[bytes, list[bytes]]:
    """Take a bundle apart into the task file and the signature files. Checks no signature.

    Raises WireError.
    """
    fields = StrictObject(
        parse_canonical(data, BUNDLE_LIMIT), ("kind", "signatures", "task"), where="bundle"
    )
    fields.literal("kind", BUNDLE_KIND)
    return canonical(fields.raw("task")), [canonical(item) for item in fields.items("signatures")]
