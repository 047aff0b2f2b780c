"""Who works long hours, where: 27,695 people in ten regions, a whole round beside exact answers.

    python examples/census/run.py [--sample N] [--data PATH] [--keep DIR]

The whole table takes minutes; a sample of a few hundred rows takes seconds, and is compared
with its own counts. Every command that is shown is one a person would type.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import Example, Round  # noqa: E402

COALITION = Round(
    plan=HERE / "plan.toml",
    mapping=HERE / "mapping.toml",
    aggregators={"workers-federation": "Workers Federation", "law-centre": "Community Law Centre"},
    relays={
        "north-east": "Branch North East",
        "north-west": "Branch North West",
        "yorkshire": "Branch Yorkshire and the Humber",
        "east-midlands": "Branch East Midlands",
        "west-midlands": "Branch West Midlands",
        "east-of-england": "Branch East of England",
        "london": "Branch London",
        "south-east": "Branch South East",
        "south-west": "Branch South West",
        "wales": "Branch Wales",
    },
)

HEALTH = {"industry": "Health and social work"}

# What census_ew_2011_workers.truth.json answers exactly, in its own words.
QUESTIONS: list[dict[str, Any]] = [
    {"id": "n", "kind": "count", "table": "activity_by_hours"},
    {"id": "hours_band", "kind": "histogram", "field": "hours_band"},
    {"id": "hours_by_industry", "kind": "crosstab", "rows": "industry", "cols": "hours_band"},
    {
        "id": "long_hours_by_occupation",
        "kind": "share_by",
        "field": "hours_band",
        "of": ["49 or more"],
        "by": "occupation",
    },
    {
        "id": "long_hours_health_by_region",
        "kind": "share_by",
        "field": "hours_band",
        "of": ["49 or more"],
        "by": "region",
        "where": HEALTH,
    },
    {
        "id": "occupation_by_sex_health",
        "kind": "crosstab",
        "rows": "occupation",
        "cols": "sex",
        "where": HEALTH,
    },
    {
        "id": "poor_health_by_occupation",
        "kind": "share_by",
        "field": "health",
        "of": ["Bad", "Very bad"],
        "by": "occupation",
    },
    {"id": "ethnic_by_industry", "kind": "crosstab", "rows": "industry", "cols": "ethnic_group"},
    {
        "id": "activity_by_hours",
        "kind": "crosstab",
        "rows": "economic_activity",
        "cols": "hours_band",
    },
    {
        "id": "part_time_by_sex",
        "kind": "share_by",
        "field": "hours_band",
        "of": ["15 or less", "16 to 30"],
        "by": "sex",
    },
]

EXAMPLE = Example("census_ew_2011_workers.csv", COALITION, QUESTIONS, made_up=2000)

if __name__ == "__main__":
    sys.exit(EXAMPLE.main())
