"""A batch that was voided was still verified by some: what it burnt stays burnt.

Else losing a state, or restoring an old one, would open a nonce for a second verification.
Source: docs/design.md, section 8, the burn rule.
"""

from __future__ import annotations

import shutil

import pytest

from dishonest import TINY_ANSWERS, TINY_PLAN, Snapshot, decisions, new_seed, publish, weigh
from federation import Federation, encode, seal_measurement
from grievance.aggregator import Office
from grievance.aggregator.asked import Told
from grievance.aggregator.recover import recover
from grievance.errors import StateError
from grievance.pool.decisions import Status
from grievance.pool.events import Expel, Void

SEED = new_seed()


@pytest.fixture(scope="module")
def voided(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """The leader has verified a batch that the helper never got, and voided it."""
    made = Federation.opened(tmp_path_factory.mktemp("void") / "now", TINY_PLAN)
    task = made.task
    shutil.copytree(made.folder / "north", made.folder / "old")
    bad = seal_measurement(task, weigh(task, [1] * task.layout.num_bits), seed=SEED)
    publish(made, "nurses", [bad, *made.seal(2, TINY_ANSWERS)])
    made.sync("north")
    with Office.open(made.leader) as office:
        _, chain = office.open_bench(made.round_id)
        # The relay is expelled with it: else the batch, which is still there, gets a new place.
        office.order(chain, Expel("nurses"))
        office.order(chain, Void(chain.batches[0].seq))
        office.publish()
    made.settle()
    return Snapshot(made)


@pytest.fixture
def federation(voided: Snapshot) -> Federation:
    return voided.restore()


def forget(federation: Federation) -> None:
    for path in (federation.folder / "north").glob("state.sqlite*"):
        path.unlink()


def relay_the_nonce_again(federation: Federation) -> tuple[Status, int] | None:
    """A valid report under the nonce of the voided one; what becomes of it."""
    task = federation.task
    again = seal_measurement(task, encode(task, TINY_ANSWERS), seed=SEED)
    publish(federation, "carers", [again, *federation.seal(10, TINY_ANSWERS)])
    federation.settle()
    both = decisions(federation, federation.chain().counted[-1])
    assert both[0] == both[1]
    return both[0].refused.get(0)


def test_what_a_voided_batch_burnt_stays_burnt(federation: Federation) -> None:
    assert relay_the_nonce_again(federation) == (Status.BURNT, 0)
    assert federation.release().accepted == 10


def test_it_stays_burnt_when_the_state_is_lost(federation: Federation) -> None:
    forget(federation)
    recover(federation.leader, Told())
    assert relay_the_nonce_again(federation) == (Status.BURNT, 0)


def test_a_state_from_before_the_voided_batch_refuses_to_work(federation: Federation) -> None:
    forget(federation)
    for path in (federation.folder / "old").glob("state.sqlite*"):
        shutil.copy(path, federation.folder / "north" / path.name)
    (result,) = federation.sync("north", clean=False)
    assert [fault.code for fault in result.faults] == ["state.behind"]
    assert isinstance(result.faults[0], StateError)


def test_a_voided_batch_that_is_gone_is_told_when_recovering(federation: Federation) -> None:
    batch = federation.chain().batches[0]
    federation.file(federation.paths.batch(batch.partner, batch.digest)).unlink()
    forget(federation)
    done = recover(federation.leader, Told())
    assert any("voided" in line for line in done)
    federation.settle()
    publish(federation, "carers", federation.seal(10, TINY_ANSWERS))
    federation.settle()
    assert federation.release().accepted == 10
