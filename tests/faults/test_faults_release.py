"""Faults D1 to D16: crashes while releasing, and lies about a release or a ledger.

Every test here is short; the same faults are driven everywhere and in all their forms by
tests/crash, tests/aggregator, tests/hostile and tests/audit. Source: docs/faults.md.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import sqlite3
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from release_stage import ROWS, SYNC, codes_in, flat

from grievance import failpoints
from grievance.aggregator import noise
from grievance.cost import Cost
from grievance.crypto.documents import b64decode, b64encode, canonical
from grievance.errors import BudgetExceededError, GrievanceError
from grievance.ledger import read_ledger
from grievance.ledger.checkpoint import sign_checkpoint
from grievance.ledger.versions import parse_versions
from grievance.pool.layout import checkpoint_path, cosignature_path, fork_path, ledger_path
from grievance.pool.noisy import digest_of
from grievance.privacy import BudgetFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from crash_town import Runner
    from release_stage import Stage


# -- crashes and disks -------------------------------------------------------------------------


def test_d1_killed_after_charging_and_before_publishing(
    at: Callable[[str], Stage], runner: Runner
) -> None:
    for count in range(1, 9):
        stage = at("ordered")
        stage.killed(runner, "south", f"state.commit.after:{count}")
        if charged := stage.ledger("south"):
            break
    assert len(charged) == 1
    assert not (stage.pool / "ledger/south").exists()
    share = stage.memory("south")["noisy_shares"]
    stage.finish()
    assert stage.ledger("south") == charged
    assert stage.memory("south")["noisy_shares"] == share


def test_d2_killed_before_the_commit(at: Callable[[str], Stage], runner: Runner) -> None:
    stage = at("ordered")
    stage.killed(runner, "south", "charge.spooled:1")
    assert stage.ledger("south") == []
    assert not (stage.pool / "ledger/south").exists()
    assert not list(stage.pool.glob("rounds/*/releases/*/noisy/*"))
    stage.finish()


def test_d3_killed_while_writing_into_the_pool(at: Callable[[str], Stage], runner: Runner) -> None:
    stage = at("ordered")
    before = stage.files()
    stage.killed(runner, "south", "pool.put.opened:1")
    (left,) = set(stage.files()) - set(before)
    assert Path(left).name.startswith(".")
    assert {path: stage.files()[path] for path in before} == before
    store = stage.federation.leader.store
    assert Path(left).name not in store.names(Path(left).parent.as_posix())
    (said,) = [finding for finding in stage.audit().findings if finding.rule == "file.leftover"]
    assert said.file == left
    stage.finish()


@pytest.mark.parametrize(
    ("point", "code"),
    [("charge.stored:1:full", "state.write"), ("pool.put.written:1:full", "pool.write")],
)
def test_d4_a_full_disk_is_told_and_the_same_command_goes_on(
    at: Callable[[str], Stage], point: str, code: str
) -> None:
    stage, env = at("ordered"), {failpoints.VARIABLE: point}
    ran = stage.type("south", *SYNC, env=env)
    ran.refused(1, "No space left on device", "grievance: hint: free some space", "nothing is half")
    again = stage.back_to("ordered").type("south", *SYNC, "--json", env=env)
    assert codes_in(again) == {code}
    charged = stage.ledger("south")
    assert charged == []
    stage.finish()


def test_d5_two_processes_release_at_once(at: Callable[[str], Stage]) -> None:
    stage = at("ordered")
    with stage.federation.homes["south"].lock():
        stage.refused(
            "south", *SYNC, code="state.busy", says="another command is at work", next_step="wait"
        )
        stage.refused(
            "south",
            *("release", "approve", stage.release_id, "--yes"),
            code="state.busy",
            says="another command is at work",
            next_step="nothing was changed",
        )
    stage.finish()


def test_d6_a_release_asked_for_twice(at: Callable[[str], Stage]) -> None:
    """The numbers are read as often as anybody likes; proposing them again is refused."""
    stage = at("released")
    shown = [stage.type("north", "release", "show", "--json").done().out for _ in range(2)]
    assert shown[0] == shown[1]
    for name in ("north", "south"):
        stage.refused(
            name,
            *("release", "propose", "--yes"),
            code="release.twice",
            says="released once per round",
            next_step="grievance release show",
        )
        with stage.unchanged():
            assert "Nothing to do now" in stage.type(name, *SYNC).done().err


# -- lies about a release ----------------------------------------------------------------------


def test_d7_a_noisy_share_in_two_versions(at: Callable[[str], Stage]) -> None:
    stage = at("released")
    path = stage.federation.paths.noisy(stage.release_id, "south")
    first = (stage.pool / path).read_bytes()

    def other(body: dict[str, Any]) -> None:
        (name,) = body["statistics"]
        body["statistics"][name] = b64encode(bytes(len(b64decode(body["statistics"][name]))))

    second = stage.sign_again(path, "south", other)
    hashes = [digest_of(data).hex() for data in (first, second)]
    ran = stage.refused(
        "north",
        *("release", "show"),
        code="release.share",
        says="is not the noisy share that south charged",
        next_step="keep it as evidence",
    )
    assert all(one in ran.err for one in hashes)
    (found,) = [finding for finding in stage.audit().faults if finding.rule == "release.share"]
    assert found.file == path
    assert all(one in found.message for one in hashes)


def test_d8_a_restored_old_ledger(at: Callable[[str], Stage]) -> None:
    stage = at("released")
    south = stage.federation.homes["south"].root
    shutil.rmtree(south)
    shutil.copytree(stage.snapshots["approved"].copy / "south", south)
    stage.refused(
        "south",
        *SYNC,
        code="ledger.rollback",
        says="this state is older than what we published",
        next_step="grievance recover",
    )
    assert stage.ledger("south") == []


def test_d9_two_heads_of_one_size(at: Callable[[str], Stage]) -> None:
    stage = at("released")
    key = stage.federation.homes["south"].key
    (stage.pool / checkpoint_path("south", 1)).write_bytes(
        sign_checkpoint("south", 1, b"\x01" * 32, key)
    )
    where = fork_path("south", 1, "north")
    ran = stage.type("north", *SYNC)
    ran.refused(1, "south signed two heads of one size")
    assert where in ran.err
    assert "show the file to the other" in flat(ran.err)
    assert "ledger.fork" in codes_in(stage.type("north", *SYNC, "--json"))
    fork = parse_versions((stage.pool / where).read_bytes(), stage.federation.task)
    assert fork.place.path == checkpoint_path("south", 1)
    assert fork.versions[0].says != fork.versions[1].says
    assert where in {finding.file for finding in stage.audit().faults}


def test_d10_a_chain_that_was_edited_in_the_pool(at: Callable[[str], Stage]) -> None:
    """Its owner signs a second entry that follows nothing: whoever reads it stops there."""
    stage = at("destroyed")
    path, key = ledger_path("south", 2), stage.federation.homes["south"].key
    stage.sign_again(path, "south", lambda body: body.update(previous="11" * 32))
    with pytest.raises(GrievanceError) as error:
        read_ledger(stage.federation.leader.store, "south", key.public)
    assert error.value.code == "ledger.chain"
    assert path in str(error.value)
    assert "does not follow the last entry" in str(error.value)
    assert "keep the file as evidence" in str(error.value.hint)
    ran = stage.type("north", *SYNC, "--json")
    assert ran.code == 1
    assert "ledger.chain" in codes_in(ran)
    assert ("ledger.chain", path) in {(f.rule, f.file) for f in stage.audit().faults}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger WHERE size = 2",
        "DELETE FROM ledger WHERE size = 1",
        "UPDATE ledger SET data = (SELECT data FROM ledger WHERE size = 2) WHERE size = 1",
    ],
    ids=["last row deleted", "a gap", "a place used again"],
)
def test_d10_a_chain_that_was_edited_in_our_state(
    at: Callable[[str], Stage], statement: str
) -> None:
    stage = at("destroyed")
    home = stage.federation.homes["north"]
    with contextlib.closing(sqlite3.connect(home.state_path)) as db, db:
        db.execute(statement)
    stage.refused(
        "north",
        *SYNC,
        code="ledger.rollback",
        says="that we do not remember",
        next_step="grievance recover",
    )


def test_d11_a_sum_off_by_the_smallest_part(at: Callable[[str], Stage]) -> None:
    stage = at("ordered")

    def add(body: dict[str, Any]) -> None:
        spent = Fraction(body["spent"]["zcdp"])
        body["spent"] = Cost("zcdp", spent + Fraction(1, 10**30)).to_json()

    stage.sign_again(ledger_path("north", 1), "north", add)
    ran = stage.type("south", *SYNC)
    ran.refused(1, "ledger/north/1.json: its sum is wrong")
    assert "keep the file as evidence and ask north" in flat(ran.err)
    assert f"release {stage.release_id} is not charged" in flat(ran.err)
    assert "nothing was spent, and all else goes on" in flat(ran.err)
    assert {"ledger.sum", "release.peer"} <= codes_in(stage.type("south", *SYNC, "--json"))
    # South does not cosign it, so no noisy share leaves anybody; and it charges nothing for one.
    assert stage.ledger("south") == []
    assert not (stage.pool / cosignature_path("north", 1, "south")).exists()
    assert not list(stage.pool.glob("rounds/*/releases/*/noisy/*"))
    assert "ledger.sum" in {finding.rule for finding in stage.audit().faults}


def test_d12_a_budget_to_the_last_part() -> None:
    def cost(amount: Fraction) -> Cost:
        return Cost("zcdp", amount)

    spent, budget = Fraction(2, 7), Fraction(1, 3)
    left = budget - spent
    filter_ = BudgetFilter(cost(budget), spent=cost(spent))
    with pytest.raises(BudgetExceededError) as error:
        filter_.charge(cost(left * (1 + Fraction(1, 10**12))))
    assert error.value.code == "budget"
    assert f"{cost(left)} of {cost(budget)} is left" in str(error.value)
    assert "start a new campaign" in str(error.value.hint)
    assert filter_.spent == cost(spent)
    filter_.charge(cost(left))
    assert filter_.spent == cost(budget)


def test_d13_aggregators_that_accepted_other_reports(at: Callable[[str], Stage]) -> None:
    stage = at("checked")
    (batch,) = stage.federation.chain().batches

    def refuse_one(body: dict[str, Any]) -> None:
        bits = bytearray(base64.urlsafe_b64decode(body["bits"]))
        bits[0] &= 0xFE
        lie = base64.urlsafe_b64encode(bytes(bits)).decode()
        body.update(bits=lie, accepted=ROWS - 1, root="00" * 32)
        body["refused"] = [[0, "report.proof", -1]]

    stage.sign_again(stage.federation.paths.decide(batch.seq, "south"), "south", refuse_one)
    stage.type("north", "round", "close", "--yes").done()
    ran = stage.refused(
        "north",
        *("release", "propose", "--yes"),
        code="accept.mismatch",
        says="south and north decided differently (1 differences); nothing was charged",
        next_step="compare the versions both sides run",
    )
    assert "row" not in ran.err
    assert stage.ledger("north") == []


def test_d14_an_aggregator_that_is_silent(at: Callable[[str], Stage]) -> None:
    """The leader has charged what was agreed, once; nothing leaves, and status says who is asked.

    There is no date after which a release is dropped: it is resumed under its id.
    """
    stage = at("ordered")
    assert len(stage.ledger("north")) == 1
    with stage.unchanged():
        for _ in range(2):
            stage.type("north", *SYNC).done()
        said = flat(stage.type("north", "status").done().out)
        ran = stage.type("north", "release", "show")
    assert "waits for south" in said
    assert "grievance sync" in said
    assert ran.code == 3
    assert "south has not charged it to its ledger yet" in flat(ran.err)
    assert "grievance status" in ran.err
    ran = stage.type("north", "release", "show", "--json")
    assert json.loads(ran.err)["error"] == "release.waiting"
    assert not list(stage.pool.glob("rounds/*/releases/*/noisy/*"))
    stage.finish()


@pytest.mark.parametrize(("shift", "flagged"), [(-(10**6), True), (3, False)])
def test_d15_a_total_that_cannot_be_true(
    at: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch, shift: int, flagged: bool
) -> None:
    """A dishonest helper shifts a total: gross shifts are flagged, small ones are never seen."""
    stage, real = at("ordered"), noise.add_noise

    def shifted(*args: Any) -> dict[str, tuple[int, ...]]:
        modulus = args[0].vdaf.field.MODULUS
        return {
            name: (*given[:-1], (given[-1] + shift) % modulus)
            for name, given in real(*args).items()
        }

    with monkeypatch.context() as patch:
        patch.setattr(noise, "add_noise", shifted)
        stage.federation.sync("south")
    stage.federation.settle()
    ran = stage.type("north", "release", "show").done()
    told = flat(ran.err)
    assert ("problems_by_region has a total that noise does not explain" in told) == flagged
    assert ("Show release.json to every aggregator" in told) == flagged
    suspect = stage.type("north", "release", "show", "--json").done().json["suspect"]
    assert [one["statistic"] for one in suspect] == ["problems_by_region"] * flagged
    out = stage.federation.folder / "tables"
    written = stage.type("north", "release", "export", str(out)).done()
    assert ("noise does not explain" in written.err) == flagged
    report = stage.audit()
    assert report.verdict == "pass", "no signature proves who is wrong"
    noted = [(one.severity, one.rule) for one in report.findings]
    assert noted == [("note", "release.suspect")] * flagged


def test_d16_a_number_a_share_a_name_that_was_changed(at: Callable[[str], Stage]) -> None:
    stage = at("released")
    folder = stage.federation.folder / "tables"
    stage.type("north", "release", "export", str(folder)).done()
    value = json.loads((folder / "release.json").read_bytes())
    values = value["statistics"][0]["parts"][0]["values"]

    def audited(what: str) -> None:
        words = ("audit", str(stage.pool), "--trust", stage.federation.task.digest.hex())
        (folder / "release.json").write_bytes(canonical(value))
        ran = stage.type("north", *words, "--release", str(folder / "release.json"))
        assert ran.code == 1, (what, ran)
        assert "release.sum" in ran.out or "release.sum" in ran.err, (what, ran)

    values[0] += 1
    audited("one number")
    values[0] -= 1
    at_two = next(i for i in range(1, len(values)) if values[i] != values[0])
    values[0], values[at_two] = values[at_two], values[0]
    audited("two numbers swapped")
    values[0], values[at_two] = values[at_two], values[0]
    # The claim is true again, and one digit of a table beside it is not.
    (folder / "release.json").write_bytes(canonical(value))
    assert stage.type("north", "release", "check", str(folder)).done()
    table = (folder / "tables.csv").read_bytes()
    other = b"1" if table[-3:-2] == b"0" else b"0"
    (folder / "tables.csv").write_bytes(table[:-3] + other + table[-2:])
    ran = stage.type("north", "release", "check", str(folder))
    last = table.count(b"\n")
    assert ran.code == 1 and f"tables.csv, line {last}: " in ran.out, ran
    paths = stage.federation.paths
    north, south = (paths.noisy(stage.release_id, name) for name in ("north", "south"))
    true = (stage.pool / south).read_bytes()
    for data in ((stage.pool / north).read_bytes(), true.replace(b"south", b"north")):
        (stage.pool / south).write_bytes(data)
        stage.refused(
            "north",
            *("release", "show"),
            code="release.share",
            says=f"{south} is not the noisy share",
            next_step="wait for the file to arrive again",
        )
        report = stage.audit()
        assert south in {f.file for f in report.findings if f.severity == "waiting"}
