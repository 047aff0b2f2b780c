"""A ledger of another aggregator that does not hold: no new charge depends on it, all else goes on.

Source: docs/design.md, section 10; docs/faults.md, faults D8 to D12.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN, Snapshot
from federation import Federation
from grievance.aggregator import Office, SyncResult
from grievance.aggregator.releases import own_ledger
from grievance.aggregator.status import status
from grievance.cost import Cost
from grievance.crypto.documents import sign_document
from grievance.crypto.merkle import root
from grievance.ledger import DestroyedEvent, LedgerEntry, ReleaseEvent
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.ledger.versions import sign_versions
from grievance.pool.layout import RoundPaths, checkpoint_path, fork_path, ledger_path
from grievance.release import collect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER = TINY_PLAN.replace(b'campaign = "tiny"', b'campaign = "other"')


@dataclass
class World:
    """North leads; south's ledger, of one entry that north cosigned, is about to break.

    `approved`: a round with south, whose release everybody approved and nobody charged.
    `checked`: another one with south, with a batch that nobody has looked at. `west`: a round of
    north and west alone, approved likewise.
    """

    federation: Federation
    approved: str
    checked: str
    west: str
    release_id: str
    start: Snapshot

    @classmethod
    def build(cls, folder: Path) -> World:
        federation = Federation(folder, ("north", "south", "west"))
        federation.aggregators = ["north", "south"]
        federation.open_round(TINY_PLAN)
        collected(federation)
        federation.release()
        federation.open_round(TINY_PLAN)
        approved = federation.round_id
        collected(federation)
        federation.close()
        federation.open_round(OTHER)
        checked = federation.round_id
        federation.aggregators = ["north", "west"]
        federation.open_round(OTHER)
        west = federation.round_id
        collected(federation)
        federation.close()
        federation.answer("west", federation.propose().release_id)
        federation.aggregators, federation.round_id = ["north", "south"], approved
        release_id = federation.propose().release_id
        federation.answer("south", release_id)
        federation.round_id = checked
        federation.relay("nurses", federation.seal(3, TINY_ANSWERS))
        return cls(federation, approved, checked, west, release_id, Snapshot(federation))

    def back(self) -> World:
        self.start.restore()
        return self

    def sync(self) -> SyncResult:
        (result,) = self.federation.sync("north", clean=False)
        return result

    def charged(self, round_id: str) -> int:
        """How many releases of a round north has charged."""
        home = self.federation.homes["north"]
        with Office.open(home) as office:
            task = office.task(round_id)
            assert task is not None
            log = own_ledger(office.state, "north", home.key.public)
            return sum(entry.task == task.digest for entry in log.entries)

    def waits(self) -> set[tuple[str, str]]:
        """Who is waited for in the approved round, and for what, as `status` tells north."""
        with Office.open(self.federation.homes["north"]) as office:
            (line,) = [line for line in status(office) if line.round == self.approved]
        assert line.fault is None
        return {(item.who, item.what) for item in line.waiting}

    def entry(self) -> LedgerEntry:
        """South's one entry."""
        data = self.federation.file(ledger_path("south", 1)).read_bytes()
        return LedgerEntry.parse(data, self.federation.homes["south"].key.public)

    def sign_again(self, change: Callable[[dict[str, Any]], None]) -> None:
        """South signs another first entry."""
        path = self.federation.file(ledger_path("south", 1))
        document = json.loads(path.read_bytes())
        change(document["body"])
        key = self.federation.homes["south"].key
        path.write_bytes(sign_document(document["kind"], document["body"], key))

    def append(self, campaign: str, task: bytes, cost: Cost | None) -> None:
        """South signs a second entry, with its checkpoint; without a cost a destroyed round."""
        first, key = self.entry(), self.federation.homes["south"].key
        event: ReleaseEvent | DestroyedEvent = DestroyedEvent()
        spent = first.spent if campaign == first.campaign else Cost.zero("zcdp")
        if cost is not None:
            assert isinstance(first.event, ReleaseEvent)
            event = ReleaseEvent(
                "0" * 16, b"\x00" * 32, {"more": cost}, 10, b"\x00" * 32, b"\x01" * 32
            )
            spent = spent + cost
        second = LedgerEntry.sign(
            key, ledger="south", after=first, campaign=campaign, task=task, spent=spent, event=event
        )
        self.federation.file(ledger_path("south", 2)).write_bytes(second.data)
        note = sign_checkpoint("south", 2, root([first.data, second.data]), key)
        self.federation.file(checkpoint_path("south", 2)).write_bytes(note)


