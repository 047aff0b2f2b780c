"""How the plans of most tests begin: terms that suit a dozen reports, and the first question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REGIONS = ("London", "North", "Wales")


def plan_head(
    title: str,
    campaign: str,
    *,
    lifetime: str = "4.0",
    regions: Sequence[str] = REGIONS,
    mechanism: str | None = None,
) -> str:
    """A plan up to the question where somebody works. Its envelope is the quick one.

    Its noise is left open where no `mechanism` is named.
    """
    noise = "" if mechanism is None else f'mechanism = "{mechanism}"\n'
    return f"""
title = "{title}"
campaign = "{campaign}"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"

[privacy]
{noise}epsilon = 2.0
delta = 1e-6
lifetime_epsilon = {lifetime}
minimum_reports = 10
hide_below = 0

[fields.region]
question = "Where do you work?"
choices = {json.dumps(regions)}
required = true
"""
