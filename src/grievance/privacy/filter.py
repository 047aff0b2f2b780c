"""A budget that refuses. Whoever charges asks two: the round's and the campaign's.

It decides about sums alone. Whether a release may be at all, and whether the other ledgers can
bear it, is for `aggregator.releases` and `aggregator.peers` to say; the audit adds costs up by
code of its own.
"""

from __future__ import annotations

from grievance.cost import Cost
from grievance.errors import BudgetExceededError, PrivacyError


class BudgetFilter:
    """A privacy filter: costs add up to at most `budget`, of which `spent` may be gone already.

    For zCDP, and for pure epsilon, a filter may simply add, even where each cost depends on
    what was released before. Source: Feldman and Zrnic, "Individual Privacy Accounting via a
    Renyi Filter" (arXiv 2008.11193).

    Not shared between threads or processes: whoever charges holds the ledger's only writer.
    """

    def __init__(self, budget: Cost, *, spent: Cost | None = None) -> None:
        already = Cost.zero(budget.kind) if spent is None else spent
        if budget < already:
            raise BudgetExceededError(
                requested=already, spent=Cost.zero(budget.kind), budget=budget
            )
        self._budget = budget
        self._spent = already

    @property
    def budget(self) -> Cost:
        """The limit."""
        return self._budget

    @property
    def spent(self) -> Cost:
        """The sum of all costs charged."""
        return self._spent

    @property
    def remaining(self) -> Cost:
        """What may still be charged, to the last fraction."""
        return self._budget - self._spent

    def charge(self, cost: Cost) -> None:
        """Spend `cost`, or raise and change nothing.

        Raises BudgetExceededError when less is left, and PrivacyError for a cost of nothing
        (a release costs something) or of another kind than the budget.
        """
        if not isinstance(cost, Cost) or cost.amount <= 0:
            raise PrivacyError("a release costs something", code="cost.amount")
        total = self._spent + cost
        if not total <= self._budget:
            raise BudgetExceededError(requested=cost, spent=self._spent, budget=self._budget)
        self._spent = total

    def __repr__(self) -> str:
        return f"BudgetFilter({self._spent} of {self._budget} spent)"