def collected(federation: Federation) -> None:
    federation.relay("nurses", federation.seal(10, TINY_ANSWERS))
    federation.settle()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.build(tmp_path_factory.mktemp("peers") / "town")


@pytest.fixture
def world(built: World) -> World:
    return built.back()


def a_link_that_does_not_hold(world: World) -> None:
    world.sign_again(lambda body: body.update(previous="11" * 32))


def a_sum_that_is_wrong(world: World) -> None:
    def add(body: dict[str, Any]) -> None:
        spent = Fraction(body["spent"]["zcdp"])
        body["spent"] = Cost("zcdp", spent + Fraction(1, 10**30)).to_json()

    world.sign_again(add)


def something_else_than_we_cosigned(world: World) -> None:
    world.sign_again(lambda body: body.update(task="22" * 32))


def an_entry_that_is_none(world: World) -> None:
    world.sign_again(lambda body: body["event"].update(type="gift"))


def two_heads_of_one_size(world: World) -> None:
    key = world.federation.homes["south"].key
    fake = sign_checkpoint("south", 1, b"\x01" * 32, key)
    world.federation.file(checkpoint_path("south", 1)).write_bytes(fake)


def a_fork_that_another_found(world: World) -> None:
    """West was shown another head of south's ledger, and north never."""
    key = world.federation.homes["south"].key
    heads = [sign_checkpoint("south", 9, bytes([n]) * 32, key) for n in (1, 2)]
    proof = sign_versions(checkpoint_path("south", 9), *heads, world.federation.homes["west"].key)
    world.federation.file(fork_path("south", 9, "west")).write_bytes(proof)


def a_checkpoint_about_other_entries(world: World) -> None:
    world.append("tiny", b"\x33" * 32, None)
    key = world.federation.homes["south"].key
    fake = sign_checkpoint("south", 2, b"\x01" * 32, key)
    world.federation.file(checkpoint_path("south", 2)).write_bytes(fake)


def no_room_in_the_campaign(world: World) -> None:
    """One part in 10^12 more than would leave room for the release."""
    world.federation.round_id = world.approved
    task = world.federation.task
    left = task.lifetime - world.entry().spent - task.cost
    world.append("tiny", b"\x44" * 32, left + Cost("zcdp", Fraction(1, 10**12)))


def no_room_in_the_round(world: World) -> None:
    world.federation.round_id = world.approved
    task = world.federation.task
    world.append("tiny", task.digest, Cost("zcdp", Fraction(1, 10**12)))


BROKEN = {
    a_link_that_does_not_hold: "ledger.chain",
    a_sum_that_is_wrong: "ledger.sum",
    something_else_than_we_cosigned: "ledger.rewritten",
    an_entry_that_is_none: "ledger.event",
    two_heads_of_one_size: "ledger.fork",
    a_fork_that_another_found: "ledger.fork",
    a_checkpoint_about_other_entries: "ledger.checkpoint",
    no_room_in_the_campaign: "ledger.budget",
    no_room_in_the_round: "ledger.budget",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda how: how.__name__)
def test_nothing_is_charged_that_depends_on_a_broken_ledger(
    world: World, broken: Callable[[World], None]
) -> None:
    broken(world)
    before = world.entry().data if broken is not an_entry_that_is_none else b""
    result = world.sync()
    (fault,) = [fault for fault in result.faults if fault.code == "release.peer"]
    assert f"release {world.release_id} is not charged" in fault.message
    assert "the ledger of south does not hold: " in fault.message
    assert "nothing was spent" in (fault.hint or "")
    assert "call south" in (fault.hint or "")
    assert world.charged(world.approved) == 0
    assert not list(world.federation.file(RoundPaths(world.approved).releases).glob("*/noisy/*"))
    said = f"sees to its ledger, which does not hold ({BROKEN[broken]})"
    assert ("south", said) in world.waits()
    # All that does not depend on it: another round's batch, and a release without south.
    assert any(line.startswith(f"{world.checked}: ordered a batch") for line in result.done)
    assert any(line.startswith(f"{world.checked}: checked batch") for line in result.done)
    assert world.charged(world.west) == 1
    world.federation.sync("west")
    world.sync()
    world.federation.sync("west")
    world.federation.round_id = world.west
    assert collect(world.federation.leader.store, world.federation.task, None).accepted == 10
    assert world.charged(world.approved) == 0
    if before:
        assert world.entry().data == before, "nobody but its owner mends a ledger"


