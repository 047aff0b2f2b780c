"""What may stand in a label, a question or a name, so that what people read is what is counted.

Labels are compared by eye, on small screens, by people who will act on the totals. So a
label has one spelling (NFC, single spaces), shows every character it holds (no control,
bidirectional or zero-width characters), differs from its neighbours by more than case or
compatibility form, and is written in one script.

Scripts are told apart by the script word that begins a character's Unicode name ("LATIN
SMALL LETTER A"), read off the NFKC form, so no table has to be shipped. That agrees with
the Script property for all living alphabets; a letter with another sort of name ("TURNED
SMALL F") counts as a script of its own, so doubt refuses. Digits 0-9, punctuation,
symbols and combining marks are common to all scripts. As in UTS 39, Han goes with kana,
with Hangul, or with Bopomofo. The tables are those of the running Python: a character
newer than its Unicode version is unassigned there and refused.

Source: UAX 15 (normalisation), UTS 39 section 5 (mixed scripts), UAX 44 (names).
"""

from __future__ import annotations

import re
import unicodedata

from grievance.plan.limits import MAX_LABEL

NOT_ANSWERED = "not answered"
"""The implicit last label of a field that is not required. Nobody else may use it."""

ANSWERED = "answered"
"""The other label of the denominators of a question with several choices."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MARKS_IN_A_ROW = 4

# Printable by category, yet drawn as nothing: fillers, joiners, selectors, the blank Braille cell.
_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x16FE4}.union(
        range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)
    )
)
_ALIASES = {"IDEOGRAPHIC": "CJK", "ARABIC-INDIC": "ARABIC", "EXTENDED": "ARABIC"}
_COMMON_WORDS = frozenset({"COMBINING", "MODIFIER", "KATAKANA-HIRAGANA"})
_TOGETHER = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)


def is_name(text: object) -> bool:
    """Whether `text` may name a field or a statistic: `[a-z][a-z0-9_]{0,39}`."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text))


def shown(text: str) -> str:
    """Quote text from a file for a message: shortened, whatever is not printable escaped."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def folded(text: str) -> str:
    """Return the form in which two labels must differ: NFKC, case folded, spaces closed up."""
    folded_once = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded_once).split())


def _code_point(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}"


def text_problem(text: str, limit: int) -> str | None:
    """Say what keeps `text` from being shown to people as it stands, or None.

    The rule for titles, questions, helps and units, and the first half of the rule for
    labels: one printable line of 1 to `limit` characters, NFC, single spaces.
    """
    if not text or len(text) > limit:
        return f"must have 1 to {limit} characters"
    for at, char in enumerate(text):
        if not char.isprintable() or ord(char) in _INVISIBLE:
            return (
                f"holds {_code_point(char)} at position {at + 1}, which readers cannot see; "
                f"type the text again on one line, without it"
            )
    if text != " ".join(text.split(" ")).strip(" ") or "  " in text:
        return "begins or ends with a space, or has two in a row; take them out"
    if unicodedata.normalize("NFC", text) != text:
        return "is not in composed form (NFC); save the file with composed characters"
    marks = 0
    for at, char in enumerate(text):
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        if marks > _MARKS_IN_A_ROW or (marks and at == 0):
            return "has combining marks without a letter to carry them; take them out"
    return None


def scripts(text: str) -> dict[str, str]:
    """Map each script used in `text` to the first character that uses it."""
    found: dict[str, str] = {}
    for char in text:
        for plain in unicodedata.normalize("NFKC", char):
            if unicodedata.category(plain)[0] not in "LM" and not (
                unicodedata.category(plain) in ("Nd", "Nl") and not plain.isascii()
            ):
                continue
            word = unicodedata.name(plain, "UNNAMED").split(" ", 1)[0]
            word = _ALIASES.get(word, word)
            if word not in _COMMON_WORDS:
                found.setdefault(word, char)
    return found


def label_problem(text: str) -> str | None:
    """Say what keeps `text` from being a label, or None."""
    problem = text_problem(text, MAX_LABEL)
    if problem is not None:
        return problem
    if folded(text) == folded(NOT_ANSWERED):
        return "is reserved; a field that is not `required` gets it by itself"
    used = scripts(text)
    if len(used) > 1 and not any(set(used) <= family for family in _TOGETHER):
        letters = ", ".join(_code_point(char) for char in used.values())
        return f"mixes letters of several scripts ({letters}); write it in one"
    return None


def find_twins(labels: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the first two labels that readers could take for one another, or None."""
    seen: dict[str, str] = {}
    for label in labels:
        key = folded(label)
        if key in seen:
            return seen[key], label
        seen[key] = label
    return None
