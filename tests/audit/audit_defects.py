"""The catalogue of defects: for every rule of the audit, pools that break it and no other rule.

Most are signed by the guilty party itself, so that no signature gives them away. The functions
are in `defects_*.py`; tests audit what they leave, and `conformance/make.py` writes it down for
other implementations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit_world import Pool


@dataclass(frozen=True)
class Defect:
    """`spoil` changes a copy of the pool named `base` (see `audit_world.BASES`).

    It returns the anchors to audit with, where they are not the right ones. `severity` is that
    of the finding it makes.
    """

    rule: str
    name: str
    spoil: Callable[[Pool], list[str] | None]
    base: str
    severity: str


DEFECTS: list[Defect] = []


def defect(
    rule: str, severity: str = "fault", base: str = "round"
) -> Callable[[Callable[[Pool], list[str] | None]], Callable[[Pool], list[str] | None]]:
    """Enter a function into the catalogue, under its own name."""

    def enter(spoil: Callable[[Pool], list[str] | None]) -> Callable[[Pool], list[str] | None]:
        name = spoil.__name__.removeprefix("_").replace("_", "-")
        DEFECTS.append(Defect(rule, name, spoil, base, severity))
        return spoil

    return enter


def all_defects() -> list[Defect]:
    """Every defect, the modules that hold them imported."""
    import defects_consent
    import defects_decisions
    import defects_files
    import defects_ledgers
    import defects_order
    import defects_releases
    import defects_tasks

    del defects_consent, defects_decisions, defects_files, defects_ledgers
    del defects_order, defects_releases, defects_tasks
    return DEFECTS
