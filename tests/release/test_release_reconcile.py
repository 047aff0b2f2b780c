"""Reconciled tables against brute-force least squares, and what is reconciled with what."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.privacy.laws import NoiseLaw, combined_margin
from grievance.release.counts import CountTable
from grievance.release.cube import Axis, Cube, pair_noise
from grievance.release.ratios import Ratio
from grievance.release.reconcile import Observed, Overlap, Shape
from grievance.release.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"a": 3, "b": 2, "c": 4}
KEYS = tuple(SIZES)
ALL = tuple(itertools.chain.from_iterable(itertools.combinations(KEYS, n) for n in range(4)))


def law(scale: object, mechanism: str = "gaussian", draws: int = 2) -> NoiseLaw:
    return NoiseLaw(mechanism, Fraction(scale), draws)  # type: ignore[arg-type]


def marginal(keys: tuple[str, ...]) -> np.ndarray:
    """The matrix that sums the full table of all three axes to one over `keys`, in that order."""
    rows = []
    for at in itertools.product(*(range(SIZES[key]) for key in keys)):
        fixed = dict(zip(keys, at, strict=True))
        cells = itertools.product(*(range(SIZES[key]) for key in KEYS))
        rows.append(
            [
                float(all(cell[KEYS.index(key)] == place for key, place in fixed.items()))
                for cell in cells
            ]
        )
    return np.array(rows)


def observed(keys: tuple[str, ...], values: Any, noise: NoiseLaw) -> Observed:
    sizes = tuple(SIZES[key] for key in keys)
    return Observed("+".join(keys), Shape(keys, sizes, noise), tuple(int(v) for v in values))


def brute(tables: list[Observed]) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares for the full table, and the covariance of its estimable sums."""
    stacked = np.vstack([marginal(table.shape.keys) for table in tables])
    weights = np.concatenate([np.full(len(t.values), 1 / t.shape.law.variance) for t in tables])
    values = np.concatenate([np.array(table.values, float) for table in tables])
    inverse = np.linalg.pinv(stacked.T @ (weights[:, None] * stacked), rcond=1e-10)
    return inverse @ stacked.T @ (weights * values), inverse


@st.composite
def worlds(draw: st.DrawFn) -> list[Observed]:
    chosen = draw(st.lists(st.sampled_from(ALL), min_size=2, max_size=5))
    tables = []
    for keys in chosen:
        order = tuple(draw(st.permutations(keys)))
        cells = math.prod(SIZES[key] for key in keys)
        values = draw(st.lists(st.integers(-50, 900), min_size=cells, max_size=cells))
        tables.append(observed(order, values, law(draw(st.integers(1, 40)))))
    return tables


@settings(max_examples=60)
@given(tables=worlds(), data=st.data())
def test_estimates_and_covariances_are_those_of_least_squares(tables, data) -> None:
    overlap = Overlap(tuple(tables))
    full, inverse = brute(tables)
    source = data.draw(st.sampled_from(tables))
    length = data.draw(st.integers(0, len(source.shape.keys)))
    keys = tuple(data.draw(st.permutations(source.shape.keys)))[:length]
    values, spread = overlap.read(keys)
    matrix = marginal(keys)
    assert values == pytest.approx(matrix @ full, abs=2e-6, rel=1e-9)
    # Any two sums of boxes have the covariance that least squares gives them.
    boxes = [
        tuple(
            data.draw(
                st.none() | st.frozensets(st.integers(0, SIZES[key] - 1), min_size=1, max_size=3)
            )
            for key in keys
        )
        for _ in range(3)
    ]
    selections = ((1.0, boxes[0]), (-0.5, boxes[1])), ((2.0, boxes[2]),)
    vectors = [
        sum((weight * _indicator(keys, box) for weight, box in some), np.zeros(len(values)))
        for some in selections
    ]
    noise = spread.noise(*selections)
    expected = matrix @ inverse @ matrix.T
    for i, j in itertools.combinations_with_replacement(range(2), 2):
        assert noise.covariance(i, j) == pytest.approx(
            vectors[i] @ expected @ vectors[j], rel=1e-9, abs=1e-6
        )


