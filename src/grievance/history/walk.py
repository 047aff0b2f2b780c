"""What a state says by the table of steps: whose turn it is, and what of a release is lacking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from grievance.history.opening import Opening
from grievance.history.state import Entry, History
from grievance.history.steps import RELEASE, Step
from grievance.ledger.cosigned import (
    cosignature_in_words,
    quorum_in_words,
    quorum_of,
    witnesses_of,
)
from grievance.pool.order import OrderedBatch
from grievance.pool.proposals import ReleaseView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

State = History | Opening


class Lack(NamedTuple):
    """Something of a release that is not there: the step, who has to take it, in words."""

    step: Step
    who: str
    words: str


@dataclass(frozen=True)
class Turn:
    """A step that is `who`'s to take: what it needs is there, and it is not done."""

    step: Step
    who: str
    about: object
    what: str
    command: str


def turns(state: State, table: Sequence[Step], view: ReleaseView | None = None) -> Iterator[Turn]:
    """Everybody's steps of a table that can be taken now, about one release or about all."""
    for step, about, who in _places(state, table, view):
        if step.is_open(state, who, about):
            yield _turn(state, step, who, about)


def awaited(state: State, table: Sequence[Step], view: ReleaseView | None = None) -> Iterator[Turn]:
    """Those that somebody waits for already; of others nothing is read."""
    for step, about, who in _places(state, table, view):
        waits = all(need(state, who, about) for need in step.awaited)
        if waits and step.is_open(state, who, about):
            yield _turn(state, step, who, about)


def _turn(state: State, step: Step, who: str, about: object) -> Turn:
    words = _words(state, who, about)
    return Turn(step, who, about, step.sentence.format(**words), step.command.format(**words))


def lacks(history: History, view: ReleaseView) -> list[Lack]:
    """What stands between a release and its numbers, in the order of the table."""
    found: dict[tuple[str, str], Lack] = {}
    for step, about, who in _places(history, RELEASE, view):
        if step.lacking and not step.is_taken(history, who, about):
            lack = Lack(step, who, step.lacking.format(**_words(history, who, about)))
            found.setdefault((step.name, lack.words), lack)
    return list(found.values())


def _places(
    state: State, table: Sequence[Step], view: ReleaseView | None
) -> Iterator[tuple[Step, object, str]]:
    """Each step of a table with each thing it can be about and each party that may take it."""
    for step in table:
        for about in _subjects(state, step, view) if step.actors else ():
            for who in step.actors(state, about) if step.actors else ():
                yield step, about, who


def _subjects(state: State, step: Step, view: ReleaseView | None) -> Sequence[object]:
    if isinstance(state, Opening) or step.per == "round":
        return [None]
    if step.per == "batch":
        return state.chain.counted
    views = [view] if view is not None else list(state.releases.values())
    if step.per == "release":
        return views
    return [Entry(one, name) for one in views if state.is_ordered(one) for name in state.names]


def _words(state: State, who: str, about: object) -> dict[str, object]:
    """What the sentences of the table speak about."""
    words: dict[str, object] = {"who": who}
    if isinstance(state, Opening):
        again = state.has_claims
        return words | {
            "round": state.round_id,
            "first": "reads what the cards say now, consents or not, and " if again else "",
            "then": f"grievance round consent {state.round_id}, then " if again else "",
        }
    if isinstance(about, OrderedBatch):
        return words | {"seq": about.seq}
    if isinstance(about, Entry):
        unseen, among = state.unseen(about), witnesses_of(state.task)
        more = quorum_of(state.task) - (len(among) - len(unseen))
        return words | {
            "release": about.view.release_id,
            "owner": about.owner,
            "cosignature": cosignature_in_words(who, about.owner),
            "quorum": quorum_in_words(more, unseen, about.owner),
        }
    if isinstance(about, ReleaseView):
        release, memory = about.release_id, state.memory
        ours = memory is not None and memory.name == who
        late = memory.lost_share(release) if memory is not None and ours else None
        return words | {
            "release": release,
            "when": f" when {late} has arrived" if late else "",
            "trouble": memory.trouble(about).get(who, "") if memory is not None else "",
        }
    return words
