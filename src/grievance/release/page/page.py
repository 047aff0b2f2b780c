"""The page of a release: `release.html`, and `Release.to_html()`.

It stands alone (no script, no network, no other file), so that it can be sent, printed and
kept. Its order is that of people who organise: what is the problem, what is known and how
surely, what can be asked for next; then where the figures come from. The same release gives
the same bytes.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from grievance.markup import join, stranger, style, tag
from grievance.plan.words import day_in_words
from grievance.release import document
from grievance.release.page import about
from grievance.release.page.highlights import Highlights
from grievance.release.page.lead import what_was_sealed, who_answered, who_is_in_it
from grievance.release.page.method import how_it_was_made
from grievance.release.page.reading import read_tables
from grievance.release.page.requests import what_can_be_asked
from grievance.release.page.style import CSS
from grievance.release.page.summary import what_is_known, what_is_the_problem
from grievance.release.page.words import each

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.markup import Html
    from grievance.release.release import Release

NOBODY: Final[Mapping[str, int]] = MappingProxyType({})
_CONTENTS = (
    ("problem", "What is the problem?"),
    ("known", "What do we know, and how surely?"),
    ("next", "What can be asked for next?"),
    ("asked", "What was asked, and of whom?"),
    ("grey", "What is shown in grey, and why?"),
    ("promise", "What is promised to every worker?"),
    ("held", "Who held what?"),
    ("verify", "How can this be checked?"),
    ("method", "Method"),
)


def write_page(release: Release, *, relays: Mapping[str, int] = NOBODY) -> str:
    """Write the whole page. `relays`: partner to the sealed reports it passed on, if known.

    Run by anyone who holds a release. Every text of the plan is a stranger's, and escaped.
    """
    found = [Highlights(reading) for reading in read_tables(release)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'",
        ),
        tag("title", release.plan.title),
        style(CSS),
    )
    main = tag(
        "main",
        what_is_the_problem(found),
        what_is_known(release, found),
        what_can_be_asked(found),
        about.what_was_asked(release, relays),
        about.what_is_grey(release),
        about.what_is_promised(release),
        about.who_held_what(release),
        about.how_to_verify(release),
        how_it_was_made(release),
    )
    footer = tag(
        "footer",
        tag(
            "p",
            f"Written by grievance {document.library()} from the release.json with the SHA-256 ",
            tag("span", hashlib.sha256(release.to_bytes()).hexdigest(), class_="digest"),
            ". ",
            tag("code", "grievance release check FOLDER"),
            " makes this page again and compares.",
            class_="soft",
        ),
    )
    body = tag("body", _header(release), _contents(), main, footer)
    return f"<!doctype html>\n{tag('html', head, body, lang='en').code}\n"


def _header(release: Release) -> Html:
    plan = release.plan
    names = each([stranger(party.display_name or party.name) for party in release.task.aggregators])
    return tag(
        "header",
        tag("h1", stranger(plan.title)),
        tag("p", who_answered(release), class_="lead"),
        tag(
            "p",
            f"{day_in_words(plan.opens)} to {day_in_words(plan.closes)}. Counted by ",
            names,
            f", none of whom could read an answer alone. {what_was_sealed(release)} "
            "A round of the campaign ",
            tag("code", release.task.campaign),
            ".",
        ),
        *([tag("p", said, class_="soft")] if (said := who_is_in_it(release)) else []),
        *about.warnings(release),
    )


def _contents() -> Html:
    items = [tag("li", tag("a", title, href=f"#{key}")) for key, title in _CONTENTS]
    return tag("nav", tag("ul", join(items)), aria_label="Contents")
