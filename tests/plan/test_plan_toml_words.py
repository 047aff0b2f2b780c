"""A mistake in a plan or a mapping is told in our own words, with its line and a caret."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.errors import MappingError, PlanError
from grievance.plan import Plan
from grievance.plan.toml_words import explain
from grievance.tables import load_mapping
from grievance.testing import example_plan


def told(text: str) -> str:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    return explain(caught.value, text)


@pytest.mark.parametrize(
    ("text", "words", "line", "caret"),
    [
        ('a = "x"\nb = \n', "line 2, column 5: a value is missing", "    b =", 8),
        ('a = "x\n', "a text ends with a quote before its line ends", '    a = "x', 10),
        ('a = ["x" "y"]\n', "a comma or a closing bracket", '    a = ["x" "y"]', 13),
        ("a = { b = 1 c = 2 }\n", "a comma or a closing brace", "    a = { b = 1 c = 2 }", 16),
        ("a = 1\na = 2\n", "line 2", "    a = 2", None),
        ("[t]\na = 1\n[t]\n", "this table stands twice", "    [t]", None),
        ("[t]\nWho = 1\nhow often = 1\n", "an equals sign is missing", "    how often = 1", 8),
        ("a = 1 b = 2\n", "one line holds one key", "    a = 1 b = 2", 10),
        ("a = London\n", "text stands in double quotes", "    a = London", 8),
        ('a = "C:\\data"\n', "a backslash", '    a = "C:\\data"', None),
        ('# a comment\n\na = "x"\nb = [1,\n', "", "    b = [1,", None),
    ],
)
def test_the_line_and_a_caret(text: str, words: str, line: str, caret: int | None) -> None:
    said = told(text).split("\n")
    assert words in said[0]
    assert said[0].startswith("line ")
    assert said[1] == line
    assert said[2].strip() == "^"
    if caret is not None:
        assert said[2].index("^") == caret


def test_a_long_line_is_cut_around_the_place() -> None:
    said = told('a = "' + "x" * 500 + '" b = 1\n').split("\n")
    assert max(map(len, said[1:])) <= 80
    assert said[1][said[2].index("^")] == "b"


@pytest.mark.parametrize(
    "text",
    [
        "Sentinel Smith,Leeds,yes=no\n",
        '{"region": "Sentinel"}\n',
        '["Sentinel", "x"\n',
        "name;q1\nSentinel = x;2\n",
        "\n\nSentinel Smith\n",
        '"Sentinel","x = y"\n',
    ],
)
def test_a_table_given_in_place_of_a_mapping_is_not_shown(text: str) -> None:
    said = told(text)
    assert said.startswith("line ")
    assert "\n" not in said
    assert "Sentinel" not in said
    with pytest.raises(MappingError) as caught:
        load_mapping(text, example_plan())
    assert "Sentinel" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(PlanError) as wrong:
        Plan.from_toml(text)
    assert "Sentinel" not in f"{wrong.value} {wrong.value.hint}"


def test_plans_and_mappings_show_it() -> None:
    with pytest.raises(PlanError) as wrong:
        Plan.from_toml('\ufefftitle = "x"\r\ncampaign = trial\r\n')
    assert str(wrong.value).endswith("\n    campaign = trial\n               ^")
    with pytest.raises(MappingError) as caught:
        load_mapping('blank = [""\npartner = "u"\n', example_plan())
    assert "\n    partner = " in str(caught.value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_wrong_is_told(before: str, after: str) -> None:
    text = f'title = "x"\n{before}\n= {after}'
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = explain(error, text).split("\n")
        assert len(lines) in (1, 3)
        assert all(line.isprintable() for line in lines)
