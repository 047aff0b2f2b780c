"""What is signed once: the one table of kinds, and who signed what for which place.

A finding that names somebody needs two things that this somebody signed. They contradict each
other only where their signed bytes claim one place, and what may be signed once for a place is
listed here, kind by kind. The path of a file says nothing: a copy under another name, in another
folder or in another pool claims what it claimed before.

Everything else may lawfully be signed again: an organisation's own description, a cosignature
(of any head, at any time), evidence, a backup, an answer to a request; see `SEVERAL`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from grievance.ledger.entry import KIND as ENTRY_KIND
from grievance.pool.decisions import DECISION_KIND
from grievance.pool.noisy import KIND as SHARE_KIND
from grievance.pool.noisy import OWN_KIND as OWN_SHARE_KIND
from grievance.pool.order import KIND as ORDER_KIND
from grievance.pool.proposals import APPROVAL_KIND, PROPOSAL_KIND
from grievance.task.card import KIND as CARD_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.crypto.documents import Document

Place = tuple[object, ...]
"""What a statement is about, as its signed bytes say it; kinds of statements never share one."""


@dataclass(frozen=True)
class Once:
    """A kind of document that one organisation signs once for a place.

    `keys`: the parts of the signed body that say which place; `words`: the place as people read
    it, with those parts; `rule`: what is broken by a second version.
    """

    keys: tuple[str, ...]
    words: str
    rule: str = "file.twice"


ONCE: Final[Mapping[str, Once]] = MappingProxyType(
    {
        # Also where they name two plans: a plan has no signature but these.
        CARD_KIND: Once(("round", "aggregator"), "the card of {1} for {0}"),
        ORDER_KIND: Once(("task", "seq"), "event {1} of its round", "order.fork"),
        DECISION_KIND: Once(("task", "seq"), "the decision about batch {1}"),
        APPROVAL_KIND: Once(("task", "proposal", "aggregator"), "the answer to a release"),
        SHARE_KIND: Once(("task", "release", "aggregator"), "the noisy share of {1}"),
        ENTRY_KIND: Once(("ledger", "size"), "entry {1} of the ledger of {0}", "ledger.fork"),
    }
)
"""Kinds that are written once. What the bodies of two of them say must be the same."""

SEVERAL: Final = frozenset(
    {
        "grievance/2 identity",
        "grievance/2 mailbox",
        "grievance/2 task signature",  # one for every task; see `claim_task`
        "grievance/2 verify key",  # sealed anew, it says the same
        PROPOSAL_KIND,  # named by what it says
        OWN_SHARE_KIND,  # sealed to its owner
        "grievance/2 two versions",
        "grievance/2 witness waiver",  # one more witness may be let go
        "grievance/2 heads request",  # a question is asked anew
        "grievance/2 heads answer",  # and answered anew
        "grievance/2 backup set",
        "grievance/2 backup archive",
        "grievance/2 backup rehearsed",
        "grievance/2 backup request",
        "grievance/2 backup answer",
    }
)
"""Kinds of which several, that say different things, are lawful."""

_HEAD, _TAIL = b'{"body":', b',"kind":"'


@dataclass(frozen=True)
class Claim:
    """That somebody signed something for a place. `says`: a digest of what it says about it."""

    signer: bytes
    place: Place
    says: bytes
    words: str
    rule: str


@dataclass(frozen=True)
class Statement:
    """A claim and the file that proves it, `where` as people read it."""

    claim: Claim
    where: str


class Statements:
    """The first statement that was met for every place, in all the pools looked at."""

    def __init__(self) -> None:
        self._first: dict[tuple[bytes, Place], Statement] = {}

    def add(self, claim: Claim, where: str) -> Statement | None:
        """Take a statement in. Returns the one met before for the same place, if there is one."""
        before = self._first.setdefault((claim.signer, claim.place), Statement(claim, where))
        return None if before.where == where and before.claim == claim else before

    def find(self, claim: Claim) -> Statement | None:
        """What the same signer was met to have signed for the same place."""
        return self._first.get((claim.signer, claim.place))


def claim_of(document: Document) -> Claim | None:
    """What a signed document claims; None where its kind may be signed more than once."""
    once = ONCE.get(document.kind)
    if once is None:
        return None
    values = [document.body.get(key) for key in once.keys]
    if not all(type(value) in (str, int) for value in values):
        return None  # it claims no place: malformed, which is for its reader to say
    data = document.data
    says = hashlib.sha256(data[len(_HEAD) : data.rfind(_TAIL)]).digest()
    words = once.words.format(*(str(value)[:40] for value in values))
    return Claim(document.signer.raw, (document.kind, *values), says, words, once.rule)


def claim_head(signer: bytes, ledger: str, size: int, root: bytes) -> Claim:
    """That the owner of a ledger signed this head of it."""
    words = f"the head of {size} entries of the ledger of {ledger}"
    return Claim(signer, ("head", ledger, size), root, words, "ledger.fork")


def claim_shares(signer: bytes, task: bytes, seq: int, sender: int, says: bytes) -> Claim:
    """That an aggregator sealed these verifier shares of a batch."""
    words = f"the verifier shares of batch {seq}"
    return Claim(signer, ("verify", task, seq, sender), says, words, "file.twice")


def claim_task(signer: bytes, round_id: str, digest: bytes) -> Claim:
    """That an aggregator signed this task for a round."""
    return Claim(signer, ("task", round_id), digest, f"the task of {round_id}", "file.twice")


def claim_step(signer: bytes, campaign: str, rehearsal: bool, after: bytes, task: bytes) -> Claim:
    """That an aggregator signed this task as what follows `after`; nothing, for a beginning."""
    words = f"the round of the campaign {campaign} that follows {after.hex()[:16]}"
    if not after:
        words = f"the beginning of the campaign {campaign}"
    return Claim(signer, ("step", campaign, rehearsal, after), task, words, "task.campaign")
