"""What readers see is what is counted: labels, texts and names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.plan.labels import (
    find_twins,
    folded,
    is_name,
    label_problem,
    scripts,
    shown,
    text_problem,
)

GOOD = [
    "London", "Île-de-France", "1-5", "More than 1000", "don't know", "Don\u2019t know", "a, b; c",
    "да", "не знаю", "Ελλάδα", "東京", "東京タワーのまち", "한국 漢字", "ㄅㄆ 中文", "مصر", "עברית",
    "हिन्दी", "ไทย", "½ day", "100 %", "≥ 49 hours", "C++", "👍", "1º turno", "n° 5", "café",
    "々々", "コーヒー", "x²", "№ 5", "٣ مرات",
]  # fmt: skip

BAD = [
    ("", "1 to 80 characters"),
    ("x" * 81, "1 to 80 characters"),
    ("line\nbreak", "U+000A"),
    ("tab\there", "U+0009"),
    ("nul\0", "U+0000"),
    ("\x1b[31mred", "U+001B"),
    ("pay\u202elluf", "U+202E RIGHT-TO-LEFT OVERRIDE"),
    ("\u2066x\u2069", "U+2066"),
    ("a\u200bb", "U+200B ZERO WIDTH SPACE"),
    ("a\u200db", "U+200D ZERO WIDTH JOINER"),
    ("\ufeffx", "U+FEFF"),
    ("a\u00adb", "U+00AD SOFT HYPHEN"),
    ("a\u00a0b", "U+00A0 NO-BREAK SPACE"),
    ("a\u3000b", "U+3000"),
    ("a\u2028b", "U+2028"),
    ("\u3164", "U+3164 HANGUL FILLER"),
    ("\u2800", "U+2800"),
    ("❤\ufe0f", "U+FE0F"),
    ("a\u034fb", "U+034F"),
    ("x\U000e0101", "U+E0101"),
    ("\ue000", "U+E000 without a name"),
    ("\ud800", "U+D800"),
    ("\u0378", "U+0378"),
    (" x", "space"),
    ("x ", "space"),
    ("a  b", "two in a row"),
    ("cafe\u0301", "NFC"),
    ("\u212b", "NFC"),
    ("\u0301x", "without a letter"),
    ("a\u0335\u0336\u0337\u0338\u0335", "without a letter"),
    ("W\u0430ge", "several scripts (U+0057 LATIN CAPITAL LETTER W, U+0430 CYRILLIC SMALL"),
    ("p\u03b1y", "several scripts"),
    ("1\u09e6 a", "several scripts"),
    ("カ한", "several scripts"),
    ("not answered", "reserved"),
    ("Not Answered", "reserved"),
    ("\uff4e\uff4f\uff54 answered", "reserved"),
]


@pytest.mark.parametrize("label", GOOD)
def test_labels_that_people_use(label: str) -> None:
    assert label_problem(label) is None


@pytest.mark.parametrize(("label", "words"), BAD)
def test_labels_that_deceive(label: str, words: str) -> None:
    problem = label_problem(label)
    assert problem is not None
    assert words in problem
    assert problem.isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("London", "LONDON"),
        ("straße", "STRASSE"),
        ("ﬁrm", "firm"),
        ("\uff21", "a"),
        ("x²", "x2"),
        ("ΣΑΣ", "σας"),
        ("\u1e9e", "ss"),
        ("ǆ", "dž"),
    ],
)
def test_labels_that_differ_only_by_case_or_form(one: str, other: str) -> None:
    assert find_twins(("other", one, "between", other)) == (one, other)


def test_labels_that_differ() -> None:
    assert find_twins(()) is None
    assert find_twins(("a", "b", "á", "1-5", "15")) is None


def test_questions_may_mix_scripts_but_hide_nothing() -> None:
    assert text_problem("Как по-русски «wage»?", 300) is None
    assert "U+202E" in (text_problem("a\u202eb", 300) or "")


def test_scripts_are_told_by_the_first_character_that_uses_them() -> None:
    assert scripts("Wage 5 \u2013 ва") == {"LATIN": "W", "CYRILLIC": "в"}
    assert scripts("1-5 %") == {}
    assert scripts("ª") == {"LATIN": "ª"}


@given(st.text(max_size=30))
def test_any_text_gets_an_answer(text: str) -> None:
    problem = label_problem(text)
    assert problem is None or problem.isprintable()
    if problem is None:
        assert text.isprintable()
        assert unicodedata.normalize("NFC", text) == text
        assert folded(folded(text)) == folded(text)
    assert shown(text).isprintable()
    assert len(scripts(text)) <= len(text) * 20


@pytest.mark.parametrize("name", ["a", "unpaid_hours", "x9", "a" * 40])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", "A", "9x", "_x", "a-b", "a b", "é", "a" * 41, "a\n", "..", None, 5]
)
def test_what_is_no_name(name: object) -> None:
    assert not is_name(name)
