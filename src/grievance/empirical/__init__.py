"""Empirical privacy: lower bounds on what releases give away, from releases alone.

The rest of the library proves upper bounds from the formulas; this package draws many releases
and tries to refute them. It looks at the noise as a stranger would, shares no formula for costs
with the parts that charge, and can only ever show that a promise is broken, never that it is
kept. `tester` compares neighbouring inputs, `canaries` guesses in one release, `fit` tests the
law of draws, `contrasts` the noise in published tables; `run` puts them together.
"""

from grievance.empirical.result import NOT_SHOWN, Check, StatisticalResult
from grievance.empirical.run import Effort, statistical_audit

__all__ = ["NOT_SHOWN", "Check", "Effort", "StatisticalResult", "statistical_audit"]
