"""One small survey as CSV and as Arrow, and what its reports must add up to."""

from __future__ import annotations

import pyarrow as pa

MAPPING = """
partner = "union"
[fields.problems]
separator = ";"
nothing = "none"
"""

GOOD = [
    {"region": "North", "contract": "agency", "problems": ["bullying"], "hours": "12.5"},
    {"region": "Wales", "problems": [], "hours": "0"},
    {"region": "London", "contract": "permanent", "problems": ["targets", "unpaid overtime"]},
    {},
]
CSV = """\
id,region,contract,problems,hours,union
1,North,agency,bullying,12.5,north
2,Wales,,none,0,south
3,London,permanent,targets;unpaid overtime,,north
4,,,,,north
"""
SENTINEL = "sentinel-5150"


ROWS = {
    "region": ["North", "Wales", "London", None, "Atlantis"],
    "contract": ["agency", None, "permanent", None, None],
    "problems": ["bullying", "none", "targets;unpaid overtime", None, None],
    "hours": [12.5, 0.0, None, None, 3.0],
    "union": ["north", "south", "north", "north", "north"],
}


def arrow(kind):
    texts = {
        name: pa.array(values, pa.string()).cast(kind)
        for name, values in ROWS.items()
        if name != "hours"
    }
    return pa.table({**texts, "hours": pa.array(ROWS["hours"], pa.float64())})


def measured(round_, sealed):
    return [round_.measure(report) for report in sealed.reports()]


def expected(round_, answers=GOOD):
    return [round_.bits(one) for one in answers]


def refused(sealed):
    return [(row.row, row.field, row.code) for row in sealed.refused]
