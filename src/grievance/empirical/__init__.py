"""The noise in published tables, looked at as a stranger would.

The rest of the audit recomputes what noise a task states. This asks whether the noise that was
really drawn is of that size, as far as published tables overlap: `contrasts` finds where they
must agree, `published` says what came of it. It can refute, and never prove.
"""

from grievance.empirical.published import statistical_audit
from grievance.empirical.result import NOT_SHOWN, Check, StatisticalResult

__all__ = ["NOT_SHOWN", "Check", "StatisticalResult", "statistical_audit"]
