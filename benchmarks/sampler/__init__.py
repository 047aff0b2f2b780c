"""Empirical privacy: lower bounds on what releases give away, from releases alone.

The library proves upper bounds from the formulas; this draws many releases and tries to refute
them. It looks at the noise as a stranger would, shares no formula for costs with the parts that
charge, and can only ever show that a promise is broken, never that it is kept. `tester` compares
neighbouring inputs, `canaries` guesses in one release, `fit` tests the law of draws; `run` puts
them together. For those who examine the sampler: it is no part of what is installed.
"""

from benchmarks.sampler.run import Effort, examine_sampler

__all__ = ["Effort", "examine_sampler"]
