"""Totals that people and noise cannot explain: noted by the audit, and never a fault.

Source: docs/faults.md, fault D15.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from grievance.audit.plausible import noise_reach
from grievance.crypto.documents import b64decode, b64encode
from grievance.pool.store import LocalStore
from grievance.privacy import NoiseLaw
from grievance.release import collect

if TYPE_CHECKING:
    from audit_world import Pool

    from grievance.audit import Finding


@pytest.mark.parametrize("draws", [2, 3, 16])
@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(449, 64), Fraction(400)])
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_how_far_noise_reaches(mechanism: Any, scale: Fraction, draws: int) -> None:
    """Against the releasing side's exact law, which is other code."""
    law = NoiseLaw(mechanism, scale, draws)
    reach = noise_reach(mechanism, scale, draws)
    if mechanism == "gaussian":
        assert reach == pytest.approx(6 * law.sd, rel=1e-6 if scale > 1 else 0.1)
        assert reach >= 6 * law.sd * (1 - 1e-12)
    else:
        assert math.ceil(reach) == pytest.approx(law.bound(1e-9), rel=0.001, abs=1)
    # What is exactly known of the tail, as far as floats can tell.
    assert law.tail(reach) <= 3e-9
    assert law.tail(0.75 * reach) > 1e-9


def set_total(pool: Pool, statistic: str, index: int, total: int) -> None:
    """South shifts one total to a wanted number, and charges just that share."""
    path = pool.paths.noisy(pool.release_id, "south")
    shift = total - collect(LocalStore(pool.folder), pool.task).values[statistic][index]

    def move(body: dict[str, Any]) -> None:
        vector = bytearray(b64decode(body["statistics"][statistic]))
        place = slice(16 * index, 16 * index + 16)
        moved = (int.from_bytes(vector[place], "little") + shift) % pool.task.vdaf.field.MODULUS
        vector[place] = moved.to_bytes(16, "little")
        body["statistics"][statistic] = b64encode(bytes(vector))

    pool.sign_again(path, pool.keys["south"], move)
    share = hashlib.sha256(pool.read(path)).hexdigest()
    pool.charge_again("south", 1, lambda body: body["event"].update(noisy_share=share))


def notes(pool: Pool) -> list[Finding]:
    report = pool.audit()
    assert report.verdict == "pass", [str(finding) for finding in report.findings]
    return [finding for finding in report.findings if finding.rule == "release.suspect"]


def test_an_honest_release_is_not_noted(made: Pool) -> None:
    assert notes(made) == []


@pytest.mark.parametrize(
    ("statistic", "part"),
    [("problems_by_region", "ticks"), ("hours_mean", "totals"), ("hours_mean", "numbers")],
)
@pytest.mark.parametrize("side", ["above", "below"])
def test_the_limits_to_the_last_person(pool: Pool, statistic: str, part: str, side: str) -> None:
    task, layout = pool.task, pool.task.layout.statistics[statistic]
    names = [p.name for p in layout.parts]
    index = sum(p.size for p in layout.parts[: names.index(part)])
    found = layout.parts[names.index(part)]
    accepted = collect(LocalStore(pool.folder), task).accepted
    given = task.allocations[statistic]
    reach = math.ceil(found.scale * noise_reach(given.mechanism, given.scale, 2))
    if side == "above":
        limit, beyond = found.high * accepted + reach, 1
    else:
        limit, beyond = found.low * accepted - reach, -1
    set_total(pool, statistic, index, limit)
    assert notes(pool) == []
    set_total(pool, statistic, index, limit + beyond)
    (note,) = notes(pool)
    assert (note.severity, note.file) == ("note", pool.paths.proposal(pool.release_id))
    assert f"{statistic}: 1 of " in note.message
    assert f"{limit + beyond:,} the farthest" in note.message
    assert "nothing shows whose" in note.message


def test_what_is_noted_is_what_release_json_says(pool: Pool) -> None:
    set_total(pool, "problems_by_region", 2, 10**7)
    set_total(pool, "problems_by_region", 0, -(10**6))
    set_total(pool, "hours_mean", 0, 10**9)
    (first, second) = notes(pool)
    release = collect(LocalStore(pool.folder), pool.task)
    assert {(one.statistic, one.index) for one in release.suspect} == {
        ("problems_by_region", 0),
        ("problems_by_region", 2),
        ("hours_mean", 0),
    }
    assert "problems_by_region: 2 of " in first.message
    assert "10,000,000 the farthest" in first.message
    assert "hours_mean: 1 of " in second.message
