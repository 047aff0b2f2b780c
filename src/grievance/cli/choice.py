"""Which round a command is about: the one place that says which rounds a command applies to.

Nobody should have to name a round where only one can be meant. So each command takes the rounds
of the stage it applies to, and asks only when several of those remain; then it prints the
finished line for each. Nothing here decides what may be done: the command still refuses.
"""

from __future__ import annotations

import shlex
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.cli.output import ask, say
from grievance.cli.places import round_ids, vouched_rounds
from grievance.errors import GrievanceError, RoundChoiceError, UsageError, is_away

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.home import Home
    from grievance.pool.order import OrderChain
    from grievance.pool.proposals import ReleaseView
    from grievance.pool.store import Store
    from grievance.task import Task

typed: ContextVar[tuple[str, ...] | None] = ContextVar("typed", default=None)
"""What was typed after `grievance`, where one process types for several; else `sys.argv`."""

_NAMED = {("round", "join"), ("round", "consent")}
"""Commands that take their round as a word of its own."""


class Seen:
    """A round as far as a choice needs it. What cannot be read is as if it were not there."""

    def __init__(self, store: Store, own: Home | None, round_id: str) -> None:
        self.store, self.own, self.round_id = store, own, round_id

    @cached_property
    def task(self) -> Task | None:
        """The task, once every aggregator has signed it."""
        from grievance.pool.rounds import read_task

        return read_task(self.store, self.round_id)

    @cached_property
    def chain(self) -> OrderChain | None:
        """The events of a signed round; None too where they break a rule."""
        from grievance.pool.order import read_chain

        try:
            return read_chain(self.store, self.task) if self.task is not None else None
        except GrievanceError as error:
            if is_away(error):
                raise
            return None

    @cached_property
    def members(self) -> list[bytes]:
        """The aggregators' keys, the leader's first: those who signed, or are invited."""
        if self.task is not None:
            return [party.identity.raw for party in self.task.aggregators]
        try:
            invitation = self.own.invitation(self.round_id) if self.own is not None else None
        except GrievanceError as error:
            if is_away(error):
                raise
            invitation = None
        return [member.key.raw for member in invitation.members] if invitation else []

    @cached_property
    def title(self) -> str:
        """The plan's title, as whoever invited wrote it."""
        from grievance.pool.rounds import read_invitations

        if self.task is not None:
            return self.task.plan.title
        try:
            found = read_invitations(self.store, self.round_id)
        except GrievanceError as error:
            if is_away(error):
                raise
            return ""
        return found[0].plan.title if found else ""

    @cached_property
    def views(self) -> Sequence[ReleaseView]:
        """What was proposed for release."""
        from grievance.pool.proposals import read_releases

        return read_releases(self.store, self.task) if self.task is not None else ()

    @property
    def key(self) -> bytes:
        """Our own key; empty for whoever reads a pool without being an organisation."""
        return self.own.key.public.raw if self.own is not None else b""

    @property
    def leads(self) -> bool:
        """Whether we lead it."""
        return self.members[:1] == [self.key]

    @property
    def is_open(self) -> bool:
        """Whether it is signed and takes reports."""
        return self.chain is not None and not self.chain.closed

    @property
    def has_keys(self) -> bool:
        """Whether we are an aggregator of it whose keys are still there."""
        own = self.own
        if own is None or self.key not in self.members:
            return False
        return own.round_files(self.round_id).folder.is_dir()

    def is_published(self, view: ReleaseView) -> bool:
        """Whether every aggregator's noisy share of a release lies in the pool."""
        from grievance.pool.layout import RoundPaths
        from grievance.pool.noisy import LIMIT
        from grievance.pool.store import find

        paths, parties = RoundPaths(self.round_id), self.task.aggregators if self.task else ()
        shares = (paths.noisy(view.release_id, party.name) for party in parties)
        return all(find(self.store, path, LIMIT) is not None for path in shares)

    @property
    def stage(self) -> str:
        """How far it has come, in a word or two."""
        if self.task is None:
            return "not signed by all yet"
        if self.chain is None:
            return "its events do not hold"
        if not self.chain.closed:
            return "open"
        return "released" if any(map(self.is_published, self.views)) else "closed"


