"""What a step waits for: named functions of the state, each one question.

Each takes the state, whoever is to act, and what the step is about, and says whether that is
there. What they ask of a round is in `state`; a step lists those it needs in `steps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.history.state import Entry

if TYPE_CHECKING:
    from grievance.history.opening import Opening
    from grievance.history.state import History
    from grievance.pool.order import OrderedBatch
    from grievance.pool.proposals import ReleaseView


# Before the task is signed.


def all_have_joined(opening: Opening, _who: str, _about: None) -> bool:
    """Every aggregator's card is here."""
    return opening.joined >= set(opening.names)


def cards_are_consented_to(opening: Opening, _who: str, _about: None) -> bool:
    """No card claims something that we have not consented to."""
    return not opening.to_consent


def some_card_claims_more(opening: Opening, who: str, _about: None) -> bool:
    """A card says something else than the invitation did, and this one has not consented."""
    return who == opening.me and opening.to_consent


def task_is_written(opening: Opening, _who: str, _about: None) -> bool:
    """The leader has written and signed the task."""
    return opening.is_written


# Reports.


def round_is_open(history: History, _who: str, _about: object) -> bool:
    """The leader has not closed the round."""
    return not history.chain.closed


def round_is_closed(history: History, _who: str, _about: object) -> bool:
    """The leader has closed it."""
    return history.chain.closed


def relay_is_admitted(history: History, _who: str, batch: OrderedBatch) -> bool:
    """The leader has admitted the batch's relay, and not expelled it."""
    chain = history.chain
    return batch.partner not in chain.expelled and batch.relay == chain.partners.get(batch.partner)


def nothing_is_released(history: History, _who: str, _about: object) -> bool:
    """No release is ordered yet."""
    return not history.chain.releases


def batch_has_arrived(history: History, _who: str, batch: OrderedBatch) -> bool:
    """The ordered batch is here."""
    return history.arrived(batch)


def earlier_are_checked(history: History, who: str, batch: OrderedBatch) -> bool:
    """Whoever is to check this batch has checked all before it: what burns follows the chain."""
    earlier = (other for other in history.chain.counted if other.seq < batch.seq)
    return all(history.verified(other, who) for other in earlier)


def all_have_checked(history: History, who: str, batch: OrderedBatch) -> bool:
    """The verifier shares of every aggregator are here."""
    return all(history.verified(batch, name) for name in (who, *history.names))


def earlier_are_decided(history: History, who: str, batch: OrderedBatch) -> bool:
    """Whoever is to decide this batch has decided all before it."""
    earlier = (other for other in history.chain.counted if other.seq < batch.seq)
    return all(history.decided(other, who) for other in earlier)


def all_is_decided(history: History, _who: str, _about: object) -> bool:
    """Every aggregator has decided every batch that counts."""
    batches = history.chain.counted
    return all(history.decided(batch, name) for batch in batches for name in history.names)


# Releases.


def nobody_declined(_history: History, _who: str, view: ReleaseView) -> bool:
    """No aggregator has refused the release."""
    return view.declined_by is None


def all_have_approved(history: History, _who: str, view: ReleaseView) -> bool:
    """Every aggregator has approved it."""
    return history.approved(view)


def is_ordered(history: History, _who: str, view: ReleaseView) -> bool:
    """The leader has ordered it."""
    return history.is_ordered(view)


def earlier_are_here(history: History, _who: str, view: ReleaseView) -> bool:
    """The proposals ordered before it have arrived: what they take is known."""
    ordered, here = history.chain.releases, history.releases
    return all(
        release in here and here[release].proposal.digest(history.task) == ordered[release]
        for release in history.earlier(view)
    )


def statistics_are_free(history: History, _who: str, view: ReleaseView) -> bool:
    """No release ordered before it takes some of the same statistics."""
    return history.taken_before(view) is None


def ledgers_bear_it(history: History, _who: str, view: ReleaseView) -> bool:
    """As far as we know, the others' ledgers are here, hold, and have room for it."""
    return history.memory is None or not history.memory.trouble(view)


def entry_is_here(history: History, _who: str, of: Entry) -> bool:
    """The ledger has been charged for it, on the terms that were approved."""
    return history.on_terms(of)


def head_is_here(history: History, _who: str, of: Entry) -> bool:
    """The ledger's owner has signed the head that the entry makes."""
    return history.on_terms(of) and of.owner not in history.unsigned(of)


def all_have_charged(history: History, _who: str, view: ReleaseView) -> bool:
    """Every aggregator has charged it to its ledger, on the terms that were approved."""
    return all(history.on_terms(Entry(view, name)) for name in history.names)


def all_have_cosigned(history: History, _who: str, view: ReleaseView) -> bool:
    """Every aggregator has signed the head of each of these entries."""
    return not any(history.unsigned(Entry(view, name)) for name in history.names)


def witnesses_have_seen(history: History, _who: str, view: ReleaseView) -> bool:
    """A quorum of the round's witnesses has cosigned each of them, or a later one, or is waived."""
    return not any(history.unseen(Entry(view, name)) for name in history.names)


def releases_are_complete(history: History, who: str, _about: object) -> bool:
    """Whoever is to destroy its keys has published its share of whatever nobody declined."""
    return all(
        view.declined_by is not None or history.published(view, who)
        for view in history.releases.values()
    )
