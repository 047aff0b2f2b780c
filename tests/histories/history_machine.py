"""Any history of a coalition: hypothesis chooses the steps, the model says what they come to."""

# ruff: noqa: PT017 (a step may be refused or not; what is refused must be so rightly)

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

from history_checks import (
    check_audit,
    expected,
    finish,
    look,
    open_proposals,
    settle,
    spoken_for,
)
from history_losses import AGGREGATORS, HOW_OFTEN, PLACES, Losses
from history_plan import OUTSIDER, PLAN, ROUNDS, STATISTICS
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from federation import Federation
from grievance.aggregator.destroy import order_again, void
from grievance.errors import (
    BatchError,
    GrievanceError,
    OrderError,
    ReleaseError,
    StateError,
    TaskError,
    UsageError,
)
from grievance.pool.events import Close, Event, Expel

if TYPE_CHECKING:
    from history_model import Book

    from grievance.aggregator import Office

CUTS = (
    *("state.commit.before", "state.commit.after", "pool.put.begin", "pool.put.written"),
    *("pool.put.renamed", "pool.put.done", "publish.put", "order.spooled", "verify.burnt"),
    *("verify.spooled", "decide.spooled", "decide.stored", "propose.spooled", "answer.spooled"),
    *("charge.drawn", "charge.stored", "charge.spooled", "witness.stored", "share.spooled"),
)

DAYS = ("open", "collected", "closed", "proposed", "partly released")
"""How far a coalition has come when a history begins."""

RELAYS = st.sampled_from(["nurses", "carers", "nurses", "carers", OUTSIDER])
KINDS = st.sampled_from(["honest", "honest", "honest", "blank", "greedy", "twins", "garbled"])
MAYBE_CUT = st.none() | st.tuples(st.sampled_from(CUTS), HOW_OFTEN)


