"""Exact answers from rows, and released figures held to them.

    recount    the exact answer to a question, counted from the rows of a CSV file
    compare    the released figures for a question beside the exact answer
    Verdict    how many lie inside their stated intervals, and how unlikely so few would be

A question is a statistic in the words of the truth files: an id, a kind, fields and labels.
Nothing here uses what the library knows of how answers are laid out, encoded or added up.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.cli.output import table as text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from grievance.release import Release

COVERAGE = 0.95
LEAST_TAIL = 1e-3

Row = dict[str, str]
Question = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV file as they are."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def recount(rows: Iterable[Row], question: Question) -> dict[str, Any]:
    """Return the exact answer to one question, in the form of the truth files."""
    where = question.get("where", {})
    people = [row for row in rows if all(row[name] == label for name, label in where.items())]
    return _COUNTERS[question["kind"]](people, question)


def _count(people: list[Row], _question: Question) -> dict[str, Any]:
    return {"n": len(people)}


def _histogram(people: list[Row], question: Question) -> dict[str, Any]:
    counts = Counter(row[question["field"]] for row in people)
    return {"not_answered": counts.pop("", 0), "counts": dict(counts)}


def _crosstab(people: list[Row], question: Question) -> dict[str, Any]:
    table: dict[str, Counter[str]] = {}
    for row in people:
        if row[question["rows"]] and row[question["cols"]]:
            line = table.setdefault(row[question["rows"]], Counter())
            line[row[question["cols"]]] += 1
    return {"counts": {label: dict(line) for label, line in table.items()}}


def _share(people: list[Row], question: Question) -> dict[str, Any]:
    given = [row[question["field"]] for row in people if row[question["field"]]]
    yes = sum(answer in question["of"] for answer in given)
    return {
        "n_answered": len(given),
        "n_yes": yes,
        "share": yes / len(given) if given else None,
    }


def _share_by(people: list[Row], question: Question) -> dict[str, Any]:
    groups = _groups(people, question["by"])
    return {group: _share(some, question) for group, some in groups.items()}


def _multi(people: list[Row], question: Question) -> dict[str, Any]:
    ticks = [row[question["field"]].split(";") for row in people if row[question["field"]]]
    counts = Counter(tick for some in ticks for tick in some if tick != "none")
    return {"ticks": dict(counts), "n_answered": len(ticks)}


def _mean(people: list[Row], question: Question) -> dict[str, Any]:
    numbers = _numbers(people, question["field"])
    return {"n": len(numbers), "mean_clipped": math.fsum(numbers) / len(numbers)}


def _quantiles_by(people: list[Row], question: Question) -> dict[str, Any]:
    found = {}
    for group, some in _groups(people, question["by"]).items():
        numbers = sorted(_numbers(some, question["field"]))
        if numbers:
            found[group] = {_key(q): nearest_rank(numbers, q) for q in question["q"]}
    return found


_COUNTERS: dict[str, Callable[[list[Row], Question], dict[str, Any]]] = {
    "count": _count,
    "histogram": _histogram,
    "crosstab": _crosstab,
    "share": _share,
    "share_by": _share_by,
    "multi": _multi,
    "mean": _mean,
    "quantiles_by": _quantiles_by,
}


def _groups(people: Iterable[Row], by: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in people:
        if row[by]:
            found.setdefault(row[by], []).append(row)
    return found


def _numbers(people: Iterable[Row], name: str) -> list[float]:
    return [float(row[name]) for row in people if row[name]]


def _key(q: float) -> str:
    return f"q{round(100 * q)}"


def nearest_rank(numbers: Sequence[float], q: float) -> float:
    """Return the smallest of sorted numbers that at least a share q of them do not exceed."""
    return numbers[math.ceil(q * len(numbers)) - 1]


# Released figures beside exact answers.


@dataclass(frozen=True)
class Check:
    """One released figure, its stated 95 % interval, and the exact answer.

    `own_noise`: no other figure that is checked shares noise with it. Shares and quantiles,
    and tables read off larger ones, repeat the noise of counts that are checked as well.
    """

    statistic: str
    figure: str
    released: str
    low: float
    high: float
    exact: float
    own_noise: bool = False

    @property
    def inside(self) -> bool:
        """Whether the exact answer lies in the interval."""
        return self.low - 1e-9 <= self.exact <= self.high + 1e-9


def compare(release: Release, question: Question, answer: Mapping[str, Any]) -> list[Check]:
    """Hold the released statistic that bears the question's id to its exact answer."""
    table = release[str(question.get("table") or question["id"])]
    makers = _MAKERS[question["kind"]]
    return list(makers(Comparer(release, question, table), answer))


@dataclass(frozen=True)
class Comparer:
    """Makes checks for one question."""

    release: Release
    question: Question
    table: Any

    def count(self, labels: Mapping[str, Any], exact: int, *, what: str = "") -> Check:
        """Check a count: one cell, or a sum of cells."""
        noise_is_own = self.release.task.layout.statistics[self.table.name].implied_by is None
        figure = self.table.total(**labels)
        return self.check(figure, exact, what or _words(labels), own=noise_is_own and not what)

    def check(self, figure: Any, exact: float, what: str, *, own: bool = False) -> Check:
        """Check any figure."""
        # Hidden figures are checked like the others: leaving out what came out small would
        # leave out noise that happened to be negative. They are only not printed.
        return Check(
            self.question["id"], what, figure.text, figure.low, figure.high, exact, own_noise=own
        )


