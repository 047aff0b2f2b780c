"""Signatures and anchor come before anything is laid out: a task may be anybody's."""

from __future__ import annotations

import pytest

from federation import PLAN
from grievance.errors import GrievanceError
from grievance.plan import Layout, Plan
from grievance.privacy import Mechanism
from grievance.task import load_task
from grievance.task import task as tasks
from grievance.testing import Coalition, make_coalition


@pytest.fixture(scope="module")
def made() -> Coalition:
    return make_coalition(PLAN.decode(), ("north", "south"))


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done with a plan: a spy in the place of every reader and layout of one."""
    done: list[str] = []
    made, read = Layout.__init__, Plan.from_json.__func__

    def lay_out(self: Layout, plan: Plan, mechanism: Mechanism | None = None) -> None:
        done.append("layout")
        made(self, plan, mechanism)

    def from_json(cls: type[Plan], value: object, *, source: str) -> Plan:
        done.append("plan")
        return read(cls, value, source=source)

    monkeypatch.setattr(Layout, "__init__", lay_out)
    monkeypatch.setattr(Plan, "from_json", classmethod(from_json))
    tasks._parse_task.cache_clear()
    return done


def trust_of(coalition: Coalition) -> list[str]:
    return [entry.identity.fingerprint.hex() for entry in coalition.task.aggregators]


def test_a_task_that_nobody_vouches_for_is_not_laid_out(
    made: Coalition, laid_out: list[str]
) -> None:
    for trust in (["00" * 32], trust_of(made)[:1]):
        with pytest.raises(GrievanceError) as stop:
            load_task(made.bundle, trust=trust)
        assert stop.value.code in ("trust.mismatch", "trust.partial")
    assert laid_out == []


def test_a_task_that_not_all_signed_is_not_laid_out(made: Coalition, laid_out: list[str]) -> None:
    for signatures in (made.signatures[:1], [made.signatures[0]] * 2, []):
        with pytest.raises(GrievanceError):
            load_task((made.task.data, list(signatures)), trust=trust_of(made))
    changed = made.task.data.replace(b"Pressure", b"pressure")
    with pytest.raises(GrievanceError):
        load_task((changed, made.signatures), trust=trust_of(made))
    assert laid_out == []


def test_the_right_one_is(made: Coalition, laid_out: list[str]) -> None:
    """The control: the spy sees it when a task is laid out."""
    assert load_task(made.bundle, trust=trust_of(made)).digest == made.task.digest
    assert {"layout", "plan"} <= set(laid_out)
