"""Answers are checked strictly, and no error ever repeats one."""

from __future__ import annotations

import traceback
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLE, answers_for, plans

from grievance.errors import AnswerError, ShapeError
from grievance.plan import Layout, Plan

LAYOUT = Layout(Plan.from_toml(EXAMPLE))
SENTINEL = "sentinel-31337"


@pytest.mark.parametrize(
    ("value", "grid"),
    [
        (0, 0), (40, 80), (7, 14), (7.5, 15), (Decimal("7.50"), 15), ("7.5", 15), ("+7", 14),
        ("007", 14), ("40.0", 80), (np.float64(7.5), 15), (np.int32(7), 14), (0.0, 0), (-0.0, 0),
        (Decimal("4E+1"), 80),
    ],
)  # fmt: skip
def test_numbers_on_the_grid(value: object, grid: int) -> None:
    answers = LAYOUT.answers({"region": "London", "unpaid_hours": value})
    assert answers.number("unpaid_hours") == grid


def test_a_float_is_the_decimal_people_see() -> None:
    layout = Layout(Plan.from_toml(EXAMPLE.replace("step = 0.5", "step = 0.1")))
    answers = layout.answers({"region": "London", "unpaid_hours": 0.3})
    assert answers.number("unpaid_hours") == 3
    with pytest.raises(AnswerError) as caught:
        layout.answers({"region": "London", "unpaid_hours": 0.1 + 0.2})
    assert caught.value.code == "answers.step"


@pytest.mark.parametrize(
    ("hours", "band"), [(0, 0), (0.5, 0), (1, 1), (4.5, 1), (5, 2), (19.5, 3), (20, 4), (40, 4)]
)
def test_bands_are_closed_below_and_the_last_one_above(hours: float, band: int) -> None:
    bits = LAYOUT.encode(LAYOUT.answers({"region": "London", "unpaid_hours": hours}))
    spread = LAYOUT.statistics["unpaid_hours_spread"]
    assert bits[spread.start : spread.start + 6] == [int(at == band) for at in range(6)]


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        ({"region": "Atlantis " + SENTINEL}, "region", "answers.choice"),
        ({"region": "london"}, "region", "answers.choice"),
        ({"region": "not answered"}, "region", "answers.choice"),
        ({"region": 0}, "region", "answers.choice"),
        ({"region": ["London"]}, "region", "answers.choice"),
        ({"region": ""}, "region", "answers.choice"),
        ({"problems": []}, "region", "answers.required"),
        ({"region": None, "unpaid_hours": 31337}, "unpaid_hours", "answers.range"),
        ({"unpaid_hours": 7}, "region", "answers.required"),
        ({"region": "North", "problems": "targets"}, "problems", "answers.kind"),
        ({"region": "North", "problems": {"targets": True}}, "problems", "answers.kind"),
        ({"region": "North", "problems": 3}, "problems", "answers.kind"),
        ({"region": "North", "problems": [SENTINEL]}, "problems", "answers.choice"),
        ({"region": "North", "problems": [None]}, "problems", "answers.choice"),
        ({"region": "North", "problems": ["targets", "targets"]}, "problems", "answers.twice"),
        ({"region": "North", "problems": ["targets"] * 9}, "problems", "answers.twice"),
        (
            {"region": "North", "problems": ["targets", "bullying", "caseload", "downgrading"]},
            "problems",
            "answers.pick",
        ),
        *(
            ({"region": "North", "unpaid_hours": value}, "unpaid_hours", "answers.number")
            for value in (
                SENTINEL, "", " 7", "7,5", "1e1", "0x7", "\u0667", "7.", ".5", "--7", "nan", True,
                float("nan"), float("inf"), Decimal("nan"), Decimal("1e999999"), 10**5000, 1e300,
                Decimal("1e-999999"), [7], 7j, b"7", Fraction(7), "9" * 400, np.bool_(True),
            )
        ),
        *(
            ({"region": "North", "unpaid_hours": value}, "unpaid_hours", "answers.range")
            for value in (-0.5, -1, 40.5, "41", 31337, Decimal("40.000000000000000001"))
        ),
        *(
            ({"region": "North", "unpaid_hours": value}, "unpaid_hours", "answers.step")
            for value in (0.25, "7.3", 3.1337, Decimal("0.000000000000000001"))
        ),
        ({SENTINEL: 1}, "answers", "answers.unknown"),
        ({"region": "North", 5: 1}, "answers", "answers.unknown"),
        ([("region", "North")], "answers", "answers.kind"),
        (None, "answers", "answers.kind"),
        ("region", "answers", "answers.kind"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_without_being_repeated(
    raw: object, field: str, code: str
) -> None:
    with pytest.raises(AnswerError) as caught:
        LAYOUT.answers(raw)
    error = caught.value
    assert (error.field, error.code) == (field, code)
    told = "".join(traceback.format_exception_only(error)) + repr(error) + str(error.hint)
    for secret in (SENTINEL, "Atlantis", "31337", "3.1337", "7.3", "40.5", "london"):
        assert secret not in told
    assert error.__cause__ is None
    assert error.__context__ is None


@settings(max_examples=60)
@given(st.data())
def test_what_fits_is_kept(data: st.DataObject) -> None:
    plan = data.draw(plans())
    raw = data.draw(answers_for(plan))
    answers = Layout(plan).answers(raw)
    assert list(answers.values) == list(plan.fields)
    for name, field in plan.fields.items():
        value = raw.get(name)
        if value is None:
            assert answers.values[name] is None
        elif field.kind == "choice":
            assert answers.label(name) == value
        elif field.kind == "multi":
            assert {field.choices[tick] for tick in answers.ticks(name) or ()} == set(value)
        else:
            assert field.value_at(answers.number(name)) == Fraction(value)
    for value in raw.values():
        assert not value or len(str(value)) < 3 or str(value) not in repr(answers)


def test_accessors_know_the_kind_of_a_field() -> None:
    answers = LAYOUT.answers({"region": "North", "problems": ["targets"], "unpaid_hours": 1})
    for wrong in (
        lambda: answers.option("problems"),
        lambda: answers.option("unpaid_hours"),
        lambda: answers.ticks("unpaid_hours"),
        lambda: answers.number("problems"),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_answers_to_another_plan_are_not_encoded() -> None:
    other = Layout(Plan.from_toml(EXAMPLE.replace("pick = 3", "pick = 2")))
    with pytest.raises(ShapeError):
        LAYOUT.encode(other.answers({"region": "North"}))
    same = Layout(Plan.from_toml(EXAMPLE))
    assert LAYOUT.encode(same.answers({"region": "North"}))
