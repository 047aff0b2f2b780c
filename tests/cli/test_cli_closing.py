"""Closing a round: who has passed on what, whether that is enough, and what came too late."""

from __future__ import annotations

import json

from cli_shell import PLAN, Town

from grievance.aggregator import Office
from grievance.home import Home
from grievance.pool.events import Void


def demanding(town: Town, minimum: int) -> Town:
    """A town whose plan asks for so many reports, with a round in which a hundred were checked."""
    town.plan.write_text(PLAN.replace("minimum_reports = 10", f"minimum_reports = {minimum}"))
    town.open("nurses")
    town.collect()
    return town


def test_closing_shows_who_has_passed_on_what(collected: Town) -> None:
    town = collected
    town.type("north", "admit", town.named("carers")).done()
    assert "no batch so far from: carers" in town.type("north", "status").done().out
    asked = town.type("north", "round", "close", keyboard="n\n")
    assert asked.code == 1
    lines = asked.err.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("partner"))
    assert lines[header].split() == ["partner", "batches", "reports", "last"]
    assert lines[header + 2].split()[:3] == ["nurses", "1", "100"]
    assert len(lines[header + 2].split()) == 5, "with the day and the hour"
    assert lines[header + 3].split() == ["carers", "0", "0", "-"]
    assert "carers has passed nothing on. Call them first." in asked.err
    assert "100 sealed reports accepted; the plan asks for 10 before anything is" in asked.err
    assert "that is enough" in asked.err
    closed = town.type("north", "round", "close", "--yes", "--json").done().json
    assert (closed["minimum"], closed["minimum_met"], closed["silent"]) == (10, True, ["carers"])
    assert (closed["accepted"], closed["waiting"]) == (100, 0)
    assert [(r["partner"], r["batches"], r["rows"]) for r in closed["relays"]] == [
        ("nurses", 1, 100),
        ("carers", 0, 0),
    ]
    assert closed["relays"][0]["last"].startswith("20")
    assert closed["relays"][1]["last"] is None


def test_a_round_that_cannot_be_released_says_so_before_and_after(town: Town) -> None:
    demanding(town, 101)
    asked = town.type("north", "round", "close", keyboard="n\n")
    assert "Closed now, it can never be released." in asked.err
    status = town.type("north", "status").done().out
    assert "[open]" in status
    assert "released" not in status, "as long as it is open, more may come"
    closed = town.type("north", "round", "close", "--yes").done()
    assert "It can never be released: 100 sealed reports at most count" in closed.err
    assert "release propose" not in closed.err
    town.settle()
    for name in ("north", "south"):
        shown = town.type(name, "status").done().out
        assert "[closed, cannot be released]" in shown
        assert "100 sealed reports at most count, cover included, and the plan asks" in shown
        assert f"next: grievance round destroy --round {town.round_id}" in shown
        assert "release propose" not in shown
    (line,) = town.type("south", "status", "--json").done().json
    assert line["stage"] == "decided"
    assert "asks for 101" in line["cannot_be_released"]


def test_control_a_round_that_can_be_released(town: Town) -> None:
    demanding(town, 100)
    town.close()
    assert "[decided]" in town.type("north", "status").done().out
    (line,) = town.type("north", "status", "--json").done().json
    assert line["cannot_be_released"] is None
    # Until one of the others has destroyed its keys.
    town.type("south", "round", "destroy", "--yes").done()
    shown = town.type("north", "status").done().out
    assert "[closed, cannot be released]" in shown
    assert "it can never be released: south has destroyed its keys of it" in shown


def test_what_came_after_the_close_is_told_at_the_relay(collected: Town) -> None:
    town = collected
    inbox = town.fill(3)
    town.type("nurses", "relay", str(inbox)).done()
    waits = town.type("nurses", "status").done().out
    assert "1 batch of ours waits for its place; north types: grievance sync" in waits
    (late,) = set(town.pool.rglob("batches/nurses-*")) - {
        town.pool / "rounds" / town.round_id / "batches" / name for name in placed(town)
    }
    # The folder brings it a little too late.
    away = town.folder / "away"
    late.rename(away)
    town.close()
    away.rename(late)
    town.settle()
    shown = town.type("nurses", "status").done().out
    assert "100 sealed reports of ours, cover included, in 1 batch have their place" in shown
    assert (
        "1 batch of ours came after the close: 100 sealed reports, cover included, are not" in shown
    )
    (line,) = town.type("nurses", "status", "--json").done().json
    assert (line["batches"], line["waiting"], line["late"], line["late_rows"]) == (1, 0, 1, 100)
    refused = town.type("nurses", "relay", str(inbox)).refused(1, "takes no more reports")
    assert "`grievance status` says what of ours came too late" in refused.err


def placed(town: Town) -> list[str]:
    """File names of the batches that have their place."""
    found = []
    for path in (town.pool / "rounds" / town.round_id / "order").iterdir():
        event = json.loads(path.read_text())["body"]["event"]
        if event["type"] == "batch":
            found.append(f"{event['partner']}-{event['batch']}")
    return found


def test_a_batch_that_was_given_up_comes_back_by_order_alone(opened: Town) -> None:
    town = opened
    town.type("nurses", "relay", str(town.fill(3)), "--trust", town.digest).done()
    town.type("north", "sync").done()
    order = town.pool / "rounds" / town.round_id / "order"
    place = len(list(order.iterdir()))
    town.type("north", "round", "order", str(place)).refused(2, "was not given up")
    with Office.open(Home.open(town.home("north"))) as office:
        # As where an earlier batch is missing, so that the leader has not checked this one.
        _, chain = office.open_bench(town.round_id)
        office.order(chain, Void(place))
        office.publish()
    town.settle()
    assert len(list(order.iterdir())) == place + 1, "it lies there, and gets no place by itself"
    again = f"grievance round order {place}"
    assert f"batch {place} was given up; if it has arrived: {again}" in (
        town.type("north", "status").done().out
    )
    nurses = town.type("nurses", "status").done().out
    assert f"batch {place} of ours was given up; if its file has arrived, north types: {again}" in (
        nurses
    )
    ran = town.type("north", "round", "order", str(place), "--json").done().json
    assert ran == {"round": town.round_id, "was": place, "batch": place + 2}
    town.type("north", "round", "order", str(place)).refused(2, "has a new place already")
    assert "given up" not in town.type("nurses", "status").done().out
    town.settle()
    assert town.type("south", "status", "--json").done().json[0]["accepted"] == 100
    town.type("south", "round", "order", str(place)).refused(2, "does not lead")
    town.close()
    town.type("north", "round", "order", str(place)).refused(1, "is closed")
