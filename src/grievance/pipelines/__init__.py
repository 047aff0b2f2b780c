"""The work on whole record batches, as pure functions: what a core, two cores or a cluster runs.

Reports in; verifier shares, then decisions and sums out. Nothing here reads a clock, a
folder or a database.
"""

from grievance.pipelines.rows import (
    Opened,
    Seat,
    Verified,
    decide_rows,
    open_rows,
    report_leaves,
    sum_rows,
    verify_rows,
)

__all__ = [
    "Opened",
    "Seat",
    "Verified",
    "decide_rows",
    "open_rows",
    "report_leaves",
    "sum_rows",
    "verify_rows",
]
