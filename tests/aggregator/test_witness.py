"""The ledgers are witnessed: no backup, no fork and no late aim gets past the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from federation import PLAN, Federation
from grievance.aggregator import Office
from grievance.aggregator.releases import own_ledger
from grievance.errors import ReleaseError, StateError
from grievance.ledger.checkpoint import parse_checkpoint, sign_checkpoint
from grievance.ledger.versions import parse_versions
from grievance.pool.events import Close
from grievance.pool.layout import checkpoint_path, cosignature_path, fork_path, ledger_path
from grievance.release import collect


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    made = Federation.opened(tmp_path)
    made.relay("nurses", made.seal(12))
    made.settle()
    made.close()
    return made


def test_every_entry_is_cosigned_by_the_other(federation: Federation) -> None:
    federation.release()
    for owner, witness in (("north", "south"), ("south", "north")):
        note = federation.file(checkpoint_path(owner, 1)).read_bytes()
        key = federation.homes[owner].identity.key
        assert parse_checkpoint(note, owner, key).size == 1
        assert federation.file(cosignature_path(owner, 1, witness)).exists()


def test_a_noisy_share_waits_for_every_entry_and_cosignature(federation: Federation) -> None:
    view = federation.propose()
    federation.answer("south", view.release_id)
    noisy = federation.file(federation.paths.noisy(view.release_id, "north"))
    federation.sync("north")
    assert federation.file(ledger_path("north", 1)).exists() and not noisy.exists()
    federation.sync("south")
    # South has charged and cosigned; its own share waits until its entry is cosigned.
    assert not federation.file(federation.paths.noisy(view.release_id, "south")).exists()
    with pytest.raises(ReleaseError) as error:
        collect(federation.leader.store, federation.task, view.release_id)
    assert error.value.code == "release.waiting"
    federation.sync("north")
    assert noisy.exists()
    federation.sync("south")
    assert collect(federation.leader.store, federation.task, view.release_id).accepted == 12


def snapshot(federation: Federation, name: str) -> Path:
    copy = federation.folder / f"{name}-backup"
    shutil.copytree(federation.folder / name, copy)
    return copy


def restore(federation: Federation, name: str, copy: Path) -> None:
    shutil.rmtree(federation.folder / name)
    shutil.copytree(copy, federation.folder / name)


def test_a_restored_backup_refuses_to_start(federation: Federation) -> None:
    copy = snapshot(federation, "south")
    federation.release()
    restore(federation, "south", copy)
    with pytest.raises(StateError) as error:
        federation.sync("south")
    assert error.value.code == "ledger.rollback" and "recover" in str(error.value.hint)


def test_a_restored_backup_with_a_wiped_ledger_gets_no_cosignature(federation: Federation) -> None:
    """South goes back, hides its own entries from itself, and charges again: a fork."""
    copy = snapshot(federation, "south")
    federation.release(["hours_mean"])
    restore(federation, "south", copy)
    for path in (federation.folder / "pool/ledger/south").iterdir():
        path.unlink()
    for path in federation.file(federation.paths.releases).iterdir():
        shutil.rmtree(path)
    # Without any memory of it, South proposes the same statistic again and forks its ledger.
    homes = federation.homes["south"]
    with Office.open(homes) as office:
        log = own_ledger(office.state, "south", homes.key.public)
        assert log.entries == []
    fake = sign_checkpoint("south", 1, b"\x01" * 32, homes.key)
    federation.file(checkpoint_path("south", 1)).write_bytes(fake)
    results = federation.sync("north", clean=False)
    faults = [fault.code for fault in results[0].faults]
    assert "ledger.fork" in faults
    evidence = federation.file(fork_path("south", 1, "north")).read_bytes()
    fork = parse_versions(evidence, federation.task)
    assert fork.place.path == checkpoint_path("south", 1)
    assert fork.versions[0].says != fork.versions[1].says


def test_a_ledger_that_does_not_extend_is_not_cosigned(federation: Federation) -> None:
    federation.release(["hours_mean"])
    south = federation.homes["south"]
    # South replaces its first entry by one that never charged, keeping the old checkpoint.
    from grievance.ledger import LedgerEntry

    old = LedgerEntry.parse(federation.file(ledger_path("south", 1)).read_bytes(), south.key.public)
    forged = LedgerEntry.sign(
        south.key,
        ledger="south",
        after=None,
        campaign=old.campaign,
        task=b"\x00" * 32,
        spent=old.spent,
        event=old.event,
    )
    federation.file(ledger_path("south", 1)).write_bytes(forged.data)
    results = federation.sync("north", clean=False)
    assert [fault.code for fault in results[0].faults] == ["ledger.rewritten", "file.twice"]


def test_a_task_over_the_lifetime_is_signed_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a leader whose early check is gone cannot make a helper sign it."""
    from grievance.aggregator import rounds

    federation = Federation(tmp_path)
    plan = PLAN.replace(b"lifetime_epsilon = 4.0", b"lifetime_epsilon = 3.0")
    federation.open_round(plan)
    federation.open_round(plan)
    monkeypatch.setattr(rounds, "check_lifetime", lambda _state, _plan: None)
    with pytest.raises(AssertionError, match="is left"):
        federation.open_round(plan)
    assert not federation.file(federation.paths.task).exists()


def test_both_restored_together_refuse_while_the_pool_is_newer(federation: Federation) -> None:
    copies = {name: snapshot(federation, name) for name in federation.aggregators}
    pool = federation.folder / "pool-backup"
    shutil.copytree(federation.pool, pool)
    federation.release()
    newer = federation.folder / "pool-newer"
    shutil.copytree(federation.pool, newer)
    for name, copy in copies.items():
        restore(federation, name, copy)
    for name in federation.aggregators:
        with pytest.raises(StateError) as error:
            federation.sync(name)
        assert error.value.code == "ledger.rollback"
    # With the pool gone back too nobody inside can notice; whoever kept the newer copy can.
    shutil.rmtree(federation.pool)
    shutil.copytree(pool, federation.pool)
    federation.release()
    old_head = (newer / checkpoint_path("north", 1)).read_bytes()
    new_head = federation.file(checkpoint_path("north", 1)).read_bytes()
    assert old_head != new_head


def test_an_equivocating_leader_is_noticed_by_whoever_saw_the_other_event(
    federation: Federation,
) -> None:
    path = federation.file(federation.paths.order(2))
    with Office.open(federation.homes["south"]) as office:
        task = office.task(federation.round_id)
        assert task is not None
        chain = office.chain(task)
    from grievance.crypto.documents import parse_document
    from grievance.pool.order import KIND, OrderChain

    first = OrderChain.start(federation.task)
    first.extend(parse_document(federation.file(federation.paths.order(1)).read_bytes(), kind=KIND))
    other = first.sign_next(Close(), federation.leader.key)
    kept = path.read_bytes()
    path.write_bytes(other)
    assert chain.length > 2
    results = federation.sync("south", clean=False)
    assert [fault.code for fault in results[0].faults] == ["order.fork"]
    evidence = federation.file(federation.paths.order_fork(2, "south")).read_bytes()
    versions = parse_versions(evidence, federation.task).versions
    assert [version.kept for version in versions] == [kept, other]
    path.write_bytes(kept)
    federation.sync("south")
