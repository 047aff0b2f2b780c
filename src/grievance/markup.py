"""HTML that cannot be broken out of: text is escaped by its type, not by a habit.

A page is built from nested calls. A `str` is text, always escaped, with characters that could
move a cursor, hide or turn the direction of writing spelled out; only `tag` makes `Html`, from
tag and attribute names that stand in the calls. A template engine with escaping switched on
would do as well; this is all of it that the audit's page and a release's report need, and an
auditor can read it whole.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Iterable


class Html:
    """A finished piece of a page."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code


Part = str | Html
Style = NewType("Style", str)
_VOID = {"meta", "br"}


def plain_text(text: str) -> str:
    """Text for people's screens: whatever could move a cursor or hide is spelled out."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def text(value: str) -> Html:
    """Text as a piece of a page."""
    return Html(html.escape(plain_text(value)))


def tag(name: str, /, *parts: Part, **attributes: str) -> Html:
    """One element. `class_` and `http_equiv` stand for the names Python cannot spell."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(plain_text(value))}"'
        for key, value in attributes.items()
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    inside = "".join(part.code if isinstance(part, Html) else text(part).code for part in parts)
    return Html(f"<{name}{written}>{inside}</{name}>")


def join(parts: Iterable[Part]) -> Html:
    """Pieces one after the other."""
    pieces = (part.code if isinstance(part, Html) else text(part).code for part in parts)
    return Html("\n".join(pieces))


def stranger(value: str) -> Html:
    """A text of unknown origin, whose direction of writing ends where it ends.

    Its line breaks stay, everything else that does not print is spelled out.
    """
    return tag("bdi", join(value.split("\n")))


def table(caption: str, head: Iterable[Part], rows: Iterable[Iterable[Part]]) -> Html:
    """A real table; the first cell of each row is its heading."""
    header = tag("tr", *(tag("th", name, scope="col") for name in head))
    body = []
    for row in rows:
        first, *rest = row
        body.append(tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)))
    whole = tag("table", tag("caption", caption), tag("thead", header), tag("tbody", *body))
    return tag("div", whole, class_="table")


def pairs(caption: str, rows: Iterable[tuple[str, Part]]) -> Html:
    """A table of two columns without a head: what, and its value."""
    body = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in rows]
    return tag("div", tag("table", tag("caption", caption), tag("tbody", *body)), class_="table")


def style(css: Style) -> Html:
    """The style sheet, which is ours and not escaped."""
    return Html(f"<style>{css}</style>")
