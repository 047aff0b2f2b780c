"""Every limit a plan must keep, in one place.

Small enough that a phone can seal a report and that no plan can exhaust an aggregator,
large enough for every survey a coalition would put to people.
"""

from __future__ import annotations

from fractions import Fraction

MAX_PLAN_SIZE = 256 * 1024
"""Bytes of a plan file."""

MAX_FIELDS = 60
MAX_STATISTICS = 100
MAX_CHOICES = 200
MAX_BANDS = 200
MAX_AXES = 8
"""Fields that one statistic may cross."""

MAX_GRID = 1_000_000
"""Steps from a number's minimum to its maximum."""

MAX_CELLS = 65_536
"""Cells of one table, implied tables included."""

MAX_COORDINATES = 65_536
"""Cells of all tables of a plan together, implied tables and denominators included."""

MAX_BITS = 65_536
"""Block bits of one report: 1 MiB of leader share. 500 is usual."""

MAX_TITLE = 120
MAX_QUESTION = 300
MAX_HELP = 1000
MAX_LABEL = 80
MAX_UNIT = 30

FIRST_YEAR, LAST_YEAR = 2020, 2100

MIN_EPSILON, MAX_EPSILON = Fraction(1, 100), Fraction(10)
"""Of one round. Above 10 the promise is empty, below 1/100 nothing can be read."""

MAX_LIFETIME_EPSILON = Fraction(20)
MAX_DELTA = Fraction(1, 1000)
MAX_ROUNDS = 1_000
MAX_REPORTS_PER_WORKER = 10
MIN_REPORTS, MAX_REPORTS = 10, 1_000_000_000
MAX_HIDE_BELOW = 1_000_000
MIN_IMPORTANCE, MAX_IMPORTANCE = Fraction(1, 1000), 1000

MAX_NUMBER = 10**9
"""Absolute value of a number's minimum and maximum."""

MAX_DECIMALS = 18
"""Decimal places of any number in a plan."""

MAX_PROBLEMS = 5
"""Problems told in one PlanError."""
