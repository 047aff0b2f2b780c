"""The three kinds of field: one choice, several choices, a bounded number on a grid.

There is no free text: whatever is asked is counted, and whatever is counted is bounded.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from grievance.plan import limits
from grievance.plan.decimals import decimal_problem, decimal_text, read_decimal
from grievance.plan.labels import (
    NOT_ANSWERED,
    find_twins,
    is_name,
    label_problem,
    shown,
    text_problem,
)
from grievance.plan.problems import problem


def _name(value: str) -> str:
    if not is_name(value):
        raise problem(
            "plan.name",
            f"{shown(value)} is not a name; use a lowercase letter, then at most 39 of a-z, 0-9, _",
        )
    return value


def _label(value: str) -> str:
    found = label_problem(value)
    if found is not None:
        raise problem("plan.label", f"{shown(value)} {found}")
    return value


def text_rule(limit: int, *, empty: bool = False) -> AfterValidator:
    """Return the pydantic rule for a line of text of at most `limit` characters."""

    def check(value: str) -> str:
        found = None if empty and value == "" else text_problem(value, limit)
        if found is not None:
            raise problem("plan.label", f"{shown(value)} {found}")
        return value

    return AfterValidator(check)


def _list(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return tuple(value)
    raise problem("plan.syntax", 'must be a list: ["...", "..."]')


def _decimal(value: object, info: ValidationInfo) -> Fraction:
    if isinstance(value, Fraction):
        return value
    json = bool((info.context or {}).get("json"))
    found = decimal_problem(value, json=json)
    if found is not None:
        raise problem("plan.number", found)
    return read_decimal(value, json=json)


Name = Annotated[str, AfterValidator(_name)]
Label = Annotated[str, AfterValidator(_label)]
Question = Annotated[str, text_rule(limits.MAX_QUESTION)]
Help = Annotated[str, text_rule(limits.MAX_HELP, empty=True)]
Unit = Annotated[str, text_rule(limits.MAX_UNIT, empty=True)]
Exact = Annotated[Fraction, PlainValidator(_decimal)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_list)]
Labels = Annotated[tuple[Label, ...], BeforeValidator(_list)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_list)]
Exacts = Annotated[tuple[Exact, ...], BeforeValidator(_list)]


class Frozen(BaseModel):
    """A part of a plan: immutable, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class _Asked(Frozen):
    question: Question
    help: Help = ""
    required: bool = False


class _Choices(_Asked):
    choices: Labels
    fewest: ClassVar[int]

    @model_validator(mode="after")
    def _check_choices(self) -> _Choices:
        if not self.fewest <= len(self.choices) <= limits.MAX_CHOICES:
            raise problem(
                "plan.label",
                f"must be {self.fewest} to {limits.MAX_CHOICES} choices, not {len(self.choices)}; "
                "add what is missing, or put rare ones together under one label",
                "choices",
            )
        twins = find_twins(self.choices)
        if twins is not None:
            raise problem(
                "plan.label",
                f"{shown(twins[0])} and {shown(twins[1])} are the same but for case or form; "
                f"take one out or rename it",
                "choices",
            )
        return self


class ChoiceField(_Choices):
    """A question with one answer out of `choices`."""

    kind: ClassVar[Literal["choice"]] = "choice"
    fewest: ClassVar[int] = 2

    @property
    def options(self) -> tuple[str, ...]:
        """The labels a table shows: the choices, and "not answered" unless it is required."""
        return self.choices if self.required else (*self.choices, NOT_ANSWERED)


class MultiField(_Choices):
    """A question with up to `pick` answers out of `choices`. Ticking nothing is an answer."""

    kind: ClassVar[Literal["multi"]] = "multi"
    fewest: ClassVar[int] = 1
    pick: int

    @model_validator(mode="after")
    def _check_pick(self) -> MultiField:
        if not 1 <= self.pick <= len(self.choices):
            raise problem(
                "plan.block",
                f"lets people tick {self.pick:,} of {len(self.choices)} choices; "
                f"give 1 to {len(self.choices)}",
                "pick",
            )
        return self


class NumberField(_Asked):
    """A question with a number from `minimum` to `maximum` in steps of `step`.

    `bands` are the edges of the bands in which a distribution counts it: closed below,
    the last one closed on both sides. Inside, an answer is the grid value
    v = (number - minimum) / step in 0..M.
    """

    kind: ClassVar[Literal["number"]] = "number"
    unit: Unit = ""
    minimum: Exact
    maximum: Exact
    step: Exact
    bands: Exacts = ()

    @model_validator(mode="after")
    def _check_numbers(self) -> NumberField:
        for key in ("minimum", "maximum"):
            if abs(getattr(self, key)) > limits.MAX_NUMBER:
                raise problem("plan.number", f"must lie within +-{limits.MAX_NUMBER:,}", key)
        if self.minimum >= self.maximum:
            raise problem("plan.number", "must be larger than `minimum`", "maximum")
        if self.step <= 0:
            raise problem("plan.number", "must be larger than 0", "step")
        width = (self.maximum - self.minimum) / self.step
        if width.denominator != 1:
            raise problem(
                "plan.number",
                f"does not divide the range of {decimal_text(self.maximum - self.minimum)} "
                f"exactly; choose a step that leads from minimum to maximum",
                "step",
            )
        if width > limits.MAX_GRID:
            raise problem(
                "plan.number",
                f"makes {int(width):,} steps; at most {limits.MAX_GRID:,}: choose a larger step",
                "step",
            )
        if self.bands:
            self._check_bands()
        return self

    def _check_bands(self) -> None:
        edges = self.bands
        if not 2 <= len(edges) <= limits.MAX_BANDS + 1:
            raise problem("plan.number", f"needs 2 to {limits.MAX_BANDS + 1} edges", "bands")
        for low, high in pairwise(edges):
            if low >= high:
                raise problem(
                    "plan.number",
                    f"must grow: {decimal_text(high)} comes after {decimal_text(low)}",
                    "bands",
                )
        if edges[0] != self.minimum or edges[-1] != self.maximum:
            raise problem(
                "plan.number",
                f"must begin with the minimum, {decimal_text(self.minimum)}, and end with the "
                f"maximum, {decimal_text(self.maximum)}",
                "bands",
            )
        for edge in edges:
            if ((edge - self.minimum) / self.step).denominator != 1:
                raise problem(
                    "plan.number",
                    f"{decimal_text(edge)} is no answer a person can give: edges lie on steps "
                    f"of {decimal_text(self.step)} from {decimal_text(self.minimum)}",
                    "bands",
                )

    @cached_property
    def grid_size(self) -> int:
        """M: the number of steps from minimum to maximum, and the largest grid value."""
        return int((self.maximum - self.minimum) / self.step)

    @cached_property
    def band_edges(self) -> tuple[int, ...]:
        """The bands' edges as grid values, from 0 to M."""
        return tuple(int((edge - self.minimum) / self.step) for edge in self.bands)

    @cached_property
    def band_labels(self) -> tuple[str, ...]:
        """The bands in words, by the first and the last answer that falls into each."""
        labels = []
        last = len(self.bands) - 2
        for at, (low, high) in enumerate(pairwise(self.bands)):
            top = high if at == last else high - self.step
            low_text, top_text = decimal_text(low), decimal_text(top)
            labels.append(low_text if low == top else f"{low_text} to {top_text}")
        return tuple(labels)

    def value_at(self, value: int) -> Fraction:
        """Return the number a grid value stands for."""
        return self.minimum + value * self.step


Field = ChoiceField | MultiField | NumberField
"""Any of the three kinds of field."""
