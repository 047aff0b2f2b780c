"""Steps of a history in which machines are lost and strangers write into the pool."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from dishonest import flip

if TYPE_CHECKING:
    from history_town import Town

RECOVERY_CUTS = (
    *("state.created", "state.commit.before", "state.commit.after", "recover.kept"),
    *("recover.rebuilt", "recover.renamed"),
)

PLACES = st.integers(0, 40)
AGGREGATORS = st.sampled_from(["north", "south"])
HOW_OFTEN = st.integers(1, 4)


class Losses(RuleBasedStateMachine):
    """What every history counts and asks, and the steps that nobody plans."""

    town: ClassVar[Town]
    steps: ClassVar[Counter[str]] = Counter()

    def step(self, name: str) -> None:
        self.steps[name] += 1

    def may(self, name: str) -> bool:
        """Whether a steward would do anything at this office now."""
        return name not in self.town.old

    # Machines that are lost.

    @precondition(lambda self: len(self.town.backups) < 8)
    @rule(name=AGGREGATORS)
    def back_up(self, name: str) -> None:
        self.step("back_up")
        if self.may(name):
            self.town.back_up(name)

    @precondition(lambda self: self.town.backups and not self.town.spoiled)
    @rule(which=PLACES)
    def restore(self, which: int) -> None:
        self.step("restore")
        town = self.town
        name, copy = town.backups[which % len(town.backups)]
        town.put_back(name, copy)
        town.tally["restored an older state"] += town.old[name]
        town.sync_one(name)
        if not town.old[name]:
            del town.old[name]

    @rule(name=AGGREGATORS, cut=st.none() | st.tuples(st.sampled_from(RECOVERY_CUTS), HOW_OFTEN))
    def recover(self, name: str, cut: tuple[str, int] | None) -> None:
        self.step("recover")
        town = self.town
        for path in set(town.spoiled) & town.written_by(name):
            # Its own files are all an aggregator without a memory has; see `Town.rebuild`.
            town.heal(path)
        town.rebuild(name, cut)

    # Strangers.

    @precondition(lambda self: not self.town.old and len(self.town.spoiled) < 4)
    @rule(which=st.integers(0, 400), at=st.integers(0, 10**6), how=st.integers(0, 4))
    def tamper(self, which: int, at: int, how: int) -> None:
        self.step("tamper")
        town = self.town
        paths = sorted(set(town.first) - set(town.spoiled))
        path = paths[which % len(paths)]
        data = town.first[path]
        if how == 0:
            town.spoil(path, None)
        elif how == 1:
            # A file of the same kind, or at least of the same suffix, in the place of another.
            others = [p for p in paths if p.rsplit("/", 1)[-1] == path.rsplit("/", 1)[-1]]
            other = town.first[(others or paths)[at % len(others or paths)]]
            town.spoil(path, other if other != data else other[: len(other) // 2])
        else:
            town.spoil(path, flip(data, at, at % 8))

    @precondition(lambda self: self.town.spoiled)
    @rule(which=PLACES)
    def heal(self, which: int) -> None:
        self.step("heal")
        paths = sorted(self.town.spoiled)
        self.town.heal(paths[which % len(paths)])
