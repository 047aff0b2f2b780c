"""Two real surveys through plan, bits and tables, without noise, against their exact answers."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest
from strategies import counts_of

from grievance.plan import Layout, Plan, RawTable
from grievance.planner import forecast

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
title = "A real survey"
campaign = "trial"
opens = 2026-01-01
closes = 2026-02-01
[privacy]
mechanism = "gaussian"
epsilon = 1
delta = 1e-6
lifetime_epsilon = 4
"""
P = 2**61 - 1

OSMI = """
[statistics.treatment]
count = ["treatment"]
[statistics.talk_by_size]
count = ["employer_size", "talk_to_coworkers"]
[statistics.talk_to_coworkers]
count = ["talk_to_coworkers"]
[statistics.interfere_by_treatment]
count = ["work_interfere", "treatment"]
[statistics.employer_provides]
count = ["employer_provides"]
[statistics.retaliation_uk]
count = ["observed_consequence"]
where = { country = ["United Kingdom"] }
[statistics.age_mean]
mean = "age"
[statistics.age_by_gender]
distribution = "age"
by = ["gender"]
"""
CENSUS = """
[statistics.hours_band]
count = ["hours_band"]
[statistics.hours_by_industry]
count = ["industry", "hours_band"]
[statistics.long_hours_health_by_region]
count = ["region", "hours_band"]
where = { industry = ["Health and social work"] }
merge = { hours_band = { "less than 49" = ["15 or less", "16 to 30", "31 to 48"] } }
[statistics.poor_health_by_occupation]
count = ["occupation", "health"]
merge = { health = { "poor" = ["Bad", "Very bad"], "not poor" = ["Very good", "Good", "Fair"] } }
[statistics.occupation_by_sex_health]
count = ["occupation", "sex"]
where = { industry = ["Health and social work"] }
"""


def build(truth: dict[str, Any], statistics: str) -> Plan:
    """Put the proposed fields, as far as `statistics` uses them, into a plan."""
    text = HEAD
    for field in truth["plan"]["fields"]:
        if f'"{field["name"]}"' not in statistics and f"{{ {field['name']} =" not in statistics:
            continue
        text += f'[fields.{field["name"]}]\nquestion = "{field["name"]}?"\n'
        if field["type"] == "number":
            bands = [field["min"], *range(20, field["max"], 10), field["max"]]
            text += (
                f"minimum = {field['min']}\nmaximum = {field['max']}\nstep = 1\nbands = {bands}\n"
            )
        else:
            text += f"choices = {json.dumps(field['values'])}\n"
        if field["type"] == "multi":
            text += f"pick = {field['max_ticks']}\n"
    return Plan.from_toml(text + statistics)


def count(plan: Plan, path: Path) -> tuple[dict[str, RawTable], int]:
    layout = Layout(plan)
    total, people = layout.blank(), 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            raw: dict[str, object] = {}
            for name, field in plan.fields.items():
                cell = row[name]
                if cell:
                    ticks = [] if cell == "none" else cell.split(";")
                    raw[name] = ticks if field.kind == "multi" else cell
            for at, bit in enumerate(layout.encode(layout.answers(raw))):
                if bit:
                    total[at] += 1
            people += 1
    centred = {}
    for name in layout.statistics:
        values = layout.project(name, total, P)
        centred[name] = [value - P if value > P // 2 else value for value in values]
    return layout.tables(centred), people


def as_dict(table: RawTable, part: str = "cells") -> dict[tuple[str, ...], int]:
    keys: list[tuple[str, ...]] = [()]
    for axis in table.axes if part == "cells" else table.layout.part(part).axes:
        keys = [(*key, label) for key in keys for label in axis.labels]
    return dict(zip(keys, counts_of(table, part), strict=True))


@pytest.fixture(scope="module")
def osmi(shared: Path) -> tuple[dict[str, Any], dict[str, RawTable], int, Plan]:
    truth = json.loads((shared / "data/osmi_2014.truth.json").read_text(encoding="utf-8"))
    plan = build(truth, OSMI)
    return truth, *count(plan, shared / "data/osmi_2014.csv"), plan


@pytest.fixture(scope="module")
def census(shared: Path) -> tuple[dict[str, Any], dict[str, RawTable], int, Plan]:
    name = "data/census_ew_2011_workers"
    truth = json.loads((shared / f"{name}.truth.json").read_text(encoding="utf-8"))
    plan = build(truth, CENSUS)
    return truth, *count(plan, shared / f"{name}.csv"), plan


def answer(truth: dict[str, Any], name: str) -> dict[str, Any]:
    return next(s["answer"] for s in truth["statistics"] if s["id"] == name)


def test_osmi_counts(osmi) -> None:
    truth, tables, people, _ = osmi
    for name in ("treatment", "talk_to_coworkers"):
        found = as_dict(tables[name])
        for label, number in answer(truth, name)["counts"].items():
            assert found[label,] == number
        assert sum(found.values()) == people
        assert tables[name].layout.implied_by is not None
    for name in ("talk_by_size", "interfere_by_treatment"):
        found = as_dict(tables[name])
        for row, columns in answer(truth, name)["counts"].items():
            for column, number in columns.items():
                assert found[row, column] == number


def test_osmi_ticks_means_and_restrictions(osmi) -> None:
    truth, tables, people, plan = osmi
    provides = answer(truth, "employer_provides")
    assert {k[0]: n for k, n in as_dict(tables["employer_provides"]).items()} == provides["ticks"]
    assert as_dict(tables["employer_provides"], "answered")[("answered",)] == provides["n_answered"]
    uk = answer(truth, "retaliation_uk")
    assert as_dict(tables["retaliation_uk"])["Yes",] == uk["n_yes"]
    age = answer(truth, "age_mean")
    (total,), (number,) = tables["age_mean"].totals, tables["age_mean"].numbers
    assert number == age["n"]
    assert 16 + (total / number + 64) / 2 == pytest.approx(age["mean_clipped"])
    spread = as_dict(tables["age_by_gender"])
    assert sum(spread.values()) == people
    assert sum(n for key, n in spread.items() if key[1] == "not answered") == people - number
    assert forecast(plan, people // 4).warnings


def test_census_counts(census) -> None:
    truth, tables, people, plan = census
    assert sum(tables["hours_band"].cells) == people
    found = as_dict(tables["hours_by_industry"])
    for industry, columns in answer(truth, "hours_by_industry")["counts"].items():
        for band, number in columns.items():
            assert found[industry, band] == number
    found = as_dict(tables["occupation_by_sex_health"])
    for occupation, columns in answer(truth, "occupation_by_sex_health")["counts"].items():
        for sex, number in columns.items():
            assert found[occupation, sex] == number
    assert forecast(plan, people).num_bits == Layout(plan).num_bits


@pytest.mark.parametrize(
    ("name", "label"),
    [("long_hours_health_by_region", "49 or more"), ("poor_health_by_occupation", "poor")],
)
def test_census_shares(census, name: str, label: str) -> None:
    truth, tables, _, _ = census
    found = as_dict(tables[name])
    for group, expected in answer(truth, name).items():
        assert found[group, label] == expected["n_yes"]
        known = [n for key, n in found.items() if key[0] == group and key[1] != "not answered"]
        assert sum(known) == expected["n_answered"]
