"""Mental health at work, 1,259 people in eight countries: a whole round beside exact answers.

    python examples/osmi/run.py [--data PATH] [--keep DIR] [--sample N]

Every command that is shown is one a person would type; README.md walks through them.
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
    aggregators={"tech-union": "Tech Workers Union", "mind-charity": "Minds at Work"},
    relays={
        "united-states": "Network United States",
        "united-kingdom": "Network United Kingdom",
        "canada": "Network Canada",
        "germany": "Network Germany",
        "netherlands": "Network Netherlands",
        "ireland": "Network Ireland",
        "australia": "Network Australia",
        "other-countries": "Network Other Countries",
    },
)

# What osmi_2014.truth.json answers exactly, in its own words.
QUESTIONS: list[dict[str, Any]] = [
    {"id": "n", "kind": "count", "table": "talk_by_size"},
    {"id": "treatment", "kind": "histogram", "field": "treatment"},
    {"id": "talk_to_coworkers", "kind": "histogram", "field": "talk_to_coworkers"},
    {
        "id": "talk_by_size",
        "kind": "crosstab",
        "rows": "employer_size",
        "cols": "talk_to_coworkers",
    },
    {
        "id": "no_talk_share_by_country",
        "kind": "share_by",
        "field": "talk_to_coworkers",
        "of": ["No"],
        "by": "country",
    },
    {
        "id": "fear_by_size",
        "kind": "crosstab",
        "rows": "employer_size",
        "cols": "mental_health_consequence",
    },
    {
        "id": "interfere_by_treatment",
        "kind": "crosstab",
        "rows": "work_interfere",
        "cols": "treatment",
    },
    {"id": "leave_by_size", "kind": "crosstab", "rows": "employer_size", "cols": "leave_ease"},
    {"id": "employer_provides", "kind": "multi", "field": "employer_provides"},
    {
        "id": "retaliation_uk",
        "kind": "share",
        "field": "observed_consequence",
        "of": ["Yes"],
        "where": {"country": "United Kingdom"},
    },
    {"id": "age_mean", "kind": "mean", "field": "age"},
    {
        "id": "age_quantiles_by_gender",
        "kind": "quantiles_by",
        "field": "age",
        "by": "gender",
        "q": [0.25, 0.5, 0.75],
    },
]

EXAMPLE = Example("osmi_2014.csv", COALITION, QUESTIONS, made_up=1259)

if __name__ == "__main__":
    sys.exit(EXAMPLE.main())
