"""The questions of a task as data, for whoever shows a form: terminal, web page, paper.

Replies are text as typed. A form shows `Question.text`, `help` and `rule`, reads a reply
with `parse`, and hands all answers to `seal`. Nothing here prints, and no error repeats
what was typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grievance.client.text import fit, normal, parse_number
from grievance.errors import AnswerError
from grievance.plan import MultiField, NumberField
from grievance.plan.decimals import decimal_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from fractions import Fraction

    from grievance.plan import Field, Plan

_NOTHING = ("none", "nothing", "-")


@dataclass(frozen=True)
class Question:
    """One question: `text` and `help` as signed in the plan, `rule` what a reply may be.

    `numbered` tells whether choices may be given by number, from 1; not where labels are
    numbers themselves. `nothing` is the reply that ticks nothing. `limits` are minimum,
    maximum and step of a number.
    """

    name: str
    kind: Literal["choice", "multi", "number"]
    text: str
    help: str
    required: bool
    rule: str
    choices: tuple[str, ...] = ()
    pick: int = 1
    unit: str = ""
    limits: tuple[Fraction, Fraction, Fraction] | None = None
    numbered: bool = False
    nothing: str = ""

    def parse(self, reply: str) -> str | list[str] | Decimal | None:
        """Turn a typed reply into an answer; None when it is empty and need not be given.

        Choices are given by number or by label, whatever the case; several are separated by
        semicolons, or numbers by commas or spaces. Raises AnswerError `answers.required`,
        `answers.reply`, naming what is expected.
        """
        text = normal(reply)
        if not text:
            if self.required:
                raise self._error("this question needs an answer", code="answers.required")
            return None
        if self.limits is not None:
            return self._parse_number(text)
        if self.kind == "choice":
            return self._parse_choice(text)
        return self._parse_choices(text)

    def _parse_number(self, text: str) -> Decimal:
        value = parse_number(text)
        if value is None and parse_number(text, ",") is not None:
            raise self._error(
                "decimals are written with a point here, as in 4.5, and thousands without a sign"
            )
        if value is None:
            raise self._error("this is not a number")
        minimum, maximum, step = self.limits or (None, None, None)
        if minimum is None or maximum is None or step is None:
            raise self._error("this question takes no number")
        if not minimum <= value <= maximum:
            raise self._error("the number is outside the limits")
        if fit(value, minimum, maximum, step, clip=False, to_grid=True) != value:
            raise self._error("the number lies between two steps")
        return value

    def _parse_choice(self, text: str) -> str:
        folded = text.casefold()
        for choice in self.choices:
            if choice.casefold() == folded:
                return choice
        if self.numbered and text.isascii() and text.isdigit() and len(text) < 4:
            place = int(text)
            if 1 <= place <= len(self.choices):
                return self.choices[place - 1]
        raise self._error("this is not one of the choices")

    def _parse_choices(self, text: str) -> list[str]:
        if text.casefold() == self.nothing:
            return []
        if self.numbered and not text.strip("0123456789,; "):
            parts = text.replace(",", " ").replace(";", " ").split()
        elif any(choice.casefold() == text.casefold() for choice in self.choices):
            parts = [text]
        else:
            parts = [normal(part) for part in text.split(";") if normal(part)]
        labels = [self._parse_choice(part) for part in parts]
        if not labels:
            raise self._error("this is not one of the choices")
        if len(set(labels)) != len(labels):
            raise self._error("the same choice is given twice")
        if len(labels) > self.pick:
            raise self._error(f"these are more than {self.pick}")
        return [choice for choice in self.choices if choice in labels]

    def _error(self, message: str, code: str = "answers.reply") -> AnswerError:
        return AnswerError(message, field=self.name, code=code, hint=self.rule)


def questions(plan: Plan) -> tuple[Question, ...]:
    """Return the questions of a plan, in its order."""
    return tuple(_question(name, field) for name, field in plan.fields.items())


def parse_replies(
    plan: Plan, replies: Mapping[str, str]
) -> tuple[dict[str, object], dict[str, AnswerError]]:
    """Read all replies of a form at once: answers for `seal`, and what is wrong by field.

    A form in which no question is answered is a blank report and has no errors. Raises
    AnswerError for a reply to a question the plan does not ask.
    """
    asked = {question.name: question for question in questions(plan)}
    for name in replies:
        if name not in asked:
            raise AnswerError("the plan has no such question", field=name, code="answers.field")
    answers: dict[str, object] = {}
    problems: dict[str, AnswerError] = {}
    if not any(normal(reply) for reply in replies.values()):
        return answers, problems
    for name, question in asked.items():
        try:
            answer = question.parse(replies.get(name, ""))
        except AnswerError as error:
            problems[name] = error
        else:
            if answer is not None:
                answers[name] = answer
    return answers, problems


def _question(name: str, field: Field) -> Question:
    if isinstance(field, NumberField):
        low, high, step = map(decimal_text, (field.minimum, field.maximum, field.step))
        unit = f" {field.unit}" if field.unit else ""
        return Question(
            name,
            "number",
            field.question,
            field.help,
            field.required,
            f"a number from {low} to {high}{unit}, in steps of {step}",
            unit=field.unit,
            limits=(field.minimum, field.maximum, field.step),
        )
    folded = {choice.casefold() for choice in field.choices}
    numbered = not any(choice.strip("0123456789 ,;") == "" for choice in field.choices)
    how = "by number or in words" if numbered else "in words"
    if not isinstance(field, MultiField):
        return Question(
            name,
            "choice",
            field.question,
            field.help,
            field.required,
            f"one of the choices, {how}",
            choices=field.choices,
            numbered=numbered,
        )
    nothing = next((word for word in _NOTHING if word not in folded), "(nothing)")
    return Question(
        name,
        "multi",
        field.question,
        field.help,
        field.required,
        f"up to {field.pick} of the choices, {how}, separated by semicolons; "
        f"{nothing!r} to tick nothing",
        choices=field.choices,
        pick=field.pick,
        numbered=numbered,
        nothing=nothing,
    )
