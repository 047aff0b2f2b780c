"""A noisy share leaves when a quorum of outside witnesses saw what it cost: noise is drawn once.

The attack: an aggregator loses its memory, the other shows it the folder as it was before the
release, and it draws other noise for the same release. Two noisy shares of one sum say more about
it than was charged. Each refusal has a control in which the guard is off and the attack succeeds.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from federation import PLAN, Federation
from grievance.aggregator import Office
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.audit import audit_pool
from grievance.errors import ReleaseError
from grievance.history import state
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.ledger.versions import parse_versions
from grievance.pool.events import Close
from grievance.pool.layout import checkpoint_path, cosignature_path, fork_path
from grievance.release import collect

if TYPE_CHECKING:
    from pathlib import Path

NORTH, SOUTH = "north", "south"


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    """A closed round with two witnesses, nurses and carers."""
    made = Federation.opened(tmp_path, watched=True)
    made.relay("nurses", made.seal(12))
    made.settle()
    made.close()
    return made


def approve(federation: Federation) -> str:
    release_id = federation.propose().release_id
    federation.answer(SOUTH, release_id)
    return release_id


def charge_all(federation: Federation) -> None:
    """Both aggregators charge and cosign; no witness has looked yet."""
    for _ in range(2):
        federation.sync(NORTH, SOUTH)


def shares(federation: Federation, release_id: str) -> dict[str, bytes]:
    paths = {n: federation.file(federation.paths.noisy(release_id, n)) for n in (NORTH, SOUTH)}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def waits(federation: Federation, release_id: str) -> str:
    with pytest.raises(ReleaseError) as error:
        collect(federation.leader.store, federation.task, release_id)
    assert error.value.code == "release.waiting"
    return str(error.value)


def audit(federation: Federation) -> tuple[str, set[str], str]:
    found = audit_pool(federation.pool, trust=[federation.task.digest.hex()])
    rules = {f.rule for f in found.findings if f.severity != "note"}
    return found.verdict, rules, "\n".join(f.message for f in found.findings)


def seen_by_witnesses(federation: Federation) -> str:
    """What the audit says of the one release."""
    ((release,),) = [facts.releases for facts in audit_pool(federation.pool).details]
    return release.watched


# -- the quorum -------------------------------------------------------------------------------


def test_a_share_waits_for_both_witnesses(federation: Federation) -> None:
    task = federation.task
    assert (set(task.plan.witnesses), task.plan.witness_quorum) == ({"nurses", "carers"}, 2)
    release_id = approve(federation)
    assert seen_by_witnesses(federation) == "it has not left every aggregator yet"
    charge_all(federation)
    assert not shares(federation, release_id)
    words = "waiting for the cosignature of carers and nurses on the ledger of"
    assert f"{words} north" in waits(federation, release_id)
    verdict, rules, said = audit(federation)
    assert seen_by_witnesses(federation) == "too few witnesses have seen yet what it costs"
    assert verdict == "incomplete" and "ledger.quorum" in rules and f"{words} south" in said
    federation.sync("nurses", NORTH, SOUTH)
    assert not shares(federation, release_id)
    one = "waiting for the cosignature of carers on the ledger of north"
    assert one in waits(federation, release_id)
    federation.sync("carers", NORTH, SOUTH)
    federation.settle()
    assert set(shares(federation, release_id)) == {NORTH, SOUTH}
    assert collect(federation.leader.store, federation.task, release_id).accepted == 12
    assert audit(federation)[:2] == ("pass", set())
    assert seen_by_witnesses(federation) == "2 of 2 witnesses saw what it costs"


def test_without_the_check_a_share_leaves_at_once(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = approve(federation)
    monkeypatch.setattr(state, "quorum_of", lambda _: 0)
    charge_all(federation)
    assert shares(federation, release_id)


def test_the_steward_reads_who_is_waited_for(federation: Federation) -> None:
    from grievance.aggregator.status import status

    release_id = approve(federation)
    charge_all(federation)
    with Office.open(federation.leader) as office:
        lines = status(office)
    waiting = {(item.who, item.what) for line in lines for item in line.waiting}
    assert ("nurses", "cosigns the ledger of north, as a witness") in waiting
    assert release_id


def test_a_later_head_counts_for_an_earlier_entry(tmp_path: Path) -> None:
    """Nurses look once, after two entries, and the head of the first is gone."""
    federation = Federation.opened(tmp_path, b"witness_quorum = 1\n" + PLAN, watched=True)
    federation.relay("nurses", federation.seal(12))
    federation.sync(NORTH, SOUTH)
    federation.sync(NORTH, SOUTH)
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, Close())
        office.publish()
    for _ in range(3):
        federation.sync(NORTH, SOUTH)
    for names in (["hours_mean"], ["hours_spread"]):
        view = federation.propose(statistics=names)
        federation.answer(SOUTH, view.release_id)
        charge_all(federation)
    assert not list(federation.file("rounds").glob("*/releases/*/noisy/*"))
    for owner in (NORTH, SOUTH):
        federation.file(checkpoint_path(owner, 1)).rename(tmp_path / f"{owner}.kept")
    federation.sync("nurses")
    for owner in (NORTH, SOUTH):
        assert not federation.file(cosignature_path(owner, 1, "nurses")).exists()
        assert federation.file(cosignature_path(owner, 2, "nurses")).exists()
    for _ in range(2):
        federation.sync(NORTH, SOUTH)  # each puts its own heads again
    assert len(list(federation.file("rounds").glob("*/releases/*/noisy/*"))) == 4
    assert audit(federation)[0] == "pass"


def test_a_witness_says_the_day_and_puts_its_files_again(federation: Federation) -> None:
    from grievance.ledger.checkpoint import check_cosignature, parse_checkpoint

    approve(federation)
    charge_all(federation)
    federation.sync("nurses")
    path = federation.file(cosignature_path(NORTH, 1, "nurses"))
    head = parse_checkpoint(
        federation.file(checkpoint_path(NORTH, 1)).read_bytes(),
        NORTH,
        federation.leader.key.public,
    )
    kept = path.read_bytes()
    key = federation.homes["nurses"].key.public
    assert check_cosignature(kept, head, "nurses", key) % (24 * 60 * 60) == 0
    path.unlink()
    federation.sync("nurses")
    assert path.read_bytes() == kept


def test_a_witness_that_lost_its_memory_says_so(federation: Federation) -> None:
    approve(federation)
    charge_all(federation)
    federation.sync("nurses")
    home = federation.homes["nurses"]
    for file in home.root.glob("state.sqlite*"):
        file.unlink()
    (result,) = federation.sync("nurses", clean=False)
    assert {fault.code for fault in result.faults} == {"state.behind"}
    for file in home.root.glob("state.sqlite*"):
        file.unlink()
    recover(home, Told())
    federation.sync("nurses")
    with Office.open(home) as office:
        assert (office.state.witnessed(federation.leader.key.public.raw) or (0,))[0] == 1


def test_a_stranger_makes_no_witness_of_anybody(tmp_path: Path) -> None:
    """A round of which nurses compared nobody costs them nothing, and gets nothing."""
    federation = Federation.opened(tmp_path, watched=True)
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.close()
    approve(federation)
    charge_all(federation)
    home = federation.homes["nurses"]
    home.settings_file("known").write_text("{}")
    federation.sync("nurses")
    assert not federation.file(cosignature_path(NORTH, 1, "nurses")).exists()
    home.trust(federation.leader.identity)
    federation.sync("nurses")
    assert federation.file(cosignature_path(SOUTH, 1, "nurses")).exists()


# -- noise is drawn once ----------------------------------------------------------------------


def show_older_folder(federation: Federation, old: Path) -> None:
    """The leader goes back with its own home and shows everybody the folder of that day."""
    for name, folder in (("pool", federation.folder / "pool"), (NORTH, federation.leader.root)):
        shutil.rmtree(folder)
        shutil.copytree(old / name, folder)
    federation.leader.__dict__.pop("store", None)


def lose_memory(federation: Federation, name: str) -> None:
    for file in federation.homes[name].root.glob("state.sqlite*"):
        file.unlink()


def attack(federation: Federation) -> tuple[dict[str, bytes], dict[str, bytes], set[str]]:
    """Release, then show the older folder to a helper without memory; shares before and after."""
    release_id = approve(federation)
    old = federation.folder.with_name(f"{federation.folder.name}-old")
    shutil.copytree(federation.folder, old)
    federation.settle()
    first = shares(federation, release_id)
    assert set(first) == {NORTH, SOUTH}
    show_older_folder(federation, old)
    lose_memory(federation, SOUTH)
    recover(federation.homes[SOUTH], Told())
    codes: set[str] = set()
    for _ in range(3):
        results = federation.sync(clean=False)
        codes |= {fault.code for result in results for fault in result.faults}
    return first, shares(federation, release_id), codes


def test_with_a_quorum_two_noisy_shares_never_leave(federation: Federation) -> None:
    first, second, codes = attack(federation)
    assert first and not second
    assert "ledger.fork" in codes
    evidence = federation.file(fork_path(SOUTH, 1, "nurses")).read_bytes()
    proven = parse_versions(evidence, federation.task)
    assert proven.place.path == checkpoint_path(SOUTH, 1)


def test_without_the_quorum_two_noisy_shares_leave(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "quorum_of", lambda _: 0)
    first, second, _ = attack(federation)
    assert second[SOUTH] != first[SOUTH]


def test_a_witness_keeps_two_heads_of_one_size(federation: Federation) -> None:
    """South's key signs another ledger: nurses keep both heads, and cosign it no more."""
    approve(federation)
    charge_all(federation)
    federation.sync("nurses")
    south = federation.homes[SOUTH]
    other = sign_checkpoint(SOUTH, 1, b"\x01" * 32, south.key)
    federation.file(checkpoint_path(SOUTH, 1)).write_bytes(other)
    (result,) = federation.sync("nurses", clean=False)
    assert [fault.code for fault in result.faults] == ["ledger.fork"]
    assert federation.file(fork_path(SOUTH, 1, "nurses")).exists()
    verdict, rules, _ = audit(federation)
    assert verdict == "fail" and "ledger.fork" in rules


def test_a_cosignature_by_nobody_asked_does_not_count(federation: Federation) -> None:
    """South cosigns as carers: the file is wrong, and no share leaves for it."""
    from grievance.ledger.checkpoint import cosign, parse_checkpoint

    release_id = approve(federation)
    charge_all(federation)
    federation.sync("nurses")
    for owner in (NORTH, SOUTH):
        note = federation.file(checkpoint_path(owner, 1)).read_bytes()
        head = parse_checkpoint(note, owner, federation.homes[owner].key.public)
        line = cosign(head, "carers", 1_800_000_000, federation.homes[SOUTH].key)
        federation.file(cosignature_path(owner, 1, "carers")).write_bytes(line)
    for _ in range(2):
        federation.sync(NORTH, SOUTH)
    assert not shares(federation, release_id)
    assert "carers" in waits(federation, release_id)
