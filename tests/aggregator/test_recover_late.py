"""A state is lost in the middle of things, or before the pool has arrived whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from federation import Federation
from grievance import task as tasks
from grievance.aggregator import Office, status
from grievance.aggregator import destroy as destroying
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.crypto.documents import canonical, sign_document
from grievance.crypto.signing import SigningKey
from grievance.errors import StateError
from grievance.ledger import read_ledger
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.pool.noisy import KIND, OWN_KIND
from grievance.release import collect


def lose_state(federation: Federation, name: str) -> None:
    for path in (federation.folder / name).glob("state.sqlite*"):
        path.unlink()


def digests(federation: Federation, pattern: str) -> dict[str, str]:
    """Path -> SHA-256 of every file of the pool that fits."""
    pool = Path(federation.pool)
    return {
        str(path.relative_to(pool)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pool.glob(pattern))
    }


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation.opened(tmp_path)


def two_batches(federation: Federation) -> list[int]:
    federation.relay("nurses", federation.seal(8))
    federation.relay("carers", federation.seal(5))
    federation.sync("north")
    return [batch.seq for batch in federation.chain().batches]


# Batches that are checked and not decided.


def test_batches_that_wait_for_the_others_are_remembered(federation: Federation) -> None:
    """The leader has ordered and checked two batches; the helper has not synced yet."""
    seqs = two_batches(federation)
    before = digests(federation, "rounds/*/verify/*/north")
    assert len(before) == len(seqs) == 2
    lose_state(federation, "north")
    recover(federation.homes["north"], Told())
    federation.settle()
    assert digests(federation, "rounds/*/verify/*/north") == before
    assert federation.release().accepted == 13


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", ["north", "south"])
def test_findings_that_are_gone_are_made_again_in_their_turn(
    federation: Federation, name: str, place: int
) -> None:
    """They say what the first ones said, so no peer that kept those names us for it."""
    seq = two_batches(federation)[place]
    federation.settle()
    path = federation.file(federation.paths.verify(seq, name))
    first = path.read_bytes()
    path.unlink()
    decisions = digests(federation, "rounds/*/decide/*/*")
    lose_state(federation, name)
    done = recover(federation.homes[name], Told())
    assert any(f"batch {seq}; what we had found in it was gone" in line for line in done)
    federation.settle()
    assert path.read_bytes() != first
    assert digests(federation, "rounds/*/decide/*/*") == decisions
    assert federation.release().accepted == 13
    assert not list(Path(federation.pool).rglob("twice-*"))


def test_the_burn_order_is_that_of_the_chain(federation: Federation) -> None:
    """A report that comes twice counts in the earlier batch, also when its findings are gone."""
    reports = federation.seal(12)
    federation.relay("nurses", reports)
    federation.settle()
    federation.relay("carers", [*federation.seal(2), reports[0]])
    federation.settle()
    first, second = (batch.seq for batch in federation.chain().batches)
    reasons = federation.reasons()
    assert list(reasons[second].values()) == ["report.replay"] and not reasons[first]
    for kind in (federation.paths.verify(first, "south"), federation.paths.decide(first, "south")):
        federation.file(kind).unlink()
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    federation.settle()
    assert federation.reasons() == reasons
    assert federation.release().accepted == 14


def test_it_stops_where_a_checked_batch_is_not_there(federation: Federation) -> None:
    """What later batches were held against is not known without it."""
    first = two_batches(federation)[0]
    federation.settle()
    batch = federation.chain().batches[0]
    federation.file(federation.paths.verify(first, "south")).unlink()
    federation.file(federation.paths.batch(batch.partner, batch.digest)).unlink()
    lose_state(federation, "south")
    with pytest.raises(StateError) as error:
        recover(federation.homes["south"], Told())
    assert error.value.code == "recover.batch"
    assert batch.partner in (error.value.hint or "")


def test_a_peers_findings_may_come_later_than_our_decision(federation: Federation) -> None:
    first = two_batches(federation)[0]
    federation.settle()
    late = federation.file(federation.paths.verify(first, "south"))
    late.rename(federation.folder / "late")
    decisions = digests(federation, "rounds/*/decide/*/*")
    lose_state(federation, "north")
    recover(federation.homes["north"], Told())
    federation.sync("north")
    (federation.folder / "late").rename(late)
    federation.settle()
    assert digests(federation, "rounds/*/decide/*/*") == decisions
    assert federation.release().accepted == 13


def test_a_decision_that_waits_is_held_against_what_we_decide_then(federation: Federation) -> None:
    """What was signed before may not be signed otherwise, however late its turn comes."""
    first, second = two_batches(federation)
    federation.settle()
    federation.file(federation.paths.decide(first, "south")).unlink()
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    with Office.open(federation.homes["south"]) as office:
        path = federation.paths.decide(second, "south")
        kept = office.state.outgoing(path)
        assert kept == federation.file(path).read_bytes()
        stored = office.state.batches(federation.task.digest)
        assert not stored[first].decided and not stored[second].decided
    federation.settle()
    assert federation.release().accepted == 13


@pytest.mark.parametrize("kind", ["verify", "decide"])
def test_a_strangers_file_in_the_place_of_ours_is_not_ours(
    federation: Federation, kind: str
) -> None:
    """Behind what we checked it is as if it were not there, and stops nothing."""
    federation.relay("nurses", federation.seal(8))
    federation.settle()
    federation.relay("carers", federation.seal(5))
    federation.sync("north")
    seq = federation.chain().batches[-1].seq
    path = federation.paths.verify(seq, "south")
    if kind == "decide":
        path = federation.paths.decide(seq, "south")
    federation.file(path).parent.mkdir(parents=True, exist_ok=True)
    federation.file(path).write_bytes(b"not ours")
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    federation.settle()
    assert federation.release().accepted == 13


def test_a_strangers_decision_is_not_kept_while_batches_wait(federation: Federation) -> None:
    second = two_batches(federation)[1]
    path = federation.file(federation.paths.decide(second, "north"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not ours")
    lose_state(federation, "north")
    recover(federation.homes["north"], Told())
    federation.settle()
    assert federation.release().accepted == 13


# What has not arrived is not what never was.

FIRST = ["1.json", "1.checkpoint", "1.share"]
SECOND = ["2.json", "2.checkpoint"]
LATE = {
    "all but the sealed share": ["1.json", "1.checkpoint", *SECOND, "noisy"],
    "all but the noisy share": [*FIRST, *SECOND],
    "an entry before another": [*FIRST, "2.checkpoint", "noisy"],
    "the entry of a head": ["2.json"],
}


def released_and_destroyed(federation: Federation) -> str:
    """South's ledger has two entries then. Returns the release."""
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    release = federation.release().release_id
    destroy(federation, "south")
    return release


