"""What the audit expects of a release.json, against what the releasing side writes.

Both sides compute costs, deviations, titles and words with code of their own. Here they are held
against each other for plans of every kind, since an honest file must never be refused.
"""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from grievance.audit.expected import deviation, expected_release, limits_of_noise
from grievance.audit.promised import least_epsilon, statement
from grievance.audit.published import differences, own_version, spelled
from grievance.audit.releases import AuditedRelease
from grievance.audit.terms import read_terms
from grievance.cost import Cost
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey
from grievance.plan import Plan
from grievance.pool.proposals import Proposal
from grievance.privacy import NoiseLaw, promise
from grievance.privacy.zcdp import epsilon_for, rho_for
from grievance.release import Release
from grievance.release.document import library, released_sd
from grievance.task import parse_task
from grievance.task.identity import Identity
from grievance.task.task import build_task
from grievance.task.verify_key import VerifyKey
from grievance.testing import make_cards, with_envelope
from plan.strategies import plans, to_toml

if TYPE_CHECKING:
    from grievance.task import Task

ACCEPTED = 1000


@lru_cache(maxsize=1)
def keys() -> list[tuple[SigningKey, HpkePrivateKey]]:
    return [(SigningKey.generate(), HpkePrivateKey.generate("X25519")) for _ in range(3)]


def task_of(text: str, parties: int, *, rehearsal: bool = False) -> Task:
    some = keys()[:parties]
    members = [
        Identity(f"org-{i}", f"Organisation {i}", key.public) for i, (key, _) in enumerate(some)
    ]
    digest = hashlib.sha256(text.encode()).digest()
    cards = make_cards(
        [(key, hpke.public) for key, hpke in some],
        round_id="one",
        plan_sha256=digest,
        members=members,
        rehearsal=rehearsal,
    )
    made = build_task(
        Plan.from_toml(text), cards, VerifyKey.generate(), round_id="one", rehearsal=rehearsal
    )
    return parse_task(made)


