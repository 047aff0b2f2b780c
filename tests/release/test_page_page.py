"""release.html: it stands alone, says what it must, and no text of a plan breaks it."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grievance.release import Release, export
from grievance.release.page.charts import COLUMNS, broken, room
from grievance.release.page.style import CSS

VOID = {"meta", "br"}
SCRIPT = "<script>alert('x')</script>"
LONG = ("a label that goes on and on, as far as a plan allows it to go, " + "x" * 80)[:80]
ARABIC = "\u0644\u0646\u062f\u0646 \u0648\u0627\u0644\u062c\u0646\u0648\u0628"
FIELDS = f"""
[fields.place]
question = "Where? </h3></svg><img src=//evil.example/x>"
choices = ["{SCRIPT}", "{ARABIC}", "{LONG}", "]]>--></title>", "\U0001f600"]
required = true
[fields.mood]
question = "How \\"are\\" you onload='x'?"
choices = ["well", "{SCRIPT}", "{LONG}"]
pick = 2
[fields.wide]
question = "Which of these?"
choices = [{", ".join(f'"answer {i}"' for i in range(40))}]
required = true
[fields.hours]
question = "Unpaid hours"
unit = "hours <i>"
minimum = 0
maximum = 10
step = 1
bands = [0, 2, 5, 10]
"""
STATISTICS = """
[statistics.mood_by_place]
count = ["mood", "place"]
[statistics.wide_by_place]
count = ["wide", "place"]
[statistics.hours_mean]
mean = "hours"
by = ["place"]
[statistics.hours_spread]
distribution = "hours"
by = ["place"]
"""


class Outline(HTMLParser):
    """Reads a page strictly: every element closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def words(self) -> str:
        return " ".join("".join(data for _, data in self.texts).split())

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs, _ in self.tags if tag == name]


@functools.cache
def page_of(release: Release) -> str:
    return release.to_html(relays={"nurses": 1500, "carers": 0})


@pytest.fixture(scope="module")
def hard(
    make_task: Callable, make_release: Callable, exact_values: Callable, noisy: Callable
) -> Any:
    """A release whose labels attack, with 200 cells and grey ones."""
    task = make_task(FIELDS, STATISTICS, "8", 10)
    rng = np.random.default_rng(3)
    fields = task.plan.fields
    places, moods = fields["place"].choices, fields["mood"].choices
    people = []
    for _ in range(400):
        at = int(rng.choice(5, p=[0.5, 0.3, 0.16, 0.03, 0.01]))
        people.append(
            {
                "place": places[at],
                "mood": [str(one) for one in rng.permutation(moods[: 3 if at else 2])[:2]],
                "wide": str(rng.choice(fields["wide"].choices)),
                "hours": float(rng.integers(0, 6) + at),
            }
        )
    # Every one of them stands for six, so that some of the 200 cells are large enough to show.
    exact = {name: [6 * one for one in of] for name, of in exact_values(task, people).items()}
    return make_release(task, noisy(task, exact, 5), accepted=2500)


@pytest.fixture(scope="module")
def kinds(
    task: Any, make_release: Callable, exact_values: Callable, noisy: Callable, population: Callable
) -> Release:
    """A release with every kind of statistic."""
    found: Release = make_release(task, noisy(task, exact_values(task, population(900, 4)), 6))
    return found


@pytest.fixture(scope="module", params=["hard", "kinds"])
def any_release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def outline(any_release: Release) -> Outline:
    return Outline(page_of(any_release))


