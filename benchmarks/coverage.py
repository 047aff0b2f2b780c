"""Do the margins hold? Thousands of simulated releases, and how often 95 % is 95 %.

A coalition's answers are fixed, with small groups among them. In every run each aggregator's
noise is drawn again from its exact law (`NoiseLaw.sample`), added up, and given to the code that
makes tables of a real release; nothing is sealed or proved, since the noise is the same either
way. Every figure is made twice, from the reconciled table and from its own released integers
alone, and its interval is held against the exact figure.

Three kinds of row. "95": between 94 and 96 % must hold. "at least": the interval may hold more
often, and must hold in 94 % of runs: groups as small as the noise and shares near 0 (the
interval is cut to what is possible, and is the whole range where the noise hides how many there
are), quantiles (the interval includes its bands whole), and noise of few units (a margin of whole
numbers cannot be met exactly from both sides).
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.plan import Layout, Plan
from grievance.privacy.laws import NoiseLaw
from grievance.release.figures import Quantile
from grievance.release.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grievance.privacy import Mechanism
    from grievance.release.tables import Table

LEAST, MOST = 0.94, 0.96
AGGREGATORS = 2
RUNS = 3000
ENOUGH = 500
MODULUS = 2**128 - 7 * 2**66 + 1
NOISES: tuple[tuple[str, Mechanism, Fraction, bool], ...] = (
    ("Gaussian, sd 20", "gaussian", Fraction(14), True),
    ("Laplace, sd 20", "laplace", Fraction(10), True),
    ("Gaussian, sd 1.4", "gaussian", Fraction(1), False),
    ("Laplace, sd 1.9", "laplace", Fraction(1), False),
)
"""Name, mechanism, scale of one aggregator's draw, and whether it is more than a few units."""

PLAN = """
title = "Coverage"
campaign = "coverage"
opens = 2026-10-01
closes = 2026-12-20
[privacy]
epsilon = 1
delta = 1e-6
lifetime_epsilon = 10
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "East", "Isles"]
required = true
[fields.contract]
question = "Which contract?"
choices = ["permanent", "agency", "casual"]
[fields.problems]
question = "Which of these are a problem?"
choices = ["overtime", "targets", "bullying", "none of these"]
pick = 2
[fields.hours]
question = "Unpaid hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 1, 5, 10, 20, 40]
required = true
[fields.pay]
question = "Pay"
minimum = 10
maximum = 50
step = 1
[statistics.contracts]
count = ["contract", "region"]
[statistics.problems]
count = ["problems", "region"]
[statistics.problems_by_contract]
count = ["contract", "problems"]
[statistics.regions]
count = ["region"]
[statistics.hours_mean]
mean = "hours"
by = ["region"]
[statistics.pay_by_region]
mean = "pay"
by = ["region"]
[statistics.pay_by_contract]
mean = "pay"
by = ["contract"]
[statistics.spread]
distribution = "hours"
by = ["region"]
"""


@dataclass(frozen=True)
class Asked:
    """A figure that is made in every run. `exact`: its interval should hold in 95 % of them."""

    kind: str
    statistic: str
    make: Callable[[Any], Any]
    exact: bool = True


@dataclass(frozen=True)
class Covered:
    """How many intervals of one kind of figure hold the exact figure."""

    noise: str
    kind: str
    reconciled: bool
    exact: bool
    figures: int
    runs: int
    held: int

    @property
    def rate(self) -> float:
        """The share of intervals that hold."""
        return self.held / (self.figures * self.runs)

    @property
    def kept(self) -> bool:
        """Whether that is what the intervals promise."""
        return self.rate >= LEAST and (not self.exact or self.rate <= MOST)


def people() -> Iterator[dict[str, object]]:
    """Yield the answers of about 2,400 workers, of whom 7 work on the Isles."""
    draw = np.random.default_rng(20261)  # noqa: TID251 - made-up people, no noise
    for region, size in (("London", 1200), ("North", 800), ("East", 400), ("Isles", 7)):
        for _ in range(size):
            ticks = draw.permutation(["overtime", "targets", "bullying"])[: draw.integers(0, 3)]
            contract = draw.choice(["permanent", "agency", "casual", ""], p=[0.55, 0.25, 0.1, 0.1])
            yield {
                "region": region,
                "contract": str(contract) or None,
                "problems": [str(tick) for tick in ticks] if draw.random() < 0.9 else None,
                "hours": float(min(80, int(draw.gamma(1.5, 9)))) / 2,
                "pay": int(draw.integers(14, 42)) if draw.random() < 0.8 else None,
            }