class History(Losses):
    """One coalition. `town` is set once for all; every example begins with its first day.

    `steps` counts how often each rule ran, `town.tally` what came of it.
    """

    examples: ClassVar[int] = 0

    @initialize(day=st.sampled_from(DAYS))
    def open(self, day: str) -> None:
        type(self).examples += 1
        self.refused = False
        self.town.begin(day)

    @property
    def book(self) -> Book:
        return self.town.book

    def closed(self) -> bool:
        return any(e["type"] == "close" for e in self.town.events(self.town.round_id))

    # Workers and partners.

    @rule(kinds=st.lists(st.tuples(KINDS, PLACES), min_size=2, max_size=9))
    def submit(self, kinds: list[tuple[str, int]]) -> None:
        self.step("submit")
        for kind, which in kinds:
            self.book.papers.append(self.town.draw(kind, which))
            self.town.tally[f"sealed: {kind}"] += 1

    @rule(relay=RELAYS, picks=st.lists(PLACES, min_size=1, max_size=14))
    def relay(self, relay: str, picks: list[int]) -> None:
        self.step("relay")
        papers = self.book.papers
        while len(papers) < len(picks):
            papers.append(self.town.draw("honest", len(papers)))
        path = self.town.carry(relay, [papers[-1 - pick % len(papers)] for pick in picks])
        self.town.spoiled.pop(path, None)

    @precondition(lambda self: self.book.batches)
    @rule(relay=RELAYS, which=PLACES)
    def relay_again(self, relay: str, which: int) -> None:
        """Another partner sends what one has sent already, all of it."""
        self.step("relay_again")
        batches = list(self.book.batches.values())
        self.town.spoiled.pop(self.town.carry(relay, batches[which % len(batches)][1]), None)

    # Aggregators.

    @rule(name=AGGREGATORS)
    def sync(self, name: str) -> None:
        self.step("sync")
        self.town.sync_one(name)

    @rule(names=st.permutations(["north", "south"]))
    def sync_both(self, names: list[str]) -> None:
        self.step("sync_both")
        for name in names:
            self.town.sync_one(name)
            look(self.town)

    @rule(name=AGGREGATORS, label=st.sampled_from(CUTS), count=HOW_OFTEN)
    def crash(self, name: str, label: str, count: int) -> None:
        self.step("crash")
        self.town.sync_one(name, (label, count))

    @precondition(lambda self: self.town.quiet)
    @rule()
    def settle(self) -> None:
        self.step("settle")
        settle(self.town)

    def lead(self, event: Event, cut: tuple[str, int] | None = None) -> bool:
        """Order something; False where it was refused."""
        town = self.town

        def order(office: Office) -> None:
            _, chain = office.open_bench(town.round_id)
            office.order(chain, event)
            office.publish()

        try:
            town.at_office("north", order, cut)
        except OrderError as error:
            assert error.code != "order.fork"
            return False
        except GrievanceError:
            assert town.spoiled
            return False
        return True

    def named(self) -> list[str]:
        """Partners the leader's steward has named."""
        return self.town.leader.waiting_admissions(self.town.round_id)

    def partners(self) -> tuple[set[str], set[str]]:
        """Who was admitted, and who was expelled."""
        events = self.town.events(self.town.round_id)
        found = [{e["partner"] for e in events if e["type"] == kind} for kind in ("admit", "expel")]
        return found[0], found[1]

    @precondition(lambda self: self.may("north") and OUTSIDER not in self.named())
    @rule()
    def admit(self) -> None:
        """The steward names a new partner; the next sync of the leader admits it."""
        self.step("admit")
        home = self.town.leader
        home.trust(self.town.homes[OUTSIDER].identity)
        home.admit_later(self.town.round_id, [OUTSIDER])

    @precondition(lambda self: self.may("north") and not self.partners()[1])
    @rule(relay=RELAYS, cut=MAYBE_CUT)
    def expel(self, relay: str, cut: tuple[str, int] | None) -> None:
        self.step("expel")
        self.town.publish_waiting("north")
        look(self.town)
        admitted, expelled = self.partners()
        allowed = relay in admitted - expelled and not self.closed()
        done = self.lead(Expel(relay), cut)
        assert done == allowed or cut or self.town.spoiled

    @precondition(lambda self: self.may("north") and expected(self.town, self.town.round_id))
    @rule(which=PLACES)
    def void(self, which: int) -> None:
        """Give up a batch: possible as long as the leader has not checked it."""
        self.step("void")
        town = self.town
        places = sorted(expected(town, town.round_id))
        seq = places[which % len(places)]
        text = "SELECT 1 FROM batches WHERE task = ? AND seq = ?"
        checked = town.query(town.folder / "north", text, self.book.task.digest, seq)

        def give_up(office: Office) -> None:
            _, chain = office.open_bench(town.round_id)
            void(office, chain, seq)
            office.publish()

        try:
            town.at_office("north", give_up)
        except StateError as error:
            assert error.code == "void.checked" and checked
        except GrievanceError as error:
            assert town.spoiled or error.code == "order.closed", error
        else:
            assert not checked
            town.tally["voided"] += 1

    def given_up(self) -> list[int]:
        """Places of batches that were voided."""
        return [e["batch"] for e in self.town.events(self.town.round_id) if e["type"] == "void"]

    @precondition(lambda self: self.may("north") and self.given_up())
    @rule(which=PLACES)
    def order_again(self, which: int) -> None:
        """Take a batch after all that was given up: once, if it is whole, as long as it is open."""
        self.step("order_again")
        town, places = self.town, self.given_up()
        seq = places[which % len(places)]
        before = len(town.events(town.round_id))

        def take(office: Office) -> None:
            _, chain = office.open_bench(town.round_id)
            order_again(office, chain, seq)
            office.publish()

        try:
            town.at_office("north", take)
        except (UsageError, OrderError, BatchError) as error:
            assert not isinstance(error, BatchError) or town.spoiled, error
        except GrievanceError as error:
            assert town.spoiled, error
        else:
            look(town)
            assert len(town.events(town.round_id)) > before or town.spoiled
            town.tally["ordered again"] += 1

    @precondition(lambda self: self.may("north") and not self.closed() and self.book.batches)
    @rule(cut=MAYBE_CUT)
    def close(self, cut: tuple[str, int] | None) -> None:
        self.step("close")
        self.town.publish_waiting("north")
        look(self.town)
        open_yet = not self.closed()
        assert self.lead(Close(), cut) == open_yet or self.town.spoiled

    # Releases.

    @precondition(lambda self: self.closed())
    @rule(
        name=AGGREGATORS,
        names=st.sampled_from([STATISTICS, STATISTICS[:1], STATISTICS[1:]]),
        cut=MAYBE_CUT,
    )
    def propose(self, name: str, names: tuple[str, ...], cut: tuple[str, int] | None) -> None:
        self.step("propose")
        town = self.town
        if not self.may(name):
            return
        town.sync_one(name)
        look(town)
        wanted = expected(town, town.round_id)
        minimum = self.book.task.plan.privacy.minimum_reports
        enough = sum(batch.accepted for batch in wanted.values()) >= minimum
        folder = f"rounds/{town.round_id}/decide"
        decided = all(
            f"{folder}/{seq}/{who}.json" in town.first for seq in wanted for who in town.aggregators
        )
        allowed = self.closed() and enough and decided and not set(names) & spoken_for(town)

        def work(office: Office) -> None:
            from grievance.aggregator.releases import propose

            bench, chain = office.open_bench(town.round_id)
            propose(bench, chain, names)
            office.publish()

        try:
            town.at_office(name, work, cut)
        except ReleaseError as error:
            assert not allowed or town.spoiled, error
            town.tally[f"proposal refused: {error.code}"] += 1
        except GrievanceError:
            assert not town.quiet
        else:
            assert allowed or town.spoiled or cut
            town.tally["proposed"] += 1

    @precondition(lambda self: open_proposals(self.town))
    @rule(which=PLACES, how=st.sampled_from(["approve", "approve", "decline"]), cut=MAYBE_CUT)
    def answer(self, which: int, how: str, cut: tuple[str, int] | None) -> None:
        self.step(how)
        town = self.town
        waiting = open_proposals(town)
        release, names = waiting[which % len(waiting)]
        if not self.may(names[0]):
            return

        def work(office: Office) -> None:
            from grievance.aggregator.releases import answer
            from grievance.pool.proposals import Approval

            bench, chain = office.open_bench(town.round_id)
            answer(bench, chain, release, Approval(names[0], how, ""))  # type: ignore[arg-type]
            office.publish()

        try:
            town.at_office(names[0], work, cut)
        except GrievanceError as error:
            assert town.spoiled or error.code in ("release.twice", "release.answered"), error

    # Further rounds.

    @precondition(lambda self: self.town.quiet and not self.refused)
    @rule()
    def next_round(self) -> None:
        """Another round of the campaign, until its lifetime budget is taken."""
        self.step("next_round")
        town, before = self.town, self.town.round_id
        try:
            Federation.open_round(town, PLAN)
        except TaskError as error:
            assert error.code == "budget.lifetime" and len(town.books) == ROUNDS
            town.round_id = before
            town.tally["a round too many"] += 1
            self.refused = True
        else:
            town.add_book()
            assert len(town.books) <= ROUNDS, "the lifetime budget was exceeded"

    @precondition(lambda self: len(self.town.books) > 1)
    @rule()
    def other_round(self) -> None:
        self.step("other_round")
        town = self.town
        (town.round_id,) = (name for name in town.books if name != town.round_id)

    @rule()
    def audit(self) -> None:
        self.step("audit")
        check_audit(self.town)

    @invariant()
    def holds(self) -> None:
        if hasattr(type(self), "town") and self.town.first:
            look(self.town)

    def teardown(self) -> None:
        # Hypothesis also tears down what has just failed; there is nothing to finish then.
        if sys.exc_info()[0] is None:
            finish(self.town)


def forget() -> None:
    """Begin to count anew."""
    History.steps.clear()
    History.town.tally.clear()
    History.examples = 0


def summary() -> str:
    """How many steps ran, of which rules, and what came of them."""
    total = sum(History.steps.values())
    lines = [f"{History.examples} histories, {total} steps"]
    lines += [f"  {count:6} {name}" for name, count in History.steps.most_common()]
    lines += ["what came of them"]
    lines += [f"  {count:6} {name}" for name, count in sorted(History.town.tally.items())]
    return "\n".join(lines)
