"""Plans: what is asked, what will be published, and how answers become bits and bits tables."""

from grievance.plan.answers import Answers
from grievance.plan.axes import Axis
from grievance.plan.fields import ChoiceField, Field, MultiField, NumberField
from grievance.plan.labels import ANSWERED, NOT_ANSWERED
from grievance.plan.layout import Layout
from grievance.plan.model import Plan, Privacy, load_plan
from grievance.plan.parts import Part, StatisticLayout
from grievance.plan.statistics import (
    CountStatistic,
    DistributionStatistic,
    MeanStatistic,
    Statistic,
)
from grievance.plan.tables import RawTable
from grievance.plan.template import new_plan
from grievance.plan.words import plan_in_words

__all__ = [
    "ANSWERED",
    "NOT_ANSWERED",
    "Answers",
    "Axis",
    "ChoiceField",
    "CountStatistic",
    "DistributionStatistic",
    "Field",
    "Layout",
    "MeanStatistic",
    "MultiField",
    "NumberField",
    "Part",
    "Plan",
    "Privacy",
    "RawTable",
    "Statistic",
    "StatisticLayout",
    "load_plan",
    "new_plan",
    "plan_in_words",
]
