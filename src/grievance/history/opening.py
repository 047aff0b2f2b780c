"""A round before its task is signed by all: who was invited, who joined, who signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Opening:
    """What one aggregator sees of a round that does not take reports yet.

    `joined` and `signed` name those whose card and signature are here; `is_written`: the task is.
    `has_claims`: some card says something else than the invitation did, which everybody has to
    consent to; `to_consent`: we have not.
    """

    round_id: str
    me: str
    names: Sequence[str]
    joined: frozenset[str]
    signed: frozenset[str] = frozenset()
    is_written: bool = False
    has_claims: bool = False
    to_consent: bool = False

    @property
    def leader(self) -> str:
        """Who wrote the invitation, and writes the task."""
        return self.names[0]