def _words(labels: Mapping[str, Any]) -> str:
    parts = [" or ".join(v) if isinstance(v, list) else str(v) for v in labels.values()]
    return ", ".join(parts)


def _check_count(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    yield made.count({}, answer["n"], what="everybody")


def _check_histogram(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    name = made.question["field"]
    for label in made.table.axes[0].labels:
        yield made.count({name: label}, answer["counts"].get(label, 0))


def _check_crosstab(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    rows, columns = made.question["rows"], made.question["cols"]
    labels = {axis.name: axis.labels for axis in made.table.axes}
    for row in labels[rows]:
        for column in labels[columns]:
            exact = answer["counts"].get(row, {}).get(column, 0)
            yield made.count({rows: row, columns: column}, exact)


def _check_share(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    yield from _check_part(made, {}, answer)


def _check_share_by(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    by = made.question["by"]
    nobody = {"n_answered": 0, "n_yes": 0, "share": None}
    for group in next(axis for axis in made.table.axes if axis.name == by).labels:
        yield from _check_part(made, {by: group}, answer.get(group, nobody))


def _check_part(
    made: Comparer, group: Mapping[str, str], answer: Mapping[str, Any]
) -> Iterator[Check]:
    """Check the people who gave the answers, those who gave others, and the share of the former."""
    name, of = made.question["field"], made.question["of"]
    axis = next(axis for axis in made.table.axes if axis.name == name)
    others = [label for label in axis.labels if label not in of]
    yield made.count({**group, name: of}, answer["n_yes"])
    yield made.count({**group, name: others}, answer["n_answered"] - answer["n_yes"])
    if answer["share"] is not None:
        share = made.table.share(of={name: of}, within=group)
        what = f"share of {_words({**group, name: of})}"
        yield made.check(share, answer["share"], what)


def _check_multi(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    name = made.question["field"]
    for label in made.table.axes[0].labels:
        yield made.count({name: label}, answer["ticks"].get(label, 0))
    yield made.check(made.table.answered(), answer["n_answered"], "answered", own=True)


def _check_mean(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    yield made.check(made.table.mean(), answer["mean_clipped"], "mean of everybody", own=True)
    yield made.check(made.table.answered(), answer["n"], "answered")


def _check_quantiles(made: Comparer, answer: Mapping[str, Any]) -> Iterator[Check]:
    by = made.question["by"]
    for group, exact in answer.items():
        for q in made.question["q"]:
            found = made.table.quantile(q, **{by: group})
            what = f"{group}, quantile {q:g}"
            yield made.check(found, exact[_key(q)], what)


_MAKERS: dict[str, Callable[[Comparer, Mapping[str, Any]], Iterator[Check]]] = {
    "count": _check_count,
    "histogram": _check_histogram,
    "crosstab": _check_crosstab,
    "share": _check_share,
    "share_by": _check_share_by,
    "multi": _check_multi,
    "mean": _check_mean,
    "quantiles_by": _check_quantiles,
}


def tail(inside: int, total: int) -> float:
    """Return the chance of so few or fewer figures inside, if each is with a chance of 95 %."""
    return math.fsum(
        math.comb(total, k) * COVERAGE**k * (1 - COVERAGE) ** (total - k) for k in range(inside + 1)
    )


def show(checks: Sequence[Check]) -> None:
    """Print released figures beside exact answers, one table for each statistic."""
    for name in dict.fromkeys(check.statistic for check in checks):
        rows = [
            [
                check.figure,
                check.released,
                f"{check.exact:.4g}" if isinstance(check.exact, float) else f"{check.exact}",
                "" if check.inside else "outside",
            ]
            for check in checks
            if check.statistic == name
        ]
        print(f"\n{name}")
        print(text_table(["figure", "released, 95 % of the noise", "exact", ""], rows, right=(2,)))


@dataclass(frozen=True)
class Verdict:
    """How many figures lie inside their stated intervals, and how unlikely so few would be."""

    inside: int
    total: int
    tail: float
    all_inside: int
    all_total: int

    @classmethod
    def over(cls, checks: Sequence[Check]) -> Verdict:
        """Judge figures with noise of their own; those that repeat noise are only counted."""
        own = [check for check in checks if check.own_noise]
        inside = sum(check.inside for check in own)
        everything = sum(check.inside for check in checks)
        return cls(inside, len(own), tail(inside, len(own)), everything, len(checks))

    @property
    def holds(self) -> bool:
        """Whether chance alone explains that so few lie inside."""
        return self.tail >= LEAST_TAIL

    def __str__(self) -> str:
        return (
            f"{self.inside} of {self.total} cells lie inside their stated 95 % margin; so few or "
            f"fewer have a chance of {self.tail:.3g} (it passes at {LEAST_TAIL:g} or more).\n"
            f"With shares, quantiles and tables read off others, which repeat their noise: "
            f"{self.all_inside} of {self.all_total}."
        )
