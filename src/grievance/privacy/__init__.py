"""Privacy: what may be revealed (zcdp), how much each statistic gets (mechanisms), the noise.

Importing this package is light: OpenDP is loaded when noise is first drawn, NumPy when a law of
noise is first asked for a margin.
"""

from __future__ import annotations

from grievance.privacy.explain import (
    campaign_promise,
    odds_bound,
    outsiders_promise,
    posterior_bound,
    promise,
    surprise_bound,
)
from grievance.privacy.filter import BudgetFilter
from grievance.privacy.laws import NoiseLaw, combined_margin
from grievance.privacy.mechanisms import (
    GAUSSIAN,
    LAPLACE,
    MAX_SCALE,
    MIN_SCALE,
    SCALE_UNITS,
    Allocation,
    Mechanism,
    Noise,
    StatisticShape,
    budget_for,
    check_scale,
    gaussian_cost,
    laplace_cost,
    noise_of,
    split,
    weighted_error,
)
from grievance.privacy.noise import check_opendp, draw, opendp_cost
from grievance.privacy.sensitivity import (
    COUNT_BLANKED,
    MEAN_BLANKED,
    MEAN_L2_SQUARED,
    count_moved,
    mean_l1,
)
from grievance.privacy.zcdp import delta_for, epsilon_for, rho_for

__all__ = [
    "COUNT_BLANKED",
    "GAUSSIAN",
    "LAPLACE",
    "MAX_SCALE",
    "MEAN_BLANKED",
    "MEAN_L2_SQUARED",
    "MIN_SCALE",
    "SCALE_UNITS",
    "Allocation",
    "BudgetFilter",
    "Mechanism",
    "Noise",
    "NoiseLaw",
    "StatisticShape",
    "budget_for",
    "campaign_promise",
    "check_opendp",
    "check_scale",
    "combined_margin",
    "count_moved",
    "delta_for",
    "draw",
    "epsilon_for",
    "gaussian_cost",
    "laplace_cost",
    "mean_l1",
    "noise_of",
    "odds_bound",
    "opendp_cost",
    "outsiders_promise",
    "posterior_bound",
    "promise",
    "rho_for",
    "split",
    "surprise_bound",
    "weighted_error",
]
