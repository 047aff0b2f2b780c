"""The web form as HTML, made from the plan that all aggregators signed. Nothing else is on it.

Every text of the plan is escaped. No script, no picture, no font, no other address: the page is
one answer, and works in any browser. What was typed is never written back into a page.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING

from grievance.plan import plan_in_words
from grievance.plan.decimals import decimal_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from grievance.client import Question
    from grievance.task import Task

NOTHING = "none"
"""The code of the box that says: I answer this question, and tick nothing."""

STYLE = """
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 2rem auto;
  padding: 0 1rem; color: #1b1b1b; background: #fff; }
fieldset { border: 1px solid #8a8a8a; border-radius: .4rem; margin: 1.2rem 0; padding: .6rem 1rem; }
legend { font-weight: 600; padding: 0 .3rem; }
label { display: block; padding: .25rem 0; }
input[type=text] { font: inherit; width: 8rem; }
button { font: inherit; padding: .5rem 1.4rem; }
code { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; font: .9rem/1.4 ui-monospace, monospace; }
.wrong { color: #9b1c1c; font-weight: 600; }
.notice { border-left: .3rem solid #b26a00; padding-left: .8rem; }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def code_of(place: int) -> str:
    """How the choice at a place travels: a number from "001" on, of one length for all.

    The length of a request can be seen on the line, and labels differ in length.
    """
    return f"{place + 1:03}"


def form(task: Task, asked: tuple[Question, ...], wrong: Collection[str] = ()) -> str:
    """The questions, empty; those in `wrong` say what an answer may be. The same for everybody."""
    head = (
        '<p class="wrong">Nothing was sealed. Please answer again; what you sent was not kept, '
        "so all questions are empty. The lines in red say what an answer may be.</p>"
        if wrong
        else ""
    )
    fields = "".join(_fieldset(question, wrong=question.name in wrong) for question in asked)
    return _page(
        task,
        f'{_who(task)}{head}<form method="post" action="/" autocomplete="off">{fields}'
        '<button type="submit">Seal and hand in</button></form>',
    )


def receipt(task: Task, digest: bytes) -> str:
    """What a worker gets: the receipt, and what it is for."""
    return _page(
        task,
        "<p>Your answers were sealed and forgotten. What was kept can be read by none of the "
        "organisations alone.</p><p>This is your receipt. Write it down: it shows later that "
        "your report was counted, and says nothing of your answers.</p>"
        f"<p><code>{digest.hex()}</code></p>"
        "<p>Anybody can look it up: <code>grievance counted RECEIPT --pool POOL --trust "
        f"{escape(task.short_digest)}</code></p>",
    )


def refusal(task: Task, words: str) -> str:
    """Why nothing was done, in words that are never made of what was sent."""
    return _page(task, f'<p class="wrong">{escape(words)}</p><p><a href="/">The form</a></p>')


def hint(question: Question) -> str:
    """What an answer to a question may be, on a form with boxes."""
    if question.kind == "number":
        return question.rule
    if question.kind == "choice":
        return "choose one"
    return f'tick at most {question.pick}, or "none of these"'


def _page(task: Task, body: str) -> str:
    title = escape(task.plan.title)
    notice = (
        '<p class="notice">This is a REHEARSAL: one machine could read every answer. '
        "Do not answer in earnest.</p>"
        if task.rehearsal
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{notice}{body}</main></body></html>"
    )


def _who(task: Task) -> str:
    """Whom the answers are sealed to, and what a worker may compare with a poster."""
    names = [entry.display_name for entry in task.aggregators]
    listed = "".join(
        f"<li>{escape(entry.display_name)}: <code>{escape(entry.member.fingerprint)}</code></li>"
        for entry in task.aggregators
    )
    words = escape("\n".join(plan_in_words(task.plan, names)))
    return (
        f"<p>Your answers are sealed to {len(names)} organisations, and only all of them together "
        "could read them. This web server sees them before it seals them. If you would rather "
        "show them to nobody, seal on your own device: <code>grievance seal</code>.</p>"
        f"<ul>{listed}</ul><p>Round <code>{escape(task.short_digest)}</code>; compare it with what "
        "the organisations show elsewhere.</p>"
        f"<details><summary>Everything that is asked, and what will be published</summary>"
        f"<pre>{words}</pre></details>"
    )


def _fieldset(question: Question, *, wrong: bool) -> str:
    name, text = escape(question.name), escape(question.text)
    must = " (needed)" if question.required else ""
    parts = [f"<p>{escape(question.help)}</p>" if question.help else ""]
    if wrong:
        parts.append(f'<p class="wrong">Please answer this again: {escape(hint(question))}.</p>')
    else:
        rule = hint(question)
        parts.append(f"<p>{escape(rule[0].upper() + rule[1:])}.</p>")
    if question.limits is not None:
        low, high, _ = map(decimal_text, question.limits)
        size = max(len(low), len(high)) + 6
        parts.append(
            f'<label><input type="text" inputmode="decimal" name="{name}" maxlength="{size}" '
            f'aria-label="{text}"> {escape(question.unit)}</label>'
        )
    else:
        kind = "radio" if question.kind == "choice" else "checkbox"
        boxes = [(code_of(place), choice) for place, choice in enumerate(question.choices)]
        if question.kind == "multi":
            boxes.append((NOTHING, "none of these"))
        elif not question.required:
            boxes.append(("", "no answer"))
        need = " required" if kind == "radio" and question.required else ""
        parts += [
            f'<label><input type="{kind}" name="{name}" value="{code}"{need}> {escape(label)}'
            "</label>"
            for code, label in boxes
        ]
    return f"<fieldset><legend>{text}{must}</legend>{''.join(parts)}</fieldset>"
