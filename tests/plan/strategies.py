"""Hypothesis strategies for plans and the answers that fit them, for any test to use.

`plans()` draws valid plans with every kind of field and statistic, `where` and `merge`;
`answers_for(plan)` draws what a worker may answer; `all_answers(plan)` lists everything a
worker may answer, for small plans; `to_toml(plan)` writes a plan as people would.
`EXAMPLE` is the plan of the design's section 3.
"""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from grievance.plan import ChoiceField, MultiField, NumberField, Plan
from grievance.plan.decimals import decimal_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.plan import RawTable

EXAMPLE = """\
title = "Mental health workforce, autumn"
campaign = "mhw-2026"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 1.0                  # what this round may reveal about one worker
delta = 1e-6                   # numbers are read as exact decimals
lifetime_epsilon = 4.0         # all rounds of the campaign together, same delta
reports_per_worker = 1         # a worker in two unions may report twice: 2
minimum_reports = 50           # no release below this many accepted reports
hide_below = 10                # display rule on noisy counts

[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Midlands", "South", "Scotland", "Wales"]
required = true
[fields.problems]
question = "Which of these are a problem where you work?"
help = "Tick at most three."
choices = ["unpaid overtime", "targets", "downgrading", "bullying", "caseload"]
pick = 3                       # proved, so it bounds the noise
[fields.unpaid_hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 1, 5, 10, 20, 40]  # closed below; the last band closed on both sides

[statistics.problems_by_region]
count = ["problems", "region"]
importance = 2                 # its squared error counts twice when the budget is split
[statistics.unpaid_hours]
mean = "unpaid_hours"
by = ["region"]
where = { region = ["London", "North"] }          # others leave it empty
[statistics.unpaid_hours_spread]
distribution = "unpaid_hours"
by = ["region"]
merge = { region = { "outside London" = ["North", "Midlands", "South", "Scotland", "Wales"] } }
"""

LABELS = (
    "yes", "no", "London", "Île-de-France", "Übrige", "да", "нет", "東京 と", "서울", "مصر", "1-5",
    "6-25", "a, b", "a; b", '"quoted"', "don't know", "<b>", "=1+1", "back\\slash", "{x}", "100 %",
)  # fmt: skip
GROUPS = ("group one", "group two")
STEPS = (Decimal("1"), Decimal("0.5"), Decimal("0.1"), Decimal("2.25"), Decimal("7"))


def _labels(low: int, high: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(LABELS), min_size=low, max_size=high, unique=True)


@st.composite
def _choice(draw: st.DrawFn, most: int) -> dict[str, Any]:
    return {
        "question": "Which one?",
        "choices": draw(_labels(2, max(2, most))),
        "required": draw(st.booleans()),
    }


@st.composite
def _multi(draw: st.DrawFn, most: int) -> dict[str, Any]:
    choices = draw(_labels(1, most))
    return {
        "question": "Which ones?",
        "help": draw(st.sampled_from(["", "Tick what fits."])),
        "choices": choices,
        "required": draw(st.booleans()),
        "pick": draw(st.integers(1, len(choices))),
    }


@st.composite
def _number(draw: st.DrawFn, most: int) -> dict[str, Any]:
    step, steps = draw(st.sampled_from(STEPS)), draw(st.integers(1, most))
    minimum = draw(st.sampled_from([Decimal(0), Decimal(-3), Decimal("0.05")]))
    inner = draw(st.sets(st.integers(0, steps), max_size=4)) | {0, steps}
    return {
        "question": "How much?",
        "unit": draw(st.sampled_from(["", "hours"])),
        "minimum": minimum,
        "maximum": minimum + steps * step,
        "step": step,
        "bands": [minimum + edge * step for edge in sorted(inner)],
        "required": draw(st.booleans()),
    }


def _options(field: dict[str, Any]) -> list[str]:
    choices = list(field["choices"])
    return choices if field["required"] or "pick" in field else [*choices, "not answered"]


