"""The verdict as a page: it stands alone, says what it must, and nothing in a pool breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from audit_defects import Defect
from audit_world import Pool
from test_audit_rules import DEFECTS, spoilt

from grievance.audit import RULES, AuditResult, Finding, audit_pool
from grievance.audit import pages as rule_pages
from grievance.audit.bundling import make_bundle
from grievance.audit.page import MAX_ROWS, write_page
from grievance.audit.page_style import CSS
from grievance.audit.pages import parse_page, rule_page
from grievance.audit.result import NOT_CHECKED
from grievance.markup import Html, stranger, table, tag, text

VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Reads a page strictly: every element closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.tags)


def page_of(report: AuditResult, pool: str = "pool") -> str:
    return write_page(report, pool, when="2026-11-23", made_with="grievance 0")


def outline(report: AuditResult, pool: str = "pool") -> Outline:
    return Outline(page_of(report, pool))


def test_a_pass_says_so_first_and_shows_everything(made_campaign: Pool) -> None:
    report = made_campaign.audit()
    found = outline(report, "/srv/pool")
    words = found.words
    first = words.index("PASS"), words.index(report.sentence)
    assert max(first) < words.index("What was checked")
    for task in made_campaign.tasks:
        assert task.round_id in words and task.digest.hex() in words
        assert task.plan.title in words and task.short_digest in words
        for entry in task.aggregators:
            assert entry.member.fingerprint in words and entry.display_name in words
    for facts in report.details:
        assert len(facts.parties) == 4
        for party in facts.parties:
            assert party.fingerprint in words
        (release,) = facts.releases
        shown = (release.release_id, release.proposal, release.root, *release.shares.values())
        assert all(value in words for value in shown) and len(release.shares) == 2
        assert release.complete
    counts = report.counts
    assert f"{counts.reports}; {counts.accepted} of them count" in words
    assert f"{counts.signatures}" in words and "(100 %)" in words
    for line in NOT_CHECKED:
        assert line[1:] in words
    assert "/srv/pool" in words and "2026-11-23" in words
    assert f"--trust {made_campaign.tasks[0].short_digest}" in words


def test_budgets_are_held_against_their_limits(made_campaign: Pool) -> None:
    report = made_campaign.audit()
    totals = report.campaigns["trial"]
    words = outline(report).words
    share = float(eval(totals.spent["north"]) / eval(totals.budget)) * 100
    assert f"({share:.4g} %)" in words and totals.lifetime in words
    first, second = report.details
    assert first.cost == first.spent["north"] and second.cost == second.spent["south"]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: f"{d.rule}: {d.name}")
def test_every_finding_is_explained(
    defect: Defect, base: Callable[[str], Pool], tmp_path: Path
) -> None:
    pool, anchors = spoilt(defect, base, tmp_path / "copy")
    report = pool.audit(trust=anchors)
    words = outline(report).words
    assert report.verdict.upper() in words
    for finding in report.findings:
        assert finding.file in words
        assert " ".join(finding.message.split()) in words
        rule, page = RULES[finding.rule], rule_page(finding.rule)
        assert rule.holds in words and rule.advice in words and page is not None
        for part in (page.means, page.checked, page.why, page.by_hand):
            assert part
            # Spaces apart: a sentence with code in it is several texts.
            assert re.sub(r"[`\s]", "", part[0]) in "".join(words.split())


def test_a_page_stands_alone(made: Pool) -> None:
    page = page_of(made.audit())
    found = Outline(page)
    assert not {"script", "link", "img", "iframe", "object", "form", "a", "base"} & {
        tag for tag, _ in found.tags
    }
    assert not re.search(r"https?:|//|url\(|@import|javascript:", page.replace("<!doctype", ""))
    for _, attributes in found.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    policy = dict(found.tags[[tag for tag, _ in found.tags].index("meta") + 2][1])
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_a_page_can_be_read_by_everybody(pool: Pool) -> None:
    pool.write("partners/notes.txt", b"x")
    page = page_of(pool.audit())
    found = Outline(page)
    assert ("html", {"lang": "en"}) in found.tags and found.count("h1") == 1
    assert found.count("main") == found.count("title") == 1
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert found.count("table") == found.count("caption") == found.count("tbody") > 5
    for tag_, attributes in found.tags:
        assert tag_ != "th" or attributes["scope"] in ("row", "col")
    assert "prefers-color-scheme: dark" in page and "@media print" in page
    assert 'name="viewport"' in page


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_all_text_has_contrast_in_light_dark_and_print() -> None:
    """WCAG 2.2, 1.4.6: 7 to 1."""
    themes = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    assert len(themes) == 3
    for theme in themes:
        found = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", theme))
        for ink in ("ink", "soft"):
            for paper in ("paper", "tint"):
                assert contrast(found[ink], found[paper]) >= 7, (ink, paper, theme)
    for verdict in ("pass", "fail", "untrusted", "incomplete"):
        (colour,) = set(re.findall(rf"--{verdict}: (#[0-9a-f]{{6}})", CSS))
        assert contrast("#ffffff", colour) >= 7, verdict


NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>",
    "&lt;b&gt; &amp;",
    "\u202egnp.exe\u202c",
    "\u2066right\u2069 \u200bnone\ufeff",
    "\x00\x1b[2J\x07\r",
    "]]><!-- -->",
    "\udcff",
    "\u05e9\u05dc\u05d5\u05dd",
    "{{7*7}} ${7*7} %s",
)


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_texts_of_strangers_stay_texts(made: Pool, nasty: str) -> None:
    report = made.audit()
    facts = report.details[0]
    party = replace(facts.parties[0], display_name=nasty, name=nasty)
    release = replace(facts.releases[0], statistics=(nasty,), shares={nasty: nasty})
    facts = replace(
        facts,
        title=nasty,
        round_id=nasty,
        campaign=nasty,
        parties=(party,),
        releases=(release,),
        spent={nasty: "1/2"},
    )
    totals = replace(report.campaigns["trial"], spent={nasty: "1/3"})
    hostile = replace(
        report,
        findings=(Finding("fault", "order.fork", nasty, nasty, (nasty,)),),
        details=(facts,),
        campaigns={nasty: totals},
        rehearsals=(nasty,),
        bundle=nasty,
    )
    plain = replace(hostile, findings=(Finding("fault", "order.fork", "x", "x", ("x",)),))
    page = page_of(hostile, nasty)
    page.encode("utf-8")
    allowed = {"\n"}
    assert all(char.isprintable() or char in allowed for char in page)
    found = Outline(page)
    harmless = {"b", "img", "script"}
    assert not harmless & {tag for tag, _ in found.tags}
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in outline(plain, "x").tags], (
        "the shape of the page does not depend on what strangers wrote"
    )
    if nasty.isprintable():
        assert nasty in found.words


def test_many_findings_are_counted_and_not_all_shown(made: Pool) -> None:
    many = tuple(Finding("fault", "file.unknown", f"f{n}", "x") for n in range(MAX_ROWS + 5))
    report = replace(made.audit(), findings=many, verdict="fail", omitted=3)
    words = outline(report).words
    assert "And 5 more" in words and f" f{MAX_ROWS - 1} " in words
    # As a word of its own: digests of the page may end in anything.
    assert f" f{MAX_ROWS} " not in words and "3 more findings" in words


def test_a_pool_without_rounds_has_a_page(tmp_path: Path) -> None:
    words = outline(audit_pool(tmp_path)).words
    assert "No round" in words and "no budget" in words and "Nothing was released" in words


def test_what_is_not_settled_is_not_counted(pool: Pool) -> None:
    pool.remove(pool.paths.decide(pool.batch_places()[0], "south"))
    assert "how many of them count is not settled" in outline(pool.audit()).words


def test_an_audit_of_a_bundle_says_so(made: Pool, tmp_path: Path) -> None:
    make_bundle(made.folder, tmp_path / "a.zip", without_batches=True)
    report = audit_pool(tmp_path / "a.zip", trust=made.trust)
    words = outline(report, "a.zip").words
    assert "INCOMPLETE" in words and "a bundle of a pool" in words
    assert "What could not be checked" in words and "2 unchecked" in words


def test_text_is_escaped_by_its_type() -> None:
    assert text("<&\">'").code == "&lt;&amp;&quot;&gt;&#x27;"
    assert tag("p", "<b>", Html("<b>")).code == "<p>&lt;b&gt;<b></p>"
    assert tag("p", class_='"x').code == '<p class="&quot;x"></p>'
    assert stranger("a\u202e\nb").code == "<bdi>a\\u202e\nb</bdi>"
    assert "&lt;i&gt;" in table("<i>", ["<i>"], [["<i>", "<i>"]]).code
    assert "<i>" not in table("<i>", ["<i>"], [["<i>", "<i>"]]).code


def test_pages_of_rules_are_taken_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = parse_page(
        "# a.b\n\nThe rule: x.\n\n## What is checked\n\nOne\nline.\n\nTwo.\n\n"
        "## Why\n\nBecause.\n\n"
        "## What a finding means\n\nBad.\n\nNext: run.\n\n## By hand\n\n`ls`\n"
    )
    assert (page.checked, page.why) == (("One line.", "Two."), ("Because.",))
    assert (page.means, page.by_hand) == (("Bad.",), ("`ls`",))
    # Installed without its pages, the program still knows rule and advice.
    monkeypatch.setattr(rule_pages, "_PLACES", (tmp_path,))
    rule_page.cache_clear()
    assert rule_page("file.kind") is None
    rule_page.cache_clear()