def both(task: Task, values: dict[str, list[int]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is written, and what the audit expects from its own reading of the task."""
    digests = {entry.name: "ab" * 32 for entry in task.aggregators}
    root = bytes(range(32))
    release = Release.build(
        task,
        values,
        release_id="r1",
        accepted=ACCEPTED,
        accepted_root=root,
        noisy_shares=digests,
    )
    terms = read_terms(task.data)
    assert terms.problems == ()
    proposal = Proposal("org-0", bytes(32), tuple(values), ACCEPTED, root, 0)
    opened = cast("Any", SimpleNamespace(task=terms.task))
    audited = AuditedRelease(opened, "r1", proposal, digests=digests)
    expected = expected_release(audited, values, library=own_version(), suspect=None)
    return release.to_json(), expected


# Shrinking whole plans would take minutes.
@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.data(), plans(), st.integers(2, 3), st.sampled_from(["gaussian", "laplace", "auto"]))
def test_both_sides_write_the_same_file(
    data: st.DataObject, plan: Plan, parties: int, mechanism: str
) -> None:
    text = to_toml(plan)
    if "envelope" not in text.split("[privacy]")[0]:
        text = with_envelope(text)
    assert 'mechanism = "gaussian"' in text
    task = task_of(
        text.replace('mechanism = "gaussian"', f'mechanism = "{mechanism}"'),
        parties,
        rehearsal=data.draw(st.booleans()),
    )
    charged = list(task.allocations)
    some = data.draw(st.lists(st.sampled_from(charged), min_size=1, unique=True))
    number = st.one_of(st.integers(0, ACCEPTED), st.sampled_from([10**9, -(10**9)]))
    values = {}
    for name in charged:
        size = task.layout.statistics[name].num_released
        if name in some:
            values[name] = data.draw(st.lists(number, min_size=size, max_size=size))
    written, expected = both(task, values)
    assert [spelled(place) for place in differences(written, expected)] == []


def test_the_version_is_the_one_that_is_written() -> None:
    assert own_version() == library()


EPSILONS = st.integers(1, 1000).map(lambda n: Fraction(n, 100))
DELTAS = st.tuples(st.integers(1, 99), st.integers(5, 14)).map(lambda d: Fraction(d[0], 10 ** d[1]))


# A round costs nearly its budget, and blanking at least half of what replacing does.
@settings(max_examples=30, deadline=None)
@given(EPSILONS, DELTAS, st.integers(50, 100), st.integers(50, 100))
def test_the_words_are_the_same_with_gaussian_noise(
    epsilon: Fraction, delta: Fraction, used: int, weaker: int
) -> None:
    rho = rho_for(epsilon, delta) * Fraction(used, 100)
    cost, blanked = Cost("zcdp", rho), Cost("zcdp", rho * Fraction(weaker, 100))
    said = promise(epsilon, delta, cost, blanked=blanked)
    assert statement(epsilon, delta, cost, blanked) == said.split("\n")


@settings(max_examples=60, deadline=None)
@given(EPSILONS, st.integers(1, 10**6), st.integers(1, 100))
def test_the_words_are_the_same_with_laplace_noise(
    epsilon: Fraction, used: int, weaker: int
) -> None:
    spent = epsilon * Fraction(used, 10**6)
    cost, blanked = Cost("pure", spent), Cost("pure", spent * Fraction(weaker, 100))
    delta = Fraction(1, 10**6)
    said = promise(epsilon, delta, cost, blanked=blanked)
    assert statement(epsilon, delta, cost, blanked) == said.split("\n")


@settings(max_examples=40, deadline=None)
@given(st.fractions(Fraction(1, 10**4), 5), DELTAS)
def test_the_epsilon_of_a_cost(rho: Fraction, delta: Fraction) -> None:
    """Ours may be stricter by what the proof gives away, and never by more than a step."""
    ours, theirs = least_epsilon(rho, delta), Fraction(epsilon_for(rho, delta))
    assert theirs <= ours <= theirs + Fraction(1, 10**9)


SCALES = st.integers(32, 10**6).map(lambda n: Fraction(n, 64))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["gaussian", "laplace"]), SCALES, st.integers(1, 10**6))
def test_deviations(mechanism: Any, scale: Fraction, draws: int) -> None:
    assert deviation(mechanism, scale, draws) == released_sd(mechanism, scale, draws)


@pytest.mark.parametrize(
    ("mechanism", "scale", "draws", "sd"),
    [
        ("gaussian", Fraction(3), 4, "6"),
        ("gaussian", Fraction(1, 2), 2, "0.707107"),
        ("gaussian", Fraction(10**7), 1, "10000000"),
        # sqrt(2 q) / (1 - q) with q = 1/e: 0.857764 / 0.632121.
        ("laplace", Fraction(1), 1, "1.35696"),
        ("laplace", Fraction(1000), 2, "2000"),
    ],
)
def test_known_deviations(mechanism: Any, scale: Fraction, draws: int, sd: str) -> None:
    assert deviation(mechanism, scale, draws) == sd
    assert Decimal(sd) > 0


@pytest.mark.parametrize("draws", [2, 3, 16])
@pytest.mark.parametrize(
    "scale", [Fraction(1, 2), Fraction(5, 8), Fraction(1), Fraction(449, 64), Fraction(400)]
)
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_the_limit_of_the_releasing_side_is_between_ours(
    mechanism: Any, scale: Fraction, draws: int
) -> None:
    law = NoiseLaw(mechanism, scale, draws)
    near, far = limits_of_noise(mechanism, scale, draws)
    theirs = 6 * law.sd if mechanism == "gaussian" else law.bound(1e-9)
    assert math.ceil(near) - 1 <= math.ceil(theirs) <= math.ceil(far) + 1
    assert far < 1.02 * near


def test_a_total_near_the_limit_may_be_listed_or_not() -> None:
    from federation import PLAN

    task = task_of(PLAN.decode(), 2)
    name = "hours_spread"
    size = task.layout.statistics[name].num_released
    terms = task.allocations[name]
    near, far = limits_of_noise(terms.mechanism, terms.scale, 2)
    audited = AuditedRelease(
        cast("Any", SimpleNamespace(task=read_terms(task.data).task)),
        "r1",
        Proposal("org-0", bytes(32), (name,), ACCEPTED, bytes(32), 0),
    )
    entry = {"statistic": name, "index": 1}

    def expected(total: int, listed: object) -> object:
        values = {name: [0, total, *[5] * (size - 2)]}
        return expected_release(audited, values, library="1", suspect=listed)["suspect"]

    for sign, base in ((1, ACCEPTED), (-1, 0)):
        inside, beyond = math.ceil(near) - 1, math.ceil(far) + 2
        assert expected(base + sign * inside, [entry]) == []
        assert expected(base + sign * inside, []) == []
        for between in (inside + 1, beyond - 1):
            assert expected(base + sign * between, [entry]) == [entry]
            assert expected(base + sign * between, []) == []
        for listed in ([entry], [], None, [{"statistic": name, "index": 0}], "x"):
            assert expected(base + sign * beyond, listed) == [entry]
