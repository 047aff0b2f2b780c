"""What an audit finds: findings by file and rule, counts, and one verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from grievance.audit.facts import CampaignTotals, RoundFacts

Severity = Literal["fault", "waiting", "unchecked", "note"]
Verdict = Literal["pass", "fail", "untrusted", "incomplete"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The worst first."""

MAX_FINDINGS = 2_000
"""Findings kept of each severity; the rest are counted. A hostile pool must not fill memory."""

NOT_CHECKED = (
    "that each aggregator drew its noise honestly (one that did is enough for the promise)",
    "that each aggregator summed its shares honestly: one could shift totals, but learns nothing",
    "that one person reported once: the partners vouch for that",
    "that this is the newest state of the pool: an older copy of it is as consistent as it was",
    "what is sealed: reports, verifier shares, and what an aggregator sealed to itself",
)
"""What no reader of a pool can check, and every result says so."""


@dataclass(frozen=True)
class Finding:
    """One thing that was seen.

    `fault`: somebody signed what breaks a rule, and `by` names them. `waiting`: something of ours
    is not there, or not whole, and may rightly come. `unchecked`: nobody here can tell, as of what
    a bundle was made without. `note`: worth knowing, nothing is wrong. `file` is a path of the
    pool, or another place. `evidence` holds the signed texts that prove it by themselves, where
    there are any.
    """

    severity: Severity
    rule: str
    file: str
    message: str
    evidence: tuple[str, ...] = ()
    by: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Write the finding."""
        found: dict[str, Any] = {
            "severity": self.severity,
            "rule": self.rule,
            "file": self.file,
            "message": self.message,
        }
        found |= {"by": list(self.by)} if self.by else {}
        return found | ({"evidence": list(self.evidence)} if self.evidence else {})


@dataclass(frozen=True)
class Counts:
    """How much was looked at."""

    files: int = 0
    rules: int = 0
    signatures: int = 0
    rounds: int = 0
    batches: int = 0
    reports: int = 0
    accepted: int = 0
    releases: int = 0


@dataclass(frozen=True)
class SeenHead:
    """The newest head of a ledger here: `spoken` is what people read out, `note` its text."""

    ledger: str
    size: int
    spoken: str
    note: str


@dataclass(frozen=True)
class AuditResult:
    """The outcome. `vouched`: every key was vouched for from outside the pool; `anchored`: some.

    `rounds` maps every round that reads to its digest, `keys` every aggregator to its
    fingerprint, both in the short form that people compare. `rehearsals` are the rounds in which
    one machine could read every answer. `heads` are the newest heads of the ledgers here.
    `details` are the rounds that were looked at. `bundle` names the program that made the bundle,
    if the pool was read from one.
    """

    verdict: Verdict
    vouched: bool
    findings: tuple[Finding, ...]
    omitted: int
    counts: Counts
    campaigns: dict[str, CampaignTotals] = field(default_factory=dict)
    rounds: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    rehearsals: tuple[str, ...] = ()
    heads: tuple[SeenHead, ...] = ()
    details: tuple[RoundFacts, ...] = ()
    anchored: bool = True
    bundle: str = ""
    seconds: float = 0.0

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are faults."""
        return tuple(f for f in self.findings if f.severity == "fault")

    @property
    def sentence(self) -> str:
        """The verdict in words, with what was let go in it."""
        waived = "".join(
            f" Release {release.release_id}: {release.watched}."
            for facts in self.details
            for release in facts.releases
            if release.waived
        )
        return self._verdict + waived

    @property
    def _verdict(self) -> str:
        words = {
            "pass": "Everything in this pool is as it should be.",
            "fail": self._fail,
            "untrusted": "This pool is consistent, but not all keys in it were vouched for.",
            "incomplete": self._incomplete,
        }[self.verdict]
        if self.anchored:
            return words
        if self.verdict == "untrusted":
            words = "What can be checked without knowing whose they are is consistent."
        return f"Nobody vouched for these keys. {words}"

    @property
    def _fail(self) -> str:
        names = sorted({name for finding in self.faults for name in finding.by})
        if not names:
            return "The published file that you named is not what this pool says; see the findings."
        return f"This pool breaks rules, by the signature of {', '.join(names)}; see the findings."

    @property
    def _incomplete(self) -> str:
        if any(finding.severity == "waiting" for finding in self.findings):
            return "What is there is as it should be, but something has yet to come."
        if any(f.severity == "unchecked" and f.rule != "bundle.left-out" for f in self.findings):
            return "What could be checked is as it should be, but not everything could be."
        return "What is there is as it should be, but this bundle was made without its batches."

    def to_json(self) -> dict[str, Any]:
        """Write the result for programs."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "vouched": self.vouched,
            "findings": [finding.to_json() for finding in self.findings],
            "omitted": self.omitted,
            "counts": dict(vars(self.counts)),
            "campaigns": {name: found.to_json() for name, found in self.campaigns.items()},
            "rounds": dict(self.rounds),
            "keys": dict(self.keys),
            "rehearsals": list(self.rehearsals),
            "heads": [asdict(head) for head in self.heads],
            "details": [facts.to_json() for facts in self.details],
            "bundle": self.bundle or None,
            "not_checked": list(NOT_CHECKED),
            "seconds": round(self.seconds, 3),
        }


def verdict_of(findings: list[Finding], *, vouched: bool) -> Verdict:
    """The verdict that follows: a fault outweighs a missing anchor, that outweighs gaps."""
    severities = {finding.severity for finding in findings}
    if "fault" in severities:
        return "fail"
    if not vouched:
        return "untrusted"
    return "incomplete" if severities & {"waiting", "unchecked"} else "pass"
