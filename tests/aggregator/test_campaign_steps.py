"""A campaign goes on after a round that not everybody signed, and counts it in full."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from campaign_forger import Forger
from federation import NAMED_PLAN as PLAN
from federation import Federation
from grievance import task as tasks
from grievance.aggregator import Office, rounds
from grievance.aggregator.campaign import check_continues
from grievance.aggregator.consent import find_consent
from grievance.aggregator.rehearsal import make_helper, sync_helper
from grievance.aggregator.rounds import join_round, new_round, sign_as_helper
from grievance.aggregator.state import State
from grievance.crypto.signing import SigningKey
from grievance.errors import TaskError
from grievance.pool.layout import RoundPaths
from grievance.pool.rounds import read_cards, read_task, read_task_and_signatures
from grievance.task import Task

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.home import Home


@pytest.fixture
def three(tmp_path: Path) -> Federation:
    return Federation(tmp_path, ("north", "south", "west"), relays=())


def plan(title: str) -> bytes:
    return PLAN.replace(b"Pressure at work", title.encode())


def invite(federation: Federation, title: str, *helpers: str) -> str:
    """A round of north's with some of the others, who join."""
    return federation.invite_to(plan(title), *helpers)


def signed(home: Home) -> list[str]:
    """The rounds a home signed, as their campaign chains them."""
    with Office.open(home) as office:
        return [tasks.parse_task(data).round_id for data in office.state.tasks()]


def whole(federation: Federation, round_id: str) -> Task:
    task = read_task(federation.leader.store, round_id)
    assert task is not None
    return task


# What honest parties meet.


def test_a_helper_new_to_the_campaign_goes_on_after_a_round_nobody_signed(
    three: Federation,
) -> None:
    invite(three, "First", "south")
    three.sync("north")
    second = invite(three, "Second", "west")
    three.sync("north", "west")
    task = whole(three, second)
    assert task.reserved.amount == 2 * task.cost.amount


def test_a_helper_goes_on_from_the_round_it_signed_itself(three: Federation) -> None:
    first = invite(three, "First", "south")
    three.sync("north", "south")
    invite(three, "Second", "west")
    three.sync("north")
    third = invite(three, "Third", "south")
    three.sync("north", "south")
    task = whole(three, third)
    assert task.reserved.amount == 3 * task.cost.amount
    assert signed(three.homes["south"]) == [first, third]


@pytest.mark.parametrize("ids", ["abc", "cba", "bca"])
def test_rounds_that_were_joined_are_signed_in_their_order(
    three: Federation, monkeypatch: pytest.MonkeyPatch, ids: str
) -> None:
    """Whatever their ids are: after the later round it would be too late for the earlier."""
    made = []
    for title, letter in zip(("First", "Second", "Third"), ids, strict=True):
        monkeypatch.setattr(
            rounds, "secrets", SimpleNamespace(token_hex=lambda n, x=letter: 2 * n * x)
        )
        made.append(invite(three, title, "south"))
        three.sync("north")
    three.sync("south")
    assert signed(three.homes["south"]) == made
    assert all(whole(three, round_id) for round_id in made)
    three.sync()


def test_a_round_before_is_signed_only_by_whoever_remembers_joining_it(three: Federation) -> None:
    """A card in the pool is not enough: an old state must not sign what it knows nothing of."""
    south = three.homes["south"]
    first = invite(three, "First", "south")
    three.sync("north")
    second = invite(three, "Second", "south")
    three.sync("north")
    found, invitation = read_task_and_signatures(south.store, second), south.invitation(second)
    assert found is not None and invitation is not None
    cards = read_cards(south.store, invitation)
    with Office.open(south) as office:
        agreed = find_consent(south, office.state, second)
    assert agreed is not None
    with sqlite3.connect(south.state_path) as state:
        path = RoundPaths(first).card("south")
        assert state.execute("DELETE FROM outgoing WHERE path = ?", (path,)).rowcount == 1
    state.close()
    with Office.open(south) as office:
        sign_as_helper(south, office.state, agreed, cards, found[0])
    assert signed(south) == [second]


def test_another_leader_goes_on_with_a_helper_that_saw_none_of_it(three: Federation) -> None:
    invite(three, "First", "south")
    three.sync("north")
    invite(three, "Second", "west")
    three.sync("north", "west")
    three.aggregators = ["west", "south"]
    task = three.open_round(plan("Third"))
    assert task.reserved.amount == 3 * task.cost.amount


# What is refused before any card.


