"""Rounds of two or three aggregators for reports and tables, and the way back to the answers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grievance.client import open_input_share
from grievance.client.commitment import nonce_of
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.client import Report
    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.plan import Plan
    from grievance.secret import VerifyKey
    from grievance.task import Task


HEAD = """
title = "A test"
campaign = "test"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"
[privacy]
mechanism = "gaussian"
epsilon = 1.0
delta = 1e-6
lifetime_epsilon = 4.0
"""

SMALL_PLAN = (
    HEAD
    + """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[statistics.regions]
count = ["region"]
"""
)

FULL_PLAN = (
    HEAD
    + """
[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Wales"]
required = true
[fields.contract]
question = "Which contract?"
choices = ["permanent", "agency"]
[fields.problems]
question = "Which of these are a problem?"
help = "Tick at most two."
choices = ["unpaid overtime", "targets", "bullying"]
pick = 2
[fields.hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 1, 5, 10, 40]
[statistics.contracts]
count = ["contract", "region"]
[statistics.problems_by_region]
count = ["problems", "region"]
[statistics.hours]
mean = "hours"
by = ["region"]
[statistics.spread]
distribution = "hours"
"""
)


@dataclass(frozen=True)
class Round:
    """A task with every secret its aggregators hold."""

    task: Task
    keys: tuple[HpkePrivateKey, ...]
    verify_key: VerifyKey

    def open(self, report: Report, index: int) -> bytes:
        """Return one aggregator's encoded input share."""
        return open_input_share(
            self.keys[index],
            self.task,
            index,
            report.commitment,
            report.public_share,
            report.ciphertexts[index],
        )

    def measure(self, report: Report) -> list[int]:
        """Open, verify and add up one report: its bits. Raises where an aggregator would."""
        prio3, ctx = self.task.vdaf, self.task.ctx
        report.check(self.task)
        public_share = prio3.decode_public_share(report.public_share)
        begun = [
            prio3.verify_init(
                self.verify_key,
                ctx,
                index,
                nonce_of(report.commitment),
                public_share,
                prio3.decode_input_share(index, self.open(report, index)),
            )
            for index in range(len(self.keys))
        ]
        message = prio3.verifier_shares_to_message(ctx, [share for _, share in begun])
        return prio3.merge([prio3.verify_next(ctx, state, message) for state, _ in begun])

    def bits(self, answers: dict[str, object]) -> list[int]:
        """Return the bits these answers have, from the plan alone."""
        return self.task.layout.encode(self.task.layout.answers(answers))


@functools.lru_cache(maxsize=32)
def _make_round(plan: Plan | str, shares: int = 2, round_id: str | None = None) -> Round:
    names = [f"org-{index}" for index in range(shares)]
    coalition = make_coalition(plan, names, round_id=round_id)
    return Round(coalition.task, coalition.hpke_keys, coalition.verify_key)


@pytest.fixture(scope="session")
def make_round() -> Callable[..., Round]:
    """Return a maker of rounds: (plan text, shares, round id); equal ones are shared."""
    return _make_round


@pytest.fixture(scope="session")
def plan_head() -> str:
    """How a plan begins: everything but fields and statistics."""
    return HEAD


@pytest.fixture(scope="session")
def plan_text() -> str:
    """A plan with every kind of field and statistic."""
    return FULL_PLAN


@pytest.fixture(scope="session")
def small_text() -> str:
    """A plan with one question."""
    return SMALL_PLAN


@pytest.fixture(scope="session")
def small() -> Round:
    """A round of two with one question, so that its reports are short."""
    return _make_round(SMALL_PLAN)


@pytest.fixture(scope="session")
def full() -> Round:
    """A round of two with every kind of field and statistic."""
    return _make_round(FULL_PLAN)


@pytest.fixture(scope="session")
def plan(full: Round) -> Plan:
    """The plan of `full`."""
    return full.task.plan


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of files: (text or bytes, name, encoding) -> path."""

    def make(text: str | bytes, name: str = "survey.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return make
