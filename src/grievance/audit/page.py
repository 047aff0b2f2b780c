"""The verdict as one HTML page: `grievance audit POOL --html FILE`.

It stands alone (no script, no network, no other file), so that it can be sent, printed and
kept. The verdict comes first; what a rule means is said where it was broken.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from grievance.audit.page_style import CSS
from grievance.audit.pages import rule_page
from grievance.audit.result import NOT_CHECKED, SEVERITIES
from grievance.audit.rules import RULES
from grievance.markup import Html, join, pairs, stranger, style, table, tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.audit.facts import CampaignTotals, RoundFacts
    from grievance.audit.result import AuditResult, Finding
    from grievance.markup import Part

MAX_ROWS = 200
"""Findings shown of one rule; the rest are counted."""

_TITLES = {
    "fault": "What does not hold",
    "waiting": "What has yet to come",
    "unchecked": "What could not be checked",
    "note": "Worth knowing",
}
_WHO_MADE_IT = (
    "Signatures prove agreement, not identity. Compare each fingerprint with what the "
    "organisation itself shows on its web site, a poster or over the telephone."
)


def write_page(
    result: AuditResult, pool: str, *, when: str, made_with: str, beside: Sequence[str] = ()
) -> str:
    """Write the whole page.

    `pool` is how the pool was named, `when` the day of the audit and `made_with` the program,
    `beside` what another command said of files beside a release.json; they are only shown.
    """
    title = f"Audit: {result.verdict}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'",
        ),
        tag("title", title),
        style(CSS),
    )
    sections = [_verdict(result, pool, when, made_with, beside), _checked(result)]
    sections += _findings(result)
    sections += [_parties(result), _budgets(result), _releases(result), _limits(), _repeat(result)]
    page = tag("html", head, tag("body", tag("main", join(sections))), lang="en")
    return f"<!doctype html>\n{page.code}\n"


def _verdict(
    result: AuditResult, pool: str, when: str, made_with: str, beside: Sequence[str]
) -> Html:
    source = "a bundle of a pool" if result.bundle else "a pool"
    made = f" (bundle made with {result.bundle})" if result.bundle else ""
    lines = [
        tag("p", result.verdict.upper(), class_="word"),
        tag("h1", result.sentence),
        *(tag("p", stranger(line)) for line in beside),
        tag("p", _in_short(result)),
        tag("p", f"Audit of {source}, ", stranger(pool), f", on {when} with {made_with}{made}."),
    ]
    for name in result.rehearsals:
        lines.append(
            tag("p", stranger(name), " is a rehearsal: one machine could read every answer in it.")
        )
    return tag("header", *lines, class_=f"verdict {result.verdict}")


def _in_short(result: AuditResult) -> str:
    numbers = {s: sum(f.severity == s for f in result.findings) for s in SEVERITIES}
    said = [
        f"{numbers['fault']:,} {'fault' if numbers['fault'] == 1 else 'faults'}",
        f"{numbers['waiting']:,} waiting",
    ]
    if numbers["unchecked"]:
        said.append(f"{numbers['unchecked']:,} unchecked")
    said.append(f"{numbers['note']:,} {'note' if numbers['note'] == 1 else 'notes'}")
    if result.omitted:
        said.append(f"{result.omitted:,} more findings that were not kept")
    if not result.vouched:
        return f"{', '.join(said)}. The keys were not vouched for."
    return f"{', '.join(said)}. All keys were vouched for from outside the pool."


def _section(title: str, *parts: Part) -> Html:
    return tag("section", tag("h2", title), *parts)


def _checked(result: AuditResult) -> Html:
    found = result.counts
    rows: list[tuple[str, Part]] = [
        ("Files read", f"{found.files:,}"),
        ("Signatures checked", f"{found.signatures:,}"),
        ("Rounds", f"{found.rounds:,}"),
        ("Batches in their order", f"{found.batches:,}"),
        ("Sealed reports in them, cover included", f"{found.reports:,}; {_accepted(result)}"),
        ("Releases added up again", f"{found.releases:,}"),
        ("Rules applied", f"{found.rules:,}, in {result.seconds:.1f} seconds"),
    ]
    return _section("What was checked", pairs("How much was looked at", rows))


def _accepted(result: AuditResult) -> str:
    open_ = [facts for facts in result.details if facts.accepted is None]
    if not open_:
        return f"{result.counts.accepted:,} of them count"
    if len(open_) == len(result.details):
        return "how many of them count is not settled"
    return f"{result.counts.accepted:,} of them count, not settled in {len(open_):,} rounds"


def _findings(result: AuditResult) -> Iterator[Html]:
    for severity in SEVERITIES:
        listed = [finding for finding in result.findings if finding.severity == severity]
        if not listed:
            continue
        rules: dict[str, list[Finding]] = {}
        for finding in listed:
            rules.setdefault(finding.rule, []).append(finding)
        blocks = [_rule(name, found, severity) for name, found in rules.items()]
        yield _section(_TITLES[severity], *blocks)


def _rule(name: str, found: Sequence[Finding], severity: str) -> Html:
    rule, page = RULES[name], rule_page(name)
    parts: list[Part] = [
        tag("h3", tag("code", name)),
        tag("p", f"The rule: {rule.holds}."),
        table(
            f"Seen {len(found):,} {'time' if len(found) == 1 else 'times'}",
            ("File", "What was seen"),
            ([_path(item.file), _seen(item)] for item in found[:MAX_ROWS]),
        ),
    ]
    for item in found[:MAX_ROWS]:
        if item.evidence:
            parts += [tag("h4", "Signed texts that prove it"), _path(item.file)]
            parts += [tag("pre", stranger(text)) for text in item.evidence]
    if len(found) > MAX_ROWS:
        parts.append(tag("p", f"And {len(found) - MAX_ROWS:,} more; --json lists them."))
    if page is not None:
        parts += [tag("h4", "What it means"), *map(_prose, page.means)]
    parts += [tag("p", f"Next: {rule.advice}", class_="next")]
    if page is not None:
        parts += [tag("h4", "What is checked, and why"), *map(_prose, page.checked + page.why)]
        parts += [tag("h4", "How to check it by hand"), *map(_prose, page.by_hand)]
    return tag("div", *parts, class_=f"rule {severity}")


def _seen(item: Finding) -> Html:
    """What was seen, and whose signature says so."""
    if not item.by:
        return stranger(item.message)
    return join([stranger(item.message), tag("p", "Signed by ", stranger(", ".join(item.by)))])


def _prose(paragraph: str) -> Html:
    """A paragraph of a rule's page; what stands in back quotes is code."""
    pieces = re.split(r"`([^`]*)`", paragraph)
    return tag("p", *(tag("code", piece) if at % 2 else piece for at, piece in enumerate(pieces)))


