"""The plan: what is asked, what will be published, and at what privacy cost.

A `Plan` is immutable and exists only when every rule holds; `grievance.plan.load` makes
one from TOML or from a task's JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from grievance.names import is_name as is_campaign_name
from grievance.plan import limits
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import (
    ChoiceField,
    Exact,
    Frozen,
    MultiField,
    Name,
    NumberField,
    text_rule,
)
from grievance.plan.frozen import FrozenMap
from grievance.plan.labels import shown
from grievance.plan.problems import problem
from grievance.plan.statistics import CountStatistic, DistributionStatistic, MeanStatistic
from grievance.plan.witnesses import (
    IdentityKey,
    Organisation,
    check_witnesses,
    with_default_quorum,
)

if TYPE_CHECKING:
    from os import PathLike

    from grievance.crypto.hpke import Kem

V = TypeVar("V")
_NUMBER_KEYS = frozenset({"minimum", "maximum", "step", "bands", "unit"})


def _field_tag(value: object) -> str | None:
    if isinstance(value, (ChoiceField, MultiField, NumberField)):
        return f"<{value.kind}>"
    if not isinstance(value, Mapping):
        return None
    if "pick" in value:
        return "<multi>"
    if "choices" not in value and _NUMBER_KEYS & set(value):
        return "<number>"
    return "<choice>"


def _statistic_tag(value: object) -> str | None:
    if isinstance(value, (CountStatistic, MeanStatistic, DistributionStatistic)):
        return f"<{value.kind}>"
    if not isinstance(value, Mapping):
        return None
    return next((f"<{kind}>" for kind in ("mean", "distribution") if kind in value), "<count>")


AnyField = Annotated[
    Annotated[ChoiceField, Tag("<choice>")]
    | Annotated[MultiField, Tag("<multi>")]
    | Annotated[NumberField, Tag("<number>")],
    Discriminator(_field_tag),
]
AnyStatistic = Annotated[
    Annotated[CountStatistic, Tag("<count>")]
    | Annotated[MeanStatistic, Tag("<mean>")]
    | Annotated[DistributionStatistic, Tag("<distribution>")],
    Discriminator(_statistic_tag),
]


def _frozen(value: Mapping[str, V]) -> Mapping[str, V]:
    return FrozenMap(value)


def _day(value: object, info: ValidationInfo) -> object:
    if (info.context or {}).get("json"):
        try:
            day = date.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            day = None
        if day is None or day.isoformat() != value:
            raise problem("plan.period", 'must be a date: "2026-10-01"')
        return day
    # A datetime is a date to Python, but a plan's days have no clock and no time zone.
    if isinstance(value, datetime) or not isinstance(value, date):
        raise problem("plan.period", "must be a date without time and without quotes: 2026-10-01")
    return value


Day = Annotated[date, BeforeValidator(_day)]

KEMS: Mapping[str, Kem] = MappingProxyType({"hybrid": "MLKEM768_X25519", "x25519": "X25519"})
"""What reports are sealed with: a plan's word for it, and the KEM of HPKE."""


class Privacy(Frozen):
    """What the round promises, and the display rules that go with it.

    `epsilon` at `delta` is what this round may reveal about one worker, `lifetime_epsilon`
    (same delta) what all rounds of the campaign may reveal together. `mechanism` is the noise,
    and `rounds` how many rounds the campaign is meant to have, which decides what "auto" takes:
    see `grievance.plan.budget`. With discrete Laplace noise the promise is epsilon alone, and
    delta is not used.
    """

    epsilon: Exact
    delta: Exact
    lifetime_epsilon: Exact
    rounds: int = 1
    reports_per_worker: int = 1
    minimum_reports: int = 50
    hide_below: int = 10
    mechanism: Literal["gaussian", "laplace", "auto"] = "auto"

    @field_validator("mechanism", mode="before")
    @classmethod
    def _check_mechanism(cls, value: object) -> object:
        if value not in ("gaussian", "laplace", "auto"):
            raise problem(
                "plan.budget",
                'must be "gaussian" (for many tables or rounds), "laplace" (for one table or two), '
                "or left out: then it is the better one for this plan, or its campaign's",
            )
        return value

    @model_validator(mode="after")
    def _check(self) -> Privacy:
        low, high = limits.MIN_EPSILON, limits.MAX_EPSILON
        if not low <= self.epsilon <= high:
            raise problem(
                "plan.budget",
                f"must be {decimal_text(low)} to {high}; 1 is a usual choice",
                "epsilon",
            )
        if not 0 < self.delta <= limits.MAX_DELTA:
            raise problem(
                "plan.budget",
                f"must be above 0 and at most {decimal_text(limits.MAX_DELTA)}; "
                f"choose well below one over the number of workers, such as 1e-6",
                "delta",
            )
        if not self.epsilon <= self.lifetime_epsilon <= limits.MAX_LIFETIME_EPSILON:
            raise problem(
                "plan.budget",
                f"must be at least epsilon, {decimal_text(self.epsilon)}, and at most "
                f"{limits.MAX_LIFETIME_EPSILON}",
                "lifetime_epsilon",
            )
        for key, least, most in (
            ("rounds", 1, limits.MAX_ROUNDS),
            ("reports_per_worker", 1, limits.MAX_REPORTS_PER_WORKER),
            ("minimum_reports", limits.MIN_REPORTS, limits.MAX_REPORTS),
            ("hide_below", 0, limits.MAX_HIDE_BELOW),
        ):
            if not least <= getattr(self, key) <= most:
                raise problem("plan.budget", f"must be {least:,} to {most:,}", key)
        return self