def _indicator(keys: tuple[str, ...], box: Any) -> np.ndarray:
    cells = itertools.product(*(range(SIZES[key]) for key in keys))
    return np.array(
        [
            float(all(part is None or at in part for at, part in zip(cell, box, strict=True)))
            for cell in cells
        ]
    )


@settings(max_examples=60)
@given(tables=worlds())
def test_reconciled_tables_agree(tables) -> None:
    overlap = Overlap(tuple(tables))
    for first, second in itertools.combinations(tables, 2):
        shared = tuple(key for key in first.shape.keys if key in second.shape.keys)
        sums = []
        for table in (first, second):
            values = np.array(overlap.read(table.shape.keys)[0]).reshape(table.shape.sizes)
            gone = tuple(i for i, key in enumerate(table.shape.keys) if key not in shared)
            left = [key for key in table.shape.keys if key in shared]
            sums.append(values.sum(axis=gone).transpose([left.index(key) for key in shared]))
        assert sums[0] == pytest.approx(sums[1], abs=1e-4)


def test_exact_tables_stay_exact() -> None:
    rng = np.random.default_rng(1)
    people = rng.integers(0, 50, 24)
    tables = [
        observed(keys, marginal(keys) @ people, law(scale))
        for keys, scale in ((("a", "b"), 7), (("c", "b"), 3), (("b",), 11), (("c", "a"), 5))
    ]
    overlap = Overlap(tuple(tables))
    assert overlap.agrees
    for table in tables:
        assert overlap.read(table.shape.keys)[0] == table.values


def test_a_single_table_is_left_as_it_is() -> None:
    table = observed(("a", "b"), [5, -3, 8, 0, 2, 7], law(4))
    overlap = Overlap((table,))
    assert not overlap.reconciles
    values, spread = overlap.read(("b", "a"))
    assert values == (5, 8, 2, -3, 0, 7)
    plain = Spread.independent((2, 3), table.shape.law)
    for box in (
        (frozenset([0]), None),
        (None, frozenset([1, 2])),
        (frozenset([1]), frozenset([2])),
    ):
        noise, expected = spread.noise(((1, box),)), plain.noise(((1, box),))
        assert noise.covariance() == pytest.approx(expected.covariance())
        assert {term.factors for term in noise.terms} == {(1.0,)}


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("scale", [Fraction(1, 2), 3, 40])
def test_noise_rarely_disagrees_and_fraud_does(mechanism: str, scale: object) -> None:
    noise = law(scale, mechanism)
    rng = np.random.default_rng(2)
    people = rng.integers(0, 200, 24)
    shapes = [("a", "b"), ("b", "c"), ("a", "c")]
    worst = 0
    for run in range(200):
        tables = [
            observed(
                keys,
                exact + noise.sample(len(exact), f"{run} {keys}".encode()),
                noise,
            )
            for keys in shapes
            for exact in [marginal(keys) @ people]
        ]
        worst += not Overlap(tuple(tables)).agrees
    assert worst == 0
    # One table shifted: by far less than what a single total's plausibility would show.
    shift = [0] * len(tables[0].values)
    shift[0] = round(22 * noise.sd)
    forged = observed(shapes[0], np.array(tables[0].values) + shift, noise)
    overlap = Overlap((forged, *tables[1:]))
    assert not overlap.agrees
    assert not overlap.reconciles


def test_figures_of_one_cube_cancel() -> None:
    axis = Axis("a", "?", ("x", "y", "z"))
    cube = Cube((axis,), (10, 20, 30), Spread.independent((3,), law(5)))
    first, second = cube.sum((frozenset([0, 1]),)), cube.sum((frozenset([1, 2]),))
    assert (first - second).value == -20
    assert (first - second).margin == law(5, draws=4).margin()
    assert (first - first).margin == 0
    noise = pair_noise(first, second)
    assert (noise.var_x, noise.var_y) == (pytest.approx(100), pytest.approx(100))
    assert noise.cov == pytest.approx(50)


