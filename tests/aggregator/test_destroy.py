"""Destroying a round, and a batch that never arrives."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from federation import Federation
from grievance.aggregator import Office
from grievance.aggregator.destroy import destroy, key_files, order_again
from grievance.errors import BatchError, GrievanceError, StateError, UsageError
from grievance.ledger import read_ledger
from grievance.pool.events import Void
from grievance.release import collect


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    made = Federation.opened(tmp_path)
    made.relay("nurses", made.seal(12))
    made.settle()
    return made


def run_destroy(federation: Federation, name: str) -> list[str]:
    with Office.open(federation.homes[name]) as office:
        task = office.task(federation.round_id)
        assert task is not None
        done = destroy(office, office.chain(task))
        office.publish()
    return done


def test_nothing_is_destroyed_while_something_needs_the_keys(federation: Federation) -> None:
    with pytest.raises(StateError, match="not closed"):
        run_destroy(federation, "south")
    federation.close()
    view = federation.propose()
    with pytest.raises(StateError, match="is not complete"):
        run_destroy(federation, "north")
    federation.answer("south", view.release_id)
    federation.settle()
    assert len(run_destroy(federation, "south")) == 3


def test_keys_and_sums_are_gone_and_the_release_stays(federation: Federation) -> None:
    release = federation.release()
    task = federation.task
    home = federation.homes["south"]
    secrets = [path.read_bytes() for path in home.round_files(federation.round_id).folder.iterdir()]
    before = federation.file(federation.paths.batch("nurses", federation.chain().batches[0].digest))
    assert before.exists()
    deleted = run_destroy(federation, "south")
    assert {Path(path).name for path in deleted} == {"hpke.key", "verify.key", "state.key"}
    with Office.open(home) as office:
        assert key_files(office, task) == []
        with pytest.raises(GrievanceError):
            office.bench(task)
    for path in home.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets)
    db = sqlite3.connect(home.state_path)
    assert db.execute("SELECT SUM(LENGTH(sum)) FROM batches").fetchone()[0] == 0
    assert db.execute("SELECT COUNT(*) FROM noisy_shares").fetchone()[0] == 0
    db.close()
    federation.settle()
    log = read_ledger(home.store, "south", home.key.public)
    assert log.destroyed(task.digest) and len(log.entries) == 2
    assert collect(home.store, task).values == release.values


def test_a_crash_between_mark_and_deletion_is_finished(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grievance.aggregator import destroy as module

    federation.release()
    home = federation.homes["south"]

    def crash(*_args: object) -> list[Path]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "finish", crash)
        run_destroy(federation, "south")
    folder = home.round_files(federation.round_id).folder
    assert len(list(folder.iterdir())) == 3
    federation.settle()
    assert not folder.exists()


def void(federation: Federation, seq: int) -> None:
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, Void(seq))
        office.publish()


def test_a_batch_that_never_arrives_is_voided(federation: Federation) -> None:
    reports = federation.seal(3)
    (path,) = federation.relay("carers", reports)
    federation.sync("north")
    seq = federation.chain().batches[-1].seq
    # It vanishes before the helper ever sees it: nobody can decide it, and later ones wait.
    batch = federation.file(path).read_bytes()
    federation.file(path).unlink()
    federation.relay("nurses", federation.seal(5))
    federation.settle()
    assert len(federation.reasons()) == 1
    void(federation, seq)
    federation.settle()
    assert len(federation.reasons()) == 2
    # Put back by its relay, it has no place by itself; the leader gives it one, once.
    with Office.open(federation.leader) as office, pytest.raises(BatchError) as missing:
        order_again(office, office.chain(federation.task), seq)
    assert missing.value.code == "batch.missing"
    federation.file(path).write_bytes(batch)
    federation.settle()
    assert len(federation.reasons()) == 2
    order(federation, seq)
    federation.settle()
    with Office.open(federation.leader) as office, pytest.raises(UsageError) as twice:
        order_again(office, office.chain(federation.task), seq)
    assert twice.value.code == "order.batch"
    assert federation.release().accepted == 20


def order(federation: Federation, seq: int) -> None:
    with Office.open(federation.leader) as office:
        order_again(office, office.chain(federation.task), seq)
        office.publish()


def test_voiding_a_decided_batch_is_the_leaders_fault(federation: Federation) -> None:
    void(federation, federation.chain().batches[0].seq)
    results = federation.sync("south", clean=False)
    assert [fault.code for fault in results[0].faults] == ["order.void"]
