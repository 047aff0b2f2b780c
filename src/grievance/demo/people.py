"""Made-up workers for any plan: seeded, skewed as real answers are, some left blank.

Nobody's secret depends on these draws, so an ordinary seeded generator makes them; it is the
one place in the library that uses one.
"""

from __future__ import annotations

import random  # noqa: TID251
from decimal import Decimal
from typing import TYPE_CHECKING

from grievance.plan import ChoiceField, MultiField

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.plan import Field, Plan

_SKIPPED = 0.06


def generate(plan: Plan, number: int, seed: int = 1) -> list[dict[str, object]]:
    """Return `number` workers' answers, the same for the same plan and seed.

    Choices get skewed weights; the first single-choice field acts as the worker's group and
    shifts all other answers, so that groups differ as they do in life. A question that is
    not required is skipped now and then.
    """
    rng = random.Random(seed)  # noqa: S311  # made-up data, not a secret
    group_field = next((n for n, f in plan.fields.items() if isinstance(f, ChoiceField)), None)
    people = []
    for _ in range(number):
        answers: dict[str, object] = {}
        tilt = 0.0
        for name, field in plan.fields.items():
            if not field.required and rng.random() < _SKIPPED:
                continue
            answers[name] = _answer(field, rng, tilt)
            if name == group_field and isinstance(field, ChoiceField):
                tilt = field.choices.index(str(answers[name])) / len(field.choices)
        people.append(answers)
    return people


def _answer(field: Field, rng: random.Random, tilt: float) -> object:
    if isinstance(field, ChoiceField):
        return _pick(field.choices, rng, tilt)
    if isinstance(field, MultiField):
        ticks = [
            choice
            for place, choice in enumerate(field.choices)
            if rng.random() < 0.65 - 0.5 * ((place / len(field.choices) + tilt) % 1)
        ]
        rng.shuffle(ticks)
        return ticks[: field.pick]
    steps = (field.maximum - field.minimum) / field.step
    place = round(int(steps) * min(1.0, rng.betavariate(1.3, 4.0 - 2.0 * tilt)))
    value = field.minimum + place * field.step
    return str(Decimal(value.numerator) / Decimal(value.denominator))


def _pick(choices: Sequence[str], rng: random.Random, tilt: float) -> str:
    weights = [
        1 / (1 + (place + tilt * len(choices)) % len(choices)) for place in range(len(choices))
    ]
    return rng.choices(choices, weights)[0]
