"""The three kinds of statistic: count, mean, distribution.

Nothing is released that is not written here, and nothing is asked that none of these uses.
Which fields and labels they may name is checked in `grievance.plan.check`, where the
whole plan is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, field_validator

from grievance.plan import limits
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import Exact, Frozen, Label, Name, Names, Texts
from grievance.plan.frozen import FrozenMap
from grievance.plan.labels import find_twins, shown
from grievance.plan.problems import problem


def _sorted_map(value: Mapping[str, object]) -> Mapping[str, object]:
    # By name, so that a plan read from its canonical JSON, whose keys are sorted, is the same.
    return FrozenMap({key: value[key] for key in sorted(value)})


Where = Annotated[Mapping[Name, Texts], AfterValidator(_sorted_map)]
Groups = Annotated[Mapping[Label, Texts], AfterValidator(_sorted_map)]
Merge = Annotated[Mapping[Name, Groups], AfterValidator(_sorted_map)]


class _Statistic(Frozen):
    where: Where = FrozenMap()
    merge: Merge = FrozenMap()
    importance: Exact = Fraction(1)

    @field_validator("importance")
    @classmethod
    def _check_importance(cls, value: Fraction) -> Fraction:
        if not limits.MIN_IMPORTANCE <= value <= limits.MAX_IMPORTANCE:
            least, most = decimal_text(limits.MIN_IMPORTANCE), limits.MAX_IMPORTANCE
            raise problem(
                "plan.number", f"must be {least} to {most}; 1 is the same as leaving it out"
            )
        return value

    @field_validator("where")
    @classmethod
    def _check_where(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for field, labels in value.items():
            if not labels or len(set(labels)) != len(labels):
                raise problem("plan.statistic", "needs one or more labels, each once", field)
        return value

    @field_validator("merge")
    @classmethod
    def _check_merge(
        cls, value: Mapping[str, Mapping[str, tuple[str, ...]]]
    ) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        for field, groups in value.items():
            if not groups:
                raise problem("plan.statistic", "merges nothing; leave it out", field)
            twins = find_twins(tuple(groups))
            if twins is not None:
                raise problem(
                    "plan.label",
                    f"{shown(twins[0])} and {shown(twins[1])} are the same but for case or form",
                    field,
                )
            members = [label for labels in groups.values() for label in labels]
            if len(set(members)) != len(members):
                raise problem("plan.statistic", "puts a label into two groups, or twice", field)
            for group, labels in groups.items():
                if len(labels) < 2:
                    raise problem("plan.statistic", "must merge two or more labels", field, group)
        return value


def _check_axes(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise problem("plan.statistic", "names a field twice")
    if len(names) > limits.MAX_AXES:
        raise problem("plan.block", f"crosses {len(names)} fields; at most {limits.MAX_AXES}")
    return names


class CountStatistic(_Statistic):
    """How many people gave each combination of answers: a cross-tab of one or more fields.

    At most one of the fields may have several choices; its table then comes with the
    number of people asked, in each group of the others.
    """

    kind: ClassVar[Literal["count"]] = "count"
    count: Names

    @field_validator("count")
    @classmethod
    def _check_count(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise problem("plan.statistic", "must name at least one field")
        return _check_axes(value)

    @property
    def number(self) -> str | None:
        """A count is over choices only."""
        return None

    @property
    def choices(self) -> tuple[str, ...]:
        """The choice fields the table is over, in its order."""
        return self.count


class _OfNumber(_Statistic):
    by: Names = ()

    @field_validator("by")
    @classmethod
    def _check_by(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _check_axes(value)

    @property
    def choices(self) -> tuple[str, ...]:
        """The choice fields the groups are made of, in their order."""
        return self.by


class MeanStatistic(_OfNumber):
    """The mean of a number, in each group of the `by` fields."""

    kind: ClassVar[Literal["mean"]] = "mean"
    mean: Name

    @property
    def number(self) -> str:
        """The number field."""
        return self.mean


class DistributionStatistic(_OfNumber):
    """How many people's number falls into each of its bands, in each group of the `by` fields."""

    kind: ClassVar[Literal["distribution"]] = "distribution"
    distribution: Name

    @property
    def number(self) -> str:
        """The number field."""
        return self.distribution


Statistic = CountStatistic | MeanStatistic | DistributionStatistic
"""Any of the three kinds of statistic."""
