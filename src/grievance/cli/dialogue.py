"""The conversation of `seal`: one question after the other, back, and a look at all of it."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING

from grievance.cli.output import DECLINED, ask, say
from grievance.errors import AnswerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.client import Question
    from grievance.task import Task

_BACK_WORDS = ("back", "<", "(back)")


class _Back(Exception):  # noqa: N818 - no error: somebody wants to see the question before
    """Somebody typed the word for going back."""


def interview(task: Task) -> dict[str, object]:
    """Ask every question, show all answers, and return them once the person says so.

    Raises UsageError when there is nobody to ask, or the person stops: nothing is written then.
    """
    from grievance.client import questions
    from grievance.plan import plan_in_words

    if not sys.stdin.isatty():
        raise UsageError(
            "there is nobody to ask",
            code="usage.answers",
            hint="run it in a terminal, or give --answers FILE, --table FILE or --blank",
        )
    names = [aggregator.display_name for aggregator in task.aggregators]
    say("\n".join(_without_questions(plan_in_words(task.plan, names))))
    asked = questions(task.plan)
    back = _back_word(asked)
    if len(asked) > 1:
        say(f"\nType {back!r} to go to the question before. All answers are shown at the end.")
    answers: dict[str, object] = {}
    _ask_from(0, asked, answers, back)
    while (number := _review(asked, answers, back)) is not None:
        if number == len(asked):  # back, from the review
            _ask_from(number - 1, asked, answers, back)
        else:
            _ask_again(number, asked, answers, back)
    return answers


def _ask_from(start: int, asked: Sequence[Question], answers: dict[str, object], back: str) -> None:
    """Ask from one question to the last, going back where somebody asks for it."""
    at = start
    while at < len(asked):
        try:
            _take(at, asked, answers, back)
        except _Back:
            at = max(0, at - 1)
        else:
            at += 1


def _ask_again(at: int, asked: Sequence[Question], answers: dict[str, object], back: str) -> None:
    """Ask one question anew; `back` leaves its answer as it is."""
    try:
        _take(at, asked, answers, back)
    except _Back:
        return


def _take(at: int, asked: Sequence[Question], answers: dict[str, object], back: str) -> None:
    """Ask one question and keep its answer; no answer takes an earlier one away."""
    question = asked[at]
    say(f"\nQuestion {at + 1} of {len(asked)}: {question.text}")
    if question.name in answers:
        say(f"  So far: {_shown(question, answers[question.name])}. Answer it anew.")
    answer = _ask_one(question, back)
    answers.pop(question.name, None)
    if answer is not None:
        answers[question.name] = answer


def _ask_one(question: Question, back: str) -> object:
    if question.help:
        say(f"  {question.help}")
    for number, choice in enumerate(question.choices, 1):
        say(f"  {number:3}  {choice}" if question.numbered else f"       {choice}")
    rule = question.rule[0].upper() + question.rule[1:]
    say(f"  {rule}{'' if question.required else '; empty for no answer'}.")
    while True:
        reply = ask("  > ")
        if reply.strip().casefold() == back:
            raise _Back
        try:
            return question.parse(reply)
        except AnswerError as error:
            say(f"  {error.message.removeprefix(f'{error.field}: ')}; please try again")


def _review(asked: Sequence[Question], answers: dict[str, object], back: str) -> int | None:
    """Show all answers. Returns the place of one to change, all of them for back, or None."""
    say("\nYour answers")
    for number, question in enumerate(asked, 1):
        shown = _shown(question, answers.get(question.name))
        say(f"  {number:3}  {question.text}  {shown}")
    if not answers:
        say("  Nothing is answered: this will be a blank report.")
    while True:
        reply = ask("Seal them? [y to seal, a number to change that answer, n to stop]: ")
        word = reply.strip().casefold()
        if word in ("y", "yes"):
            say()
            return None
        if word in ("n", "no"):
            raise UsageError("stopped; nothing was written", code=DECLINED)
        if word == back:
            return len(asked)
        if word.isascii() and word.isdigit() and len(word) < 5 and 1 <= int(word) <= len(asked):
            return int(word) - 1
        say("Please type y, n, or the number in front of a question.")


def _shown(question: Question, answer: object) -> str:
    """An answer for the eyes of who gave it: on a terminal alone, never in a file or a pipe."""
    if answer is None:
        return "(no answer)"
    if not sys.stderr.isatty():
        return "(answered)"
    if isinstance(answer, list):
        return "; ".join(answer) or "(nothing ticked)"
    unit = f" {question.unit}" if question.unit else ""
    return f"{answer:f}{unit}" if isinstance(answer, Decimal) else str(answer)


def _back_word(asked: Sequence[Question]) -> str:
    """A word for going back that is no answer to any question."""
    labels = {choice.casefold() for question in asked for choice in question.choices}
    return next((word for word in _BACK_WORDS if word not in labels), "((back))")


def _without_questions(lines: list[str]) -> list[str]:
    """Leave out the list of questions, which are about to be asked one by one."""
    if "What is asked" not in lines:
        return lines
    start = lines.index("What is asked")
    return [*lines[:start], *lines[lines.index("", start) + 1 :]]