class Plan(Frozen):
    """Fields, statistics and privacy terms of one round.

    The order of `fields` is the order in which they are asked, the order of `statistics`
    that of their blocks in a report. `envelope` is what reports are sealed with.
    `shared_trustees` allows aggregators to have trustees in common, who then hold pieces of
    the keys of several (see `grievance.task.trustees`).
    `witnesses` maps organisations to their identity keys (base64url): see
    `grievance.plan.witnesses`.
    """

    title: Annotated[str, text_rule(limits.MAX_TITLE)]
    campaign: str
    opens: Day
    closes: Day
    envelope: Literal["hybrid", "x25519"] = "hybrid"
    shared_trustees: bool = False
    privacy: Privacy
    fields: Annotated[Mapping[Name, AnyField], AfterValidator(_frozen)]
    statistics: Annotated[Mapping[Name, AnyStatistic], AfterValidator(_frozen)]
    witnesses: Annotated[Mapping[Organisation, IdentityKey], AfterValidator(_frozen)] = FrozenMap()
    witness_quorum: int = 0

    @model_validator(mode="before")
    @classmethod
    def _spell_out_quorum(cls, value: object) -> object:
        return with_default_quorum(value)

    @field_validator("campaign")
    @classmethod
    def _check_campaign(cls, value: str) -> str:
        if not is_campaign_name(value):
            raise problem(
                "plan.name",
                f"{shown(value)} is not a campaign's name; use 1 to 40 lowercase letters, digits "
                f"and hyphens, starting with a letter or digit",
            )
        return value

    @field_validator("envelope", mode="before")
    @classmethod
    def _check_envelope(cls, value: object) -> object:
        if not isinstance(value, str) or value not in KEMS:
            raise problem(
                "plan.envelope",
                'must be "hybrid" (post-quantum, the default) or "x25519" (smaller, for devices '
                "that cannot seal the other)",
            )
        return value

    @property
    def kem(self) -> Kem:
        """The KEM of every aggregator's key for the round."""
        return KEMS[self.envelope]

    @model_validator(mode="after")
    def _check_plan(self, info: ValidationInfo) -> Plan:
        from grievance.plan.check import check_plan

        for key in ("opens", "closes"):
            if not limits.FIRST_YEAR <= getattr(self, key).year <= limits.LAST_YEAR:
                raise problem(
                    "plan.period",
                    f"must lie in the years {limits.FIRST_YEAR} to {limits.LAST_YEAR}",
                    key,
                )
        if self.opens >= self.closes:
            raise problem("plan.period", "must be after `opens`", "closes")
        for key, most in (("fields", limits.MAX_FIELDS), ("statistics", limits.MAX_STATISTICS)):
            if not 1 <= len(getattr(self, key)) <= most:
                raise problem("plan.block", f"must be 1 to {most}", key)
        check_witnesses(self.witnesses, self.witness_quorum)
        check_plan(self, source=str((info.context or {}).get("source", "plan")))
        return self

    @classmethod
    def from_toml(cls, text: str | bytes, source: str = "plan.toml") -> Plan:
        """Read a plan as people write it. Raises PlanError; `source` names it there."""
        from grievance.plan.load import parse_toml

        return parse_toml(text, source)

    @classmethod
    def from_json(cls, value: object, source: str = "task") -> Plan:
        """Read what `to_json` wrote, and nothing else. Raises PlanError."""
        from grievance.plan.load import parse_json

        return parse_json(value, source)

    def to_json(self) -> dict[str, object]:
        """Write the whole plan as strings, integers, booleans and lists, every default spelled out.

        Fields and statistics are lists, because their order counts and a canonical JSON
        object has none. Decimals and dates are strings in their one spelling.
        """
        from grievance.plan.load import write_json

        return write_json(self)


def load_plan(path: str | PathLike[str]) -> Plan:
    """Read a plan file. Raises PlanError, also when the file cannot be read."""
    from grievance.plan.load import read_file

    return read_file(path)
