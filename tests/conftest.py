"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent

# Asserts in the modules beside the tests count under `python -O` too, as those in tests do.
pytest.register_assert_rewrite(
    *(
        path.stem
        for path in Path(__file__).resolve().parent.rglob("*.py")
        if not path.stem.startswith("test_") and path.stem != "conftest"
    )
)

# A suite that a script started in its background finds Ctrl-C ignored, and so would every command
# that it starts, those it means to interrupt too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Time says nothing about a test on a busy machine, nor how much a generator threw away by chance
# about what is tested. Where CI is set, hypothesis has a profile of
# its own, which also tries the same examples every time: a change is judged by what it changed.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
if "CI" not in os.environ:
    settings.load_profile("patient")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count apart what looks at the project's text and not at what the code does."""
    passed = terminalreporter.stats.get("passed", [])
    if lint := sum("lint" in report.keywords for report in passed):
        rest = len(passed) - lint
        terminalreporter.write_line(f"{rest} tests of what the code does, {lint} of its text alone")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of official vectors and survey tables beside the project, where there is one."""
    folder = PROJECT.parent / "shared"
    if not (folder / "vectors").is_dir():
        pytest.skip("no shared/ folder beside the project: official vectors and tables not at hand")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _a_day_inside_the_plans_dates() -> Iterator[None]:
    """Commands typed in this process take this for today, or tests would end with a plan's dates.

    A test about dates puts another day there.
    """
    with mock.patch("grievance.cli.dates.today", return_value=date(2026, 11, 2)):
        yield


@pytest.fixture(autouse=True, scope="session")
def _a_terminal_like_any_other() -> Iterator[None]:
    """What commands print is laid out alike whoever runs the tests: width and colour are given."""
    with mock.patch.dict(os.environ, {"COLUMNS": "80"}):
        for name in ("LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            os.environ.pop(name, None)
        yield