def asked() -> list[Asked]:
    """All figures: every kind, in large groups and in small ones."""
    large = ("London", "North", "East")
    found = []
    for region in (*large, "Isles"):
        group, big = {"region": region}, region != "Isles"
        size = "" if big else ", 7 people"
        for contract in ("permanent", "agency"):
            of = {"contract": contract}
            found += [
                Asked(f"cell{size}", "contracts", lambda t, c={**of, **group}: t.cell(**c), big),
                Asked(
                    f"share{size}", "contracts",
                    lambda t, o=of, g=group: t.share(of=o, within=g), big,
                ),
            ]  # fmt: skip
        for problem in ("overtime", "bullying"):
            of = {"problems": problem}
            found += [
                Asked(
                    f"cell, ticks{size}", "problems",
                    lambda t, c={**of, **group}: t.cell(**c), big,
                ),
                Asked(
                    f"share, ticks{size}", "problems",
                    lambda t, o=of, g=group: t.share(of=o, within=g), big,
                ),
            ]  # fmt: skip
        found += [
            Asked(f"total{size}", "contracts", lambda t, g=group: t.total(**g), big),
            Asked(f"total{size}", "spread", lambda t, g=group: t.total(**g), big),
            Asked(f"total{size}", "regions", lambda t, g=group: t.total(**g), big),
            Asked(f"answered{size}", "problems", lambda t, g=group: t.answered(**g), big),
            Asked(f"mean{size}", "hours_mean", lambda t, g=group: t.mean(**g), big),
            Asked(f"mean{size}", "pay_by_region", lambda t, g=group: t.mean(**g), big),
        ]
        found += [
            Asked(f"quantile{size}", "spread", lambda t, g=group, q=q: t.quantile(q, **g), False)
            for q in ("0.25", "0.5", "0.9")
        ]
    found += [
        Asked("total", "contracts", lambda t: t.total()),
        Asked("total", "problems_by_contract", lambda t: t.total(problems="overtime")),
        Asked("answered", "problems_by_contract", lambda t: t.answered()),
        Asked("mean", "pay_by_contract", lambda t: t.mean()),
        Asked(
            "share near 0", "problems", lambda t: t.share(of={"problems": "none of these"}), False
        ),
    ]
    for a, b in itertools.combinations((*large, "Isles"), 2):
        pair, big = ({"region": a}, {"region": b}), b != "Isles"
        size = "" if big else ", 7 people"
        agency, targets = {"contract": "agency"}, {"problems": "targets"}
        found += [
            Asked("difference of cells", "contracts", lambda t, p=pair: t.compare(
                *({**one, "contract": "agency"} for one in p))),
            Asked("difference of totals", "contracts", lambda t, p=pair: t.compare(*p)),
            Asked(f"difference of shares{size}", "contracts",
                  lambda t, p=pair, o=agency: t.compare(*p, of=o), big),
            Asked(f"difference of shares, ticks{size}", "problems",
                  lambda t, p=pair, o=targets: t.compare(*p, of=o), big),
            Asked(f"difference of means{size}", "hours_mean",
                  lambda t, p=pair: t.compare(*p), big),
            Asked(f"difference of means{size}", "pay_by_region",
                  lambda t, p=pair: t.compare(*p), big),
        ]  # fmt: skip
    return found


