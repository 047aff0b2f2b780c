"""A release's page read back, sentence by sentence, and held against the answers it came from.

The reader knows the page's words and nothing of how they were made; the truth is counted from
the people's answers and the plan alone. A sentence that the reader does not know is an error.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from grievance.plan import ChoiceField, MultiField, NumberField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grievance.plan import Plan

Person = dict[str, Any]
BLANK = "not answered"
NOTHING = re.compile(r"not known \(the noise is too large\)")


class Node:
    """An element of a page: `text` is its own, without that of lists and folds inside it."""

    def __init__(self, tag: str, attrs: Mapping[str, str | None]) -> None:
        self.tag, self.attrs = tag, attrs
        self.inside: list[Node | str] = []

    def text(self, *, own: bool = False) -> str:
        parts = [
            part if isinstance(part, str) else part.text(own=own)
            for part in self.inside
            if isinstance(part, str) or not (own and part.tag in ("ul", "details"))
        ]
        return " ".join("".join(parts).split())

    def find(self, *tags: str) -> Iterator[Node]:
        for part in self.inside:
            if isinstance(part, Node):
                if part.tag in tags:
                    yield part
                yield from part.find(*tags)

    def sections(self) -> dict[str, Node]:
        """Every section by the id of its heading."""
        return {str(one.attrs["aria-labelledby"]): one for one in self.find("section")}


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open = [Node("", {})]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self.open[-1].inside.append(node)
        if tag not in ("meta", "br"):
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def read(page: str) -> Node:
    """Return the page as a tree."""
    return _Reader(page).open[0]


# -- the truth -------------------------------------------------------------------------------


class Truth:
    """What is true of one statistic, counted from the people it is about."""

    def __init__(self, plan: Plan, name: str, people: Sequence[Person]) -> None:
        self.plan, self.name, self.statistic = plan, name, plan.statistics[name]
        self.people = [
            person
            for person in people
            if any(value is not None for value in person.values())
            and all((person.get(f) or BLANK) in v for f, v in self.statistic.where.items())
        ]
        self._stands = [
            {field: self._labels(person, field) for field in plan.fields} for person in self.people
        ]
        self._known: dict[object, Any] = {}

    def _labels(self, person: Person, name: str) -> set[str]:
        """The labels of the table that somebody stands under, in every question."""
        asked, value = self.plan.fields[name], person.get(name)
        if isinstance(asked, NumberField):
            return {BLANK} if value is None else {self._band(asked, Fraction(str(value)))}
        if value is None:
            return {BLANK}
        given = value if isinstance(asked, MultiField) else [value]
        merged = self.statistic.merge.get(name, {})
        return {next((g for g, of in merged.items() if one in of), one) for one in given}

    @staticmethod
    def _band(asked: NumberField, value: Fraction) -> str:
        at = sum(edge <= value for edge in asked.bands[1:-1])
        return asked.band_labels[at]

    def _once(self, key: object, make: Callable[[], Any]) -> Any:
        """What was counted before is not counted again."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def among(self, **group: object) -> list[int]:
        """The places of the people of a group; several labels of a question: any of them."""
        wanted = _frozen(group)
        return self._once(
            ("among", wanted),
            lambda: [
                at
                for at, stands in enumerate(self._stands)
                if all(stands[name] & labels for name, labels in wanted)
            ],
        )

    def given(self, name: str) -> list[str]:
        """The labels of a question that somebody stands under, without "not answered"."""
        return self._once(
            ("given", name),
            lambda: sorted({label for one in self._stands for label in one[name]} - {BLANK}),
        )

    def values(self, name: str, **group: object) -> list[Any]:
        """What the people of a group answered to a question, sorted; numbers are exact."""

        def made() -> list[Any]:
            of = [self.people[at][name] for at in self.among(**group)]
            found = [value for value in of if value is not None]
            is_number = isinstance(self.plan.fields[name], NumberField)
            return sorted(Fraction(str(one)) for one in found) if is_number else found

        return self._once(("values", name, _frozen(group)), made)

    def count(self, **group: object) -> Fraction:
        return Fraction(len(self.among(**group)))

    def answered(self, name: str, **group: object) -> Fraction:
        return Fraction(len(self.values(name, **group)))

    def share(self, name: str, label: str, **group: object) -> Fraction | None:
        people = self.answered(name, **group)
        return self.count(**{name: label}, **group) / people if people else None

    def mean(self, name: str, **group: object) -> Fraction | None:
        values = self.values(name, **group)
        key = ("mean", name, _frozen(group))
        return self._once(key, lambda: sum(values, Fraction(0)) / len(values) if values else None)

    def total(self, name: str, **group: object) -> Fraction:
        return sum(self.values(name, **group), Fraction(0))

    def quantile(self, name: str, q: Fraction, **group: object) -> Fraction | None:
        values = self.values(name, **group)
        return values[-(-q.numerator * len(values) // q.denominator) - 1] if values else None


def _frozen(group: Mapping[str, object]) -> frozenset[tuple[str, frozenset[str]]]:
    return frozenset(
        (name, frozenset(given if isinstance(given, list) else [str(given)]))
        for name, given in group.items()
    )


# -- numbers ---------------------------------------------------------------------------------


@dataclass
class Tally:
    """How many of what was said held. `families`: whether all of one kind of a statistic did."""

    held: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    said: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    families: dict[tuple[Any, ...], bool] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def note(self, kind: str, holds: bool, where: str, family: tuple[Any, ...] = ()) -> None:
        self.said[kind] += 1
        self.held[kind] += holds
        if family:
            self.families[kind, *family] = self.families.get((kind, *family), True) and holds
        if not holds:
            self.wrong.append(f"{kind}: {where}")

    def add(self, other: Tally) -> None:
        """Add what another page said."""
        for kind in other.said:
            self.said[kind] += other.said[kind]
            self.held[kind] += other.held[kind]
        self.families |= other.families
        self.wrong += other.wrong

    def rate(self, kind: str) -> float:
        return 1 - self.held[kind] / self.said[kind]

    def family_rate(self, kind: str) -> float:
        found = [holds for key, holds in self.families.items() if key[0] == kind]
        return 1 - sum(found) / len(found)


def number(text: str) -> Fraction:
    """A number as the page writes it; a share as a fraction of one."""
    text = text.replace("\u2212", "-").replace(",", "")
    return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)


_N = r"[-\u2212]?[\d,]+(?:\.\d+)?%?"
_RANGE = re.compile(rf"(?:between )?({_N}) (?:and|to) ({_N})")
_ONE = re.compile(rf"^({_N})(?: |$)")


def ends(text: str) -> tuple[Fraction, Fraction] | None:
    """The range in a text; None where it says why there is none."""
    if NOTHING.search(text):
        return None
    if found := re.fullmatch(r"[Uu]nder ([\d,]+)", text):
        return Fraction(0), number(found[1]) - 1
    found = _RANGE.search(text)
    if found is None:
        only = _ONE.match(text)
        assert only, f"no range in {text!r}"
        return number(only[1]), number(only[1])
    return number(found[1]), number(found[2])


LEVELS = {
    "at least nine in ten": "9/10", "at least four in five": "4/5",
    "at least three quarters": "3/4", "at least two thirds": "2/3", "more than half": "1/2",
    "at least two in five": "2/5", "at least one in three": "1/3", "at least one in four": "1/4",
    "at least one in five": "1/5", "at least one in ten": "1/10",
}  # fmt: skip


def reaches(level: str, truth: Fraction | None) -> bool:
    """Whether a share is what a level says."""
    least = Fraction(LEVELS[level.lower()])
    if truth is None:
        return False
    return truth > least if level.lower() == "more than half" else truth >= least


@dataclass
class Asked:
    """A statistic as its page reads it: the answer's field, the groups' fields, the words."""

    truth: Truth
    kind: str
    answer: str
    groups: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, name: str, people: Sequence[Person]) -> Asked:
        statistic = plan.statistics[name]
        fields = [*statistic.choices]
        if statistic.number is not None:
            return cls(Truth(plan, name, people), statistic.kind, statistic.number, tuple(fields))
        several = [one for one in fields if isinstance(plan.fields[one], MultiField)]
        order = list(plan.fields)
        answer = several[0] if several else max(fields, key=order.index)
        groups = tuple(one for one in fields if one != answer)
        return cls(Truth(plan, name, people), "count", answer, groups)

    @property
    def question(self) -> str:
        return self.truth.plan.fields[self.answer].question

    @property
    def only(self) -> str:
        said = []
        for name, labels in self.truth.statistic.where.items():
            each = [f"\u201c{label}\u201d" for label in labels]
            several = f"{', '.join(each[:-1])} or {each[-1]}" if len(each) > 1 else each[0]
            asked = self.truth.plan.fields[name].question
            lead = "" if said else "only people who answered "
            said.append(f"{lead}{several} to \u201c{asked}\u201d")
        return " and ".join(said)

    def group_of(self, label: str) -> dict[str, object]:
        """The group that a label stands for; labels of different questions differ here."""
        for name in self.groups:
            asked = self.truth.plan.fields[name]
            assert isinstance(asked, ChoiceField)
            merged = self.truth.statistic.merge.get(name, {})
            if label in (*asked.choices, *merged):
                return {name: label}
        raise AssertionError(f"{label!r} is no group of {self.truth.name}")

    def rest_of(self, label: str) -> dict[str, object]:
        """The other groups together, without who did not answer."""
        ((name, _),) = self.group_of(label).items()
        return {name: [one for one in self.truth.given(name) if one != label]}

    def value(self, label: str, group: Mapping[str, object]) -> Fraction | None:
        """What is compared between groups: an answer's share, or the mean."""
        if self.kind == "mean":
            return self.truth.mean(self.answer, **group)
        return self.truth.share(self.answer, label, **group)
