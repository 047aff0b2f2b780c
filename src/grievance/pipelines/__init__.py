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
    verify_rows,
)
from grievance.pipelines.spot import Examined
from grievance.pipelines.workers import Crew

__all__ = [
    "Crew",
    "Examined",
    "Opened",
    "Seat",
    "Verified",
    "decide_rows",
    "open_rows",
    "path_for",
    "verify_rows",
]
