"""A pool that strangers and partners write nonsense into: the round goes on without it.

Source: docs/design.md, section 7: what the owner of a name did not sign does not exist.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from dishonest import (
    TINY_ANSWERS,
    TINY_PLAN,
    Snapshot,
    at_bench,
    decisions,
    flip,
    publish,
    publish_raw,
)
from federation import Federation, encode, seal_measurement
from grievance.aggregator import Office, sync
from grievance.aggregator.decisions import read_decision, read_findings
from grievance.client import seal
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey
from grievance.pool.batch import (
    HEADER_SIZE,
    LABEL,
    _signed_part,
    write_batch,
)
from grievance.pool.decisions import Status
from grievance.pool.events import OrderBatch
from grievance.task import Identity, make_card
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def batch_of(federation: Federation, relay: str, rows: int) -> bytes:
    task = federation.task
    reports = [seal(task, TINY_ANSWERS) for _ in range(rows)]
    return write_batch(task, reports, federation.homes[relay].key)


def signed_again(federation: Federation, relay: str, payload: bytes, rows: int) -> bytes:
    key = federation.homes[relay].key
    content = hashlib.sha256(payload).digest()  # commits to nothing that can be
    part = _signed_part(federation.task.digest, key.public.raw, rows, len(payload), content)
    return part + key.sign(LABEL, part) + payload


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("hostile") / "now"
    made = Federation(folder, relays=("nurses", "carers", "aardvark"))
    made.relays = ["nurses", "carers"]
    made.open_round(TINY_PLAN)
    return Snapshot(made)


@pytest.fixture
def federation(opened: Snapshot) -> Federation:
    return opened.restore()


def test_batches_that_hold_something_else_are_passed_over_and_the_round_goes_on(
    federation: Federation,
) -> None:
    """A relay may sign what it likes; the leader orders what it could verify."""
    good = batch_of(federation, "nurses", 3)
    payload = good[HEADER_SIZE:]
    bad = [
        signed_again(federation, "nurses", os.urandom(len(payload)), 3),
        signed_again(federation, "nurses", payload, 2),
        signed_again(federation, "nurses", flip(payload, len(payload) - 1), 3),
        signed_again(federation, "nurses", flip(payload, 5, 3), 3),
    ]
    for data in bad:
        publish_raw(federation, "nurses", data)
        federation.sync("north")
    publish_raw(federation, "nurses", good)
    publish(federation, "carers", federation.seal(8, TINY_ANSWERS))
    federation.settle()
    batches = federation.chain().batches
    assert len(batches) == 2
    assert federation.release().accepted == 11


def test_an_ordered_batch_that_changes_before_it_is_verified_waits(
    federation: Federation,
) -> None:
    """Nothing of it is burnt, published or counted, and both say what they wait for."""
    path = publish(federation, "nurses", federation.seal(14, TINY_ANSWERS))
    federation.sync("north")
    file = federation.file(path)
    good = file.read_bytes()
    with Office.open(federation.homes["south"]) as office:
        before = office.state.burns(federation.task.digest)
    for at in (HEADER_SIZE + 60, len(good) // 2):  # inside the rows
        file.write_bytes(flip(good, at))
        with Office.open(federation.homes["south"]) as office:
            result = sync(office)
            assert [fault.code for fault in result.faults] == ["batch.digest"]
            assert "nurses" in str(result.faults[0].hint)
            assert office.state.burns(federation.task.digest) == before
            assert office.state.batches(federation.task.digest) == {}
    file.write_bytes(good)
    federation.settle()
    assert federation.release().accepted == 14


def test_a_batch_that_changes_after_it_was_verified_is_not_opened_again(
    federation: Federation,
) -> None:
    """A refused row is taken back from the bytes it was counted from, or not yet."""
    bad = seal_measurement(federation.task, [2, *encode(federation.task, TINY_ANSWERS)[1:]])
    path = publish(federation, "nurses", [*federation.seal(13, TINY_ANSWERS), bad])
    file = federation.file(path)
    good = file.read_bytes()
    federation.sync("north")
    (batch,) = federation.chain().batches
    federation.sync("south")  # checks and decides
    file.write_bytes(good.replace(bad.ciphertexts[0], flip(bad.ciphertexts[0], 7)))
    with Office.open(federation.leader) as office:
        assert [fault.code for fault in sync(office).faults] == ["batch.digest"]
        assert not office.state.batches(federation.task.digest)[batch.seq].decided
    file.write_bytes(good)
    federation.settle()
    assert list(federation.reasons()[batch.seq].values()) == ["report.proof"]
    assert federation.release().accepted == 13


def test_files_among_the_batches_that_are_never_ordered(
    federation: Federation, tmp_path: Path
) -> None:
    good = batch_of(federation, "nurses", 2)
    other = make_coalition(TINY_PLAN.decode()).task
    reports = [seal(other, TINY_ANSWERS)]
    foreign = write_batch(other, reports, federation.homes["nurses"].key)
    publish_raw(federation, "carers", good)  # under another partner's name
    publish_raw(federation, "aardvark", batch_of(federation, "aardvark", 2))
    publish_raw(federation, "nurses", foreign)
    publish_raw(federation, "nurses", b"")
    publish_raw(federation, "nurses", os.urandom(1000))
    for size in (HEADER_SIZE - 1, HEADER_SIZE, len(good) - 1):
        publish_raw(federation, "nurses", good[:size])
    for key in (bytes(32), b"\xff" * 32, b"\1" + bytes(31)):  # no key at all: stops nobody
        publish_raw(federation, "nurses", good[:37] + key + good[69:])
    batches = federation.file(federation.paths.batches)
    (batches / f"nurses-{'0' * 64}").write_bytes(good)
    (batches / f"nurses-{'1' * 64}").symlink_to("/etc/passwd")
    os.mkfifo(batches / f"nurses-{'2' * 64}")
    (batches / f"nurses-{'3' * 64}").mkdir()
    for name in ("README", "..x", f"Nurses-{'4' * 64}", f"nurses-{'4' * 63}", "nurses-"):
        (batches / name).write_bytes(good)
    federation.settle()
    assert federation.chain().batches == []
    publish(federation, "nurses", federation.seal(10, TINY_ANSWERS))
    federation.settle()
    assert federation.release().accepted == 10


def test_the_same_batch_is_ordered_once(federation: Federation) -> None:
    reports = federation.seal(2, TINY_ANSWERS)
    first = publish(federation, "nurses", reports)
    federation.settle()
    assert publish(federation, "nurses", reports) == first
    federation.settle()
    assert len(federation.chain().batches) == 1


def test_a_leader_that_orders_a_batch_with_another_number_of_rows(federation: Federation) -> None:
    """The batch is refused as a whole by both, for the same reason."""
    path = publish(federation, "nurses", federation.seal(3, TINY_ANSWERS))
    digest = path.rsplit("-", 1)[1]
    with Office.open(federation.leader) as office:
        _, chain = office.open_bench(federation.round_id)
        office.order(chain, OrderBatch("nurses", bytes.fromhex(digest), 2))
        office.publish()
    federation.settle()
    (batch,) = federation.chain().batches
    both = decisions(federation, batch)
    assert both[0] == both[1]
    assert set(both[0].refused.values()) == {(Status.BATCH, 0)}


def test_batches_are_verified_in_the_order_of_the_chain_even_as_they_arrive(
    federation: Federation,
) -> None:
    """Else two copies of an aggregator's memory could burn a nonce with different bytes."""
    for _ in range(2):
        publish(federation, "nurses", federation.seal(2, TINY_ANSWERS))
        federation.sync("north")
    first, second = federation.chain().batches
    late = federation.file(federation.paths.batch(first.partner, first.digest))
    hidden = late.rename(late.with_name(".late"))
    federation.sync("south")
    assert not federation.file(federation.paths.verify(second.seq, "south")).exists()
    hidden.rename(late)
    federation.settle()
    assert not any(federation.reasons().values())


