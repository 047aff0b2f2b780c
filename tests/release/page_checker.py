"""Every sentence and every table of a release's page, each held against the truth in turn."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from page_truth import NOTHING, Asked, Node, Tally, ends, number, reaches, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.release import Release

L = "\u201c([^\u201d]*)\u201d"
_MISSING = f"(?:{NOTHING.pattern})"
_WHOM = rf"{L}(?: \((only people who answered .*)\))?"
_VERB = "(?:said|ticked|gave)"
QUARTERS = {"a quarter": "1/4", "half": "1/2", "three quarters": "3/4"}
FIXED = (
    r"How many people gave each answer\. [a-z_]+",
    r"The mean of what people gave\. [a-z_]+",
    r"How what people gave is spread\. [a-z_]+",
    rf"{L} means .*\.",
    r"None of those that were looked at\.",
    r"And [\d,]+ more, which are in the tables below\.",
    r"That is too much for one chart; the table of all numbers has every group\.",
    rf"{L}: nothing can be shown for any group\.",
    r"[\d,]+ comparisons? cannot be shown: a figure is lost in the noise\.",
    (
        r"It holds those above too\. On average noise alone puts at most one wrong entry into four "
        r"such lists: a difference that is not there, or is the other way round\."
    ),
    (
        rf"(?:Which of {L} and {L} was|Whether {L} differs from) .*cannot be said from these "
        r"figures\.(?: The same goes for [\d,]+ other comparisons?\.)?"
    ),
    rf"(?:How many|What).* of those who answered.* is {_MISSING}\.",
    rf"The mean of [a-z ]+ is {_MISSING}\.",
    r"Not so sure: .*",
)
"""Sentences without a number of people, and those that say that nothing can be said."""


def reaches_range(level: str, said: str) -> bool:
    """Whether the lower end of the range beside a level is enough for it."""
    return reaches(level, (ends(said) or (None,))[0])


class Checker:
    """Checks one page: `asked` has the truth of every statistic, `people` of everybody."""

    def __init__(self, release: Release, asked: Mapping[str, Asked], people: int) -> None:
        self.release, self.asked, self.people = release, asked, people
        self.page = read(release.to_html(relays={"nurses": release.accepted}))
        self.sections = self.page.sections()
        self.tally = Tally()
        self._lines: dict[str, list[str]] = {}

    def check(self) -> Tally:
        """Check the page from top to bottom."""
        self._lead()
        self._problem()
        for name, one in self.asked.items():
            section = self.sections[f"s-{name}"]
            folds = [one for one in section.find("details") if "A wider list" in one.text()]
            wider = [line for fold in folds for line in fold.find("li")]
            for line in section.find("p", "li"):
                kind = "wider" if any(line is other for other in wider) else "difference"
                self._sentence(one, line.text(own=True), kind)
            for fold in folds:
                self._wider(one, fold, [line.text(own=True) for line in wider])
            for table in section.find("table"):
                self._table(one, table)
        self._requests()
        self._rest()
        return self.tally

    def hold(self, kind: str, said: str, truth: Fraction | None, *, percent: bool = False) -> None:
        """Note whether a range holds the truth; nothing is noted where none is said."""
        found = ends(said)
        if found is None or truth is None:
            return
        assert ("%" in said) == percent, said
        self.tally.note(kind, found[0] <= truth <= found[1], f"{said} for {float(truth):.4g}")

    # -- the sections that come first ---------------------------------------------------------

    def _lead(self) -> None:
        first = next(self.page.find("header")).text()
        assert f"{self.release.accepted:,} sealed reports count, blank ones that partners" in first
        found = re.search(r"(?:Between ([\d,]+) and|Under) ([\d,]+) people answered\.", first)
        rest = first.replace(found[0] if found else "", "")
        assert not re.search(r"\d (people|workers|reports)\b", rest)
        if self.release.people is None:
            assert "no figure of this release is about everybody" in first and found is None
        elif found is None:
            assert "How many people answered is not" in first
        else:
            low, high = number(found[1] or "0"), number(found[2])
            assert 0 <= low <= high <= self.release.accepted
            self.tally.note("people", low <= self.people <= high, f"{found[0]} {self.people}")

    def _problem(self) -> None:
        for line in self.sections["problem"].find("li"):
            text = line.text()
            if found := re.fullmatch(rf"{_WHOM}: the mean lies (.*)\.", text):
                one = self._of(found[1], found[2], "mean")
                self.hold("mean", found[3], one.truth.mean(one.answer))
            elif found := re.fullmatch(
                rf"{_WHOM}: half of those who answered gave no more than a number (.*)\.", text
            ):
                one = self._of(found[1], found[2], "distribution")
                self.hold("quantile", found[3], one.truth.quantile(one.answer, Fraction(1, 2)))
            elif found := re.fullmatch(rf"{_WHOM}: (.*) of those who answered {_VERB} {L}\.", text):
                one = self._of(found[1], found[2], "count")
                self.hold("share", found[3], one.truth.share(one.answer, found[4]), percent=True)
            else:
                found = re.fullmatch(
                    rf"{_WHOM}: most often (.*)\. Which of these comes first cannot be said\.", text
                )
                assert found, f"a sentence that nobody knows: {text!r}"
                one = self._of(found[1], found[2], "count")
                for label, said in re.findall(rf"{L} \(([^)]*)\)", found[3]):
                    self.hold("share", said, one.truth.share(one.answer, label), percent=True)

    def _of(self, question: str, only: str | None, kind: str) -> Asked:
        """The statistic that a question and its restriction belong to."""
        return next(
            one
            for one in self.asked.values()
            if (one.question, one.only or None, one.kind) == (question, only, kind)
        )

    # -- one statistic ------------------------------------------------------------------------

    def _wider(self, one: Asked, fold: Node, lines: list[str]) -> None:
        """Check that a wider list is as long as it says, and holds the strict one."""
        found = re.match(r"A wider list: ([\d,]+) differences?", fold.text())
        assert found
        rest = re.fullmatch(r"And ([\d,]+) more, .*", lines[-1]) if lines else None
        told = len(lines) + (int(rest[1]) - 1 if rest else 0)
        assert told == number(found[1]), (told, fold.text())
        verdicts = [cell.text() for cell in self.sections[f"s-{one.truth.name}"].find("td")]
        strict = verdicts.count("larger than the noise")
        assert told == strict + verdicts.count("in the wider list")

    def _sentence(self, one: Asked, text: str, kind: str) -> None:
        truth, name = one.truth, one.answer
        if any(re.fullmatch(pattern, text) for pattern in FIXED):
            return
        if text.startswith("About "):
            assert text == f"About {one.only}."
        elif found := re.fullmatch(
            rf"(Between .*|\d.*) of those who answered {_VERB} {L}.*\.", text
        ):
            self.hold("share", found[1].lower(), truth.share(name, found[2]), percent=True)
        elif found := re.fullmatch(r"The mean of (.*) lies (.*)\.", text):
            assert found[1] == ("all groups together" if one.groups else "everybody who answered")
            self.hold("mean", found[2], truth.mean(name))
        elif found := re.fullmatch(r"Added up over (.*) it is (.*)\.", text):
            assert found[1] == ("all groups together" if one.groups else "everybody who answered")
            self.hold("total", found[2], truth.total(name))
        elif found := re.fullmatch(
            r"(A quarter|Half|Three quarters) of those who answered gave no more than "
            r"a number (.*)\.",
            text,
        ):
            q = Fraction(QUARTERS[found[1].lower()])
            self.hold("quantile", found[2], truth.quantile(name, q))
        elif self._difference(one, text, kind):
            return
        elif one.kind == "mean":
            group, said = re.fullmatch(r"([^:]*): (.*)\.", text).groups()  # type: ignore[union-attr]
            self.hold("mean", said, truth.mean(name, **one.group_of(group)))
        else:
            found = re.fullmatch(rf"{L}: (.*)\.", text)
            assert found, f"a sentence that nobody knows: {text!r}"
            lines = re.findall(rf"among {L} (between \S+ and \S+?%|\d[\S]*%|{_MISSING})", found[2])
            assert len(lines) == found[2].count("among "), text
            for group, said in lines:
                where = one.group_of(group)
                self.hold("share", said, truth.share(name, found[1], **where), percent=True)

    def _difference(self, one: Asked, text: str, list_: str) -> bool:
        """Check a sentence about a difference that is called larger than the noise."""
        family = (self.release.release_id, one.truth.name)
        size = r", by (up to|between) (.*)\."
        if found := re.fullmatch(rf"{L} was {_VERB} more often than {L}{size}", text):
            first, second = (one.truth.count(**{one.answer: found[at]}) for at in (1, 2))
            apart = first - second
        else:
            found = re.fullmatch(
                rf"(?:The share that {_VERB} {L}|The mean) is (larger|smaller|higher|lower) among "
                rf"{L} than among (?:the other groups together|{L}){size}",
                text,
            )
            if not found:
                return False
            label, way, group, other, *rest = found.groups()
            groups = (one.group_of(group), one.group_of(other) if other else one.rest_of(group))
            values = [one.value(label or "", where) for where in groups]
            if None in values:
                self.tally.note(list_, False, f"{text}: of nobody", family)
                return True
            apart = (values[0] or 0) - (values[1] or 0)
            apart = -apart if way in ("smaller", "lower") else apart
            apart = 100 * apart if label else apart
            found = re.fullmatch(r"(up to|between) (.*)", " ".join(rest))
        kind, said = found.groups()[-2:] if found else ("", "")
        low, high = (Fraction(0), number(said.split()[0])) if kind == "up to" else (
            ends(f"between {said}") or (Fraction(0), Fraction(0)))  # fmt: skip
        held = low <= apart <= high and apart > 0
        self.tally.note(list_, held, f"{text} for {float(apart):.4g}", family)
        return True

    def _table(self, one: Asked, table: Node) -> None:
        head = [cell.text() for row in table.find("thead") for cell in row.find("th")]
        rows = [
            [cell.text() for cell in row.find("th", "td")]
            for body in table.find("tbody")
            for row in body.find("tr")
        ]
        assert rows
        for row in rows:
            self._row(one, head, dict(zip(head, row, strict=True)), row)

    def _row(self, one: Asked, head: list[str], of: Mapping[str, str], row: list[str]) -> None:
        truth, name = one.truth, one.answer
        if head == ["Answer", "People", "Share of those who answered"]:
            if row[0] == "everybody who answered":
                self.hold("answered", row[1], truth.answered(name))
            else:
                self.hold("count", row[1], truth.count(**{name: row[0]}))
                self.hold("share", row[2], truth.share(name, row[0]), percent=True)
        elif head == ["Group", "People", "Mean", "Added up"]:
            group = one.group_of(row[0])
            self.hold("answered", row[1], truth.answered(name, **group))
            self.hold("mean", row[2], truth.mean(name, **group))
            self.hold("total", row[3], truth.total(name, **group))
        elif head[:2] == ["Answer", "Group"]:
            share = truth.share(name, row[0], **one.group_of(row[1]))
            self.hold("share", row[2], share, percent=True)
        elif head[0] == "Group":
            for said, q in zip(row[1:], QUARTERS.values(), strict=True):
                where = one.group_of(row[0])
                self.hold("quantile", said, truth.quantile(name, Fraction(q), **where))
        elif head[0] == "First":
            self._comparison(one, row)
        else:
            self._cell(one, head, row)

    def _comparison(self, one: Asked, row: list[str]) -> None:
        first, second, what, said, verdict = row
        if said == "lost in the noise":
            # At the level of the wider list it need not be.
            assert verdict in ("in the wider list", "no")
            return
        if what == "people who gave it":
            apart = one.truth.count(**{one.answer: first}) - one.truth.count(**{one.answer: second})
        else:
            rest = second == "the other groups"
            groups = (one.group_of(first), one.rest_of(first) if rest else one.group_of(second))
            values = [one.value("" if what == "the mean" else what, where) for where in groups]
            if None in values:
                return
            apart = (values[0] or 0) - (values[1] or 0)
            apart = apart if what == "the mean" else 100 * apart
        low, high = ends(said) or (Fraction(0), Fraction(0))
        family = (self.release.release_id, one.truth.name)
        self.tally.note("comparison", low <= apart <= high, f"{row} for {float(apart)}", family)
        assert verdict in ("larger than the noise", "in the wider list", "no")

    def _cell(self, one: Asked, head: list[str], row: list[str]) -> None:
        plan, truth = one.truth.plan, one.truth
        names = {plan.fields[field].question: field for field in plan.fields}
        where = {names[title]: label for title, label in zip(head, row, strict=True)
                 if title in names}  # fmt: skip
        of = dict(zip(head, row, strict=True))
        if one.kind == "mean":
            self.hold("mean", of["Mean"], truth.mean(one.answer, **where))
            return
        self.hold("count", of["People"], truth.count(**where))
        label = where.get(one.answer, "")
        if of.get("Share") and label != "not answered":
            group = {field: value for field, value in where.items() if field != one.answer}
            self.hold("share", of["Share"], truth.share(one.answer, label, **group), percent=True)

    # -- what can be asked for, and the rest --------------------------------------------------

    def _requests(self) -> None:
        section = self.sections["next"]
        told: list[str] = []
        for line in section.find("li"):
            text = line.text(own=True)
            if text.endswith(":"):
                told += [f"{text} {one.text()}" for one in line.find("li")]
            elif not any(text == one.split(": ", 1)[-1] for one in told):
                self._request(text)
        larger = sum(
            cell.text() == "larger than the noise"
            for name in self.asked
            for cell in self.sections[f"s-{name}"].find("td")
        )
        assert len(told) == larger, (len(told), larger)
        for said in told:
            title, text = re.fullmatch(rf"({_WHOM}(?: by .*)?): (.*)", said).group(1, 4)  # type: ignore[union-attr]
            assert any(
                title.startswith(f"\u201c{one.question}\u201d") and self._is_there(one, text)
                for one in self.asked.values()
            ), said

    def _is_there(self, one: Asked, text: str) -> bool:
        """Whether a difference is told of a statistic too, among the lines that are shown."""
        if one.truth.name not in self._lines:
            found = self.sections[f"s-{one.truth.name}"].find("li")
            self._lines[one.truth.name] = [line.text(own=True) for line in found]
        lines = self._lines[one.truth.name]
        return text in lines or any(line.startswith("And ") for line in lines)

    def _request(self, text: str) -> None:
        if re.match(rf"(?:Which of {L} and {L} was|Whether) ", text):
            return
        if found := re.fullmatch(
            rf"{L} is the most frequent answer to {_WHOM}, ahead of every other: "
            r"(.*) of those who answered\.",
            text,
        ):
            one = self._of(found[2], found[3], "count")
            given = one.truth.given(one.answer)
            counts = {label: one.truth.count(**{one.answer: label}) for label in given}
            held = all(counts.get(found[1], 0) >= other for other in counts.values())
            self.tally.note("most frequent", held, text)
            self.hold("share", found[4], one.truth.share(one.answer, found[1]), percent=True)
        elif found := re.fullmatch(rf"The mean of {_WHOM} is at least (\S+).* \((.*)\)\.", text):
            one = self._of(found[1], found[2], "mean")
            mean = one.truth.mean(one.answer)
            self._level(one, mean is not None and mean >= number(found[3]), text)
            assert (ends(found[4]) or (None,))[0] == number(found[3])
        elif found := re.fullmatch(
            rf"At least half of those who answered {_WHOM} gave (\S+).* or more\.", text
        ):
            one = self._of(found[1], found[2], "distribution")
            values = one.truth.values(one.answer)
            enough = sum(value >= number(found[3]) for value in values)
            self._level(one, 2 * enough >= len(values) > 0, text)
        else:
            found = re.fullmatch(
                rf"(.*) of those who answered {_WHOM} {_VERB} {L} \((.*)\)\.", text
            )
            assert found, f"a request that nobody knows: {text!r}"
            one = self._of(found[2], found[3], "count")
            self._level(one, reaches(found[1], one.truth.share(one.answer, found[4])), text)
            self.hold("share", found[5], one.truth.share(one.answer, found[4]), percent=True)
            assert reaches_range(found[1], found[5]), text

    def _level(self, one: Asked, holds: bool, text: str) -> None:
        self.tally.note("level", holds, text, (self.release.release_id, one.truth.name))

    def _rest(self) -> None:
        """Nowhere else is a number of people, but in the note about who answered."""
        for key in ("asked", "grey", "promise", "held", "verify", "method"):
            text = self.sections[key].text()
            found = re.findall(r"([\d,]+) (?:people|workers)\b", text)
            lead = re.findall(r"(?:Between [\d,]+ and|Under) ([\d,]+) people answered", text)
            assert found == lead, (key, found)