def test_it_stands_alone(any_release: Release, outline: Outline) -> None:
    page = page_of(any_release)
    names = {name for name, _, _ in outline.tags}
    assert not names & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "use",
        "image",
        "foreignObject",
    }
    for _, attrs, _ in outline.tags:
        assert not any(key.startswith("on") for key in attrs)
        assert "src" not in attrs and "style" not in attrs
        assert (attrs.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:", page)
    (policy,) = [m for m in outline.of("meta") if m.get("http-equiv")]
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert page == any_release.to_html(relays={"nurses": 1500, "carers": 0})


def test_landmarks_headings_and_anchors(outline: Outline) -> None:
    assert outline.of("html") == [{"lang": "en"}]
    for name in ("header", "nav", "main", "footer", "h1", "title"):
        wanted = 1 + (len(outline.of("svg")) if name == "title" else 0)
        assert len(outline.of(name)) == wanted, name
    levels = [int(name[1]) for name, _, _ in outline.tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs, _ in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs, _ in outline.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert key not in attrs or attrs[key] in ids
        if "href" in attrs:
            assert (attrs["href"] or "")[1:] in ids
    titles = [data for name, data in outline.texts if name == "h2"]
    assert [t.split()[0] for t in titles[:4]] == ["What"] * 4
    assert titles[:3] == [
        "What is the problem?",
        "What do we know, and how surely?",
        "What can be asked for next?",
    ]


def test_every_chart_is_described_and_has_its_table(any_release: Release) -> None:
    page = page_of(any_release)
    figures = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    assert len(figures) >= 4
    assert sum(figure.count("<svg") for figure in figures) == page.count("<svg")
    for figure in figures:
        assert figure.startswith("<figure><figcaption>")
        assert "<table>" in figure.split("</svg>")[-1]
        for svg in re.findall(r"<svg.*?</svg>", figure, re.DOTALL):
            assert re.match(
                r'<svg width="100%" height="[\d.]+" role="img" aria-labelledby="([\w-]+)-title" '
                r'aria-describedby="\1-desc"><title id="\1-title">[^<]+</title>'
                r'<desc id="\1-desc">[^<]+</desc>',
                svg,
            )
            assert not re.search(r"nan|inf\b", svg.split("</desc>")[1])
            for place in re.findall(r'(?:x|x1|x2|cx)="([\d.-]+)%"', svg):
                assert 0 <= float(place) <= 100
    # No table stands without a caption and headings of columns or rows.
    assert page.count("<table>") == page.count("<caption>")
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        assert 'scope="row"' in table


def test_texts_of_a_plan_are_escaped(hard: Release) -> None:
    page = page_of(hard)
    assert SCRIPT not in page and "evil.example/x>" not in page and "</title>\u201d" not in page
    words = Outline(page).words
    for text in (SCRIPT, ARABIC, LONG, "\U0001f600", "hours <i>", "]]>--></title>"):
        assert text in words
    # In the running text whatever a stranger wrote ends its own direction of writing.
    plain = re.sub(r"<svg.*?</svg>|<head>.*?</head>", "", page, flags=re.DOTALL)
    assert plain.count(ARABIC) == plain.count(f"<bdi>{ARABIC}</bdi>")


def test_two_hundred_cells_are_all_there(hard: Release) -> None:
    page = page_of(hard)
    assert len(hard["wide_by_place"].cells()) == 200
    assert "(200 cells)" in page
    assert "too much for one chart" in page
    assert len(page) < 600_000


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        lin = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_known_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("at", [0, 1, 2], ids=["light", "dark", "print"])
def test_colours_can_be_told_apart(at: int) -> None:
    roots = re.findall(r":root \{([^}]*)\}", CSS)
    assert len(roots) == 3 and "@media (prefers-color-scheme: dark)" in CSS
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[at]))
    for front, back in (
        ("ink", "paper"), ("soft", "paper"), ("accent", "paper"), ("ink", "tint"),
        ("soft", "tint"), ("warn", "warn-tint"),
    ):  # fmt: skip
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    used = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", CSS))
    assert used <= {colour for root in roots for colour in re.findall("#[0-9a-f]{6}", root)}


def test_paper_gets_the_folded_tables() -> None:
    printed = CSS[CSS.index("@media print") :]
    assert "details::details-content { content-visibility: visible" in printed