def _path(path: str) -> Html:
    return tag("code", stranger(path))


def _digest(value: str) -> Html:
    return tag("span", value, class_="digest")


def _fingerprint(value: str) -> Html:
    return tag("span", value, class_="digest fingerprint")


def _name_round(facts: RoundFacts) -> Html:
    return tag("h3", stranger(facts.title), " ", tag("code", stranger(facts.round_id)))


def _parties(result: AuditResult) -> Html:
    parts: list[Part] = [tag("p", _WHO_MADE_IT)]
    for facts in result.details:
        vouched = "were vouched for" if facts.vouched else "were NOT vouched for"
        rehearsal = ", a rehearsal" if facts.rehearsal else ""
        state = "closed" if facts.closed else "open"
        parts += [
            _name_round(facts),
            tag(
                "p",
                f"From {facts.opens} to {facts.closes}, {state}{rehearsal}. Its keys {vouched}.",
            ),
            table(
                "Organisations of this round",
                ("Organisation", "What it does", "Fingerprint of its key"),
                (
                    [
                        join([stranger(party.display_name), _path(party.name)])
                        if party.display_name
                        else _path(party.name),
                        party.role,
                        _fingerprint(party.fingerprint),
                    ]
                    for party in facts.parties
                ),
            ),
            pairs(
                "The contract they signed",
                [
                    ("Digest of the round", _fingerprint(facts.short_digest)),
                    ("In full", _digest(facts.digest)),
                ],
            ),
        ]
    if not result.details:
        parts.append(tag("p", "No round of this pool could be looked at."))
    return _section("Who took part", *parts)