@pytest.mark.parametrize(
    "broken",
    [a_link_that_does_not_hold, a_sum_that_is_wrong, something_else_than_we_cosigned],
    ids=lambda how: how.__name__,
)
def test_the_release_goes_on_by_itself_once_the_ledger_holds(
    world: World, broken: Callable[[World], None]
) -> None:
    path = world.federation.file(ledger_path("south", 1))
    true = path.read_bytes()
    broken(world)
    world.sync()
    path.write_bytes(true)
    world.federation.settle(clean=False)
    assert world.charged(world.approved) == 1
    world.federation.round_id = world.approved
    assert collect(world.federation.leader.store, world.federation.task, None).accepted == 10


@pytest.mark.parametrize("how", ["gone", "not signed by its owner"])
def test_a_ledger_that_has_not_arrived_so_far_is_waited_for(world: World, how: str) -> None:
    """What its owner did not sign does not exist: nobody is accused, and it is written again."""
    path = world.federation.file(ledger_path("south", 1))
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b'"size":1', b'"size":2'))
    result = world.sync()
    assert not result.faults
    assert world.charged(world.approved) == 0
    assert ("south", "publishes its ledger again, as far as we cosigned it") in world.waits()
    assert world.charged(world.west) == 1
    world.federation.settle()
    assert world.charged(world.approved) == 1


def test_what_south_did_not_sign_holds_nothing_up(world: World) -> None:
    """Files that anybody can put beside a ledger: entries, evidence, heads."""
    carers, pool = world.federation.homes["carers"].key, world.federation.file
    pool(ledger_path("south", 2)).write_bytes(b"not an entry")
    pool(checkpoint_path("south", 2)).write_bytes(sign_checkpoint("south", 2, b"\1" * 32, carers))
    heads = [sign_checkpoint("south", 1, bytes([n]) * 32, carers) for n in (1, 2)]
    fork = sign_versions(checkpoint_path("south", 1), *heads, carers)
    pool(fork_path("south", 1, "carers")).write_bytes(fork)
    pool(fork_path("south", 2, "carers")).write_bytes(b"\xff" * 100)
    for name in ("Łódź.fork", "x y.fork", ".fork", "0.a.fork", f"{'9' * 200}.a.fork"):
        pool(f"ledger/south/{name}").write_bytes(b"x")
    pool("ledger/south/3.carers.fork").symlink_to("/dev/zero")
    pool("ledger/south/4.carers.fork").mkdir()
    assert not world.sync().faults
    assert world.charged(world.approved) == 1


def test_room_to_the_last_part(world: World) -> None:
    """What another aggregator has spent leaves exactly enough."""
    world.federation.round_id = world.approved
    task = world.federation.task
    world.append("tiny", b"\x44" * 32, task.lifetime - world.entry().spent - task.cost)
    result = world.sync()
    assert not [fault for fault in result.faults if fault.code == "release.peer"]
    assert world.charged(world.approved) == 1


def test_the_helper_too_charges_nothing_beside_a_broken_ledger(world: World) -> None:
    """And where the leader has charged already, its charge is in its ledger, and counts once."""
    world.federation.sync("north")
    assert world.charged(world.approved) == 1
    path = world.federation.file(ledger_path("north", 1))
    true = path.read_bytes()
    document = json.loads(true)
    document["body"]["previous"] = "11" * 32
    path.write_bytes(sign_document(document["kind"], document["body"], world.federation.leader.key))
    (result,) = world.federation.sync("south", clean=False)
    assert {"release.peer", "ledger.chain"} <= {fault.code for fault in result.faults}
    assert not world.federation.file(ledger_path("south", 2)).exists()
    path.write_bytes(true)
    world.federation.sync("south", clean=False)
    assert world.federation.file(ledger_path("south", 2)).exists()