@st.composite
def _statistic(draw: st.DrawFn, fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    singles = [n for n, f in fields.items() if "choices" in f and "pick" not in f]
    several = [n for n, f in fields.items() if "pick" in f]
    numbers = [n for n, f in fields.items() if "step" in f]
    kind = draw(st.sampled_from(["count", "mean", "distribution"] if numbers else ["count"]))
    groups = draw(st.lists(st.sampled_from(singles), max_size=3, unique=True)) if singles else []
    statistic: dict[str, Any] = {}
    if kind == "count":
        ticked = draw(st.lists(st.sampled_from(several), max_size=1)) if several else []
        axes = draw(st.permutations([*groups, *ticked])) or [(singles + several)[0]]
        statistic["count"] = list(axes)
    else:
        axes = groups
        statistic[kind] = draw(st.sampled_from(numbers))
        statistic["by"] = groups
    if singles and draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(singles))
        options = _options(fields[name])
        kept = st.lists(
            st.sampled_from(options), min_size=1, max_size=len(options) - 1, unique=True
        )
        statistic["where"] = {name: draw(kept)}
    mergeable = [
        n for n in axes if len(statistic.get("where", {}).get(n, _options(fields[n]))) >= 2
    ]
    if mergeable and draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(mergeable))
        options = statistic.get("where", {}).get(name, _options(fields[name]))
        shuffled = draw(st.permutations(options))
        first = draw(st.integers(2, len(shuffled)))
        merged = {GROUPS[0]: shuffled[:first]}
        if len(shuffled) - first >= 2 and draw(st.booleans()):
            merged[GROUPS[1]] = shuffled[first:]
        statistic["merge"] = {name: merged}
    statistic["importance"] = draw(st.sampled_from([1, 2, Decimal("0.5")]))
    return statistic


@st.composite
def _relative(draw: st.DrawFn, statistic: dict[str, Any]) -> dict[str, Any]:
    """Draw a table that another one may imply: fewer axes, perhaps other people or no merges."""
    related = dict(statistic)
    key = "count" if "count" in related else "by"
    kept = [name for name in draw(st.permutations(related[key])) if draw(st.booleans())]
    related[key] = kept if kept or key == "by" else related[key][:1]
    merge = related.pop("merge", {})
    if draw(st.integers(0, 3)) and set(merge) <= set(related[key]):
        related["merge"] = merge
    where = related.get("where", {})
    if where and not draw(st.integers(0, 2)) and not related.get("merge"):
        del related["where"]
    return related


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    max_fields: int = 4,
    max_statistics: int = 5,
    max_choices: int = 4,
    max_grid: int = 20,
) -> Plan:
    """Draw a valid plan."""
    kinds = {"choice": (_choice, max_choices), "multi": (_multi, max_choices)}
    kinds["number"] = (_number, max_grid)
    fields = {"f_0": draw(_choice(max_choices))}
    for at in range(1, draw(st.integers(1, max_fields))):
        make, most = kinds[draw(st.sampled_from(sorted(kinds)))]
        fields[f"f_{at}"] = draw(make(most))
    statistics: dict[str, dict[str, Any]] = {}
    for at in range(draw(st.integers(1, max_statistics))):
        if statistics and draw(st.booleans()):
            statistics[f"s_{at}"] = draw(_relative(draw(st.sampled_from([*statistics.values()]))))
        else:
            statistics[f"s_{at}"] = draw(_statistic(fields))
    used: set[str] = set()
    for statistic in statistics.values():
        used |= {*statistic.get("count", ()), *statistic.get("by", ()), *statistic.get("where", ())}
        used |= {statistic[kind] for kind in ("mean", "distribution") if kind in statistic}
    raw = {
        "title": draw(st.sampled_from(["A survey", "Опрос", "調査 2026"])),
        "campaign": "a-campaign",
        "opens": "2026-10-01",
        "closes": "2026-12-20",
        "privacy": {
            "epsilon": draw(st.sampled_from([Decimal("0.1"), 1, Decimal("2.5")])),
            "delta": Decimal("1e-6"),
            "mechanism": "gaussian",
            "lifetime_epsilon": draw(st.sampled_from([Decimal("2.5"), 4])),
            "reports_per_worker": draw(st.integers(1, 3)),
        },
        "fields": {name: field for name, field in fields.items() if name in used},
        "statistics": statistics,
    }
    return Plan.from_toml(_toml(raw))