# Which rounds each command applies to.


def takes_reports(seen: Seen) -> bool:
    """`relay`: open, and we were not expelled."""
    own, chain = seen.own, seen.chain
    return own is not None and chain is not None and seen.is_open and own.name not in chain.expelled


def can_be_handed_out(seen: Seen) -> bool:
    """`round invite`: signed by all, and not closed."""
    return seen.is_open


def is_to_be_joined(seen: Seen) -> bool:
    """`round join`: we are invited, and our card is not there."""
    from grievance.pool.layout import RoundPaths
    from grievance.pool.store import SMALL_FILE_SIZE, find

    own = seen.own
    if own is None or seen.task is not None or seen.key not in seen.members[1:]:
        return False
    return find(own.store, RoundPaths(seen.round_id).card(own.name), SMALL_FILE_SIZE) is None


def asks_for_consent(seen: Seen) -> bool:
    """`round consent`: we take part, and it is not signed by all."""
    return seen.task is None and seen.key in seen.members


def may_admit(seen: Seen) -> bool:
    """`admit`: we lead it, and it is not closed; it need not be signed yet."""
    return seen.leads and (seen.task is None or seen.is_open)


def is_led_and_open(seen: Seen) -> bool:
    """`expel`, `round close`: we lead it, and it is open."""
    return seen.leads and seen.is_open


def has_batch(place: int) -> Callable[[Seen], bool]:
    """`round void`: we lead it, nothing is released, and this batch is not given up."""

    def applies(seen: Seen) -> bool:
        chain = seen.chain
        if not seen.leads or chain is None or chain.releases:
            return False
        return any(batch.seq == place for batch in chain.counted)

    return applies


def gave_up_batch(place: int) -> Callable[[Seen], bool]:
    """`round order`: we lead it, it is open, and this batch was given up."""
    return lambda seen: (
        is_led_and_open(seen) and seen.chain is not None and place in seen.chain.voided
    )


def can_be_destroyed(seen: Seen) -> bool:
    """`round destroy`: closed, and our keys are there."""
    return seen.has_keys and seen.chain is not None and seen.chain.closed


def can_be_proposed(seen: Seen) -> bool:
    """`release propose`: closed, our keys are there, and a statistic is not spoken for."""
    if seen.task is None or not can_be_destroyed(seen):
        return False
    live = [view for view in seen.views if view.declined_by is None]
    return bool(set(seen.task.allocations) - {n for v in live for n in v.proposal.statistics})


def waits_for_answer(release: str | None) -> Callable[[Seen], bool]:
    """`release approve`, `decline`: this release, or one that waits for our answer."""

    def applies(seen: Seen) -> bool:
        own = seen.own
        if own is None or not seen.has_keys:
            return False
        if release is not None:
            return any(view.release_id.startswith(release) for view in seen.views)
        return any(own.name not in v.answers and v.declined_by is None for v in seen.views)

    return applies


def waits_to_leave(release: str | None) -> Callable[[Seen], bool]:
    """`release waive`: this release, or one that is not published; our keys are there."""

    def applies(seen: Seen) -> bool:
        if not seen.has_keys:
            return False
        if release is not None:
            return any(view.release_id.startswith(release) for view in seen.views)
        return any(v.declined_by is None and not seen.is_published(v) for v in seen.views)

    return applies


def has_release(release: str | None) -> Callable[[Seen], bool]:
    """`release show`, `export`: this release, or one that is published."""

    def applies(seen: Seen) -> bool:
        if release is not None:
            return any(view.release_id.startswith(release) for view in seen.views)
        return any(map(seen.is_published, seen.views))

    return applies


def any_round(_seen: Seen) -> bool:
    """`audit --round`: whatever was named."""
    return True


