"""The steps of a round: who takes each, what it needs, what it leaves in the pool.

One table. `sync` takes an aggregator's steps whose needs are met, `status` says who is waited for,
`collect` asks whether every step of a release is done, and the page of who waits for whom is made
from it. The audit does not read it: it states the order a second time (`audit/needs.py`).
Source: docs/design.md, sections 7, 8 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grievance.history import needs as n
from grievance.history.state import Entry
from grievance.ledger.cosigned import witnesses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from grievance.history.opening import Opening
    from grievance.history.state import History
    from grievance.pool.order import OrderedBatch
    from grievance.pool.proposals import ReleaseView

    # The state is a `History` or an `Opening`, and what a step is about follows from `per`.
    Question = Callable[[Any, str, Any], bool]
    Actors = Callable[[Any, Any], Sequence[str]]

Per = Literal["organisation", "opening", "round", "batch", "release", "entry"]
SYNC = "grievance sync"


@dataclass(frozen=True)
class Step:
    """Something one party does, once for each `per`.

    `who` may take it (in words), `actors(state, about)` are their names where somebody is waited
    for. `needs` must all hold before it can be taken, `is_done(state, who, about)` says whether it
    was. `leaves`: kinds of files, as `pool.layout` writes them, and of events. `sentence`: what the
    actor does, said after its name; empty where a person decides and nobody waits. `awaited`: from
    when on anybody waits for it. `lacking`: what a reader of the release says where it is missing.
    """

    name: str
    who: str
    per: Per
    needs: tuple[Question, ...] = ()
    leaves: tuple[str, ...] = ()
    sentence: str = ""
    command: str = SYNC
    actors: Actors | None = None
    is_done: Question | None = None
    awaited: tuple[Question, ...] = ()
    lacking: str = ""

    def is_taken(self, state: History | Opening, who: str, about: object) -> bool:
        """Whether it was taken, as far as this can be seen."""
        return self.is_done is not None and self.is_done(state, who, about)

    def is_met(self, state: History | Opening, who: str, about: object) -> bool:
        """Whether all that it needs is there."""
        return all(need(state, who, about) for need in self.needs)

    def is_open(self, state: History | Opening, who: str, about: object) -> bool:
        """Whether it can be taken now, and was not."""
        return not self.is_taken(state, who, about) and self.is_met(state, who, about)


def _everybody(state: History | Opening, _about: object) -> Sequence[str]:
    return state.names


def _leader(state: History | Opening, _about: object) -> Sequence[str]:
    return state.names[:1]


def _relay_of(_history: History, batch: OrderedBatch) -> Sequence[str]:
    return [batch.partner]


def _owner(_history: History, of: Entry) -> Sequence[str]:
    return [of.owner]


def _others(history: History, of: Entry) -> Sequence[str]:
    return [name for name in history.names if name != of.owner]


def _witnesses(history: History, _of: Entry) -> Sequence[str]:
    return sorted(witnesses_of(history.task))


def _in_trouble(history: History, view: ReleaseView) -> Sequence[str]:
    """Whose ledger, as far as we know, holds up a release of which our share is not out."""
    memory = history.memory
    going_on = history.is_ordered(view) and history.approved(view)
    if memory is None or not going_on or history.published(view, memory.name):
        return []
    return list(memory.trouble(view))


# fmt: off
JOIN = Step(
    "join", "helper", "opening",
    leaves=("rounds/<id>/cards/<aggregator>.json",),
    sentence="reads the plan and joins the round", command="grievance round join {round}",
    actors=_everybody, is_done=lambda opening, who, _: who in opening.joined,
)
CONSENT = Step(
    "consent", "aggregator", "opening",
    needs=(n.all_have_joined, n.some_card_claims_more),
    sentence="reads what the cards say now, and consents or not",
    command="grievance round consent {round}",
    actors=_everybody, is_done=lambda opening, who, _: who != opening.me or not opening.to_consent,
)
WRITE = Step(
    "write the task", "leader", "opening",
    needs=(n.all_have_joined, n.cards_are_consented_to),
    leaves=("rounds/<id>/task.json", "rounds/<id>/verify-key.json",
        "rounds/<id>/signatures/<aggregator>.json"),
    sentence="{first}writes and signs the task", command="{then}grievance sync",
    actors=_leader, is_done=lambda opening, _who, _: opening.is_written,
)
SIGN = Step(
    "sign the task", "helper", "opening",
    needs=(n.task_is_written, n.cards_are_consented_to),
    leaves=("rounds/<id>/signatures/<aggregator>.json",),
    sentence="{first}signs the task", command="{then}grievance sync",
    actors=_everybody, is_done=lambda opening, who, _: who in opening.signed,
)
ARRIVE = Step(
    "relay", "relay", "batch",
    leaves=("rounds/<id>/batches/<partner>-<digest>",),
    sentence="batch {seq} has not arrived",
    actors=_relay_of, is_done=lambda history, _who, batch: history.arrived(batch),
)
CHECK = Step(
    "check", "aggregator", "batch",
    needs=(n.earlier_are_checked, n.batch_has_arrived),
    leaves=("rounds/<id>/verify/<seq>/<aggregator>",),
    sentence="checks batch {seq}",
    actors=_everybody, is_done=lambda history, who, batch: history.verified(batch, who),
)
DECIDE = Step(
    "decide", "aggregator", "batch",
    needs=(n.earlier_are_decided, n.all_have_checked),
    leaves=("rounds/<id>/decide/<seq>/<aggregator>.json",),
    sentence="decides batch {seq}",
    actors=_everybody, is_done=lambda history, who, batch: history.decided(batch, who),
    awaited=(n.round_is_closed,),
)
APPROVE = Step(
    "approve or decline", "aggregator", "release",
    needs=(n.round_is_closed, n.all_is_decided, n.nobody_declined),
    leaves=("rounds/<id>/releases/<release>/approvals/<aggregator>.json",),
    sentence="approves or declines release {release}",
    command="grievance release approve {release}",
    actors=_everybody, is_done=lambda history, who, view: history.answered(view, who),
)
ORDER = Step(
    "order the release", "leader", "release",
    needs=(n.all_have_approved, n.earlier_are_here, n.statistics_are_free),
    leaves=("order: release",),
    sentence="orders release {release}",
    actors=_leader, is_done=lambda history, _who, view: history.is_ordered(view),
    lacking="the leader, {who}, has not ordered it yet",
)
MEND = Step(
    "mend its ledger", "aggregator", "release",
    needs=(n.all_have_approved, n.is_ordered),
    sentence="{trouble}",
    actors=_in_trouble, is_done=lambda *_: False,
)
CHARGE = Step(
    "charge", "aggregator", "release",
    needs=(n.all_have_approved, n.is_ordered, n.earlier_are_here, n.statistics_are_free,
        n.ledgers_bear_it),
    leaves=("ledger/<aggregator>/<size>.json", "ledger/<aggregator>/<size>.share",
        "ledger: release"),
    sentence="charges release {release}",
    actors=_everybody, is_done=lambda history, who, view: history.on_terms(Entry(view, who)),
    lacking="{who} has not charged it to its ledger yet",
)
HEAD = Step(
    "sign the head", "aggregator", "entry",
    needs=(n.entry_is_here,),
    leaves=("ledger/<aggregator>/<size>.checkpoint",),
    sentence="signs the head of its ledger",
    actors=_owner, is_done=lambda history, _who, of: of.owner not in history.unsigned(of),
    lacking="{cosignature}",
)
COSIGN = Step(
    "cosign", "other aggregators", "entry",
    needs=(n.head_is_here,),
    leaves=("ledger/<aggregator>/<size>.<witness>.cosignature",),
    sentence="cosigns the ledger of {owner}",
    actors=_others, is_done=lambda history, who, of: who not in history.unsigned(of),
    lacking="{cosignature}",
)
WITNESS = Step(
    "witness", "witness", "entry",
    needs=(n.head_is_here,),
    leaves=("ledger/<aggregator>/<size>.<witness>.cosignature",),
    sentence="cosigns the ledger of {owner}, as a witness",
    actors=_witnesses, is_done=lambda history, who, of: who not in history.unseen(of),
    lacking="{quorum}",
)
WAIVE = Step(
    "waive witnesses", "aggregator", "release",
    needs=(n.all_have_charged, n.all_have_cosigned),
    leaves=("rounds/<id>/releases/<release>/waivers/<aggregator>.json",),
)
PUBLISH = Step(
    "publish", "aggregator", "release",
    needs=(n.all_have_charged, n.all_have_cosigned, n.witnesses_have_seen),
    leaves=("rounds/<id>/releases/<release>/noisy/<aggregator>.json",),
    sentence="publishes its noisy share of {release}{when}",
    actors=_everybody, is_done=lambda history, who, view: history.published(view, who),
    lacking="{who} has not published its noisy share yet",
)
OPENING = (JOIN, CONSENT, WRITE, SIGN)
BATCH = (ARRIVE, CHECK, DECIDE)
RELEASE = (APPROVE, ORDER, MEND, CHARGE, HEAD, COSIGN, WITNESS, WAIVE, PUBLISH)

STEPS = (
    # Once for each organisation, or whenever it is needed.
    Step(
        "init", "anybody", "organisation",
        leaves=("partners/<name>.json", "partners/<name>.mailbox.json"),
    ),
    Step(
        "back up", "anybody", "organisation",
        leaves=("backups/<owner>/<set>/set.json", "backups/<owner>/<set>/archive-<n>",
            "backups/<owner>/<set>/rehearsed.json"),
    ),
    Step(
        "ask for a backup", "whoever lost a machine", "organisation",
        leaves=("backups/<owner>/requests/<id>.json",),
    ),
    Step(
        "give a piece of it", "trustee", "organisation",
        leaves=("backups/<owner>/answers/<id>/<trustee>.json",),
    ),
    Step(
        "ask for heads", "whoever lost its state", "organisation",
        leaves=("heads/<aggregator>/<id>.json",),
    ),
    Step(
        "tell a head", "whoever holds one", "organisation",
        leaves=("heads/<aggregator>/<id>.<witness>.json",),
    ),
    Step(
        "recover alone", "aggregator", "organisation",
        leaves=("ledger/<aggregator>/<size>.json", "ledger/<aggregator>/<size>.checkpoint",
            "ledger: alone"),
    ),
    Step(
        "keep evidence", "whoever sees two versions", "organisation",
        leaves=("ledger/<aggregator>/<size>.<witness>.fork",
            "rounds/<id>/evidence/order-<seq>-<witness>.json",
            "rounds/<id>/evidence/twice-<file>-<witness>.json"),
    ),
    # Until a round's task is signed by all.
    Step(
        "open", "leader", "opening",
        leaves=("rounds/<id>/plan.toml", "rounds/<id>/cards/<aggregator>.json"),
    ),
    *OPENING,
    # Reports, while it is open.
    Step("admit", "leader", "round", needs=(n.round_is_open,), leaves=("order: admit",)),
    Step("expel", "leader", "round", needs=(n.round_is_open,), leaves=("order: expel",)),
    Step(
        "order the batch", "leader", "batch",
        needs=(n.round_is_open, n.relay_is_admitted, n.batch_has_arrived),
        leaves=("order: batch",),
    ),
    Step("void", "leader", "round", needs=(n.nothing_is_released,), leaves=("order: void",)),
    Step("close", "leader", "round", needs=(n.round_is_open,), leaves=("order: close",)),
    *BATCH,
    # Releases, after the close.
    Step(
        "propose", "aggregator", "round",
        needs=(n.round_is_closed, n.all_is_decided),
        leaves=("rounds/<id>/releases/<release>/proposal.json",
            "rounds/<id>/releases/<release>/approvals/<aggregator>.json"),
    ),
    *RELEASE,
    Step(
        "destroy", "aggregator", "round",
        needs=(n.round_is_closed, n.all_is_decided, n.releases_are_complete),
        leaves=("ledger/<aggregator>/<size>.json", "ledger/<aggregator>/<size>.checkpoint",
            "ledger: destroyed"),
    ),
)
"""Every step there is. `order: ...` and `ledger: ...` are events, in `rounds/<id>/order/<seq>.json`
and in a ledger's entries."""
# fmt: on
