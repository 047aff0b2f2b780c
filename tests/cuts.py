"""A machine that stops at a failpoint, in this process."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from grievance import failpoints

if TYPE_CHECKING:
    from collections.abc import Iterator


class PowerCutError(BaseException):
    """The power is gone. Nothing of ours catches it, so blocks that tidy up are all that runs."""


@contextlib.contextmanager
def power(cut: tuple[str, int] | None) -> Iterator[None]:
    """Stop where a failpoint is reached for the n-th time; tests/crash does it with SIGKILL."""
    if cut is None:
        yield
        return

    def fail(_action: str) -> None:
        raise PowerCutError

    kept, failpoints._fail = failpoints._fail, fail  # type: ignore[assignment]
    failpoints._reached.clear()
    os.environ[failpoints.VARIABLE] = f"{cut[0]}:{cut[1]}:kill"
    try:
        yield
    finally:
        del os.environ[failpoints.VARIABLE]
        failpoints._fail = kept
