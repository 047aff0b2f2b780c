"""Trust from outside: a task says who its aggregators are, but not that they are who you think.

Signatures prove agreement, not identity: whoever hands out a task could have made both
aggregators up. So loading one takes something from elsewhere (a web site, a poster, a
call): the task's digest, or the fingerprint of every aggregator.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from grievance.crypto.fingerprint import TASK_GROUPS, matches, normalise
from grievance.errors import CryptoError, GrievanceError, TaskError, TrustError, WireError
from grievance.task.parties import read_head
from grievance.task.signatures import BUNDLE_LIMIT, check_signatures, parse_bundle
from grievance.task.task import parse_task

if TYPE_CHECKING:
    from grievance.task.parties import Signable
    from grievance.task.task import Task

Source = bytes | str | os.PathLike[str] | tuple[bytes, Sequence[bytes]]
"""A bundle's bytes, the path of a bundle, or the bytes of a task and of its signatures."""


_ASK = "do not use this task; ask the aggregators for the one that all of them signed"


@dataclass(frozen=True)
class TrustAnchor:
    """Digests that the user holds from outside the task. Made by `from_texts`."""

    texts: tuple[str, ...]

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> Self:
        """Read digests or fingerprints, in the short form or full hex. Raises TrustError."""
        if isinstance(texts, str):  # a lone string is a sequence too, of single letters
            texts = [texts]
        if not texts:
            raise TrustError(
                "nothing says that these are the right aggregators",
                code="trust.none",
                hint="give the task's digest, or the fingerprint of every aggregator, as their web "
                "sites or posters show them",
            )
        try:
            return cls(tuple(normalise(text) for text in texts))
        except CryptoError as error:
            raise TrustError(error.message, code="trust.syntax", hint=error.hint) from None

    def check(self, task: Signable) -> None:
        """Check that the user vouches for `task`. Raises TrustError.

        Enough is the task's digest, or the fingerprints of all its aggregators. A text that
        matches neither is a refusal: it was meant for another task.
        """
        keys = [entry.identity.fingerprint for entry in task.aggregators]
        for text in self.texts:
            if matches(text, task.digest, TASK_GROUPS) or any(matches(text, key) for key in keys):
                continue
            if matches(text, task.digest):
                raise TrustError(
                    f"{text} is only the beginning of this round's digest",
                    code="trust.short",
                    hint="give all eight groups: another task with the same first five can be made",
                )
            raise TrustError(
                f"{text} is neither this task nor one of its aggregators (it is the task of "
                f"{task.round_id}, by {', '.join(entry.name for entry in task.aggregators)})",
                code="trust.mismatch",
                hint="is this the folder, the file and the round you meant? if it is, do not "
                "use this task before you know why; ask the organisations",
            )
        if any(matches(text, task.digest, TASK_GROUPS) for text in self.texts):
            return
        vouched = [any(matches(text, key) for text in self.texts) for key in keys]
        if not all(vouched):
            names = [e.name for e, ok in zip(task.aggregators, vouched, strict=True) if not ok]
            raise TrustError(
                f"nothing says that the key of {', '.join(names)} is theirs",
                code="trust.partial",
                hint="give the fingerprint of every aggregator, or the task's digest",
            )


def load_task(source: Source, *, trust: TrustAnchor | Sequence[str]) -> Task:
    """Load a task that every aggregator signed and the user vouches for. Run by everybody.

    Signatures and anchor come first: a task that nobody here vouches for is not laid out.
    Raises TrustError, SignatureError, and as `parse_task` does; TaskError (code
    "task.missing") for a file that cannot be read.
    """
    anchor = trust if isinstance(trust, TrustAnchor) else TrustAnchor.from_texts(trust)
    try:
        data, signatures = source if isinstance(source, tuple) else parse_bundle(_read(source))
        head = read_head(data)
        check_signatures(head, signatures)
        anchor.check(head)
        return parse_task(data)
    except GrievanceError as error:
        if isinstance(error, WireError) and isinstance(source, str | os.PathLike):
            error.message = f"{Path(source).name}: {error.message}"
        error.hint = error.hint or _ASK
        raise


def _read(source: bytes | str | os.PathLike[str]) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        with Path(source).open("rb") as file:
            return file.read(BUNDLE_LIMIT + 1)
    except OSError as error:
        raise TaskError(f"{source}: {error.strerror}", code="task.missing") from None
