"""Releases by the real way out: the aggregators' own noise, and with the cryptography on."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from benchmarks.sampler import Effort, canaries, examine_sampler, tester
from benchmarks.sampler.claims import Claim, distance_for
from benchmarks.sampler.neighbours import worst_pair
from benchmarks.sampler.path import release_many, release_once, split_totals
from benchmarks.sampler.run import _way_out
from benchmarks.sampler.tester import compare

from grievance import privacy
from grievance.testing import make_coalition
from noise_doubles import drawn_once

SMALL = """
title = "Small"
campaign = "small"
opens = 2026-10-01
closes = 2026-12-20
[privacy]
epsilon = 4.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10
hide_below = 0
[fields.region]
question = "Where?"
choices = ["North", "South"]
required = true
[fields.shift]
question = "When?"
choices = ["day", "night"]
required = true
[statistics.regions]
count = ["region"]
[statistics.shifts]
count = ["shift"]
"""
NAMES = ["regions", "shifts"]


@pytest.fixture(scope="module")
def coalition():
    return make_coalition(SMALL.replace("[privacy]\n", '[privacy]\nmechanism = "gaussian"\n'))


def test_shares_add_up_to_the_totals(coalition) -> None:
    task = coalition.task
    bits = [3, 0, 1, 2]
    shares = split_totals(task, bits)
    modulus = task.vdaf.field.MODULUS
    assert [sum(column) % modulus for column in zip(*shares, strict=True)] == bits
    assert split_totals(task, bits) != shares


def test_a_cheat_sees_one_noise_and_the_public_two(coalition) -> None:
    task = coalition.task
    scale = float(task.allocations["regions"].scale)
    cheat = release_many(task, [5, 0, 5, 0], NAMES, 90, cheat=1) - np.array([5, 0, 5, 0])
    public = release_many(task, [5, 0, 5, 0], NAMES, 90) - np.array([5, 0, 5, 0])
    assert (cheat**2).mean() == pytest.approx(scale**2, rel=0.6)
    assert (public**2).mean() == pytest.approx(2 * scale**2, rel=0.6)


@pytest.fixture(autouse=True)
def _hardly_a_false_alarm(seldom_by_chance: None) -> None:
    """Of what is flagged here nothing is flagged by chance, and what passes does so every day."""


def way_out(task, releases: int = 120):
    return _way_out(task, releases)


def test_the_way_out_keeps_the_promise(coalition) -> None:
    found = way_out(coalition.task)
    assert not found.flagged
    assert found.numbers["rho_at_least_if_normal"] > 0.05 * found.numbers["stated"]


def test_a_way_out_that_uses_noise_twice_is_flagged(coalition, monkeypatch) -> None:
    monkeypatch.setattr(privacy, "draw", drawn_once(privacy.draw))
    found = way_out(coalition.task)
    assert found.flagged and found.numbers["independence_p_value"] < 1e-12


def test_noise_used_twice_gives_a_worker_away(coalition, monkeypatch) -> None:
    """One worker in another region, the shifts unchanged: the difference of the tables tells."""
    monkeypatch.setattr(privacy, "draw", drawn_once(privacy.draw))
    task, exact = coalition.task, ([1, 0, 1, 0], [0, 1, 1, 0])
    rows = [release_many(task, bits, NAMES, 80, cheat=0) for bits in exact]
    scales = [task.allocations[name].scale for name in NAMES for _ in range(2)]
    found = compare(rows[0], rows[1], exact, scales, Claim(task.cost), 1e-6)
    assert found.flagged and found.score == "learnt"


def test_a_way_out_without_noise_is_flagged(coalition, monkeypatch) -> None:
    monkeypatch.setattr(privacy, "draw", lambda _mechanism, scales: [0] * len(scales))
    assert way_out(coalition.task).flagged


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_the_whole_audit_passes_and_says_what_it_saw(
    mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for judge in (tester, canaries):
        monkeypatch.setattr(judge, "ALPHA", 1e-9)
    plan = SMALL.replace("[privacy]\n", f'[privacy]\nmechanism = "{mechanism}"\n')
    task = make_coalition(plan).task
    steps = []
    report = examine_sampler(
        task,
        effort=Effort(draws=1000, pair=600, path=40, canaries=300),
        progress=lambda what, done, total: steps.append((done, total)),
    )
    assert report.verdict == "pass", report.to_json()
    assert [check.kind for check in report.checks][-2:] == ["way-out", "canaries"]
    assert report.false_alarm == pytest.approx(1e-6 * (len(report.checks) + 1))
    assert steps[0] == (0, len(report.checks)) and steps[-1][0] == steps[-1][1]


# -- with the cryptography on ------------------------------------------------------------


def sealed_release(coalition, answers: list[dict[str, object]]) -> list[int]:
    """Shard, verify, add up, add noise, combine: every step as in a round, in memory."""
    task, vdaf, key = coalition.task, coalition.task.vdaf, coalition.verify_key
    shares = [vdaf.agg_init() for _ in task.aggregators]
    for raw in answers:
        nonce = secrets.token_bytes(vdaf.NONCE_SIZE)
        bits = task.layout.encode(task.layout.answers(raw))
        public, inputs = vdaf.shard(task.ctx, bits, nonce)
        begun = [
            vdaf.verify_init(key, task.ctx, index, nonce, public, share)
            for index, share in enumerate(inputs)
        ]
        message = vdaf.verifier_shares_to_message(task.ctx, [share for _, share in begun])
        for index, (state, _) in enumerate(begun):
            output = vdaf.verify_next(task.ctx, state, message)
            shares[index] = vdaf.agg_update(shares[index], output)
    return release_once(task, shares, NAMES, cheat=0)


def sealed_audit(coalition, releases: int):
    """So many workers replaced that the stated cost is large enough to see in few releases."""
    task = coalition.task
    here, there = {"region": "North", "shift": "day"}, {"region": "South", "shift": "night"}
    claim = Claim(task.cost, distance_for(task.cost, 8.0))
    pair = worst_pair(task.layout, NAMES, task.allocations, "gaussian", claim.distance)
    sides = ([here] * claim.distance, [there] * claim.distance)
    rows = [np.array([sealed_release(coalition, side) for _ in range(releases)]) for side in sides]
    exact = ([claim.distance, 0] * 2, [0, claim.distance] * 2)
    assert sorted([list(pair.near), list(pair.far)]) == sorted(list(side) for side in exact)
    return compare(rows[0], rows[1], exact, list(pair.scales), claim, 1e-6)


@pytest.mark.slow
def test_large_releases_with_the_cryptography_on(coalition) -> None:
    found = sealed_audit(coalition, 300)
    assert not found.flagged and found.normal_rho > 0.2 * found.stated


@pytest.mark.slow
def test_large_noise_used_twice_with_the_cryptography_on(coalition, monkeypatch) -> None:
    monkeypatch.setattr(privacy, "draw", drawn_once(privacy.draw))
    here, there = {"region": "North", "shift": "day"}, {"region": "South", "shift": "day"}
    rows = [
        np.array([sealed_release(coalition, [raw]) for _ in range(100)]) for raw in (here, there)
    ]
    task, exact = coalition.task, ([1, 0, 1, 0], [0, 1, 1, 0])
    scales = [task.allocations[name].scale for name in NAMES for _ in range(2)]
    assert compare(rows[0], rows[1], exact, scales, Claim(task.cost), 1e-6).flagged
