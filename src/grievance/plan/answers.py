"""Strict checking of one worker's answers. Run on the worker's device.

Nothing is rounded, clipped or guessed here; that is for a mapping, where a person can
see it. No error repeats a value, nor a key that the plan does not know: what a person
typed in the wrong place is still an answer.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from grievance.errors import AnswerError
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import ChoiceField, MultiField, NumberField
from grievance.plan.frozen import FrozenMap

if TYPE_CHECKING:
    from grievance.plan.fields import Field
    from grievance.plan.model import Plan

Value = int | tuple[int, ...] | None

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,18})?")
_HUGE = 10**15


@dataclass(frozen=True)
class Answers:
    """Answers that fit a plan: made by `check_answers`, or blank. Its repr shows none of them.

    `values` has every field: the index of a choice, the sorted indices of ticks (which may
    be none), the grid value of a number, or None where the field is not answered.
    """

    plan: Plan = field(repr=False)
    values: Mapping[str, Value] = field(repr=False)

    @property
    def is_blank(self) -> bool:
        """Whether no field is answered at all."""
        return all(value is None for value in self.values.values())

    def option(self, name: str) -> int:
        """Return the index of a single-choice answer; "not answered" comes after the choices."""
        asked, value = self.plan.fields[name], self.values[name]
        if not isinstance(asked, ChoiceField) or isinstance(value, tuple):
            raise TypeError(f"{name} is not a field with one choice")
        return len(asked.choices) if value is None else value

    def label(self, name: str) -> str:
        """Return the label of a single-choice answer, "not answered" included."""
        asked = self.plan.fields[name]
        return asked.options[self.option(name)] if isinstance(asked, ChoiceField) else ""

    def ticks(self, name: str) -> tuple[int, ...] | None:
        """Return the ticked choices of a multi-choice field, or None if not answered."""
        value = self.values[name]
        if isinstance(value, int):
            raise TypeError(f"{name} is not a field with several choices")
        return value

    def number(self, name: str) -> int | None:
        """Return the grid value of a number, or None if not answered."""
        value = self.values[name]
        if isinstance(value, tuple):
            raise TypeError(f"{name} is not a number")
        return value


def check_answers(plan: Plan, raw: Mapping[str, object]) -> Answers:
    """Check a worker's answers against the plan.

    A choice is its label, several choices a list of labels, a number an int, a Decimal, a
    float (read as its shortest decimal) or a plain decimal string. A field that is missing
    or None is not answered. Answering nothing at all is a blank report and always allowed;
    otherwise every required field must be answered. Raises AnswerError.
    """
    if not isinstance(raw, Mapping):
        raise AnswerError(
            "must be given as a mapping from field to value", field="answers", code="answers.kind"
        )
    if not all(isinstance(name, str) and name in plan.fields for name in raw):
        raise AnswerError(
            "name a field that the plan does not have",
            field="answers",
            code="answers.unknown",
            hint=f"its fields are: {', '.join(plan.fields)}",
        )
    values: dict[str, Value] = {}
    for name, asked in plan.fields.items():
        value = raw.get(name)
        values[name] = None if value is None else _check(name, asked, value)
    answers = Answers(plan, FrozenMap(values))
    if not answers.is_blank:
        for name, asked in plan.fields.items():
            if asked.required and values[name] is None:
                raise AnswerError(
                    "must be answered",
                    field=name,
                    code="answers.required",
                    hint="answer it, or send a blank report with no answer at all",
                )
    return answers


def _check(name: str, asked: Field, value: object) -> Value:
    if isinstance(asked, ChoiceField):
        return _check_label(name, asked, value)
    if isinstance(asked, MultiField):
        return _check_ticks(name, asked, value)
    return _check_number(name, asked, value)


def _check_label(name: str, asked: ChoiceField | MultiField, value: object) -> int:
    if not isinstance(value, str) or value not in asked.choices:
        raise AnswerError(
            "is not one of the choices, spelled as in the plan",
            field=name,
            code="answers.choice",
            hint=f"the choices are: {'; '.join(asked.choices)}",
        )
    return asked.choices.index(value)


def _check_ticks(name: str, asked: MultiField, value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise AnswerError(
            "takes a list of choices, which may be empty", field=name, code="answers.kind"
        )
    if len(value) > len(asked.choices):
        raise AnswerError("ticks a choice twice", field=name, code="answers.twice")
    ticks = sorted(_check_label(name, asked, label) for label in value)
    if len(set(ticks)) != len(ticks):
        raise AnswerError("ticks a choice twice", field=name, code="answers.twice")
    if len(ticks) > asked.pick:
        raise AnswerError(
            f"takes at most {asked.pick} of its choices", field=name, code="answers.pick"
        )
    return tuple(ticks)


def _exact(value: object) -> Fraction | None:
    """Return a number exactly, or None for what is none. Never builds a huge integer."""
    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Integral):
        return Fraction(int(value)) if abs(int(value)) < _HUGE else None
    if isinstance(value, float):
        value = Decimal(float.__repr__(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or (value and not -19 <= value.adjusted() <= 15):
            return None
        return Fraction(value) if len(value.as_tuple().digits) <= 60 else None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Fraction(value)
    return None


def _check_number(name: str, asked: NumberField, value: object) -> int:
    number = _exact(value)
    if number is None:
        raise AnswerError("is not a number, such as 7 or 7.5", field=name, code="answers.number")
    if not asked.minimum <= number <= asked.maximum:
        raise AnswerError(
            f"must lie between {decimal_text(asked.minimum)} and {decimal_text(asked.maximum)}",
            field=name,
            code="answers.range",
        )
    steps = (number - asked.minimum) / asked.step
    if steps.denominator != 1:
        raise AnswerError(
            f"must be one of {decimal_text(asked.minimum)}, "
            f"{decimal_text(asked.minimum + asked.step)}, ... {decimal_text(asked.maximum)}",
            field=name,
            code="answers.step",
        )
    return int(steps)