class World:
    """The plan, the exact totals of its people, and tables made of them with noise or without."""

    def __init__(self, mechanism: Mechanism) -> None:
        self.mechanism: Mechanism = mechanism
        self.layout = Layout(Plan.from_toml(PLAN), mechanism)
        total = np.zeros(self.layout.num_bits, dtype=object)
        for answers in people():
            total += np.array(self.layout.encode(self.layout.answers(answers)), dtype=object)
        self.exact = {}
        for charged in self.layout.charged:
            found = self.layout.project(charged.name, list(total), MODULUS)
            self.exact[charged.name] = [x - MODULUS if x > MODULUS // 2 else x for x in found]

    def tables(self, values: Mapping[str, list[int]], scale: Fraction) -> dict[str, Table]:
        """The code of a release. Every statistic has noise of the same scale."""
        laws = {name: NoiseLaw(self.mechanism, scale, AGGREGATORS) for name in self.exact}
        return make_tables(self.layout, values, laws=laws, hide_below=0)

    def runs(self, num: int, scale: Fraction) -> Iterator[dict[str, list[int]]]:
        """Yield released integers: exact ones, and every aggregator's own draws."""
        noisy, mechanism = {}, self.mechanism
        for name, exact in self.exact.items():
            columns = []
            for at, (value, factor) in enumerate(
                zip(exact, self.layout.noise_scale(name), strict=True)
            ):
                law = NoiseLaw(mechanism, scale * factor, 1)
                drawn = [
                    law.sample(num, f"{name} {at} {mechanism} {scale} {aggregator}".encode())
                    for aggregator in range(AGGREGATORS)
                ]
                columns.append(value + sum(drawn))
            noisy[name] = np.stack(columns, axis=1).tolist()
        for run in range(num):
            yield {name: rows[run] for name, rows in noisy.items()}


@functools.cache
def world_of(mechanism: Mechanism) -> World:
    """Return the one world of a mechanism: ticks are centred for it."""
    return World(mechanism)


def _holds(figure: Any, truth: Any) -> bool:
    if isinstance(figure, Quantile):
        # The interval has whole bands, so it holds the exact quantile if it holds its band.
        low, high = truth
        return bool(figure.low <= low and high <= figure.high)
    slack = 1e-9 * max(1.0, abs(truth.estimate))
    return bool(figure.low - slack <= truth.estimate <= figure.high + slack)


def _truth(table: Any, asked: Asked) -> Any:
    """Return the exact figure, made from a table without noise; of a quantile its band's ends."""
    figure = asked.make(table)
    if isinstance(figure, Quantile):
        return tuple(map(float, table.ranges[table.bands.index(figure.band)]))
    return figure


def simulate(
    num: int, mechanism: Mechanism, scale: Fraction, *, noise: str, exact: bool = True
) -> list[Covered]:
    """Count, over `num` releases, how often the intervals of each kind of figure hold."""
    world, figures = world_of(mechanism), asked()
    clean = world.tables(world.exact, scale)
    truths = [_truth(clean[one.statistic].raw, one) for one in figures]
    held: Counter[tuple[str, bool, bool]] = Counter()
    for values in world.runs(num, scale):
        tables = world.tables(values, scale)
        for one, truth in zip(figures, truths, strict=True):
            table = tables[one.statistic]
            for reconciled, given in ((True, table), (False, table.raw)):
                held[one.kind, reconciled, one.exact] += _holds(one.make(given), truth)
    sizes = Counter((one.kind, one.exact) for one in figures)
    return [
        Covered(
            noise, kind, reconciled, exact and promised, size, num,
            held[kind, reconciled, promised],
        )
        for (kind, promised), size in sizes.items()
        for reconciled in (True, False)
    ]  # fmt: skip


def coverage(*, quick: bool = False, num: int | None = None) -> dict[str, Any]:
    """Simulate all kinds of noise; return figures for the table and the JSON."""
    runs = num or (60 if quick else RUNS)
    found = []
    for noise, mechanism, scale, exact in NOISES:
        # Little noise is quickly seen to be covered: a quarter of the runs is enough.
        some = runs if exact else max(20, runs // 4)
        found += simulate(some, mechanism, scale, noise=noise, exact=exact)
    return {
        "aggregators": AGGREGATORS,
        "runs": runs,
        "results": [{**asdict(one), "rate": one.rate, "kept": one.kept} for one in found],
    }


HEAD = (
    f"{'95 % intervals of the noise hold in':42}{'figures':>8}{'as released':>13}"
    f"{'reconciled':>12}  promise"
)


def table(found: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = []
    by_kind: dict[tuple[str, str, bool], dict[bool, dict[str, Any]]] = {}
    for one in found["results"]:
        by_kind.setdefault((one["noise"], one["kind"], one["exact"]), {})[one["reconciled"]] = one
    for noise in dict.fromkeys(key[0] for key in by_kind):
        mine = {key: both for key, both in by_kind.items() if key[0] == noise}
        runs = next(iter(mine.values()))[True]["runs"]
        lines += [
            f"{noise}: {runs} simulated releases, {found['aggregators']} aggregators",
            HEAD,
        ]
        for (_, kind, exact), both in mine.items():
            promise = "94 to 96 %" if exact else "at least 94 %"
            kept = "" if both[True]["kept"] and both[False]["kept"] else "  NOT KEPT"
            kept = kept if runs >= ENOUGH else "  (too few runs to judge)"
            lines.append(
                f"{kind:42}{both[True]['figures']:>8}{both[False]['rate']:>13.2%}"
                f"{both[True]['rate']:>12.2%}  {promise}{kept}"
            )
    return lines
