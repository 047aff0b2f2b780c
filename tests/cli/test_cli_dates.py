"""A plan's dates: what is said on a day outside them, and that nothing is refused for it."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import pytest
from cli_shell import ANSWERS, Town

from grievance.cli import dates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli_shell import Ran

EARLY, FIRST, LAST, LATE, VERY_LATE = (
    date(2026, 9, 23),
    date(2026, 10, 1),
    date(2026, 12, 20),
    date(2026, 12, 21),
    date(2026, 12, 23),
)


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    Clock.patch = monkeypatch
    return Clock


class Clock:
    """Sets this machine's day."""

    patch: pytest.MonkeyPatch

    @classmethod
    def is_(cls, day: date) -> None:
        cls.patch.setattr(dates, "today", lambda: day)


def seal(town: Town, name: str, *words: str) -> Ran:
    out = str(town.folder / f"{name}.report")
    return town.seal("--answers", "-", "--out", out, *words, stdin=ANSWERS).done()


SAID = {
    EARLY: "here says 23 September 2026, and this round opens on 1 October 2026, in 8 days; ",
    FIRST: None,
    LAST: None,
    LATE: "was to close on 20 December 2026, yesterday; if it is closed, what is sealed now is not",
    VERY_LATE: "was to close on 20 December 2026, 3 days ago; ",
    date(1970, 1, 1): "opens on 1 October 2026, in 20,727 days; ",
}


def test_sealing_warns_and_seals(opened: Town, today: type[Clock]) -> None:
    for day, said in SAID.items():
        today.is_(day)
        ran = seal(opened, f"{day}")
        assert ("warning: " in ran.err) == (said is not None), day
        found = seal(opened, f"{day}-json", "--json").json["warnings"]
        assert len(found) == (said is not None), day
        if said is not None:
            assert said in ran.err
            assert ran.err.index("warning: ") < ran.err.index("Sealed into"), "before it is done"
            assert said in found[0]
    sizes = [path.stat().st_size for path in opened.folder.glob("*.report")]
    assert len(sizes) == 2 * len(SAID)
    assert len(set(sizes)) == 1, "a report says nothing of the day"


def test_a_table_is_sealed_with_one_warning(opened: Town, today: type[Clock]) -> None:
    rows = opened.folder / "rows.csv"
    rows.write_text("region,problems,hours\nLondon,targets,4\nWales,,\n")
    mapping = opened.folder / "mapping.toml"
    mapping.write_text('[fields.problems]\nseparator = ";"\n')
    words = ("--table", str(rows), "--mapping", str(mapping))
    today.is_(LATE)
    ran = opened.seal(*words, "--out", str(opened.folder / "a")).done()
    assert ran.err.count("warning: ") == 1
    found = opened.seal(*words, "--out", str(opened.folder / "b"), "--json").done().json
    assert len(found["warnings"]) == 1
    assert found["sealed"] == 2
    today.is_(LAST)
    assert "warning: " not in opened.seal(*words, "--out", str(opened.folder / "c")).done().err


def test_what_is_sealed_late_counts_while_the_round_is_open(town: Town, today: type[Clock]) -> None:
    """The leader's signed event ends a round, and no file says which day anybody had."""
    today.is_(date(2031, 7, 19))
    town.open("nurses")
    town.collect()
    town.close()
    (north,) = town.type("north", "status", "--json").done().json
    assert (north["stage"], north["accepted"]) == ("decided", 100)
    everything = b"".join(path.read_bytes() for path in files(town.folder))
    for text in (b"2031-07-19", b"20310719", b"19 July 2031"):
        # As a word: among the digits of digests any eight come up once in a while.
        assert not re.search(rb"(?<![\w-])" + text + rb"(?![\w-])", everything)


def files(folder: Path) -> Iterator[Path]:
    """Every file of the pool and of every home, and what was sealed."""
    return (path for path in folder.rglob("*") if path.is_file())


def overdue(town: Town, name: str) -> tuple[str, int]:
    shown = town.type(name, "status").done().out
    (line,) = town.type(name, "status", "--json").done().json
    assert (line["opens"], line["closes"]) == ("2026-10-01", "2026-12-20")
    return shown, line["overdue_days"]


def test_status_says_that_the_closing_day_has_passed(opened: Town, today: type[Clock]) -> None:
    opened.type("nurses", "compare", f"north:{opened.prints['north']}").done()
    for day in (EARLY, FIRST, LAST):
        today.is_(day)
        for name in ("north", "south", "nurses"):
            shown, days = overdue(opened, name)
            assert (days, "was to close" in shown) == (0, False)
    today.is_(VERY_LATE)
    said = "was to close on 20 December 2026, 3 days ago: "
    close = f"grievance round close --round {opened.round_id}"
    for name, what in (
        ("north", close),
        ("south", f"north types: {close}"),
        ("nurses", "the leader may close it any day"),
    ):
        shown, days = overdue(opened, name)
        assert days == 3
        assert said + what in shown
    opened.close()
    for name in ("north", "south", "nurses"):
        shown, days = overdue(opened, name)
        assert (days, "was to close" in shown) == (0, False), "it is closed"


def test_closing_says_where_the_closing_day_lies(opened: Town, today: type[Clock]) -> None:
    for day, said in (
        (date(2026, 11, 2), "closes on 20 December 2026, in 48 days."),
        (date(2026, 12, 19), "closes on 20 December 2026, tomorrow."),
        (LAST, "closes on 20 December 2026, today."),
        (VERY_LATE, "closes on 20 December 2026, 3 days ago."),
    ):
        today.is_(day)
        asked = opened.type("north", "round", "close", keyboard="n\n")
        asked.refused(1, said, "not confirmed")
        assert asked.err.index(said) < asked.err.index("for good?"), "before the question"
    found = opened.type("north", "round", "close", "--yes", "--json").done().json
    assert (
        found.items()
        >= {
            "round": opened.round_id,
            "closed": True,
            "was_closed": False,
            "closes": "2026-12-20",
            "overdue_days": 3,
        }.items()
    )
    again = opened.type("north", "round", "close", "--yes").done()
    assert "was closed already" in again.err
    assert "closes on" not in again.err


def test_a_round_agreed_to_after_its_closing_day(town: Town, today: type[Clock]) -> None:
    today.is_(VERY_LATE)
    said = "warning: by this plan the round was to close on 20 December 2026, 3 days ago"
    made = town.new(f"--with={town.named('south')}", "--yes").done()
    assert said in made.err
    assert (
        said in town.join(made.out.strip(), f"--expect={town.named('north')}", "--yes").done().err
    )
    today.is_(EARLY)
    made = town.new(f"--with={town.named('south')}", "--yes").done()
    assert "warning: " not in made.err
