"""What is wrong with a TOML file that a person wrote, in our own words and with the line.

A plan or a mapping holds nobody's answers, so its line may be shown. But people give the wrong
file to the right option: the line is shown only of a text that begins as TOML does, which no
table and no JSON of answers does.
"""

from __future__ import annotations

import re

_PLACE = re.compile(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_BEGINS = re.compile(
    r"""(?:\s*(?:\#[^\n]*)?\n)*\s*(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\s*=|\[\[?[a-z_]+[].])"""
)
_WORDS = (
    ("Cannot declare", "this table stands twice in the file"),
    ("Cannot overwrite", "this key stands twice in its table"),
    ("Cannot mutate", "this key was given whole further up, and nothing can be added to it"),
    ("Cannot redefine", "this table stands twice in the file"),
    ("Duplicate inline", "this key stands twice between the braces"),
    ("Expected newline", "something stands after the value; one line holds one key"),
    ("Expected '='", "an equals sign is missing after the key; a key with signs stands in quotes"),
    ("Expected ']", "a square bracket is missing at the end of the table's name"),
    ("Invalid initial", "a key is missing here, or begins with a sign that needs quotes"),
    ("Invalid statement", "a line begins with a key, a table in square brackets, or #"),
    ("Invalid value", "a value is missing or unknown; text stands in double quotes"),
    ("Invalid date", "this is no date; dates look like 2026-10-01"),
    ("Unclosed array", "a comma or a closing bracket ] is missing"),
    ("Unclosed inline", "a comma or a closing brace } is missing"),
    ("Unescaped", "a backslash in double quotes is written twice, \\\\"),
    ("Unterminated", "a quote is missing at the end of the text"),
    ("Illegal character", "a text ends with a quote before its line ends"),
    ("Found invalid", "a sign stands here that no text may hold"),
)
_WIDTH = 72


def explain(error: ValueError, text: str) -> str:
    """Say what is wrong, where, and show the line with a caret under the place.

    `text` is what was parsed. The first line of the result goes into a sentence; one or three.
    """
    found = _PLACE.fullmatch(str(error))
    if found is None:
        return "it cannot be read as TOML"
    words = next((say for start, say in _WORDS if found[1].startswith(start)), "it cannot be read")
    lines = text.split("\n")
    if found[2] is None:
        while len(lines) > 1 and not lines[-1].strip():
            lines.pop()
        number, column = len(lines), len(lines[-1].rstrip()) + 1
    else:
        number, column = int(found[2]), int(found[3])
    told = f"line {number}, column {column}: {words}"
    if number > len(lines) or not _BEGINS.match(text):
        return told
    line = "".join(c if c.isprintable() else " " for c in lines[number - 1].rstrip())
    start = max(0, min(column - 1, len(line)) - _WIDTH + 12)
    return f"{told}\n    {line[start : start + _WIDTH]}\n    {' ' * (column - 1 - start)}^"