def _amount(value: str) -> str:
    return f"{float(Fraction(value)):.4g}"


def _of(part: str, whole: str) -> str:
    limit = Fraction(whole)
    share = f" ({float(100 * Fraction(part) / limit):.4g} %)" if limit else ""
    return f"{_amount(part)} of {_amount(whole)}{share}"


def _budgets(result: AuditResult) -> Html:
    parts: list[Part] = []
    for name, totals in result.campaigns.items():
        parts += _campaign(name, totals, [f for f in result.details if f.campaign == name])
    if not parts:
        parts = [tag("p", "There is no budget in this pool.")]
    return _section("What it cost", *parts)


def _campaign(name: str, totals: CampaignTotals, rounds: Sequence[RoundFacts]) -> list[Part]:
    rows: list[list[Part]] = [
        [
            stranger(facts.round_id),
            f"epsilon {facts.epsilon}"
            + (f" at delta {facts.delta}" if facts.unit == "rho" else " without a delta"),
            join([tag("div", stranger(who), ": ", _of(spent, facts.cost))
                  for who, spent in facts.spent.items()]),
        ]
        for facts in rounds
    ]  # fmt: skip
    lifetime: list[tuple[str, Part]] = [
        ("Promised", totals.lifetime),
        (f"Reserved by all rounds ({totals.unit})", _of(totals.reserved, totals.budget)),
    ]
    for who, spent in totals.spent.items():
        lifetime.append((f"Charged by {who} ({totals.unit})", _of(spent, totals.budget)))
    return [
        tag("h3", "Campaign ", stranger(name)),
        table(
            f"Each round: what every ledger charged, in {totals.unit}",
            ("Round", "Promised for one worker", "Charged, of what it may cost"),
            rows,
        ),
        pairs("The whole campaign", lifetime),
    ]


def _releases(result: AuditResult) -> Html:
    parts: list[Part] = []
    for facts in result.details:
        for release in facts.releases:
            state = (
                "all noisy shares are here and were added up again"
                if release.complete
                else "not complete: a noisy share is missing or does not hold"
            )
            rows: list[tuple[str, Part]] = [
                ("Round", stranger(facts.round_id)),
                ("State", state),
                ("Witnesses", stranger(release.watched)),
                ("Statistics", stranger(", ".join(release.statistics))),
                (
                    "Sealed reports, cover included",
                    f"{release.accepted:,} (the plan asks for {facts.minimum_reports:,})",
                ),
                ("Root of the reports", _digest(release.root)),
                ("Digest of the proposal", _digest(release.proposal)),
            ]
            for who, digest in release.shares.items():
                rows.append((f"Noisy share of {who}", _digest(digest)))
            parts += [
                tag("h3", "Release ", tag("code", release.release_id)),
                pairs("What was released, with SHA-256 digests", rows),
            ]
    return _section("Releases", *(parts or [tag("p", "Nothing was released.")]))


def _limits() -> Html:
    return _section(
        "What no reader of a pool can check",
        tag("ul", *(tag("li", f"{line[0].upper()}{line[1:]}.") for line in NOT_CHECKED)),
    )


def _repeat(result: AuditResult) -> Html:
    words = [f"--trust {facts.short_digest}" for facts in result.details[:3]]
    return _section(
        "Do it again",
        tag(
            "p",
            "This page proves nothing by itself: anybody can write a page. Run the audit on your "
            "own copy of the pool, with digests or fingerprints that you got from the "
            "organisations and not from here:",
        ),
        tag("p", tag("code", " ".join(["grievance audit POOL", *words]))),
    )
