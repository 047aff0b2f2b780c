"""A lost state is rebuilt from the pool and the keys, up to the first byte that differs."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from federation import Federation
from grievance.aggregator import Office
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.errors import StateError, UsageError
from grievance.release import collect


def lose_state(federation: Federation, name: str) -> None:
    for path in (federation.folder / name).glob("state.sqlite*"):
        path.unlink()


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a state but what is randomised or dated."""
    db = sqlite3.connect(path)
    tables = {
        "tasks": "digest, round, campaign, position, data",
        "order_seen": "*",
        "burns": "*",
        "accepted": "*",
        "batches": "task, seq, batch, accepted, root",
        "outgoing": "path, data",
        "witnessed": "*",
        "ledger": "*",
        "noisy_shares": "task, release",
    }
    found = {t: sorted(db.execute(f"SELECT {c} FROM {t}")) for t, c in tables.items()}
    db.close()
    return found


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    made = Federation.opened(tmp_path)
    made.relay("nurses", made.seal(12))
    made.relay("carers", made.seal(3))
    made.settle()
    return made


@pytest.mark.parametrize("name", ["north", "south"])
def test_everything_comes_back(federation: Federation, name: str) -> None:
    federation.release()
    before = dump(federation.folder / name / "state.sqlite")
    lose_state(federation, name)
    done = recover(federation.homes[name], Told())
    assert any("ledger" in line for line in done)
    assert dump(federation.folder / name / "state.sqlite") == before
    assert not any(result.done for result in federation.sync())


@pytest.mark.parametrize("name", ["north", "south"])
def test_a_round_goes_on_after_a_recovery_in_the_middle(federation: Federation, name: str) -> None:
    lose_state(federation, name)
    recover(federation.homes[name], Told())
    federation.relay("carers", federation.seal(5))
    federation.settle()
    assert federation.release().accepted == 20


def test_a_charged_release_survives_the_loss_of_the_state(federation: Federation) -> None:
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id)
    federation.sync("north", "south")
    # South has charged; its noisy share is not published yet.
    assert not federation.file(federation.paths.noisy(view.release_id, "south")).exists()
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    federation.settle()
    release = collect(federation.leader.store, federation.task, view.release_id)
    assert release.accepted == 15


def test_it_stops_at_a_batch_that_changed(federation: Federation) -> None:
    lose_state(federation, "south")
    federation.file(federation.paths.decide(3, "south"))
    for seq in (3, 4):
        path = federation.file(federation.paths.decide(seq, "south"))
        if path.exists():
            data = bytearray(path.read_bytes())
            data[len(data) // 3] ^= 1
            path.write_bytes(bytes(data))
            break
    with pytest.raises(StateError) as error:
        recover(federation.homes["south"], Told())
    assert error.value.code == "recover.differs"
    assert not (federation.folder / "south/state.sqlite").exists()


def test_it_refuses_while_there_is_a_state(federation: Federation) -> None:
    with pytest.raises(UsageError, match="there is a state"):
        recover(federation.homes["south"], Told())


def test_it_refuses_a_ledger_shorter_than_what_others_cosigned(federation: Federation) -> None:
    federation.release()
    lose_state(federation, "south")
    (federation.folder / "pool/ledger/south/1.json").unlink()
    with pytest.raises(StateError) as error:
        recover(federation.homes["south"], Told())
    assert error.value.code == "recover.ledger"


def test_a_state_older_than_the_pool_refuses_and_recovers(federation: Federation) -> None:
    backup = federation.folder / "south-old"
    shutil.copytree(federation.folder / "south", backup)
    federation.relay("carers", federation.seal(4))
    federation.settle()
    shutil.rmtree(federation.folder / "south")
    shutil.copytree(backup, federation.folder / "south")
    results = federation.sync("south", clean=False)
    assert [fault.code for fault in results[0].faults] == ["state.behind"]
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    assert federation.release().accepted == 19


def test_an_old_leader_refuses_too(federation: Federation) -> None:
    backup = federation.folder / "north-old"
    shutil.copytree(federation.folder / "north", backup)
    federation.relay("carers", federation.seal(4))
    federation.settle()
    shutil.rmtree(federation.folder / "north")
    shutil.copytree(backup, federation.folder / "north")
    results = federation.sync("north", clean=False)
    assert [fault.code for fault in results[0].faults] == ["state.behind"]
    with Office.open(federation.homes["north"]):
        pass
