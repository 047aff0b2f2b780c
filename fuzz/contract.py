"""What every reader of foreign bytes promises, and a judge that holds it to that.

A reader returns, or raises a GrievanceError. It does so within `MAX_SECONDS` of computing and
without taking more than `MAX_MEMORY` beyond what the process had, and its message is short.
Where a format has one encoding per value, what it accepts is written again as the same bytes.
Anything else is a `Finding`; an exception of another kind is a finding as it stands.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grievance.errors import GrievanceError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SECONDS = 2.0
MAX_MEMORY = 256 << 20
MAX_MESSAGE = 4_000
"""Characters of a message: five problems of a plan, each with a label of 80 characters, fit."""

Form = Literal["bytes", "json", "toml"]


class Finding(AssertionError):  # noqa: N818  # it is no error of ours
    """A reader broke its promise."""


@dataclass(frozen=True)
class Target:
    """One reader, or one reader behind one layer that makes its input look genuine.

    `form` says how inputs are best changed: as bytes, as a JSON value, or as lines of TOML.
    """

    name: str
    run: Callable[[bytes], None]
    form: Form = "bytes"


def judge(target: Target, data: bytes) -> bool:
    """Feed one input to a target. Returns whether it was accepted; raises Finding."""
    memory, started = _peak(), time.process_time()
    refusal = None
    try:
        target.run(data)
    except GrievanceError as error:
        refusal = error
    seconds, grown = time.process_time() - started, _peak() - memory
    if seconds > MAX_SECONDS:
        raise Finding(f"{target.name} took {seconds:.1f} s for {len(data)} bytes")
    if grown > MAX_MEMORY:
        raise Finding(f"{target.name} took {grown >> 20} MiB for {len(data)} bytes")
    if refusal is not None and (not refusal.code or len(str(refusal)) > MAX_MESSAGE):
        raise Finding(f"{target.name} refuses with no code, or a message that goes on and on")
    return refusal is None


def same(found: object, expected: object) -> None:
    """Raise Finding unless what was accepted is written again as the same bytes."""
    if found != expected:
        raise Finding("accepted, but written again as other bytes")


def agree(*, here: bool, there: bool) -> None:
    """Raise Finding unless two readers of one format both accept, or both refuse."""
    if here is not there:
        raise Finding("one reader of this format accepts what another one refuses")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
