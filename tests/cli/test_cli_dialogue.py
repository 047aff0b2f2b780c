"""The conversation of `seal`: going back, changing an answer, looking at all of them."""

from __future__ import annotations

import contextlib
import io
import sys
from decimal import Decimal
from unittest import mock

import pytest
import typer
from cli_shell import PLAN, Terminal

from grievance.cli import dialogue
from grievance.cli.dialogue import interview
from grievance.errors import UsageError
from grievance.task import Task
from grievance.testing import make_coalition


@pytest.fixture(scope="module")
def task() -> Task:
    return make_coalition(PLAN, ["north", "south"]).task


def talk(task: Task, *typed: str, screen: io.StringIO | None = None) -> dict[str, object]:
    """Type replies, which must all be read; returns the answers."""
    keyboard = Terminal("".join(f"{line}\n" for line in typed))
    with (
        mock.patch.object(sys, "stdin", keyboard),
        contextlib.redirect_stderr(screen or io.StringIO()),
    ):
        answers = interview(task)
    assert keyboard.read() == ""
    return answers


def test_straight_through(task: Task) -> None:
    assert talk(task, "2", "1 2", "4", "y") == {
        "region": "North",
        "problems": ["overtime", "targets"],
        "hours": Decimal(4),
    }
    assert talk(task, "2", "", "", "yes") == {"region": "North"}


def test_back_asks_the_question_before(task: Task) -> None:
    found = talk(task, "2", "back", "3", "1", "BACK", "targets", "4", "y")
    assert found == {"region": "Wales", "problems": ["targets"], "hours": Decimal(4)}
    # Before the first question there is none; it is asked again.
    assert talk(task, "back", "back", "1", "", "", "y") == {"region": "London"}
    # A changed mind may also be no answer.
    assert talk(task, "1", "2", "back", "", "", "y") == {"region": "London"}


def test_back_from_the_review_and_a_number_that_is_changed(task: Task) -> None:
    assert talk(task, "1", "", "4", "back", "5", "y")["hours"] == Decimal(5)
    assert talk(task, "1", "", "4", "1", "3", "y")["region"] == "Wales"
    assert talk(task, "1", "", "4", "2", "1", "2", "2", "y")["problems"] == ["targets"]
    # Back from a question that was to be changed leaves its answer as it was.
    assert talk(task, "1", "", "4", "3", "back", "y")["hours"] == Decimal(4)
    assert talk(task, "1", "", "4", "9", "0", "x", "99999999", "²", "y")["hours"] == Decimal(4)


def test_nothing_is_sealed_before_a_person_says_so(task: Task) -> None:
    with pytest.raises(UsageError) as caught:
        talk(task, "1", "", "4", "", "n")
    assert caught.value.code == "usage.declined"
    assert "nothing was written" in str(caught.value)
    with pytest.raises(typer.Abort):
        talk(task, "1", "", "4")
    # Control: without the review the answers would be there by now.
    with mock.patch.object(dialogue, "_review", return_value=None):
        assert talk(task, "1", "", "4")


def test_all_answers_are_shown_on_a_screen_and_in_no_file(task: Task) -> None:
    screen, log = Terminal(), io.StringIO()
    for where in (screen, log):
        talk(task, "2", "none", "4", "back", "7", "y", screen=where)
    shown = " ".join(screen.getvalue().split())
    assert "1 Where do you work? North" in shown
    assert "2 What is a problem? (nothing ticked)" in shown
    assert "So far: 4 hours. Answer it anew." in shown
    assert "3 Unpaid hours in a usual week 7 hours" in shown
    assert "1  Where do you work?  (answered)" in log.getvalue()
    assert "4 hours" not in log.getvalue()
    assert "7 hours" not in log.getvalue()


def test_a_comma_is_explained(task: Task) -> None:
    log = io.StringIO()
    for comma in ("4,5", "1,000"):
        talk(task, "2", "", comma, "4", "y", screen=log)
    assert log.getvalue().count("decimals are written with a point here, as in 4.5") == 2
    assert "thousands without a sign; please try again" in log.getvalue()
    assert "4,5" not in log.getvalue()


def test_the_word_for_back_is_no_answer_to_any_question() -> None:
    plan = PLAN.replace('"bullying"', '"Back", "<"')
    task = make_coalition(plan, ["north", "south"]).task
    log = io.StringIO()
    found = talk(task, "2", "back", "(back)", "<", "4", "y", screen=log)
    assert found["problems"] == ["<"]
    assert "Type '(back)' to go" in log.getvalue()
