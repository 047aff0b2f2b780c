"""From checked answers to the bits of a report. Run on the worker's device.

Positions are those of `grievance.plan.parts`; the weights of weighted blocks are added
by the circuit's own `encode`.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from grievance.errors import ShapeError
from grievance.plan.axes import cell_at

if TYPE_CHECKING:
    from grievance.plan.answers import Answers
    from grievance.plan.axes import Axis
    from grievance.plan.layout import Layout
    from grievance.plan.parts import StatisticLayout


def range_weights(top: int) -> list[int]:
    """Return the weights of the bits of an integer in [0, top], lowest first.

    Powers of two, the last one trimmed so that all ones is `top`.
    Source: VDAF draft-20, 7.4.2, range-checked integers.
    """
    bits = top.bit_length()
    return [1 << bit for bit in range(bits - 1)] + [top - (1 << (bits - 1)) + 1]


def range_bits(value: int, top: int) -> list[int]:
    """Write `value` in [0, top] over `range_weights(top)`, lowest first.

    Values with two representations take the one with the last bit 0, as in the draft.
    Source: VDAF draft-20, 7.4.2.
    """
    *_, last = range_weights(top)
    rest = top.bit_length() - 1
    high = value >> rest != 0
    low = value - last if high else value
    return [low >> bit & 1 for bit in range(rest)] + [int(high)]


def encode(layout: Layout, answers: Answers) -> list[int]:
    """Return the block bits of `answers`: `layout.num_bits` zeros and ones.

    A blank report is all zero; so are the blocks of a statistic whose `where` leaves this
    person out, and those of a mean whose number is not answered. Raises ShapeError for
    answers that were checked against another plan.
    """
    if answers.plan is not layout.plan and answers.plan != layout.plan:
        raise ShapeError("these answers were checked against another plan")
    bits = layout.blank()
    if answers.is_blank:
        return bits
    for statistic in layout.charged:
        if _is_about(statistic, answers):
            _encode_statistic(statistic, answers, bits)
    return bits


def _is_about(statistic: StatisticLayout, answers: Answers) -> bool:
    return all(answers.label(name) in labels for name, labels in statistic.where.items())


def _encode_statistic(statistic: StatisticLayout, answers: Answers, bits: list[int]) -> None:
    # `where` holds, so every choice axis has a label for this person.
    picked = (axis.picks[answers.option(axis.name)] for axis in statistic.groups)
    group = [index for index in picked if index is not None]
    place = cell_at(statistic.groups, group)
    if statistic.multi is not None:
        _encode_ticks(statistic, statistic.multi, answers, group, bits)
    elif statistic.number_name is None:
        bits[statistic.start + place] = 1
    elif statistic.kind == "mean":
        value = answers.number(statistic.number_name)
        if value is not None:
            bits[statistic.start + place] = 1
            for row, bit in enumerate(range_bits(value, statistic.grid_size), start=1):
                bits[statistic.start + row * statistic.cells + place] = bit
    else:
        value = answers.number(statistic.number_name)
        bands = statistic.axes[-1]
        band = bands.size - 1 if value is None else bisect_right(bands.cuts, value)
        bits[statistic.start + place * bands.size + band] = 1


def _encode_ticks(
    statistic: StatisticLayout, axis: Axis, answers: Answers, group: list[int], bits: list[int]
) -> None:
    ticks = answers.ticks(axis.name)
    answered = statistic.part("answered")
    bits[statistic.start + cell_at(answered.axes, [*group, int(ticks is None)])] = 1
    first = statistic.start + statistic.part("ticks").offset
    at = statistic.axes.index(axis)
    for tick in ticks or ():
        label = axis.picks[tick]
        if label is not None:
            bits[first + cell_at(statistic.axes, [*group[:at], label, *group[at:]])] = 1
