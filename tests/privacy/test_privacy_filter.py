"""The filter against a naive model, over histories."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from grievance.cost import Cost
from grievance.errors import BudgetExceededError, PrivacyError
from grievance.privacy import BudgetFilter

amounts = st.fractions(Fraction(1, 50), 1, max_denominator=50)


class BudgetHistory(RuleBasedStateMachine):
    """Charges that fit are added; whatever is refused leaves no trace."""

    @initialize(kind=st.sampled_from(["zcdp", "pure"]), budget=amounts.map(lambda a: 3 * a))
    def start(self, kind: str, budget: Fraction) -> None:
        self.kind, self.other = kind, "pure" if kind == "zcdp" else "zcdp"
        self.budget, self.granted = budget, []
        self.filter = BudgetFilter(Cost(kind, budget))

    def left(self) -> Fraction:
        return self.budget - sum(self.granted)

    @rule(amount=amounts)
    def request(self, amount: Fraction) -> None:
        if amount <= self.left():
            self.filter.charge(Cost(self.kind, amount))
            self.granted.append(amount)
        else:
            with pytest.raises(BudgetExceededError) as caught:
                self.filter.charge(Cost(self.kind, amount))
            assert caught.value.requested == Cost(self.kind, amount)
            assert caught.value.spent == self.filter.spent

    @rule()
    def request_all_that_is_left(self) -> None:
        """Exactly the remainder is allowed, one part in 10^12 more is not."""
        left = self.left()
        with pytest.raises(BudgetExceededError):
            self.filter.charge(Cost(self.kind, left + Fraction(1, 10**12)))
        if left > 0:
            self.filter.charge(self.filter.remaining)
            self.granted.append(left)

    @rule(amount=amounts)
    def request_in_another_currency(self, amount: Fraction) -> None:
        with pytest.raises(PrivacyError) as caught:
            self.filter.charge(Cost(self.other, amount))
        assert caught.value.code == "cost.kind"

    @rule(bad=st.sampled_from([Fraction(1, 9), 1, 0.1, None, "1/9"]))
    def request_something_else(self, bad: object) -> None:
        with pytest.raises(PrivacyError):
            self.filter.charge(bad)  # type: ignore[arg-type]
        with pytest.raises(PrivacyError):
            self.filter.charge(Cost.zero(self.kind))

    @rule()
    def reopen(self) -> None:
        self.filter = BudgetFilter(self.filter.budget, spent=self.filter.spent)

    @invariant()
    def books_balance(self) -> None:
        assert self.filter.spent == Cost(self.kind, Fraction(sum(self.granted)))
        assert self.filter.remaining == Cost(self.kind, self.left())
        assert self.filter.budget == Cost(self.kind, self.budget)
        assert self.left() >= 0


BudgetHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestBudgetHistory = BudgetHistory.TestCase


def test_a_filter_cannot_start_overspent_or_in_two_currencies() -> None:
    with pytest.raises(BudgetExceededError):
        BudgetFilter(Cost("zcdp", Fraction(1)), spent=Cost("zcdp", Fraction(2)))
    with pytest.raises(PrivacyError):
        BudgetFilter(Cost("zcdp", Fraction(1)), spent=Cost("pure", Fraction(0)))


def test_the_books_cannot_be_edited() -> None:
    books = BudgetFilter(Cost("zcdp", Fraction(1)))
    for name in ("spent", "budget", "remaining"):
        with pytest.raises(AttributeError):
            setattr(books, name, Cost.zero("zcdp"))
    assert repr(books) == "BudgetFilter(rho 0 of rho 1 spent)"
