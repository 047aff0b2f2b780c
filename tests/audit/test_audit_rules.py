"""For every rule a pool that breaks it and no other; see `audit_defects`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_defects import Defect, all_defects
from audit_world import Pool, amiss, faults, make_round, pool_of

from federation import Federation
from grievance.audit import RULES, audit_pool
from grievance.errors import PoolError
from grievance.pool.store import LocalStore
from grievance.task import sign_task

DEFECTS = all_defects()
HERE = {"file.read", "audit.error"}
"""Rules that no file can break: they are tested below."""
BUNDLES = {"bundle.digest", "bundle.left-out"}
"""Rules about bundles: see test_audit_bundle.py."""


def spoilt(defect: Defect, base: Callable[[str], Pool], folder: Path) -> tuple[Pool, list[str]]:
    """A pool with one defect, and the anchors to audit it with."""
    pool = base(defect.base).copy(folder)
    anchors = defect.spoil(pool)
    return pool, pool.trust if anchors is None else anchors


def test_every_rule_has_a_pool_that_breaks_it() -> None:
    assert {defect.rule for defect in DEFECTS} | HERE | BUNDLES == set(RULES)
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: f"{d.rule}: {d.name}")
def test_a_pool_that_breaks_one_rule_alone(
    defect: Defect, base: Callable[[str], Pool], tmp_path: Path
) -> None:
    pool, anchors = spoilt(defect, base, tmp_path / "copy")
    report = pool.audit(trust=anchors)
    if defect.severity == "fault":
        assert faults(report) == {defect.rule}, [str(f) for f in report.faults]
        assert report.verdict == "fail"
        names = {party.name for task in pool.tasks for party in task.aggregators}
        assert all(f.by and set(f.by) <= names for f in report.faults)
    else:
        assert not report.faults
    assert (defect.severity, defect.rule) in {(f.severity, f.rule) for f in report.findings}
    if defect.severity == "waiting":
        assert report.verdict == "incomplete"


def test_a_file_that_does_not_read(pool: Pool) -> None:
    class Broken:
        def __init__(self, store: LocalStore) -> None:
            self.names, self.size, self.location = store.names, store.size, store.location
            self._store = store

        def view(self, path: str, limit: int) -> bytes | memoryview | None:
            if path == "partners/nurses.json":
                raise PoolError("input/output error", code="pool.read")
            return self._store.view(path, limit)

    store: Any = Broken(LocalStore(pool.folder))
    report = audit_pool(store, trust=pool.trust)
    assert {f.rule for f in amiss(report)} == {"file.read"} and report.verdict == "incomplete"


def test_a_mistake_of_our_own(made: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    from grievance.audit import run

    monkeypatch.setattr(run, "check_campaigns", lambda *_args: 1 // 0)
    report = made.audit()
    assert {f.rule for f in amiss(report)} == {"audit.error"} and report.verdict == "incomplete"


def test_the_signature_of_a_task_is_by_its_signer(pool: Pool) -> None:
    """What `reopen` signs is what an aggregator signs."""
    made = sign_task(pool.task, pool.keys["south"], "south")
    assert made == pool.read(pool.paths.signature("south"))


def test_a_whole_second_history_is_noticed(made: Pool, tmp_path: Path) -> None:
    """Other keys, everything consistent: only the anchors tell."""
    federation = Federation(tmp_path / "other")
    make_round(federation)
    other = pool_of(federation, [federation.task])
    report = other.audit(trust=made.trust)
    assert {f.rule for f in amiss(report)} == {"task.trust"} and report.verdict == "untrusted"
    assert other.audit(trust=[]).verdict == "untrusted"


def test_half_a_digest_vouches_for_no_round(made: Pool) -> None:
    """Whoever makes both of two tasks finds a pair with one first half."""
    whole = made.task.short_digest
    assert made.audit(trust=[whole]).verdict == "pass"
    report = made.audit(trust=[whole[:24]])
    assert {f.rule for f in amiss(report)} == {"task.trust"} and report.verdict == "untrusted"
