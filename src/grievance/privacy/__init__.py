"""Privacy: what may be revealed (zcdp), how much each statistic gets (mechanisms), the noise.

Importing this package is light: OpenDP is loaded when noise is first drawn.
"""

from __future__ import annotations

from grievance.privacy.explain import posterior_bound, promise, surprise_bound
from grievance.privacy.filter import BudgetFilter
from grievance.privacy.mechanisms import (
    COST_KIND,
    MAX_SIGMA,
    MIN_SIGMA,
    SIGMA_UNITS,
    Allocation,
    Mechanism,
    StatisticShape,
    budget_for,
    check_sigma,
    gaussian_cost,
    split,
)
from grievance.privacy.noise import check_opendp, draw, opendp_rho
from grievance.privacy.sensitivity import (
    MEAN_L1,
    MEAN_L2_SQUARED,
    MEAN_L2_SQUARED_BLANKED,
    count_l1,
    count_l2_squared,
    count_l2_squared_blanked,
)
from grievance.privacy.zcdp import delta_for, epsilon_for, rho_for

__all__ = [
    "COST_KIND",
    "MAX_SIGMA",
    "MEAN_L1",
    "MEAN_L2_SQUARED",
    "MEAN_L2_SQUARED_BLANKED",
    "MIN_SIGMA",
    "SIGMA_UNITS",
    "Allocation",
    "BudgetFilter",
    "Mechanism",
    "StatisticShape",
    "budget_for",
    "check_opendp",
    "check_sigma",
    "count_l1",
    "count_l2_squared",
    "count_l2_squared_blanked",
    "delta_for",
    "draw",
    "epsilon_for",
    "gaussian_cost",
    "opendp_rho",
    "posterior_bound",
    "promise",
    "rho_for",
    "split",
    "surprise_bound",
]
