"""What is to be released, and who agrees: a proposal, then an approval or refusal from each.

A release's id is the first 16 hex digits of the SHA-256 of its proposal's body, so a
proposal cannot change under its id. `attempt` counts proposals that were declined, which is
the only way the same statistics may be proposed again. Source: docs/design.md, section 10.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grievance.crypto.documents import canonical, parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, ReleaseError, is_away
from grievance.pool.layout import RoundPaths
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store
    from grievance.task import RoundTerms

PROPOSAL_KIND = "grievance/2 release proposal"
APPROVAL_KIND = "grievance/2 release approval"
Answer = Literal["approve", "decline"]
MAX_REASON_LENGTH = 500


@dataclass(frozen=True)
class Proposal:
    """Which charged statistics are released, over which closed and decided set of reports."""

    proposer: str
    close: bytes
    statistics: tuple[str, ...]
    accepted: int
    root: bytes
    attempt: int

    def body(self, task: RoundTerms) -> dict[str, object]:
        """The document's body."""
        return {
            "task": task.digest.hex(),
            "proposer": self.proposer,
            "close": self.close.hex(),
            "statistics": list(self.statistics),
            "accepted": self.accepted,
            "root": self.root.hex(),
            "attempt": self.attempt,
        }

    def release_id(self, task: RoundTerms) -> str:
        """The id under which this is released."""
        return hashlib.sha256(canonical(self.body(task))).hexdigest()[:16]

    def digest(self, task: RoundTerms) -> bytes:
        """What approvals and the order chain name: SHA-256 of the body."""
        return hashlib.sha256(canonical(self.body(task))).digest()

    def sign(self, task: RoundTerms, key: SigningKey) -> bytes:
        """Make the signed file."""
        return sign_document(PROPOSAL_KIND, self.body(task), key)


def parse_proposal(data: bytes, task: RoundTerms) -> Proposal:
    """Read a proposal signed by one of the task's aggregators. Raises GrievanceError."""
    document = parse_document(data, kind=PROPOSAL_KIND, limit=SMALL_FILE_SIZE)
    body = StrictObject(
        document.body,
        {"task", "proposer", "close", "statistics", "accepted", "root", "attempt"},
        where="the proposal",
        error=ReleaseError,
        code="release.proposal",
    )
    if body.digest("task") != task.digest:
        body.refuse("belongs to another round")
    names = body.items("statistics")
    if not names or names != [n for n in task.allocations if n in names]:
        body.refuse("does not list statistics of the plan, in the plan's order")
    proposal = Proposal(
        body.text("proposer"),
        body.digest("close"),
        tuple(names),
        body.integer("accepted"),
        body.digest("root"),
        body.integer("attempt"),
    )
    if document.signer != task.aggregators[task.index_of(proposal.proposer)].identity:
        body.refuse("is not signed by the aggregator it names")
    return proposal


@dataclass(frozen=True)
class Approval:
    """One aggregator's answer to a proposal."""

    aggregator: str
    answer: Answer
    reason: str

    def sign(self, task: RoundTerms, proposal: Proposal, key: SigningKey) -> bytes:
        """Make the signed file."""
        body = {
            "task": task.digest.hex(),
            "proposal": proposal.digest(task).hex(),
            "aggregator": self.aggregator,
            "answer": self.answer,
            "reason": self.reason,
        }
        return sign_document(APPROVAL_KIND, body, key)


def parse_approval(data: bytes, task: RoundTerms, proposal: Proposal, aggregator: int) -> Approval:
    """Read an answer to `proposal` signed by aggregator number `aggregator`."""
    party = task.aggregators[aggregator]
    document = parse_document(data, kind=APPROVAL_KIND, signer=party.identity)
    body = StrictObject(
        document.body,
        {"task", "proposal", "aggregator", "answer", "reason"},
        where=f"the approval of {party.name}",
        error=ReleaseError,
        code="release.approval",
    )
    if (
        body.digest("task") != task.digest
        or body.digest("proposal") != proposal.digest(task)
        or body.text("aggregator") != party.name
        or len(body.text("reason")) > MAX_REASON_LENGTH
    ):
        body.refuse("answers another proposal")
    answer: Answer = (
        "approve" if body.literal("answer", "approve", "decline") == "approve" else "decline"
    )
    return Approval(party.name, answer, body.text("reason"))


@dataclass(frozen=True)
class ReleaseView:
    """What the pool holds about one release: the proposal and the answers so far, by name."""

    release_id: str
    proposal: Proposal
    answers: dict[str, Approval]

    @property
    def declined_by(self) -> Approval | None:
        """The first refusal, if there is one."""
        return next((a for a in self.answers.values() if a.answer == "decline"), None)

    def missing(self, task: RoundTerms) -> list[str]:
        """Aggregators that have not answered."""
        return [a.name for a in task.aggregators if a.name not in self.answers]


def read_releases(store: Store, task: RoundTerms) -> Sequence[ReleaseView]:
    """All valid proposals of a round with their answers, sorted by id."""
    paths = RoundPaths(task.round_id)
    views = []
    for release_id in store.names(paths.releases):
        try:
            data = find(store, paths.proposal(release_id), SMALL_FILE_SIZE)
            if data is None:
                continue
            proposal = parse_proposal(bytes(data), task)
        except GrievanceError as error:
            if is_away(error):
                raise
            continue
        if proposal.release_id(task) != release_id:
            continue
        answers = {}
        for index, party in enumerate(task.aggregators):
            data = find(store, paths.approval(release_id, party.name), SMALL_FILE_SIZE)
            if data is None:
                continue
            try:
                answers[party.name] = parse_approval(bytes(data), task, proposal, index)
            except GrievanceError:
                continue
        views.append(ReleaseView(release_id, proposal, answers))
    return views