def test_a_rehearsal_and_a_real_round_share_no_campaign(three: Federation) -> None:
    north = three.leader
    helper = make_helper(north)
    first = invite(three, "First", "south")
    three.sync("north")
    with Office.open(north) as office:
        with pytest.raises(TaskError) as caught:
            new_round(north, office.state, PLAN, [helper.identity], rehearsal=True)
        other = PLAN.replace(b'"trial"', b'"tryout"')
        new_round(north, office.state, other, [helper.identity], rehearsal=True)
        office.publish()
    assert caught.value.code == "task.campaign"
    assert f"after the round {first}: a rehearsal and a real round" in caught.value.message
    assert 'another name after "campaign"' in (caught.value.hint or "")
    sync_helper(north)
    three.sync("north")
    with Office.open(north) as office, pytest.raises(TaskError, match="after the rehearsal"):
        new_round(north, office.state, other, [three.homes["south"].identity])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"lifetime_epsilon = 4.0", b"lifetime_epsilon = 5.0"),
        (b"delta = 1e-6", b"delta = 1e-7"),
        (b"minimum_reports", b"reports_per_worker = 1\nminimum_reports"),
    ],
)
def test_other_terms_are_refused_before_any_card(three: Federation, old: bytes, new: bytes) -> None:
    many = PLAN.replace(b"minimum_reports", b"reports_per_worker = 2\nminimum_reports")
    many = many if b"reports_per_worker" in new else PLAN
    three.aggregators = ["north", "south"]
    three.open_round(many)
    north, south = three.leader, three.homes["south"]
    changed = PLAN.replace(old, new).replace(b"Pressure", b"More pressure")
    with Office.open(north) as office:
        before = list(office.state.all_outgoing())
        with pytest.raises(TaskError) as caught:
            new_round(north, office.state, changed, [south.identity])
        assert caught.value.code == "task.campaign"
        assert list(office.state.all_outgoing()) == before
    # A helper is told when it joins, whatever its leader lets pass.
    west = three.homes["west"]
    with Office.open(west) as office:
        made = new_round(west, office.state, changed, [south.identity])
        office.publish()
    invitation = south.invitation(made.round_id)
    assert invitation is not None
    with Office.open(south) as office, pytest.raises(TaskError, match="cannot continue"):
        join_round(south, office.state, invitation)


def test_two_kinds_of_round_begun_at_once_leave_the_campaign_to_the_first(
    three: Federation,
) -> None:
    north, south = three.leader, three.homes["south"]
    helper = make_helper(north)
    with Office.open(north) as office:
        new_round(north, office.state, PLAN, [helper.identity], rehearsal=True)
        office.publish()
    real = invite(three, "Real", "south")
    three.sync("north")
    sync_helper(north)
    (result,) = three.sync("north", clean=False)
    (fault,) = result.faults
    assert fault.code == "task.campaign" and "nothing was signed" in (fault.hint or "")
    assert signed(north) == [real]
    three.sync("south")
    assert signed(south) == [real]


# What a dishonest leader tries.


def refusal(home: Home, last: Task | None, task: Task) -> str:
    """The code with which a home that signed `last` refuses `task`; empty when it does not."""
    with Office.open(home) as office:
        if last is not None and office.state.task_of_round(last.round_id) is None:
            with office.state.transaction():
                office.state.add_task(last.digest, last.round_id, last.campaign, last.data)
        try:
            check_continues(home.store, office.state, task)
        except TaskError as error:
            return error.code
    return ""


@pytest.fixture
def forger(three: Federation) -> Forger:
    return Forger(three)


def test_steps_that_leave_out_what_was_signed_here_are_refused(
    three: Federation, forger: Forger
) -> None:
    south = three.homes["south"]
    first = forger.task(["north", "south"], None)
    second = forger.task(["north", "south"], first)
    beside = forger.task(["north", "west"], first, signers=["north"])
    assert refusal(south, second, forger.task(["north", "south"], second)) == ""
    for leaves_out in (None, first, beside):
        task = forger.task(["north", "south"], leaves_out)
        assert refusal(south, second, task) == "task.previous"


def test_a_step_that_reserves_too_little_is_refused(three: Federation, forger: Forger) -> None:
    first = forger.task(["north", "south"], None)
    honest = forger.task(["north", "west"], first, signers=["north"])
    south = three.homes["south"]
    assert refusal(south, first, forger.task(["north", "south"], honest)) == ""
    cost = first.cost.amount
    too_little = first.cost.to_json() | {"zcdp": str(cost + cost / 2)}
    low = forger.task(["north", "west"], first, signers=["north"], reserved=too_little)
    task = forger.task(["north", "south"], low)
    assert task.reserved.amount < 3 * cost
    # Neither who signed the first round nor who comes to the campaign new.
    assert refusal(south, first, task) == "task.reserved"
    newcomer = forger.task(["north", "west"], low)
    assert refusal(three.homes["west"], None, newcomer) == "task.reserved"


