"""What the noise of all aggregators together keeps, for those who are none of them."""

from __future__ import annotations

from fractions import Fraction
from importlib import resources

import pytest

from grievance.cost import Cost
from grievance.plan import Plan, plan_in_words
from grievance.privacy import delta_for, outsiders_promise, rho_for

DELTA = Fraction(1, 10**6)


def said(rho: Fraction, aggregators: int = 2, scale: Fraction = Fraction(9)) -> str:
    return outsiders_promise(
        Fraction(1), DELTA, Cost("zcdp", rho), aggregators=aggregators, scale=scale
    )


def test_two_noises_keep_less_than_0_7_where_1_is_promised() -> None:
    rho = Fraction(rho_for(Fraction(1), DELTA))
    words = said(rho)
    assert "the noise of all 2 aggregators counts" in words
    assert "epsilon 0.689 at the same delta, where 1 is promised" in words
    assert "if all of them drew their noise as promised" in words
    assert "no state or key of any of them leaks before it is destroyed" in words
    assert words.endswith("Nobody can check that.")
    # It is proved at half the cost, and a little less is not.
    assert Fraction(delta_for(rho / 2, Fraction(689, 1000))) <= DELTA
    assert Fraction(delta_for(rho / 2, Fraction(688, 1000))) > DELTA


def test_it_follows_from_the_cost_and_the_number_of_aggregators() -> None:
    rho = Fraction(rho_for(Fraction(1), DELTA))
    numbers = [
        float(words.split("epsilon ")[1].split()[0])
        for words in (said(rho), said(rho, 3), said(rho / 2))
    ]
    assert numbers[1] < numbers[0] and numbers[2] < numbers[0]


@pytest.mark.parametrize(
    "empty",
    [
        outsiders_promise(
            Fraction(1), DELTA, Cost("pure", Fraction(1)), aggregators=2, scale=Fraction(9)
        ),
        said(Fraction(1, 50), aggregators=1),
        said(Fraction(1, 50), scale=Fraction(3, 2)),
    ],
)
def test_nothing_is_said_of_laplace_noise_of_one_or_of_hardly_any(empty: str) -> None:
    assert empty == ""


def test_the_words_of_a_round_say_it_once_the_aggregators_are_known() -> None:
    text = resources.files("grievance.demo").joinpath("plan.toml").read_text("utf-8")
    gaussian, laplace = (
        Plan.from_toml(text.replace("[privacy]", f'[privacy]\nmechanism = "{name}"'))
        for name in ("gaussian", "laplace")
    )
    said = "the noise of all 2 aggregators counts"
    assert said in "\n".join(plan_in_words(gaussian, ("Nurses", "Carers")))
    assert said not in "\n".join(plan_in_words(gaussian))
    assert said not in "\n".join(plan_in_words(laplace, ("Nurses", "Carers")))
