"""The plan of all histories, and what workers answer."""

from __future__ import annotations

PLAN = b"""
title = "Three questions"
campaign = "tiny"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"

[privacy]
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 3.0
minimum_reports = 10
hide_below = 0

[fields.region]
question = "Where do you work?"
choices = ["London", "North"]
required = true

[fields.problems]
question = "What is a problem?"
choices = ["overtime", "targets"]
pick = 2
required = true

[fields.union]
question = "Are you in a union?"
choices = ["yes", "no"]
required = true

[statistics.problems_by_region]
count = ["region", "problems"]

[statistics.members]
count = ["union"]
"""
STATISTICS = ("problems_by_region", "members")
ROUNDS = 2
"""So many rounds of this plan the campaign's lifetime pays for; a third one is refused."""

ANSWERS: tuple[dict[str, object], ...] = (
    {"region": "London", "problems": ["targets"], "union": "yes"},
    {"region": "North", "problems": ["overtime", "targets"], "union": "no"},
    {"region": "North", "problems": [], "union": "yes"},
)

OUTSIDER = "porters"
"""A partner that is not admitted when the round opens."""