PLAN = """
[statistics.contracts_by_region]
count = ["contract", "region"]
[statistics.problems_by_region]
count = ["problems", "region"]
[statistics.problems_by_contract]
count = ["contract", "problems"]
[statistics.problems]
count = ["problems"]
[statistics.regions]
count = ["region"]
[statistics.merged]
count = ["contract", "region"]
merge = { region = { "outside London" = ["North", "Wales"] } }
[statistics.in_london]
count = ["contract", "needs"]
where = { region = ["London"] }
[statistics.short]
mean = "estimate"
by = ["region"]
[statistics.short_by_contract]
mean = "estimate"
by = ["contract"]
[statistics.hours]
mean = "hours"
by = ["region"]
[statistics.hours_by_contract]
mean = "hours"
by = ["contract"]
[statistics.spread]
distribution = "hours"
by = ["region"]
"""


def test_what_is_reconciled_with_what(
    make_task: Callable, make_release: Callable, exact_values: Callable, population: Callable
) -> None:
    task = make_task(statistics=PLAN)
    people = population(300, 5)
    release = make_release(task, exact_values(task, people))
    everybody = {
        "contracts_by_region", "problems_by_region", "problems_by_contract", "merged", "spread",
        "short", "short_by_contract",
    }  # fmt: skip
    for name in ("contracts_by_region", "problems_by_region", "merged", "spread", "short"):
        assert set(release[name].reconciled_with) == everybody - {name}
    assert set(release["regions"].reconciled_with) == everybody
    # Means of an optional number: totals and numbers among themselves, and with nothing else.
    assert release["hours"].reconciled_with == ("hours_by_contract",)
    assert release["in_london"].reconciled_with == ()
    assert release["in_london"].raw is release["in_london"]
    assert not any(table.remark for table in release)
    # Reconciling never makes a figure less sure, and makes those that overlap more sure.
    for table in release:
        for figure, raw in zip(table.cells(), table.raw.cells(), strict=True):
            assert figure.estimate == pytest.approx(raw.estimate, abs=1e-5)
            assert figure.margin <= raw.margin * 1.0001
    assert release["hours"].mean().margin < 0.8 * release["hours"].raw.mean().margin
    assert release["problems"].total(problems="targets").margin < (
        0.8 * release["problems"].raw.total(problems="targets").margin
    )
    total = {
        release[name].answered().estimate
        for name in ("regions", "merged", "contracts_by_region", "short", "short_by_contract")
    }
    assert len(total) == 2  # those who named a contract, and everybody


def test_tables_that_disagree_are_shown_as_released(
    make_task: Callable, make_release: Callable, exact_values: Callable, population: Callable
) -> None:
    task = make_task(statistics=PLAN)
    values = exact_values(task, population(300, 5))
    values["merged"][0] += 2000
    release = make_release(task, values)
    table = release["contracts_by_region"]
    assert "disagree" in table.remark
    assert "merged" in table.remark
    assert "disagree" in repr(table)
    assert "disagree" in table._repr_html_()
    assert table.raw is table
    assert {type(figure.estimate) for figure in table.cells()} == {int}
    assert not release["hours"].remark
    assert release["hours"].reconciled_with
    assert release.suspect == (("merged", 0),) or release.suspect


def reconciled_cube() -> Cube:
    """Two noisy groups whose sums are well known: their shares move against each other."""
    rng = np.random.default_rng(7)
    people = rng.integers(300, 400, (3, 2))
    wide = Observed("wide", Shape(("g", "yes"), (3, 2), law(30)), tuple(people.ravel().tolist()))
    sums = Observed("sums", Shape(("yes",), (2,), law(1)), tuple(people.sum(axis=0).tolist()))
    values, spread = Overlap([wide, sums]).read(("g", "yes"))
    axes = Axis("g", "?", ("x", "y", "z")), Axis("yes", "?", ("yes", "no"))
    return Cube(axes, values, spread)


