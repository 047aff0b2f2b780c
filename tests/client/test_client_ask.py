"""Questions as data, and replies as people type them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grievance.client import parse_replies, questions, seal
from grievance.errors import AnswerError
from grievance.plan import Plan


@pytest.fixture(scope="module")
def asked(plan):
    return {question.name: question for question in questions(plan)}


def test_questions_carry_what_a_form_shows(asked):
    assert list(asked) == ["region", "contract", "problems", "hours"]
    region, problems, hours = asked["region"], asked["problems"], asked["hours"]
    assert (region.kind, region.required, region.choices) == (
        "choice",
        True,
        ("London", "North", "Wales"),
    )
    assert region.text == "Where do you work?"
    assert (problems.kind, problems.pick, problems.help) == ("multi", 2, "Tick at most two.")
    assert problems.nothing == "none"
    assert (hours.kind, hours.unit) == ("number", "hours")
    assert hours.limits == (0, 40, Decimal("0.5"))
    assert hours.rule == "a number from 0 to 40 hours, in steps of 0.5"


@pytest.mark.parametrize(
    ("name", "reply", "answer"),
    [
        ("region", "North", "North"),
        ("region", "  north ", "North"),
        ("region", "2", "North"),
        ("contract", "", None),
        ("contract", "agency", "agency"),
        ("problems", "", None),
        ("problems", "none", []),
        ("problems", "1, 3", ["unpaid overtime", "bullying"]),
        ("problems", "3 1", ["unpaid overtime", "bullying"]),
        ("problems", "3;1", ["unpaid overtime", "bullying"]),
        ("problems", "Bullying; targets", ["targets", "bullying"]),
        ("problems", "bullying", ["bullying"]),
        ("hours", "", None),
        ("hours", "12.5", Decimal("12.5")),
        ("hours", "40", Decimal(40)),
    ],
)
def test_replies_are_read(asked, name, reply, answer):
    assert asked[name].parse(reply) == answer


@pytest.mark.parametrize(
    ("name", "reply", "code"),
    [
        ("region", "", "answers.required"),
        ("region", "  ", "answers.required"),
        ("region", "4", "answers.reply"),
        ("region", "0", "answers.reply"),
        ("region", "Nor", "answers.reply"),
        ("region", "²", "answers.reply"),
        ("problems", "1,2,3", "answers.reply"),
        ("problems", "1,1", "answers.reply"),
        ("problems", ";", "answers.reply"),
        ("problems", "targets, bullying", "answers.reply"),
        ("problems", "targets; sentinel", "answers.reply"),
        ("hours", "12.3", "answers.reply"),
        ("hours", "41", "answers.reply"),
        ("hours", "-1", "answers.reply"),
        ("hours", "12,5", "answers.reply"),
        ("hours", "a lot", "answers.reply"),
        ("hours", "1e99", "answers.reply"),
        ("hours", "NaN", "answers.reply"),
    ],
)
def test_other_replies_are_refused_without_being_repeated(asked, name, reply, code):
    with pytest.raises(AnswerError) as caught:
        asked[name].parse(reply)
    assert caught.value.code == code
    assert caught.value.field == name
    assert caught.value.hint == asked[name].rule
    assert "sentinel" not in str(caught.value)


def test_a_whole_form(full, plan):
    answers, problems = parse_replies(
        plan, {"region": "wales", "problems": "2", "hours": "1.5", "contract": ""}
    )
    assert not problems
    assert answers == {"region": "Wales", "problems": ["targets"], "hours": Decimal("1.5")}
    assert full.measure(seal(full.task, answers)) == full.bits(answers)


def test_a_form_tells_all_that_is_wrong(plan):
    answers, problems = parse_replies(plan, {"problems": "9", "hours": "x", "contract": "agency"})
    assert set(problems) == {"region", "problems", "hours"}
    assert answers == {"contract": "agency"}


def test_an_empty_form_is_a_blank_report(plan):
    assert parse_replies(plan, {}) == ({}, {})
    assert parse_replies(plan, {"region": " ", "hours": ""}) == ({}, {})
    with pytest.raises(AnswerError) as caught:
        parse_replies(plan, {"sentinel": "x"})
    assert caught.value.code == "answers.field"


def test_labels_that_are_numbers_are_not_positions(plan_head):
    plan = Plan.from_toml(
        plan_head
        + """
[fields.children]
question = "How many children?"
choices = ["0", "1", "2"]
[fields.odd]
question = "Which?"
choices = ["none", "some; more"]
pick = 2
[statistics.children]
count = ["children"]
[statistics.odd]
count = ["odd"]
"""
    )
    children, odd = questions(plan)
    assert not children.numbered
    assert children.parse("2") == "2"
    with pytest.raises(AnswerError):
        children.parse("3")
    assert odd.nothing == "nothing"
    assert odd.parse("nothing") == []
    assert odd.parse("none") == ["none"]
    assert odd.parse("some; more") == ["some; more"]
    assert odd.parse("1 2") == ["none", "some; more"]
