"""A round with every kind of statistic, populations, and noise for the release's tests."""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey
from grievance.plan import Plan
from grievance.release import Release
from grievance.secret import VerifyKey
from grievance.task import Identity, build_task, parse_task
from grievance.testing import make_cards

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grievance.task import Task

# Coverage is simulated by a benchmark, which stands beside the tests.
sys.path.append(str(Path(__file__).resolve().parents[2]))

MODULUS = 2**128 - 7 * 2**66 + 1

HEAD = """
title = "Conditions, autumn <2026>"
campaign = "test"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"
[privacy]
epsilon = {epsilon}
delta = 1e-6
lifetime_epsilon = 10
minimum_reports = 10
hide_below = {hide_below}
mechanism = "{mechanism}"
"""

FIELDS = """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[fields.contract]
question = "Which contract?"
choices = ["permanent", "agency", "=HYPERLINK(1)"]
[fields.problems]
question = "Which of these are a problem?"
choices = ["-unpaid, \\"overtime\\"", "targets", "bullying & <b>"]
pick = 2
[fields.needs]
question = "What do you need?"
choices = ["pay", "staff"]
pick = 1
required = true
[fields.hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 1, 5, 10, 40]
[fields.estimate]
question = "How many staff are short?"
minimum = -3
maximum = 4
step = 1
bands = [-3, 0, 2, 4]
required = true
"""

STATISTICS = """
[statistics.contracts]
count = ["contract", "region"]
[statistics.regions]
count = ["region"]
[statistics.problems_by_region]
count = ["problems", "region"]
[statistics.problems]
count = ["problems"]
[statistics.needs_by_contract]
count = ["contract", "needs"]
[statistics.hours_mean]
mean = "hours"
by = ["region"]
where = { region = ["London", "Wales"] }
[statistics.short_mean]
mean = "estimate"
[statistics.hours_spread]
distribution = "hours"
by = ["region"]
merge = { region = { "outside London" = ["North", "Wales"] } }
[statistics.short_spread]
distribution = "estimate"
"""


@functools.lru_cache(maxsize=16)
def _make_task(
    fields: str = FIELDS,
    statistics: str = STATISTICS,
    epsilon: str = "1",
    hide_below: int = 0,
    shares: int = 2,
    mechanism: str = "gaussian",
) -> Task:
    text = (
        HEAD.format(epsilon=epsilon, hide_below=hide_below, mechanism=mechanism)
        + fields
        + statistics
    )
    return _task_of(text, shares)


def _task_of(text: str, shares: int = 2) -> Task:
    signers = [SigningKey.generate() for _ in range(shares)]
    keys = [HpkePrivateKey.generate("X25519") for _ in range(shares)]
    members = [
        Identity(f"org-{i}", f"Organisation {i}", signer.public) for i, signer in enumerate(signers)
    ]
    digest = hashlib.sha256(text.encode()).digest()
    cards = make_cards(
        [(signer, key.public) for signer, key in zip(signers, keys, strict=True)],
        round_id="one",
        plan_sha256=digest,
        members=members,
    )
    plan = Plan.from_toml(text)
    return parse_task(build_task(plan, cards, VerifyKey.generate(), round_id="one"))


@pytest.fixture(scope="session")
def task_of() -> Callable[..., Task]:
    """Return a maker of tasks of a whole plan: (text, shares)."""
    return _task_of


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    """Return a maker of tasks: (fields, statistics, epsilon, hide_below, shares, mechanism)."""
    return _make_task


@pytest.fixture(scope="session")
def task() -> Task:
    """A task with every kind of statistic, that hides nothing."""
    return _make_task()


def _values(task: Task, people: Sequence[Mapping[str, object]]) -> dict[str, list[int]]:
    """Return the exact released coordinates of a population, by encoding and projecting."""
    layout = task.layout
    total = [0] * layout.num_bits
    for answers in people:
        for at, bit in enumerate(layout.encode(layout.answers(answers))):
            total[at] += bit
    exact = {}
    for name in task.allocations:
        shares = layout.project(name, total, MODULUS)
        exact[name] = [x - MODULUS if x > MODULUS // 2 else x for x in shares]
    return exact


@pytest.fixture(scope="session")
def exact_values() -> Callable[..., dict[str, list[int]]]:
    """Return (task, people) -> exact released coordinates."""
    return _values


def _release(task: Task, values: Mapping[str, Sequence[int]], **changes: Any) -> Release:
    arguments: dict[str, Any] = {
        "release_id": "r1",
        "accepted": 1000,
        "accepted_root": bytes(range(32)),
        "noisy_shares": {entry.name: "ab" * 32 for entry in task.aggregators},
    }
    return Release.build(task, values, **(arguments | changes))


@pytest.fixture(scope="session")
def make_release() -> Callable[..., Release]:
    """Return a maker of releases from a task and released coordinates."""
    return _release


def person(rng: np.random.Generator) -> dict[str, object]:
    """Draw one worker's answers to FIELDS; what is not required is sometimes left open."""

    def maybe(value: object) -> object:
        return value if rng.random() < 0.8 else None

    return {
        "region": str(rng.choice(["London", "North", "Wales"], p=[0.6, 0.3, 0.1])),
        "contract": maybe(str(rng.choice(["permanent", "agency", "=HYPERLINK(1)"]))),
        "problems": maybe(
            [
                str(label)
                for label in rng.permutation(['-unpaid, "overtime"', "targets", "bullying & <b>"])[
                    : rng.integers(0, 3)
                ]
            ]
        ),
        "needs": [str(label) for label in rng.permutation(["pay", "staff"])[: rng.integers(0, 2)]],
        "hours": maybe(float(rng.integers(0, 81)) / 2),
        "estimate": int(rng.integers(-3, 5)),
    }


@pytest.fixture(scope="session")
def population() -> Callable[..., list[dict[str, object]]]:
    """Return (size, seed) -> that many workers' answers."""

    def draw(size: int, seed: int) -> list[dict[str, object]]:
        rng = np.random.default_rng(seed)
        return [person(rng) for _ in range(size)]

    return draw


@pytest.fixture(scope="session")
def gaussians() -> Callable[..., np.ndarray]:
    """Return (rng, sigma, shape, aggregators) -> sums of discrete Gaussians, int64."""

    def draw(
        rng: np.random.Generator, sigma: float, shape: Any, aggregators: int = 2
    ) -> np.ndarray:
        reach = int(12 * sigma) + 2
        support = np.arange(-reach, reach + 1)
        pmf = np.exp(-(support**2) / (2 * sigma**2))
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        draws = rng.choice(support, p=pmf / pmf.sum(), size=(aggregators, *shape))
        return draws.sum(axis=0)

    return draw


@pytest.fixture(scope="session")
def noisy(gaussians: Callable[..., np.ndarray]) -> Callable[..., dict[str, list[int]]]:
    """Return (task, exact values, seed) -> values with the noise the task gives them."""

    def add(task: Task, exact: Mapping[str, Sequence[int]], seed: int) -> dict[str, list[int]]:
        rng = np.random.default_rng(seed)
        found = {}
        for name, values in exact.items():
            sigma = float(task.allocations[name].scale)
            scales = task.layout.noise_scale(name)
            found[name] = [
                value + int(gaussians(rng, sigma * scale, 1, len(task.aggregators))[0])
                for value, scale in zip(values, scales, strict=True)
            ]
        return found

    return add
