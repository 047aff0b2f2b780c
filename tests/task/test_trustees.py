"""Trustees in common: which rounds are refused, by every reader of a task and by the audit."""

from __future__ import annotations

import json
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.crypto.signing import SigningKey
from grievance.errors import TaskError
from grievance.plan import Plan, plan_in_words
from grievance.task import BackupClaim, Identity, parse_task
from grievance.task.backup import ClaimedTrustee, same_claim
from grievance.task.trustees import check_trustees, common_trustees, overlap_in_words
from grievance.testing import EXAMPLE_PLAN, make_coalition

KEYS = [SigningKey.generate().public for _ in range(20)]
NORTH, SOUTH, WEST = (Identity(n, n.capitalize(), KEYS[17 + at]) for at, n in enumerate("nsw"))
SHARED = EXAMPLE_PLAN.replace("[privacy]", "shared_trustees = true\n\n[privacy]")


def claim(threshold: int, *numbers: int, prefix: str = "t") -> BackupClaim:
    """A backup with these trustees, by the number of their key; names are the owner's words."""
    trustees = tuple(ClaimedTrustee(f"{prefix}{number}", KEYS[number]) for number in numbers)
    return BackupClaim("ab" * 8, threshold, trustees, "2026-09-30")


def with_trustee(one: ClaimedTrustee) -> BackupClaim:
    return replace(claim(2, 1, 2), trustees=(one, *claim(2, 1, 2).trustees))


def refused(*parties: tuple[Identity, BackupClaim | None], shared: bool = False) -> bool:
    try:
        check_trustees(parties, shared=shared)
    except TaskError as error:
        return error.code == "task.trustees"
    return False


@st.composite
def two_claims(draw: st.DrawFn) -> tuple[int, BackupClaim, BackupClaim]:
    """Two aggregators' backups, and how many trustees they have in common, by key."""
    common = draw(st.integers(0, 6))
    own = [draw(st.integers(max(0, 2 - common), 4)) for _ in range(2)]
    first = [*range(common), *range(common, common + own[0])]
    second = [*range(common), *range(common + own[0], common + sum(own))]
    k1, k2 = (draw(st.integers(2, len(numbers))) for numbers in (first, second))
    # Whatever each calls them: a name is no key.
    return common, claim(k1, *first), claim(k2, *draw(st.permutations(second)), prefix="u")


@given(two_claims())
def test_the_matrix_of_trustees(case: tuple[int, BackupClaim, BackupClaim]) -> None:
    common, one, other = case
    wanted = common >= min(one.threshold, other.threshold)
    assert refused((NORTH, one), (SOUTH, other)) is wanted
    assert refused((SOUTH, other), (NORTH, one)) is wanted
    # A third aggregator between them changes nothing, and the plan may allow it.
    assert refused((NORTH, one), (WEST, None), (SOUTH, other)) is wanted
    assert not refused((NORTH, one), (SOUTH, other), shared=True)
    assert len(common_trustees((NORTH, one), (SOUTH, other))) == common
    assert bool(overlap_in_words([(NORTH, one), (SOUTH, other)])) is bool(common)


@pytest.mark.parametrize("shared", [False, True])
def test_an_aggregator_is_trustee_of_nobody_in_its_round(shared: bool) -> None:
    inside = with_trustee(ClaimedTrustee("kim", SOUTH.key))
    assert refused((NORTH, inside), (SOUTH, None), shared=shared)
    assert not refused((NORTH, inside), (WEST, None), shared=shared)
    # Nor somebody whom its owner calls so, with another key.
    named = with_trustee(ClaimedTrustee("s", KEYS[0]))
    assert refused((NORTH, named), (SOUTH, None), shared=shared)


def test_claims_are_the_same_where_the_same_people_are_needed() -> None:
    assert same_claim(None, None)
    assert not same_claim(claim(2, 1, 2), None)
    assert same_claim(claim(2, 1, 2), claim(2, 2, 1, prefix="u"))
    later = replace(claim(2, 1, 2), rehearsed="2026-10-01", set_id="c" * 16)
    assert same_claim(claim(2, 1, 2), later)
    assert not same_claim(claim(2, 1, 2, 3), claim(3, 1, 2, 3))
    assert not same_claim(claim(2, 1, 2, 3), claim(2, 1, 2, 4))


def test_a_task_is_refused_by_whoever_builds_or_reads_it() -> None:
    backups = {"north-union": claim(2, 1, 2, 3), "south-network": claim(3, 2, 3, 4)}
    with pytest.raises(TaskError) as caught:
        make_coalition(backups=backups)
    assert caught.value.code == "task.trustees"
    # One whose makers left the check out is refused by everybody who reads it.
    with mock.patch("grievance.task.task.check_trustees"):
        task = make_coalition(EXAMPLE_PLAN + "\n", backups=backups).task
    from grievance.task.task import _parse_task

    _parse_task.cache_clear()
    with pytest.raises(TaskError) as caught:
        parse_task(task.data)
    assert caught.value.code == "task.trustees"
    # The controls: fewer in common, and a plan that allows it.
    backups["south-network"] = claim(2, 3, 4, 5)
    make_coalition(backups=backups)
    backups["south-network"] = claim(2, 1, 2, 3)
    task = make_coalition(SHARED, backups=backups).task
    assert json.loads(task.data)["plan"]["shared_trustees"] is True


def test_workers_read_it_in_the_plan() -> None:
    said = "The same people may hold pieces of the keys of several of these organisations"
    assert any(line.startswith(said) for line in plan_in_words(Plan.from_toml(SHARED)))
    assert not any(line.startswith(said) for line in plan_in_words(Plan.from_toml(EXAMPLE_PLAN)))
