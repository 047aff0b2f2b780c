"""What a report says about itself: who was asked what, what is grey, who held what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grievance.ledger.cosigned import quorum_of
from grievance.markup import Html, join, pairs, stranger, table, tag
from grievance.plan import ChoiceField, MultiField
from grievance.plan.decimals import decimal_text
from grievance.plan.words import day_in_words
from grievance.pool.waivers import watched_in_words
from grievance.privacy import campaign_promise, outsiders_promise
from grievance.release.page.lead import COVER, who_answered
from grievance.release.page.words import count, each, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grievance.markup import Part
    from grievance.plan.fields import Field
    from grievance.release.base import Table
    from grievance.release.release import Release

MOST_NAMED = 12
"""Grey cells of one statistic that are named; the rest are counted."""


def chapter(key: str, title: str, *parts: Part) -> Html:
    """A section of the page with its heading."""
    return tag("section", tag("h2", title, id=key), *parts, aria_labelledby=key)


def what_was_asked(release: Release, relays: Mapping[str, int]) -> Html:
    """Questions and choices, dates, organisations, and how many answered."""
    plan, task = release.plan, release.task
    who: list[tuple[str, Part]] = [
        ("Open", f"from {day_in_words(plan.opens)} to {day_in_words(plan.closes)}"),
        ("Answered by", who_answered(release)),
        ("Sealed reports that count", f"{release.accepted:,}, {COVER}"),
        ("Reports one worker may give", f"{plan.privacy.reports_per_worker:,}"),
        (
            "Counted by",
            each([stranger(party.display_name or party.name) for party in task.aggregators]),
        ),
    ]
    if relays:
        who.append(
            (
                "Passed on by",
                join(
                    [
                        tag("div", stranger(name), f": {count(rows, 'sealed report')}")
                        for name, rows in sorted(relays.items())
                    ]
                    + [tag("div", "Each number has the cover in it that the partner added.")]
                ),
            )
        )
    else:
        who.append(("Passed on by", "the partners whose names are in the pool"))
    questions = [_question(field) for field in plan.fields.values()]
    parts: list[Part] = [
        pairs("The round", who),
        tag("h3", "The questions"),
        tag("ol", join(questions)),
    ]
    later = [name for name in task.layout.statistics if name not in release]
    if later:
        parts.append(
            tag(
                "p",
                "The plan also allows these statistics, which are not in this release: ",
                ", ".join(later),
                ".",
            )
        )
    return chapter("asked", "What was asked, and of whom?", *parts)


def _question(field: Field) -> Html:
    parts: list[Part] = [tag("p", tag("strong", stranger(field.question)))]
    if field.help:
        parts.append(tag("p", stranger(field.help), class_="soft"))
    if isinstance(field, (ChoiceField, MultiField)):
        rule = "One of: " if isinstance(field, ChoiceField) else f"Up to {field.pick} of: "
        choices: list[Part] = [rule, each([quoted(label) for label in field.choices], "or")]
    else:
        unit: list[Part] = [" ", stranger(field.unit)] if field.unit else []
        least, most = decimal_text(field.minimum), decimal_text(field.maximum)
        step = decimal_text(field.step)
        choices = [f"A number from {least} to {most}", *unit, f", in steps of {step}"]
    how = "Had to be answered." if field.required else "Could be left out."
    return tag("li", *parts, tag("p", *choices, ". ", tag("span", how, class_="soft")))


def what_is_grey(release: Release) -> Html:
    """Which cells are grey, and why; what the rule is for, and what it is not."""
    least, hide = release.plan.privacy.minimum_reports, release.plan.privacy.hide_below
    below = f"below {hide:,}, or below its own margin" if hide else "below its own margin"
    parts: list[Part] = [
        tag(
            "p",
            f"Nothing is released from fewer than {count(least, 'sealed report')}, {COVER}. So "
            "this minimum says nothing about people; the noise protects them.",
        ),
        tag(
            "p",
            f"Where the noisy number of people is {below}, it is shown in grey as what it is "
            "under, and the shares and means that rest on it without a best number: they would "
            "be mostly noise. This keeps noise from being read as a finding. It is not what "
            "protects people, the noise is. Nothing is left out: the exported tables have every "
            "number, and release.json has them as they were released.",
        ),
    ]
    lines = [line for one in release for line in _grey_cells(one)]
    if lines:
        parts += [tag("p", "Grey cells of this release:"), tag("ul", join(lines))]
    else:
        parts.append(tag("p", "No cell of this release is grey."))
    return chapter("grey", "What is shown in grey, and why?", *parts)


def _grey_cells(one: Table) -> Iterator[Html]:
    cells = [figure for figure in one.cells() if figure.grey]
    if not cells:
        return
    names = [each([quoted(label) for label in cell.labels.values()]) for cell in cells]
    if not one.axes:
        names = []
    rest = len(names) - MOST_NAMED
    parts: list[Part] = [tag("code", one.name), f": {count(len(cells), 'cell')}"]
    for at, name in enumerate(names[:MOST_NAMED]):
        parts += ["; " if at else ": ", name]
    parts.append(f"; and {rest:,} more." if rest > 0 else ".")
    yield tag("li", *parts)


def what_is_promised(release: Release) -> Html:
    """The privacy promise in words."""
    plan, task = release.plan, release.task
    outside = outsiders_promise(
        plan.privacy.epsilon,
        plan.privacy.delta,
        task.cost,
        aggregators=len(task.aggregators),
        scale=min(given.scale for given in task.allocations.values()),
    )
    # A sentence may run over several lines of the statement, which is made for a terminal.
    lines = [
        tag("p", " ".join(sentence.split()))
        for sentence in re.split(r"(?<=\.)\n", "\n".join(release.statement))
    ]
    return chapter(
        "promise",
        "What is promised to every worker?",
        *lines,
        *([tag("p", outside)] if outside else []),
        tag(
            "p",
            campaign_promise(plan.privacy.lifetime_epsilon, plan.privacy.delta, task.lifetime),
        ),
    )


def who_held_what(release: Release) -> Html:
    """Which organisation had what in its hands."""
    names = each([stranger(party.display_name or party.name) for party in release.task.aggregators])
    rows: list[list[Part]] = [
        ["The device a worker used", "The answers, while they were typed"],
        ["A partner that passed reports on", "Sealed reports, and from whom; no answer"],
        [names, "Each its own part of every report, which alone is random; its own sum of them"],
        ["Who can read the pool", "Sealed reports, how many came through whom, and the release"],
    ]
    return chapter(
        "held",
        "Who held what?",
        table("Who had what in their hands", ("Who", "What"), rows),
        tag(
            "p",
            "Nobody can read an answer as long as one of ",
            names,
            " refuses to work together "
            "with the others. All of them together could, until they have destroyed the keys of "
            "this round; their ledgers say whether they have.",
        ),
    )


def _watched(release: Release) -> str:
    """How many witnesses saw what the release costs, and who was not waited for."""
    task = release.task
    said = watched_in_words(quorum_of(task), len(task.plan.witnesses), len(release.waived))
    return f"{said} ({', '.join(release.waived)})" if release.waived else said


def how_to_verify(release: Release) -> Html:
    """The one command that checks everything, and the digests to compare."""
    task = release.task
    rows: list[tuple[str, Part]] = [
        ("Digest of the round", tag("span", task.short_digest, class_="digest")),
        ("In full", _digest(task.digest.hex())),
        ("Round", tag("code", task.round_id)),
        ("Release", tag("code", release.release_id)),
        ("Root of the reports", _digest(release.accepted_root.hex())),
        ("Watched from outside", _watched(release)),
    ]
    for party in task.aggregators:
        rows.append(
            (f"Key of {party.name}", tag("span", party.member.fingerprint, class_="digest"))
        )
        rows.append((f"Noisy share of {party.name}", _digest(release.noisy_shares[party.name])))
    return chapter(
        "verify",
        "How can this be checked?",
        tag(
            "p",
            "This page proves nothing by itself: anybody can write a page. Get a copy of the pool, "
            "get the digest of the round from the organisations themselves and not from here, "
            "and run:",
        ),
        tag(
            "p", tag("code", f"grievance audit POOL --trust {task.short_digest}", class_="command")
        ),
        tag(
            "p",
            "It needs no secret and no server. ",
            tag("code", f"grievance release check FOLDER --pool POOL --trust {task.short_digest}"),
            " then holds this page, and the files that came with it, against the pool.",
        ),
        tag("details", tag("summary", "The digests"), pairs("What to compare", rows)),
    )


def _digest(value: str) -> Html:
    return tag("span", value, class_="digest")


def warnings(release: Release) -> Iterator[Html]:
    """What must be read before anything else."""
    if release.task.rehearsal:
        yield tag(
            "p",
            "This is a rehearsal: one machine could read every answer in it, and its "
            "figures are about nobody.",
            class_="warn",
        )
    if release.suspect:
        names = sorted({suspect.statistic for suspect in release.suspect})
        yield tag(
            "p",
            f"Do not rely on {', '.join(names)}: a total in it lies so far outside of "
            "what is possible that noise does not explain it. The share of at least one "
            "organisation is wrong.",
            class_="warn",
        )


__all__: Sequence[str] = (
    "chapter",
    "how_to_verify",
    "warnings",
    "what_is_grey",
    "what_is_promised",
    "what_was_asked",
    "who_held_what",
)
