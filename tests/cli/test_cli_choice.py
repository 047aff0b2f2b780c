"""Several rounds: a command takes the one it can be about, and asks only where several remain."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from cli_shell import Town, type_words

from grievance.cli import choice
from grievance.cli.choice import Seen, finished_line
from grievance.errors import OrderError
from grievance.home import Home

RELEASED, OPEN, INVITED = 0, 1, 2


@pytest.fixture(scope="module")
def three(released: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Town, list[str]]:
    """A round that is released, one that is open, and one to which south is invited.

    Tests may read it, and be refused in it; they must not change it.
    """
    town = released.copied(tmp_path_factory.mktemp("three") / "town")
    found = [town.round_id]
    found.append(town.open("nurses"))
    found.append(town.new(f"--with={town.named('south')}", "--yes").done().out.strip())
    assert len(set(found)) == 3
    return town, found


# What is typed, without --round; by whom; which round it is about. The words end in something
# that stops the command after it has chosen, or change nothing.
WORDS = {
    "relay": ("nurses", ("relay", "no.report"), OPEN),
    "invite": ("north", ("round", "invite", "{plan}"), OPEN),
    "expel": ("north", ("expel", "nobody", "--yes"), OPEN),
    "close": ("north", ("round", "close"), OPEN),
    "void": ("north", ("round", "void", "77", "--yes"), None),
    "order": ("north", ("round", "order", "77"), None),
    "destroy": ("north", ("round", "destroy"), RELEASED),
    "join": ("south", ("round", "join", "trial-"), INVITED),
    "show": ("north", ("release", "show"), RELEASED),
    "export": ("north", ("release", "export", "{plan}"), RELEASED),
    "admit": ("north", ("admit", "nobody"), None),
    "propose": ("north", ("release", "propose"), None),
    "approve": ("south", ("release", "approve"), None),
    "waive": ("north", ("release", "waive"), None),
}


@pytest.mark.parametrize(
    "what", [what for what, (_, _, place) in WORDS.items() if place is not None]
)
def test_each_command_takes_the_round_it_applies_to(
    three: tuple[Town, list[str]], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, rounds = three
    name, words, place = WORDS[what]
    assert place is not None
    chosen: list[str] = []
    real = choice.pick_round
    for module in ("partner", "steward", "rounds", "consent", "repair", "release"):
        monkeypatch.setattr(
            f"grievance.cli.{module}.pick_round",
            lambda *given: chosen.append(real(*given)) or chosen[-1],
        )
    ran = town.type(name, *(word.replace("{plan}", str(town.plan)) for word in words))
    assert chosen == [rounds[place]], ran
    assert "several rounds" not in ran.err


@pytest.mark.parametrize("what", ["void", "order", "propose", "approve", "waive"])
def test_a_command_that_applies_to_none_of_several_says_so(
    three: tuple[Town, list[str]], what: str
) -> None:
    town, rounds = three
    name, words, _ = WORDS[what]
    ran = town.type(name, *words).refused(2, "no round of this pool is at the stage for this")
    for round_id, stage in zip(rounds, ("released", "open", "not signed by all yet"), strict=True):
        assert f"{round_id}: Pressure at work [{stage}]" in ran.err
        assert f"    grievance {shlex.join(words)} --round {round_id}\n" in ran.err


def test_admitting_is_possible_before_a_round_is_signed_so_two_remain(
    three: tuple[Town, list[str]],
) -> None:
    town, rounds = three
    ran = town.type("north", "admit", "nobody", "--yes").refused(2, "several rounds fit")
    assert rounds[RELEASED] not in ran.err
    for place in (OPEN, INVITED):
        assert f"    grievance admit nobody --yes --round {rounds[place]}\n" in ran.err
    # The start of a name is enough, and what was typed for it is not typed twice.
    ran = town.type("north", "admit", "--round", "trial-", "nobody").refused(2, "several")
    assert f"    grievance admit nobody --round {rounds[OPEN]}\n" in ran.err
    ran = town.type("north", "admit", f"--round={rounds[INVITED]}", "nobody")
    assert "nobody in this pool is called nobody" in ran.err


# Two rounds of one stage.


@pytest.fixture(scope="module")
def two(signed: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Town, list[str]]:
    """Two open rounds; tests must not change them."""
    town = signed.copied(tmp_path_factory.mktemp("two") / "town")
    rounds = sorted([town.round_id, town.open("nurses")])
    # Nurses have compared the keys; a digest typed with --trust would name one of the two.
    town.type("nurses", "sync", "--trust", town.digest).done()
    return town, rounds


IN_TWO = {
    "relay": ("nurses", ("relay", "in box/", "--at", "20:00")),
    "invite": ("north", ("round", "invite", "x.json")),
    "admit": ("north", ("admit", "carers:{print}", "--yes")),
    "expel": ("north", ("expel", "nurses", "--yes")),
    "close": ("north", ("round", "close", "--yes")),
}


@pytest.mark.parametrize("what", IN_TWO)
def test_two_of_one_stage_are_asked_about(two: tuple[Town, list[str]], what: str) -> None:
    town, rounds = two
    name, words = IN_TWO[what]
    words = tuple(word.replace("{print}", town.prints["carers"]) for word in words)
    ran = town.type(name, *words).refused(2, "several rounds fit", "hint: ")
    lines = [f"    grievance {shlex.join(words)} --round {round_id}" for round_id in rounds]
    assert [line for line in ran.err.splitlines() if line.startswith("    grievance")] == lines
    for round_id in rounds:
        assert f"    # {round_id}: Pressure at work [open]\n" in ran.err
    # The line, typed as it stands, is no longer asked about.
    again = type_words(*shlex.split(lines[0])[1:], "--help", home=town.home(name)).done()
    assert "Usage: grievance" in again.out


def test_programs_get_a_code_and_the_list(two: tuple[Town, list[str]]) -> None:
    town, rounds = two
    ran = town.type("north", "round", "close", "--yes", "--json")
    assert (ran.code, ran.out) == (2, "")
    told = json.loads(ran.err)
    assert told["error"] == "round.which"
    assert [one["round"] for one in told["rounds"]] == rounds
    assert {one["stage"] for one in told["rounds"]} == {"open"}
    assert {one["title"] for one in told["rounds"]} == {"Pressure at work"}
    assert told["rounds"][0]["line"] == (f"grievance round close --yes --json --round {rounds[0]}")
    # Nobody is asked who asked for JSON, even at a keyboard.
    ran = town.type("north", "round", "close", "--yes", "--json", keyboard="1\n")
    assert json.loads(ran.err)["error"] == "round.which"


def test_a_person_at_a_keyboard_picks_by_number(two: tuple[Town, list[str]]) -> None:
    town, rounds = two
    out = town.folder / "picked.json"
    ran = town.type("north", "round", "invite", str(out), keyboard="3\nx\n2\n").done()
    assert "Several rounds fit:" in ran.err
    assert f"1  {rounds[0]}: Pressure at work [open]" in ran.err
    assert ran.err.count("Please type a number.") == 2
    assert f"Next time: grievance round invite {out} --round {rounds[1]}" in ran.err
    assert out.exists()
    out.unlink()


def test_the_finished_line_keeps_every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, line in {
        ("relay", "a b", "--trust", "X"): "relay 'a b' --trust X --round r-1",
        ("relay", "--round", "r", "x"): "relay x --round r-1",
        ("relay", "--round=r", "x"): "relay x --round r-1",
        ("relay", "--json", "--", "-x.report"): "relay --json --round r-1 -- -x.report",
        ("round", "join", "r", "--yes"): "round join r-1 --yes",
    }.items():
        monkeypatch.setattr("sys.argv", ["grievance", *words])
        token = choice.typed.set(None)
        try:
            assert finished_line("r-1", "r") == f"grievance {line}"
        finally:
            choice.typed.reset(token)


def test_control_a_choice_that_looks_at_no_stage_asks_where_it_need_not(
    three: tuple[Town, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would see if commands did not say which rounds they apply to."""
    town, _ = three
    monkeypatch.setattr("grievance.cli.rounds.is_led_and_open", lambda _seen: True)
    town.type("north", "round", "close").refused(2, "several rounds fit")


def test_a_round_whose_events_do_not_hold_is_no_choice(
    three: tuple[Town, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, rounds = three

    def broken(_store: object, _task: object) -> None:
        raise OrderError("the leader signed nonsense")

    own = Home.open(town.home("north"))
    seen = Seen(own.store, own, rounds[OPEN])
    monkeypatch.setattr("grievance.pool.order.read_chain", broken)
    assert (seen.chain, seen.is_open, seen.stage) == (None, False, "its events do not hold")


def test_a_release_is_read_in_its_own_round(released: Town, tmp_path: Path) -> None:
    """Two released rounds: the release's own name says which is meant; without it, it asks."""
    town = released.copied(tmp_path)
    first = town.type("south", "release", "show", "--json").done().json
    releases = {first["round"]: first["release"]}
    round_id = town.open("nurses")
    town.bundle.write_bytes((town.folder / f"{round_id}.json").read_bytes())
    town.collect()
    releases[round_id] = town.release()
    for round_id, release in releases.items():
        shown = town.type("south", "release", "show", release, "--json").done().json
        assert shown["round"] == round_id
    town.type("south", "release", "show").refused(2, "several rounds fit")