# The choice.


@dataclass(frozen=True)
class _Choice:
    """A round that fits, and the line with which it is the only one."""

    seen: Seen
    line: str

    @property
    def words(self) -> str:
        return f"{self.seen.round_id}: {self.seen.title} [{self.seen.stage}]"


def pick_round(
    store: Store,
    text: str | None,
    applies: Callable[[Seen], bool],
    own: Home | None = None,
    trust: Sequence[str] | None = None,
) -> str:
    """The round a command is about: the one of those it applies to that `text` begins to name.

    Rounds that somebody whose key `own` compared, or `trust` names, has signed or offered a card
    for come first; where there are any, the others are strangers', and have to be named whole.
    Where several remain, a person at a keyboard is asked. Raises UsageError `round.missing`, and
    RoundChoiceError: `round.which` where several remain, `round.stage` where it applies to none
    of several.
    """
    every = round_ids(store)
    if text in every:
        return text or ""
    names = [name for name in every if name.startswith(text or "")]
    known = vouched_rounds(store, names, own, trust or ()) if len(names) > 1 else []
    fits = [Seen(store, own, name) for name in known or names]
    if not every:
        raise UsageError(
            "this pool has no round yet",
            code="round.missing",
            hint="`grievance round new PLAN` opens one; a synced folder may need a moment",
        )
    if not fits:
        raise UsageError(
            f"this pool has no round {text!r:.60}",
            code="round.missing",
            hint="name one, the start of its name is enough; there are: " + ", ".join(every),
        )
    if len(fits) == 1:
        return fits[0].round_id
    remain = [seen for seen in fits if applies(seen)]
    if len(remain) == 1:
        return remain[0].round_id
    choices = [_Choice(seen, finished_line(seen.round_id, text)) for seen in remain or fits]
    if not remain:
        raise _refusal(choices, "no round of this pool is at the stage for this", "round.stage")
    if sys.stdin.isatty() and "--json" not in _words():
        return _asked(choices)
    raise _refusal(choices, "several rounds fit", "round.which")


def _refusal(choices: Sequence[_Choice], message: str, code: str) -> RoundChoiceError:
    what = "to hear what one waits for" if code == "round.stage" else "for the one you mean"
    return RoundChoiceError(
        message,
        code=code,
        hint=f"type the line {what}:",
        rounds=[
            {
                "round": choice.seen.round_id,
                "title": choice.seen.title,
                "stage": choice.seen.stage,
                "line": choice.line,
            }
            for choice in choices
        ],
    )


def _asked(choices: Sequence[_Choice]) -> str:
    """Ask a person which one; say how to be asked no more."""
    say("Several rounds fit:")
    for number, choice in enumerate(choices, 1):
        say(f"  {number:3}  {choice.words}")
    while True:
        reply = ask(f"Which one? [1-{len(choices)}]: ").strip()
        if reply.isdecimal() and 1 <= int(reply) <= len(choices):
            chosen = choices[int(reply) - 1]
            # Not broken between words: people select the whole line and type it.
            print(f"Next time: {chosen.line}", file=sys.stderr)
            return chosen.seen.round_id
        say("Please type a number.")


def _words() -> tuple[str, ...]:
    words = typed.get()
    return tuple(sys.argv[1:]) if words is None else words


def finished_line(round_id: str, text: str | None) -> str:
    """What was typed, every option of it, with the round named: ready to be typed again.

    `text`: what was typed for the round, if anything.
    """
    words, kept = list(_words()), list[str]()
    named = tuple(words[:2]) in _NAMED
    while words:
        word = words.pop(0)
        if named and word == text:
            kept.append(round_id)
        elif word == "--round":
            del words[:1]
        elif not word.startswith("--round="):
            kept.append(word)
    if not named:
        # What follows a bare `--` is no option.
        at = kept.index("--") if "--" in kept else len(kept)
        kept[at:at] = ["--round", round_id]
    return shlex.join(["grievance", *kept])
