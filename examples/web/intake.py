"""A worker's answers, from a form to a sealed report in a folder: one WSGI function.

    app = Intake(task, inbox)       # any WSGI server runs it; run.py takes the standard library's

An answer lives as long as one call. It is checked and sealed at once; nothing of it is logged,
written, put into a page, or kept in a session. There is no session, and no cookie. What reaches
the disk is the sealed report, which `grievance relay INBOX` passes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import page

from grievance.client import questions, seal, write_report
from grievance.errors import AnswerError, GrievanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    from grievance.client import Question
    from grievance.task import Task

MAX_BODY = 64 << 10
"""The largest form that is read, in bytes: some 1,500 ticks."""

MOST_DRAINED = 1 << 20
_FORM = "application/x-www-form-urlencoded"
_POLICY = "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    # No copy of a page on a shared computer, in a proxy, or behind the back button.
    ("Cache-Control", "no-store"),
    # No script can run, nothing is fetched, the form goes nowhere else, nobody frames the page.
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{page.STYLE_HASH}'; {_POLICY}",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class Refusal(Exception):  # noqa: N818  (it is an answer to a browser, not an error of ours)
    """A request that is not carried out. Its words never hold anything that was sent."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Intake:
    """The handler: GET / gives the form, POST / seals.

    `task` must have been loaded against a trust anchor; `inbox` is a folder that is there.
    Instances hold no state, so one serves any number of threads.
    """

    def __init__(self, task: Task, inbox: Path) -> None:
        self.task, self.inbox = task, inbox
        self.asked = questions(task.plan)
        # The largest page a form can bring; every answer to a form is filled up to it.
        every_fault = page.form(task, self.asked, [question.name for question in self.asked])
        largest = max(every_fault, page.receipt(task, bytes(32)), key=len)
        self.size = len(largest.encode()) + 64

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        status, text = self.answer(environ)
        body = text.encode()
        if environ["REQUEST_METHOD"] == "POST":
            # Who watches the line sees lengths: an accepted form, and any fault, look alike.
            body = body.ljust(self.size - len(status))
        length = ("Content-Length", str(len(body)))
        allow = [("Allow", "GET, POST")] if status.startswith("405") else []
        start_response(status, [*HEADERS, *allow, length])
        return [body]

    def answer(self, environ: dict[str, Any]) -> tuple[str, str]:
        """Return status line and page. Never raises: a traceback could hold an answer."""
        try:
            if environ.get("PATH_INFO", "") not in ("", "/"):
                raise Refusal("404 Not Found", "There is nothing at this address.")
            method = environ["REQUEST_METHOD"]
            if method == "GET":
                return "200 OK", page.form(self.task, self.asked)
            if method != "POST":
                raise Refusal("405 Method Not Allowed", "This is a form: open it, or send it.")
            return self._take(read_form(environ))
        except Refusal as refusal:
            return refusal.status, page.refusal(self.task, refusal.words)
        except Exception:  # noqa: BLE001  (whatever it says, it may say it of an answer)
            words = "Something went wrong here. Nothing was kept; please try again later."
            return "500 Internal Server Error", page.refusal(self.task, words)

    def _take(self, sent: list[tuple[str, str]]) -> tuple[str, str]:
        """Check and seal what was sent, and put the sealed report into the inbox."""
        answers, wrong = read_answers(self.asked, sent)
        if not wrong:
            try:
                report = seal(self.task, answers)
            except AnswerError as error:
                wrong = {error.field}
        if wrong:
            return "422 Unprocessable Content", page.form(self.task, self.asked, wrong)
        digest = report.digest
        try:
            write_report(self.inbox / f"{digest.hex()[:32]}.report", report)
        except GrievanceError:
            words = "The sealed report could not be stored. Please try again later."
            raise Refusal("503 Service Unavailable", words) from None
        return "200 OK", page.receipt(self.task, digest)


def read_form(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """Read the body of a POST: names and values, as sent. Raises Refusal."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Refusal("415 Unsupported Media Type", "This is not what the form sends.")
    length = environ.get("CONTENT_LENGTH", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise Refusal("411 Length Required", "The request does not say how long it is.")
    size, stream = int(length), environ["wsgi.input"]
    if size > MAX_BODY:
        # Some is read and dropped, or the browser would see a broken line instead of the answer.
        left = min(size, MOST_DRAINED)
        while left > 0 and (piece := stream.read(min(left, MAX_BODY))):
            left -= len(piece)
        raise Refusal("413 Content Too Large", "This is longer than any answer to the form.")
    try:
        return parse_qsl(
            stream.read(size).decode("ascii"),
            keep_blank_values=True,
            strict_parsing=size > 0,
            errors="strict",
            max_num_fields=5_000,
        )
    except ValueError:
        raise Refusal("400 Bad Request", "This is not what the form sends.") from None


def read_answers(
    asked: tuple[Question, ...], sent: list[tuple[str, str]]
) -> tuple[dict[str, object], set[str]]:
    """Turn what a form sent into answers for `seal`, and the names of questions to ask again.

    Raises Refusal for a field the form does not have; its name is not repeated.
    """
    given: dict[str, list[str]] = {question.name: [] for question in asked}
    for name, value in sent:
        if name not in given:
            raise Refusal("400 Bad Request", "The form has no such question.")
        given[name].append(value)
    answers: dict[str, object] = {}
    wrong = set()
    for question in asked:
        try:
            answer = _answer(question, given[question.name])
        except (AnswerError, ValueError):
            wrong.add(question.name)
        else:
            if answer is not None:
                answers[question.name] = answer
    if answers or wrong:
        wrong |= {q.name for q in asked if q.required and q.name not in answers}
    return answers, wrong


def _answer(question: Question, values: list[str]) -> object:
    """One question's answer; None where it was left open. Raises AnswerError or ValueError."""
    if question.kind == "multi":
        if values == [page.NOTHING]:
            return []
        labels = [_choice(question, value) for value in values]
        if len(set(labels)) != len(labels) or len(labels) > question.pick:
            raise ValueError("too many")
        return labels or None
    if len(values) > 1:
        raise ValueError("given twice")
    value = values[0].strip() if values else ""
    if not value:
        return None
    # A comma is how many people write a decimal; nothing else is guessed.
    if question.kind == "number":
        return question.parse(value.replace(",", "."))
    return _choice(question, value)


def _choice(question: Question, code: str) -> str:
    for place, choice in enumerate(question.choices):
        if code == page.code_of(place):
            return choice
    raise ValueError("no such choice")