def destroy(federation: Federation, name: str) -> None:
    with Office.open(federation.homes[name]) as office:
        _, chain = office.open_bench(federation.round_id)
        destroying.destroy(office, chain)
        office.publish()
    federation.settle()


def hold_back(federation: Federation, release: str, late: list[str]) -> dict[Path, Path]:
    """Take files away that arrive later: where each belongs -> where it is meanwhile."""
    held = {}
    for name in late:
        path = federation.file(f"ledger/south/{name}")
        if name == "noisy":
            path = federation.file(federation.paths.noisy(release, "south"))
        if path.exists():
            held[path] = federation.folder / f"late-{name}"
            path.rename(held[path])
    return held


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_it_waits_for_entries_that_something_of_ours_follows_from(
    federation: Federation, late: list[str]
) -> None:
    release = released_and_destroyed(federation)
    before = digests(federation, "ledger/south/*")
    held = hold_back(federation, release, late)
    lose_state(federation, "south")
    with pytest.raises(StateError) as error:
        recover(federation.homes["south"], Told())
    assert error.value.code == "recover.ledger"
    assert not federation.homes["south"].state_path.exists()
    for path, meanwhile in held.items():
        meanwhile.rename(path)
    recover(federation.homes["south"], Told())
    federation.settle()
    assert digests(federation, "ledger/south/*") == before


def test_a_task_of_ours_names_how_long_our_ledger_was(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    release = federation.release().release_id
    first = federation.round_id
    federation.open_round()
    federation.round_id = first
    hold_back(federation, release, ["1.json", "1.checkpoint", "1.share", "noisy"])
    lose_state(federation, "south")
    with pytest.raises(StateError, match=r"task\.json") as error:
        recover(federation.homes["south"], Told())
    assert error.value.code == "recover.ledger"


@pytest.mark.parametrize(
    "late", [["1.json", "1.checkpoint"], ["1.json", "1.checkpoint", "1.share"]]
)
def test_an_old_state_waits_for_them_too(federation: Federation, late: list[str]) -> None:
    """Put back by hand, from before the charge: it would charge again and draw other noise."""
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id)
    old = federation.folder / "old"
    shutil.copytree(federation.folder / "south", old)
    federation.settle()
    shutil.rmtree(federation.folder / "south")
    shutil.copytree(old, federation.folder / "south")
    held = hold_back(federation, view.release_id, ["1.json", "1.checkpoint", *late])
    for _ in range(2):
        with pytest.raises(StateError) as error:
            federation.sync("south")
        assert error.value.code == "state.behind"
    assert not any(path.exists() for path in held)


