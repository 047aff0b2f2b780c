"""A believable coalition made of seeded numbers, and its truth: for demos, examples, trials."""

from grievance.demo.people import generate
from grievance.demo.truth import CellCheck, check_release, exact_release

__all__ = ["CellCheck", "check_release", "exact_release", "generate"]