@pytest.mark.parametrize("text", [LONG, "W" * 80, "\u6771" * 80, ARABIC * 4, "x", "a b"])
def test_labels_are_broken_and_nothing_is_lost(text: str) -> None:
    lines = broken(text)
    assert all(room(line) <= COLUMNS for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_who_what_when_and_how_to_check(kinds: Release) -> None:
    words = Outline(page_of(kinds)).words
    task = kinds.task
    for text in (
        kinds.plan.title, "1 October 2026", "20 December 2026", "1,000 sealed reports count",
        "Organisation 0",
        "Organisation 1", "nurses: 1,500 sealed reports", "carers: 0 sealed reports",
        f"grievance audit POOL --trust {task.short_digest}", task.digest.hex(),
        kinds.accepted_root.hex(), kinds.release_id, "discrete Gaussian", "sigma", "epsilon 1 ",
    ):  # fmt: skip
        assert text in words, text
    for field in kinds.plan.fields.values():
        assert field.question in words
        for label in getattr(field, "choices", ()):
            assert label in words
    for line in kinds.statement:
        assert line.strip() in words
    for entry in task.aggregators:
        assert entry.member.fingerprint in words
    rho = re.findall(r"rho ([\d.]+)", words)
    assert len(rho) >= 3 and rho[0] in rho[1:]  # the promise and the method say one number
    assert "the partners whose names are in the pool" in Outline(kinds.to_html()).words


def test_warnings_come_first(make_task: Callable, make_release: Callable) -> None:
    task = make_task()
    values = {name: [100] * task.layout.statistics[name].num_released for name in task.allocations}
    calm = make_release(task, values)
    assert not calm.suspect and "Do not rely" not in calm.to_html()
    values["regions" if "regions" in values else "contracts"][0] = 10**6
    suspect = make_release(task, values)
    assert suspect.suspect
    words = Outline(suspect.to_html()).words
    assert words.index("Do not rely on contracts") < words.index("What is the problem?", 400)


def test_laplace_noise_has_its_own_words(make_task: Callable, make_release: Callable) -> None:
    task = make_task(mechanism="laplace")
    values = {name: [200] * task.layout.statistics[name].num_released for name in task.allocations}
    words = Outline(make_release(task, values).to_html()).words
    assert "discrete Laplace" in words and "Cost in epsilon" in words and "rho" not in words
    assert "together reveal at most epsilon 10 about one worker." in words


def test_exceptions_and_blank_reports_are_stated(kinds: Release) -> None:
    words = Outline(page_of(kinds)).words
    assert (
        "together reveal at most epsilon 10 about one worker at delta 0.000001; by bad luck of "
        "the noise more, with a chance of at most 1 in "
    ) in words
    assert "fewer than 10 sealed reports, blank ones that partners add as cover included." in words


def test_who_is_no_aggregator_is_told_what_both_noises_keep(
    kinds: Release, make_task: Callable, make_release: Callable
) -> None:
    assert "the noise of all 2 aggregators counts, not that of one alone: epsilon 0.6" in (
        Outline(page_of(kinds)).words
    )
    task = make_task(mechanism="laplace")
    values = {n: [100] * task.layout.statistics[n].num_released for n in task.allocations}
    assert "aggregators counts" not in Outline(make_release(task, values).to_html()).words


def test_what_the_ranges_hold_is_said_of_dark_and_grey(kinds: Release) -> None:
    words = Outline(page_of(kinds)).words
    assert (
        "95 of 100 ranges hold the number that was counted, over all cells, dark and grey. Among "
        "the smallest dark ones fewer do"
    ) in words


def test_export_writes_it(kinds: Release, tmp_path: Path) -> None:
    written = {path.name: path for path in export(kinds, tmp_path / "out")}
    assert "nurses" not in written["release.html"].read_text("utf-8")
    relays = {"nurses": 1500, "carers": 0}
    *two, page = export(kinds, tmp_path / "out", formats=("html",), relays=relays, overwrite=True)
    assert page.read_text("utf-8") == page_of(kinds)
    assert sorted((tmp_path / "out").iterdir()) == sorted([*two, page])
    claim = hashlib.sha256((tmp_path / "out" / "release.json").read_bytes()).hexdigest()
    assert claim in Outline(page.read_text("utf-8")).words
    export(kinds, tmp_path / "out", formats=(), overwrite=True)
    assert not page.exists()
