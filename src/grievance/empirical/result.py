"""What a statistical audit found, for programs and for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["pass", "flagged"]

FALSE_ALARM = 1e-6
"""The chance that one test flags noise that is as stated. Those of several tests add up."""

NOT_SHOWN = tuple(
    " ".join(text.split())
    for text in (
        """a pass is evidence, not proof: a fault smaller than the checks can see, or one that
        shows on other inputs than were tried, stays unseen""",
        """published numbers show the noise of all aggregators together, and only where tables
        overlap; they cannot tell whose noise is missing""",
        """numbers that were chosen to look like noise pass every check: nobody can prove from
        outside that noise was drawn honestly; one aggregator that did is enough for the
        promise""",
    )
)
"""What stays open whatever the outcome, for people."""


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, what was promised, what was found.

    Attributes:
        kind: "published"; others where this library's own noise is examined, which is no part of
            the program (`python -m benchmarks.sampler`).
        about: The statistic, or what else the check is about.
        flagged: Whether a promise is refuted, but for a chance of `false_alarm`.
        sentence: The outcome in words.
        numbers: The same for programs; infinite bounds are None.
        false_alarm: The chance, at most, that it flags noise that is as stated.
    """

    kind: str
    about: str
    flagged: bool
    sentence: str
    numbers: dict[str, Any]
    false_alarm: float = FALSE_ALARM

    def to_json(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "check": self.kind,
            "about": self.about,
            "flagged": self.flagged,
            "sentence": self.sentence,
            **{name: _plain(value) for name, value in self.numbers.items()},
        }


@dataclass(frozen=True)
class StatisticalResult:
    """The outcome for one round."""

    round_id: str
    checks: tuple[Check, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """Whether any check was flagged."""
        return "flagged" if any(check.flagged for check in self.checks) else "pass"

    @property
    def false_alarm(self) -> float:
        """The chance, at most, that a round whose noise is as stated is flagged all the same."""
        return sum(check.false_alarm for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "round": self.round_id,
            "verdict": self.verdict,
            "false_alarm": self.false_alarm,
            "checks": [check.to_json() for check in self.checks],
            "not_shown": list(NOT_SHOWN),
            "seconds": round(self.seconds, 1),
        }


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