@pytest.mark.parametrize("signers", [[], ["south"], ["north"], ["north", "south"]])
def test_a_step_needs_the_leader_before_and_the_leader_after(
    three: Federation, forger: Forger, signers: list[str]
) -> None:
    first = forger.task(["north", "south", "west"], None, signers=signers)
    task = forger.task(["south", "west"], first)
    expected = "" if len(signers) == 2 else "task.previous"
    assert refusal(three.homes["west"], None, task) == expected


def test_who_is_new_waits_for_the_whole_campaign(three: Federation, forger: Forger) -> None:
    first = forger.task(["north", "south"], None)
    second = forger.task(["north", "south"], first)
    task = forger.task(["north", "west"], second)
    west = three.homes["west"]
    three.file(RoundPaths(first.round_id).task).rename(three.folder / "kept")
    assert refusal(west, None, task) == "task.previous"
    (three.folder / "kept").rename(three.file(RoundPaths(first.round_id).task))
    assert refusal(west, None, task) == ""


def test_a_round_between_cannot_change_a_key(three: Federation, forger: Forger) -> None:
    """A task that only its leader signed must not loosen what stays from round to round."""
    first = forger.task(["north", "south", "west"], None)
    between = forger.task(["north", "nobody"], first, signers=["north"], keys=_key("nobody"))
    task = forger.task(["north", "south", "west"], between, keys=_key("west"))
    tasks.check_successor(task, between)
    assert refusal(three.homes["south"], first, task) == "plan.aggregators"
    at_once = forger.task(["north", "west"], first, signers=["north"], keys=_key("west"))
    task = forger.task(["north", "south"], at_once)
    assert refusal(three.homes["south"], first, task) == "plan.aggregators"


def test_a_key_stays_for_whoever_comes_to_the_campaign_new(
    three: Federation, forger: Forger
) -> None:
    first = forger.task(["north", "south"], None)
    between = forger.task(["north", "nobody"], first, signers=["north"], keys=_key("nobody"))
    west = three.homes["west"]
    assert refusal(west, None, forger.task(["north", "south", "west"], between)) == ""
    task = forger.task(["north", "south", "west"], between, keys=_key("south"))
    assert refusal(west, None, task) == "plan.aggregators"


def _key(name: str) -> dict[str, SigningKey]:
    return {name: SigningKey.generate()}


def test_a_round_between_cannot_turn_a_ledger_back(three: Federation, forger: Forger) -> None:
    def heads(size: int) -> dict[str, object]:
        return {"size": size, "root": f"{size:064x}"}

    parties = ["north", "south", "west"]
    first = forger.task(
        parties, None, ledger_heads={"north": None, "south": None, "west": heads(5)}
    )
    between = forger.task(["north", "south"], first, signers=["north"])
    for size, expected in ((4, "task.ledger"), (5, ""), (6, "")):
        named = {"north": None, "south": None, "west": heads(size)}
        task = forger.task(parties, between, ledger_heads=named)
        assert refusal(three.homes["south"], first, task) == expected


def test_a_leader_that_forgets_its_past_gets_no_newcomer(
    three: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newcomer has no memory of the campaign, but the pool shows what the leader signed."""
    invite(three, "First", "south")
    three.settle()
    # The leader's side is a liar's; south, which has a memory, is not in the second round.
    monkeypatch.setattr(State, "last_task", lambda *_: None)
    monkeypatch.setattr(rounds, "check_own_task", lambda *_: None)
    second = invite(three, "Second", "west")
    told = [f for _ in range(3) for one in three.sync(clean=False) for f in one.faults]
    assert "task.campaign" in {fault.code for fault in told}
    assert any("north signed the round" in str(fault) for fault in told)
    assert signed(three.homes["west"]) == []
    assert read_task(three.leader.store, second) is None


def test_a_round_of_strangers_stands_in_nobodys_way(three: Federation, tmp_path: Path) -> None:
    other = Federation(tmp_path / "b", ("eva", "evb"), relays=(), pool=str(three.pool))
    other.open_round(plan("Theirs"))
    first = invite(three, "Ours", "south")
    three.settle()
    assert whole(three, first).round_id == first