def _value(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)


def _toml(raw: dict[str, Any]) -> str:
    lines = []
    for key in ("title", "campaign"):
        lines.append(f"{key} = {_value(raw[key])}")
    for key in ("opens", "closes"):
        lines.append(f"{key} = {raw[key]}")
    tables = {"privacy": raw["privacy"]}
    tables |= {f"fields.{name}": field for name, field in raw["fields"].items()}
    tables |= {f"statistics.{name}": s for name, s in raw["statistics"].items()}
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def to_toml(plan: Plan) -> str:
    """Write a plan as people would, every default spelled out."""
    raw: dict[str, Any] = plan.to_json()

    def plain(entry: dict[str, Any], decimals: tuple[str, ...]) -> dict[str, Any]:
        table = {k: v for k, v in entry.items() if k not in ("name", "kind")}
        for key in decimals:
            if key in table:
                value = table[key]
                table[key] = [Decimal(v) for v in value] if key == "bands" else Decimal(value)
        return {k: v for k, v in table.items() if v != []}

    exact = ("minimum", "maximum", "step", "bands", "importance")
    budget = ("epsilon", "delta", "lifetime_epsilon")
    return _toml(
        {
            **{key: raw[key] for key in ("title", "campaign", "opens", "closes")},
            "privacy": plain(raw["privacy"], budget),
            "fields": {entry["name"]: plain(entry, exact) for entry in raw["fields"]},
            "statistics": {entry["name"]: plain(entry, exact) for entry in raw["statistics"]},
        }
    )


def _subsets(field: MultiField) -> list[list[str]]:
    return [
        list(ticks)
        for size in range(field.pick + 1)
        for ticks in itertools.combinations(field.choices, size)
    ]


def values_of(field: ChoiceField | MultiField | NumberField) -> list[object]:
    """List every value a worker may give to a field."""
    if isinstance(field, ChoiceField):
        return list(field.choices)
    if isinstance(field, MultiField):
        return list(_subsets(field))
    return [Decimal(decimal_text(field.value_at(v))) for v in range(field.grid_size + 1)]


def all_answers(plan: Plan) -> Iterator[dict[str, object]]:
    """List everything a worker may answer, the blank report first."""
    yield {}
    options = [
        [*values_of(field), *([] if field.required else [None])] for field in plan.fields.values()
    ]
    for values in itertools.product(*options):
        if any(value is not None for value in values):
            yield dict(zip(plan.fields, values, strict=True))


def answers_for(plan: Plan) -> st.SearchStrategy[dict[str, object]]:
    """Draw the raw answers of one worker, now and then a blank report."""

    def value(field: ChoiceField | MultiField | NumberField) -> st.SearchStrategy[object]:
        if isinstance(field, ChoiceField):
            given: st.SearchStrategy[object] = st.sampled_from(field.choices)
        elif isinstance(field, MultiField):
            given = st.lists(st.sampled_from(field.choices), max_size=field.pick, unique=True)
        else:
            grid = st.integers(0, field.grid_size)
            given = grid.map(lambda v, f=field: Decimal(decimal_text(f.value_at(v))))
        return given if field.required else st.none() | given

    full = st.fixed_dictionaries({name: value(field) for name, field in plan.fields.items()})
    return st.integers(0, 9).flatmap(lambda die: st.just({}) if die == 0 else full)


def counts_of(table: RawTable, part: str = "cells") -> tuple[int, ...]:
    """The integers of a part; as `cells` of a table of ticks, the counts that follow from them."""
    statistic = table.layout
    if part != "cells" or statistic.multi is None:
        return table.part(part)  # type: ignore[arg-type]
    a, _ = statistic.centre
    groups = [table.answered[at] for at in statistic.denominators]
    found = [divmod(t + a * n, 64) for t, n in zip(table.ticks, groups, strict=True)]
    assert all(left == 0 for _, left in found)  # exact sums are whole
    return tuple(count for count, _ in found)
