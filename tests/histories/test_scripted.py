"""Fixed histories through every state worth reaching, so that none is left to chance.

The machine's own steps are typed in a row; each asserts what must come of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from history_checks import check_audit, expected, finish, look, open_proposals, settle
from history_machine import CUTS, History
from history_model import ACCEPTED
from history_plan import OUTSIDER, STATISTICS

from dishonest import flip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from history_town import Town


@pytest.fixture
def history(town: Town) -> Iterator[History]:
    History.town = town
    made = History()
    town.tally.clear()
    yield made
    finish(town)


def codes(town: Town) -> list[str]:
    return [code for batch in expected(town, town.round_id).values() for code in batch.codes]


def test_every_kind_of_report(history: History, town: Town) -> None:
    history.open(day="open")
    kinds = ["honest", "blank", "greedy", "twins", "twins", "garbled", "garbled"]
    history.submit(kinds=[(kind, which) for which, kind in enumerate(kinds)])
    everything = list(range(len(town.book.papers)))
    history.relay(relay="nurses", picks=[*everything, 0])
    history.sync(name="north")
    history.relay_again(relay="carers", which=0)
    history.sync_both(names=["south", "north"])
    settle(town)
    found = set(codes(town))
    assert found == {ACCEPTED, "report.proof", "report.burnt", "report.open", "report.replay"}
    assert len(town.checked) == 2


def test_partners_come_and_go(history: History, town: Town) -> None:
    history.open(day="collected")
    history.relay(relay=OUTSIDER, picks=[0, 1])
    settle(town)
    assert len(expected(town, town.round_id)) == 2
    history.admit()
    history.sync(name="north")
    look(town)
    assert len(expected(town, town.round_id)) == 3
    history.expel(relay="carers", cut=None)
    history.relay_again(relay="carers", which=0)
    settle(town)
    assert len(expected(town, town.round_id)) == 3


def test_a_release_is_cut_everywhere(history: History, town: Town) -> None:
    """The power fails at every step from batch to release, at both aggregators."""
    history.open(day="open")
    history.submit(kinds=[("honest", which) for which in range(9)])
    history.submit(kinds=[("honest", which) for which in range(3)])
    history.relay(relay="nurses", picks=list(range(12)))

    def cut(names: tuple[str, ...], labels: tuple[str, ...]) -> None:
        for name in names:
            for label in labels:
                history.crash(name=name, label=label, count=1)
                look(town)

    # In the order in which a sync meets them; the first that it does not meet lets it through.
    writing = tuple(label for label in CUTS if label.startswith(("state.", "pool.", "publish.")))
    cut(("north",), ("order.spooled",))
    cut(("north", "south"), ("verify.burnt", "verify.spooled", *writing))
    cut(("south", "north"), ("decide.spooled", "decide.stored", *writing))
    settle(town)
    history.close(cut=None)
    look(town)
    history.propose(name="south", names=STATISTICS, cut=("propose.spooled", 1))
    history.propose(name="south", names=STATISTICS, cut=None)
    look(town)
    assert open_proposals(town)
    history.answer(which=0, how="approve", cut=("answer.spooled", 1))
    look(town)
    if open_proposals(town):
        history.answer(which=0, how="approve", cut=None)
    look(town)
    charging = ("charge.drawn", "charge.stored", "charge.spooled")
    cut(("north",), ("order.spooled", *charging, *writing))
    cut(("south",), ("witness.stored", *charging, *writing))
    cut(("north", "south"), ("witness.stored", "share.spooled", *writing))
    settle(town)
    met = {name.removeprefix("cut at ") for name in town.tally if name.startswith("cut at ")}
    assert met == set(CUTS)
    assert len(town.released) == 1


def test_declined_then_released_in_two_parts(history: History, town: Town) -> None:
    history.open(day="proposed")
    history.answer(which=0, how="decline", cut=None)
    look(town)
    history.propose(name="north", names=STATISTICS[:1], cut=None)
    look(town)
    history.propose(name="south", names=STATISTICS, cut=None)
    assert town.tally["proposal refused: release.open"] == 1
    history.answer(which=0, how="approve", cut=None)
    look(town)
    settle(town)
    history.propose(name="south", names=STATISTICS, cut=None)
    assert town.tally["proposal refused: release.twice"] == 1
    assert len(town.released) == 1


def test_a_second_round_and_one_too_many(history: History, town: Town) -> None:
    history.open(day="partly released")
    history.next_round()
    look(town)
    history.relay(relay="carers", picks=list(range(11)))
    settle(town)
    history.other_round()
    history.other_round()
    history.next_round()
    assert town.tally["a round too many"] == 1


@pytest.mark.parametrize("name", ["north", "south"])
@pytest.mark.parametrize("day", ["collected", "proposed", "partly released"])
def test_an_older_copy_refuses_until_it_recovers(
    history: History, town: Town, day: str, name: str
) -> None:
    history.open(day=day)
    which = max(i for i, (owner, _) in enumerate(town.backups) if owner == name)
    history.restore(which=which)
    assert town.old[name]
    assert town.tally["refused state.behind"] + town.tally["refused ledger.rollback"] == 1
    history.sync_both(names=["north", "south"])
    history.recover(name=name, cut=("recover.rebuilt", 1))
    look(town)
    assert name not in town.old


def test_strangers_in_the_pool(history: History, town: Town) -> None:
    """Something of every kind is changed or deleted: named by the audit, healed by its owner."""
    history.open(day="partly released")
    kinds = ("/order/2.", "/verify/3/north", "/decide/3/south", "/noisy/south", "/south/1.json")
    paths = [next(path for path in town.first if kind in path) for kind in kinds]
    for path in paths:
        town.spoil(path, flip(town.first[path], 200))
        assert check_audit(town) == "incomplete"
    history.sync_both(names=["south", "north"])
    look(town)
    assert not town.spoiled and town.tally["healed by its owner"] == len(paths)
    batch = next(path for path in town.first if "/batches/" in path)
    town.spoil(batch, None)
    history.sync_both(names=["north", "south"])
    history.recover(name="south", cut=None)
    assert town.tally["recovery stopped: recover.batch"] == 1


def test_a_batch_is_given_up(history: History, town: Town) -> None:
    """Ordered, never seen by the leader again, voided; its reports come once more and count."""
    history.open(day="collected")
    (place, *_) = expected(town, town.round_id)
    history.void(which=0)
    assert place in expected(town, town.round_id) and not town.tally["voided"]
    history.submit(kinds=[("twins", 0), ("honest", 1)])
    history.relay(relay="nurses", picks=[0, 1, 2])
    seq = len(town.events(town.round_id)) + 1
    # The event is in the pool when the power fails, the verifier shares are not; then the
    # machine is lost, and the batch with it.
    history.crash(name="north", label="publish.put", count=1)
    look(town)
    assert seq in expected(town, town.round_id)
    assert f"rounds/{town.round_id}/verify/{seq}/north" not in town.first
    town.rebuild("north")
    batch = next(p for p in town.first if p.endswith(town.events(town.round_id)[-1]["batch"]))
    town.spoil(batch, None)
    history.void(which=2)
    assert town.tally["voided"] == 1
    look(town)
    assert seq not in expected(town, town.round_id)
    town.heal(batch)
    settle(town)
    assert len(expected(town, town.round_id)) == 2, "its relay puts it back; that orders nothing"
    history.order_again(which=0)
    assert town.tally["ordered again"] == 1
    settle(town)
    assert len(expected(town, town.round_id)) == 3
