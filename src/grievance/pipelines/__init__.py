"""The work on whole record batches, as pure functions: what a core, two cores or a cluster runs.

Reports in; verifier shares, then decisions and sums out. Nothing here reads a clock, a
folder or a database.
"""

from grievance.pipelines.paths import path_for
from grievance.pipelines.rows import (
    Opened,
    Seat,
    Verified,
    decide_rows,
    open_rows,
    report_leaves,
    verify_rows,
)
from grievance.pipelines.workers import Examined, examine_all

__all__ = [
    "Examined",
    "Opened",
    "Seat",
    "Verified",
    "decide_rows",
    "examine_all",
    "open_rows",
    "path_for",
    "report_leaves",
    "verify_rows",
]
