"""The table of error codes is the source's, in both directions, and the page is the table."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import grievance
from code_sources import CODE, written
from grievance import errors
from grievance.cli.output import exit_code
from grievance.codes import CODES, page_table
from grievance.errors import GrievanceError

if TYPE_CHECKING:
    from code_sources import Written

pytestmark = pytest.mark.lint

SOURCE = Path(grievance.__file__).parent
PAGE = SOURCE.parents[1] / "docs" / "developer" / "errors.md"
BEGIN, END = "<!-- codes -->\n", "<!-- end of codes -->"


@pytest.fixture(scope="module")
def raised() -> list[Written]:
    return written(SOURCE)


def types() -> dict[str, type[GrievanceError]]:
    known = dict(inspect.getmembers(errors, inspect.isclass))
    known |= inspect.getmembers(importlib.import_module("grievance.tables"), inspect.isclass)
    return {name: one for name, one in known.items() if issubclass(one, GrievanceError)}


def test_no_code_is_raised_that_is_not_listed(raised: list[Written]) -> None:
    assert not [(one.code, one.where) for one in raised if one.code not in CODES]


def test_every_listed_code_is_raised(raised: list[Written]) -> None:
    assert not set(CODES) - {one.code for one in raised}


def test_a_code_has_one_type(raised: list[Written]) -> None:
    known = types()
    wrong = [
        (one.code, one.where, one.type)
        for one in raised
        if one.type is not None and not issubclass(known[one.type], known[CODES[one.code].type])
    ]
    assert not wrong


def test_no_code_is_put_together(raised: list[Written]) -> None:
    """A code that is computed could not be found by reading."""
    for path in SOURCE.rglob("*.py"):
        assert 'code=f"' not in path.read_text("utf-8"), path


def test_the_table_is_in_order() -> None:
    assert list(CODES) == sorted(CODES)
    for one in CODES.values():
        assert CODE.fullmatch(one.code) and not one.sentence.endswith("."), one
    assert len(CODES) > 300


def test_waiting_has_an_exit_code() -> None:
    known = types()
    for one in CODES.values():
        made = GrievanceError("x", code=one.code)
        assert (exit_code(made) == 3) is one.waits, one
    assert {one.type for one in CODES.values()} <= set(known)


def test_every_error_of_the_library_is_in_the_table() -> None:
    for found in pkgutil.iter_modules([str(SOURCE)]):
        assert found.name  # the packages are there
    for name, one in types().items():
        assert one.default_code in CODES, name


def test_the_page_is_the_table() -> None:
    text = PAGE.read_text("utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == page_table() + "\n"


def test_control_a_code_that_is_not_listed_is_found(tmp_path: Path) -> None:
    """Whichever way it is written down."""
    (tmp_path / "new.py").write_text(
        """
class NewError(PoolError):
    default_code = "new.default"

def _refuse(why, code="new.parameter"):
    return PoolError(why, code=code)

KEPT = "new.kept"
raise PoolError("x", code="new.keyword")
raise PoolError("x", code=KEPT)
raise PoolError("x", code="new.then" if x else "new.otherwise")
raise PoolError("x", code={1: "new.table"}.get(2, "new.rest"))
raise _refuse("x", "new.place")
StrictObject(x, (), where="", error=PoolError, code="new.strict")
"""
    )
    found = {one.code.removeprefix("new."): one.type for one in written(tmp_path)}
    assert set(found) == {
        *("default", "parameter", "kept", "keyword", "then", "otherwise", "table", "rest"),
        *("place", "strict"),
    }
    assert found["strict"] == found["keyword"] == "PoolError"
