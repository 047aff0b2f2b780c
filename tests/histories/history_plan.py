"""The plan of all histories, and what workers answer."""

from __future__ import annotations

from plan_head import plan_head

PLAN = (
    plan_head(
        "Three questions", "tiny", lifetime="3.0", regions=("London", "North"), mechanism="gaussian"
    )
    + """
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
).encode()
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
