"""The page of every rule, docs/audit/<rule>.md, as the program carries it with itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grievance.audit.rules import RULES

_HERE = Path(__file__).parent
# Inside an installed package, and in a checkout of the source.
_PLACES = (_HERE / "pages", _HERE.parents[2] / "docs" / "audit")


@dataclass(frozen=True)
class RulePage:
    """Sections of a page, without their headings; each is a list of paragraphs."""

    checked: tuple[str, ...]
    why: tuple[str, ...]
    means: tuple[str, ...]
    by_hand: tuple[str, ...]


@cache
def rule_page(name: str) -> RulePage | None:
    """The page of a rule; None where the program was installed without its pages.

    "Next:" is left out of what a finding means: it is the rule's advice, which is always known.
    """
    for place in _PLACES:
        path = place / f"{RULES[name].name}.md"
        if path.is_file():
            return parse_page(path.read_text(encoding="utf-8"))
    return None


def parse_page(text: str) -> RulePage:
    """Take a page apart at its headings. Paragraphs keep `code` in back quotes."""
    found: dict[str, list[str]] = {}
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        blocks = (" ".join(block.split()) for block in body.split("\n\n"))
        found[heading.strip()] = [block for block in blocks if block]
    means = [p for p in found.get("What a finding means", ()) if not p.startswith("Next:")]
    return RulePage(
        tuple(found.get("What is checked", ())),
        tuple(found.get("Why", ())),
        tuple(means),
        tuple(found.get("By hand", ())),
    )