def test_differences_of_ratios_know_their_correlation() -> None:
    cube = reconciled_cube()
    first, second = (
        Ratio(cube.sum((frozenset([g]), frozenset([0]))), cube.sum((frozenset([g]), None)))
        for g in range(2)
    )
    # The delta method, for a share is all but linear in noise of a tenth of the group.
    n = {g: cube.sum((frozenset([g]), None)).value for g in range(2)}
    p = {g: ratio.interval.estimate for g, ratio in enumerate((first, second))}
    parts = [
        cube.sum((frozenset([g]), frozenset([0]))).plus(cube.sum((frozenset([g]), None)), -p[g])
        for g in range(2)
    ]
    whole = parts[0].plus(parts[1], -n[0] / n[1])
    expected = 1.96 * whole.sd / n[0]
    independent = math.hypot(first.interval.margin, second.interval.margin)
    assert first.minus(second).margin == pytest.approx(expected, rel=0.02)
    assert independent < 0.9 * expected


@pytest.mark.parametrize("draws", [1, 2, 4])
def test_quantiles_of_ratios_follow_the_tails_of_laplace_noise(draws: int) -> None:
    noise = law(200, "laplace", draws)
    cube = Cube((Axis("a", "?", ("x", "y")),), (1, 2), Spread.independent((2,), noise))
    x, y = cube.cells()
    pair = pair_noise(x, y)
    for t, factors in ((0.0, (1.0, 0.0)), (0.5, (1.0, -0.5)), (1.0, (1.0, -1.0))):
        exact = combined_margin([(noise, factor) for factor in factors if factor])
        found = pair.quantile(t) * math.sqrt(pair.variance(t))
        assert found == pytest.approx(exact, rel=0.025)
        assert found >= 0.999 * exact
    assert pair.quantile(math.inf) == pytest.approx(pair.quantile(0.0))
    normal = pair_noise(*Cube(cube.axes, (1, 2), Spread.independent((2,), law(200))).cells())
    assert normal.quantile(0.5) == pytest.approx(1.959964)


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("scale", [Fraction(1, 2), 2, 30])
def test_margins_of_reconciled_cells_are_those_of_their_noise(
    mechanism: str, scale: object
) -> None:
    """Simulated draw by draw: the stated half width holds 95 % of what the noise really is."""
    shapes = [
        Shape(("g", "yes"), (3, 2), law(scale, mechanism)),
        Shape(("yes",), (2,), law(scale, mechanism)),
    ]
    drawn = [
        np.stack(
            [s.law.sample(4000, f"{s.keys} {i}".encode()) for i in range(math.prod(s.sizes))], 1
        )
        for s in shapes
    ]
    cells, spread = [], None
    for run in range(4000):
        tables = [
            Observed("t", shape, tuple(noise[run].tolist()))
            for shape, noise in zip(shapes, drawn, strict=True)
        ]
        values, spread = Overlap(tables).read(("g", "yes"))
        cells.append(values[0])
    margin = spread.noise(((1, (frozenset([0]), frozenset([0]))),)).margin
    inside = np.mean(np.abs(cells) <= margin + 1e-6)
    assert inside >= 0.94
    assert inside <= (0.96 if scale == 30 else 0.99)


def test_large_tables_share_their_noise() -> None:
    """2,400 cells and shares need a handful of variances: equal figures have one list of terms."""
    sizes = {"a": 40, "b": 12, "c": 5}
    shapes = [Shape(("a", "b", "c"), (40, 12, 5), law(20)), Shape(("b",), (12,), law(3))]
    zeros = [Observed("t", shape, (0,) * math.prod(shape.sizes)) for shape in shapes]
    values, spread = Overlap(zeros).read(tuple(sizes))
    axes = tuple(Axis(n, "?", tuple(f"{n}{i}" for i in range(size))) for n, size in sizes.items())
    cube = Cube(axes, values, spread)
    known = len(spread._known)
    table = CountTable(name="t", title="?", cube=cube, hide_below=0)
    assert len(table.to_rows()) == 2400
    assert len(spread._known) - known <= 4
    assert len({figure.margin for figure in table.cells()}) == 1