def junk_kinds(path: Path) -> list[Callable[[], object]]:
    return [
        lambda: path.write_bytes(b"nonsense"),
        lambda: path.write_bytes(b""),
        lambda: path.symlink_to("/etc/passwd"),
        lambda: os.mkfifo(path),
        lambda: path.write_bytes(b"x" * (9 << 20)),
    ]


@pytest.mark.parametrize("kind", range(5))
def test_junk_under_the_names_of_others_stops_nobody(federation: Federation, kind: int) -> None:
    """Planted before its owner writes there: the owner's file replaces it, readers ignore it."""
    paths, seq = federation.paths, federation.chain().length + 1
    planted = [paths.order(seq), paths.verify(seq, "north"), paths.verify(seq, "south")]
    planted += [paths.decide(seq, name) for name in federation.aggregators]
    planted += [paths.order(seq + 1), "ledger/north/1.json", "ledger/south/1.json"]
    planted += [f"{paths.cards}/aaaa.json", f"{paths.cards}/zzzz.json", paths.verify(99, "south")]
    for name in planted:
        path = federation.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        junk_kinds(path)[kind]()
    publish(federation, "nurses", federation.seal(10, TINY_ANSWERS))
    federation.settle()
    assert federation.release().accepted == 10


@pytest.mark.parametrize("how", ["deleted", "overwritten", "one byte flipped", "a link", "a pipe"])
def test_what_was_changed_in_the_pool_its_owner_writes_again(
    federation: Federation, how: str
) -> None:
    publish(federation, "nurses", federation.seal(10, TINY_ANSWERS))
    federation.settle()
    batch = federation.chain().batches[0]
    paths = federation.paths
    victims = [paths.task, paths.signature("south"), paths.card("north"), paths.order(1)]
    victims += [paths.order(batch.seq), paths.verify(batch.seq, "south")]
    victims += [paths.decide(batch.seq, "north"), paths.plan, paths.verify_key]
    before = {name: federation.file(name).read_bytes() for name in victims}
    for name, data in before.items():
        path = federation.file(name)
        path.unlink()
        if how == "overwritten":
            path.write_bytes(b"{}")
        elif how == "one byte flipped":
            path.write_bytes(flip(data, len(data) // 2))
        elif how == "a link":
            path.symlink_to("/etc/passwd")
        elif how == "a pipe":
            os.mkfifo(path)
    for _ in range(2):
        federation.sync(clean=False)
    assert {name: federation.file(name).read_bytes() for name in victims} == before
    assert federation.release().accepted == 10


def test_a_strangers_invitation_does_not_hide_a_round_that_was_signed(
    federation: Federation,
) -> None:
    stranger = federation.homes["aardvark"]
    members = [stranger.identity, Identity("other", "Other", SigningKey.generate().public)]
    plan = federation.file(federation.paths.plan).read_bytes()
    card = make_card(
        stranger.key,
        HpkePrivateKey.generate("X25519").public,
        round_id=federation.round_id,
        plan_sha256=hashlib.sha256(plan).digest(),
        members=members,
        rehearsal=False,
    )
    (federation.file(federation.paths.cards) / "aaaa.json").write_bytes(card)
    federation.file(federation.paths.card("aardvark")).write_bytes(card)
    publish(federation, "nurses", federation.seal(10, TINY_ANSWERS))
    federation.settle()
    assert federation.release().accepted == 10


def test_files_of_the_other_side_that_do_not_hold_count_as_not_arrived(
    federation: Federation,
) -> None:
    publish(federation, "nurses", federation.seal(2, TINY_ANSWERS))
    federation.settle()
    (batch,) = federation.chain().batches
    for name, read in (
        (federation.paths.verify(batch.seq, "south"), read_findings),
        (federation.paths.decide(batch.seq, "south"), read_decision),
    ):
        path = federation.file(name)
        data = path.read_bytes()
        for place in (0, len(data) // 3, len(data) - 1):
            path.write_bytes(flip(data, place))
            assert at_bench(federation, "north", lambda b, r=read: r(b, batch, 1)) is None
        path.write_bytes(data)
        assert at_bench(federation, "north", lambda b, r=read: r(b, batch, 1)) is not None
