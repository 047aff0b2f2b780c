"""The formulas against all pairs of all valid encodings of small statistics."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations_with_replacement, product
from typing import TYPE_CHECKING

import pytest

from grievance.errors import PrivacyError
from grievance.privacy import (
    COUNT_BLANKED,
    MEAN_BLANKED,
    MEAN_L2_SQUARED,
    count_moved,
    mean_l1,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    Vector = tuple[Fraction | int, ...]


def one_hot(length: int, place: int) -> tuple[int, ...]:
    return tuple(int(i == place) for i in range(length))


def single_choice(cells: int) -> list[Vector]:
    """A table over single-choice fields: one cell, or a blank report."""
    return [(0,) * cells, *(one_hot(cells, cell) for cell in range(cells))]


def mean(groups: int, half_range: int) -> list[Vector]:
    """T by group in units of M, then N by group."""
    found: list[Vector] = [(0,) * (2 * groups)]
    for group, value in product(range(groups), range(half_range + 1)):
        total = Fraction(2 * value - half_range, half_range)
        totals = tuple(total if g == group else 0 for g in range(groups))
        found.append(totals + one_hot(groups, group))
    return found


def l2_squared(x: Vector, y: Vector) -> Fraction:
    return Fraction(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))


def l1(x: Vector, y: Vector) -> Fraction:
    return Fraction(sum(abs(a - b) for a, b in zip(x, y, strict=True)))


def widest(encodings: Sequence[Vector], distance=l2_squared) -> Fraction:
    return max(distance(x, y) for x, y in product(encodings, repeat=2))


def from_blank(encodings: Sequence[Vector], distance=l2_squared) -> Fraction:
    return max(distance(x, encodings[0]) for x in encodings)


@pytest.mark.parametrize("cells", range(1, 8))
def test_single_choice_table_is_exact(cells: int) -> None:
    encodings = single_choice(cells)
    assert count_moved(cells) == widest(encodings) == widest(encodings, l1)
    assert COUNT_BLANKED == from_blank(encodings) == from_blank(encodings, l1)


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("half_range", [1, 2, 3, 8])
def test_mean(groups: int, half_range: int) -> None:
    encodings = mean(groups, half_range)
    assert widest(encodings) == MEAN_L2_SQUARED
    assert from_blank(encodings) == MEAN_BLANKED
    assert widest(encodings, l1) == mean_l1(groups)
    assert from_blank(encodings, l1) == MEAN_BLANKED


def scaled(vectors: Sequence[Vector], groups: int, total: Fraction, number: Fraction):
    """The encodings of a mean, T divided by `total` and N by `number`: in units of their noise."""
    return [
        tuple(x / (total if at < groups else number) for at, x in enumerate(vector))
        for vector in vectors
    ]


@pytest.mark.parametrize("ratio", [Fraction(1, 3), Fraction(1), Fraction(3, 2), Fraction(4)])
@pytest.mark.parametrize("groups", [1, 2])
def test_what_other_scales_for_totals_and_numbers_would_cost(groups: int, ratio: Fraction) -> None:
    """T/M with b = 1 and N with b = `ratio`: the pure cost that `mean_l1` is derived from."""
    cost = widest(scaled(mean(groups, 3), groups, Fraction(1), ratio), l1)
    if groups == 1:
        assert cost == max(2, 1 + 1 / ratio)
    else:
        assert cost == 2 + 2 / ratio


def test_equal_scales_make_the_worst_error_of_a_mean_least() -> None:
    """Its error, for cost 1, is b_T^2 + r^2 b_N^2 with 2/b_T + 2/b_N = 1; r = 1 is the worst."""

    def error(ratio: Fraction, r: Fraction) -> Fraction:
        total = 2 + 2 / ratio
        return total**2 * (1 + r**2 * ratio**2)

    ratios = [Fraction(n, 20) for n in range(4, 101)]
    assert min(ratios, key=lambda ratio: error(ratio, Fraction(1))) == 1
    # What that costs elsewhere: at r^2 = 1/3, the average over the range, less than a tenth.
    third = [(2 + 2 / q) ** 2 * (1 + q**2 / 3) for q in ratios]
    assert Fraction(1) < third[ratios.index(Fraction(1))] / min(third) < Fraction(11, 10)


def test_statistics_released_together_add_up() -> None:
    together = [x + y for x, y in product(single_choice(3), single_choice(4))]
    assert widest(together) == widest(together, l1) == count_moved(3) + count_moved(4)


@pytest.mark.parametrize(
    ("encodings", "per_report", "absolute"),
    [
        (single_choice(3), count_moved(3), count_moved(3)),
        (mean(2, 2), MEAN_L2_SQUARED, mean_l1(2)),
        (mean(1, 2), MEAN_L2_SQUARED, mean_l1(1)),
    ],
)
def test_two_reports_of_one_worker_move_twice_as_far(
    encodings: list[Vector], per_report: int, absolute: int
) -> None:
    pairs = {
        tuple(a + b for a, b in zip(x, y, strict=True))
        for x, y in combinations_with_replacement(encodings, 2)
    }
    assert widest(sorted(pairs)) == 2**2 * per_report
    assert widest(sorted(pairs), l1) == 2 * absolute


@pytest.mark.parametrize("cells", [0, -1, 2.0, True, None])
def test_a_count_without_cells_is_refused(cells: int) -> None:
    with pytest.raises(PrivacyError) as caught:
        count_moved(cells)
    assert caught.value.code == "privacy.block"


@pytest.mark.parametrize("groups", [0, -1, 2.0, True, None])
def test_a_mean_without_groups_is_refused(groups: int) -> None:
    with pytest.raises(PrivacyError):
        mean_l1(groups)
