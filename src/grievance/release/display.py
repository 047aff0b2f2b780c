"""Tables as aligned text and as simple, escaped HTML."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOISE_ONLY = "ranges: 95 % intervals of the noise only"


def width(text: str) -> int:
    """Return how many columns a terminal gives to `text`."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def text_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    remarks: Sequence[str] = (),
    limit: int | None = None,
) -> str:
    """Return an aligned text table, cut after `limit` rows with a word about the rest."""
    shown = rows if limit is None else rows[:limit]
    widths = [max(width(row[i]) for row in (header, *shown)) for i in range(len(header))]
    lines = [title]
    for row in (header, ["-" * size for size in widths], *shown):
        cells = (cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    if len(shown) < len(rows):
        lines.append(f"... and {len(rows) - len(shown)} more rows: .plain(), .to_rows()")
    lines += [f"({remark})" for remark in (*remarks, NOISE_ONLY)]
    return "\n".join(lines)


def html_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    remarks: Sequence[str] = (),
) -> str:
    """Return a plain HTML table. Every piece of text is escaped."""
    foot = "<br>".join(html.escape(remark) for remark in (*remarks, NOISE_ONLY))
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{html.escape(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody><tfoot><tr><td colspan={len(header)}>"
        f"<small>{foot}</small></td></tr></tfoot></table>"
    )