def test_nobody_else_can_stop_it_with_files(federation: Federation) -> None:
    """Only our signature counts, and what it says: not a name, not a copy in another place."""
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    release = federation.release().release_id
    task, folder = federation.task, federation.file("ledger/south")
    other = SigningKey.generate()
    share = {"task": task.digest.hex(), "release": "0" * 16}
    for name, data in {
        "9.json": b"junk",
        "8.json": federation.file("ledger/north/1.json").read_bytes(),
        "7.json": (folder / "1.json").read_bytes(),
        "9.checkpoint": sign_checkpoint("south", 9, bytes(32), other),
        "8.checkpoint": (folder / "1.checkpoint").read_bytes(),
        "7.checkpoint": federation.file("ledger/north/1.checkpoint").read_bytes(),
        "9.share": sign_document(OWN_KIND, {**share, "box": ""}, other),
        "8.share": (folder / "1.share").read_bytes(),
        "7.share": b"junk",
        "2.x.share": b"junk",
    }.items():
        (folder / name).write_bytes(data)
    noisy = federation.file(federation.paths.noisy("0" * 16, "south"))
    noisy.parent.mkdir(parents=True)
    noisy.write_bytes(sign_document(KIND, {**share, "aggregator": "south"}, other))
    copy = federation.file(federation.paths.noisy("1" * 16, "south"))
    copy.parent.mkdir(parents=True)
    shutil.copy(federation.file(federation.paths.noisy(release, "south")), copy)
    federation.settle()
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    federation.settle()


def test_a_strangers_task_that_names_us_is_not_ours(federation: Federation, tmp_path: Path) -> None:
    """Complete and signed, by another key under our name; and it says we have a long ledger."""
    others = Federation(tmp_path / "others")
    task = json.loads(others.open_round().data)
    task["round"] = federation.round_id
    task["ledger_heads"]["south"] = {"root": "0" * 64, "size": 9}
    fake = tasks.parse_task(canonical(task))
    federation.file(federation.paths.task).write_bytes(fake.data)
    for name in others.aggregators:
        signature = tasks.sign_task(fake, others.homes[name].key, name)
        federation.file(federation.paths.signature(name)).write_bytes(signature)
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    with Office.open(federation.homes["south"]) as office:
        assert not office.state.tasks()


def test_a_cosignature_that_cannot_be_checked_is_told(federation: Federation) -> None:
    """Anybody can write one, so it stops nothing; but it may be the first file to arrive."""
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.file("ledger/south").mkdir(parents=True)
    federation.file("ledger/south/1.north.cosignature").write_bytes(b"junk")
    lose_state(federation, "south")
    done = recover(federation.homes["south"], Told())
    assert any("ledger/south/1.north.cosignature cannot be checked" in line for line in done)


# The noisy share of a charged release.


def charged(federation: Federation) -> str:
    """South has charged a release; its noisy share is only in the sealed file yet."""
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.close()
    view = federation.propose()
    federation.answer("south", view.release_id)
    federation.sync("north", "south")
    assert not federation.file(federation.paths.noisy(view.release_id, "south")).exists()
    return view.release_id


def test_a_sealed_share_that_comes_late_is_taken_in(federation: Federation) -> None:
    release = charged(federation)
    path, late = federation.file("ledger/south/1.share"), federation.folder / "late"
    path.rename(late)
    named = read_ledger(
        federation.leader.store, "south", federation.homes["south"].key.public
    ).entries[0]
    lose_state(federation, "south")
    done = recover(federation.homes["south"], Told())
    assert any("has not arrived; sync takes it in" in line for line in done)
    federation.settle()
    with Office.open(federation.homes["south"]) as office:
        waiting = [wait.what for line in status.status(office) for wait in line.waiting]
    assert waiting == [
        f"publishes its noisy share of {release} when ledger/south/1.share has arrived"
    ]
    late.rename(path)
    assert f"our noisy share of {release} has arrived" in str(federation.sync("south")[0].done)
    federation.settle()
    assert collect(federation.leader.store, federation.task, release).accepted == 12
    noisy = federation.file(federation.paths.noisy(release, "south")).read_bytes()
    assert hashlib.sha256(noisy).digest() == named.event.noisy_share  # type: ignore[union-attr]


def test_a_strangers_share_is_not_taken_in(federation: Federation) -> None:
    release = charged(federation)
    path, late = federation.file("ledger/south/1.share"), federation.folder / "late"
    path.rename(late)
    lose_state(federation, "south")
    recover(federation.homes["south"], Told())
    noisy = federation.file(federation.paths.noisy(release, "south"))
    for place in (path, noisy):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"not ours")
    assert "has arrived" not in str(federation.sync("south")[0].done)
    with Office.open(federation.homes["south"]) as office:
        assert office.state.noisy_share(federation.task.digest, release) is None
    late.replace(path)
    federation.settle()
    assert collect(federation.leader.store, federation.task, release).accepted == 12


# Destroyed stays destroyed.


@pytest.mark.parametrize("name", ["north", "south"])
def test_a_destroyed_round_stays_destroyed(federation: Federation, name: str) -> None:
    """Also where an old copy has put its keys back: the next sync deletes them."""
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    folder = federation.homes[name].round_files(federation.round_id).folder
    shutil.copytree(folder, federation.folder / "old-keys")
    federation.release()
    destroy(federation, name)
    lose_state(federation, name)
    shutil.copytree(federation.folder / "old-keys", folder)
    recover(federation.homes[name], Told())
    federation.settle()
    assert not folder.exists()
    with Office.open(federation.homes[name]) as office:
        assert destroying.is_destroyed(office, federation.round_id)
        assert [(line.stage, line.fault) for line in status.status(office)] == [("destroyed", None)]
