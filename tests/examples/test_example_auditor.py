"""The auditor's script: what it says of a clean pool, of a spoilt one, and of an older copy."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "auditor"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "audit"))

from audit_world import Pool, make_pool  # noqa: E402

from grievance.audit.bundling import make_bundle  # noqa: E402
from grievance.pool.store import open_store  # noqa: E402
from grievance.release import Release, collect, export  # noqa: E402


@pytest.fixture(scope="module")
def script(load_example: Any) -> Any:
    return load_example("auditor")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A finished pool of one round. Not to be changed."""
    return make_pool(tmp_path_factory.mktemp("auditor"))


@pytest.fixture(scope="module")
def release(made: Pool) -> Release:
    return collect(open_store(made.folder), made.task)


@pytest.fixture
def pool(made: Pool, tmp_path: Path) -> Pool:
    return made.copy(tmp_path / "copy")


@pytest.fixture
def run(script: Any, tmp_path: Path) -> Any:
    """Return a function that audits a pool as typed, with heads in one folder."""

    def typed(pool: Pool, *words: str, place: Path | None = None) -> int:
        trust = [word for text in pool.trust for word in ("--trust", text)]
        heads = ["--heads", str(tmp_path / "heads")]
        code: int = script.main([str(place or pool.folder), *trust, *heads, *words])
        return code

    return typed


def test_a_clean_pool(run: Any, pool: Pool, release: Release, tmp_path: Path, capsys: Any) -> None:
    export(release, tmp_path / "results")
    published = tmp_path / "results" / "release.json"
    assert run(pool, "--release", str(published)) == 0
    out = capsys.readouterr().out
    assert ": PASS. Everything in this pool is as it should be." in out
    assert f"{published} says the same, of all 3 statistics." in out
    assert "FAULT" not in out
    # The number it prints is the released one, and the shares beside it add up to it.
    first = min(release.values)
    by_hand = out.partition(f"numbers of {first}:")[2]
    shares = [int(found) for found in re.findall(r"(\d+)  the noisy share of", by_hand)]
    total = int(re.findall(r"(-?\d+)  their sum", by_hand)[0])
    assert total == release.values[first][0]
    modulus = release.task.vdaf.field.MODULUS
    assert f"modulo {modulus}" in by_hand
    assert len(shares) == 2
    assert (sum(shares) - total) % modulus == 0
    # And so is the cost.
    line = re.search(r"    (\w+): (.*) = (\S+), as charged", out)
    assert line
    assert Fraction(line[3]) == release.task.allocations[line[1]].cost.amount
    assert out.count(f"1 entries add up to: trial {release.task.cost.amount}\n") == 2


@pytest.mark.lint
def test_it_does_not_lean_on_what_releases() -> None:
    tree = ast.parse((EXAMPLE / "run.py").read_text("utf-8"))
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    own = {name for name in imported if name.startswith("grievance")}
    assert own == {"grievance.audit", "grievance.cli.output", "grievance.pool.store"}


def test_the_price_is_the_librarys(script: Any, release: Release) -> None:
    """Of every statistic that takes one line, for both kinds of noise, and for no other."""
    from grievance.testing import EXAMPLE_PLAN, make_coalition

    simple = EXAMPLE_PLAN.replace("where =", "# where =").replace("merge =", "# merge =")
    laplace = simple.replace(
        "[privacy]", '[privacy]\nmechanism = "laplace"\nreports_per_worker = 2'
    )
    alone = laplace.replace('mean = "unpaid_hours"\nby = ["region"]', 'mean = "unpaid_hours"')
    found = {}
    for plan in (EXAMPLE_PLAN, simple, laplace, alone):
        task = make_coalition(plan).task
        for name, given in task.allocations.items():
            line = script.price(json.loads(task.data), name, given.cost.kind)
            found[plan, name] = line is not None
            assert line is None or line[1] == given.cost.amount, (plan, name)
    assert [name for (plan, name), is_there in found.items() if is_there] == [
        *("mean_hours", "hours_spread"),
        *("mean_hours", "hours_spread"),
        *("mean_hours", "hours_spread"),
    ]
    assert script.FIELD == release.task.vdaf.field.MODULUS


def test_the_root_is_the_librarys(script: Any) -> None:
    from grievance.crypto.merkle import root

    for number in range(20):
        leaves = [bytes([n]) * n for n in range(number)]
        assert script.merkle_root(leaves) == root(leaves)


def test_without_anchors_nothing_is_kept(script: Any, pool: Pool, tmp_path: Path) -> None:
    assert script.main([str(pool.folder), "--heads", str(tmp_path / "heads")]) == 1
    assert not (tmp_path / "heads").exists()


def test_a_bundle(run: Any, pool: Pool, tmp_path: Path, capsys: Any) -> None:
    for name, without, code in (("whole.zip", False, 0), ("small.zip", True, 3)):
        make_bundle(open_store(pool.folder), tmp_path / name, without_batches=without)
        assert run(pool, place=tmp_path / name) == code
        assert "their sum, modulo" in capsys.readouterr().out


def test_a_noisy_share_that_was_changed(run: Any, pool: Pool, capsys: Any) -> None:
    path = pool.paths.noisy(pool.release_id, "south")
    text = pool.read(path).decode()
    at = text.index('"hours_mean":"') + 14
    pool.write(path, (text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]).encode())
    assert run(pool) == 3  # anybody may have changed it
    out = capsys.readouterr().out
    assert ": INCOMPLETE. " in out
    assert path in out


def test_the_hand_sees_it_too(script: Any, pool: Pool) -> None:
    """The steps by hand, when the audit says that all is well."""
    from grievance.audit import audit_pool

    report = audit_pool(pool.folder, trust=pool.trust)
    path = pool.paths.noisy(pool.release_id, "south")
    pool.write(path, pool.read(path) + b" ")
    pool.charge_again("north", 1, lambda body: body.update(spent={"zcdp": "1/7"}))
    auditor = script.Auditor(open_store(pool.folder), report)
    auditor.attempt("sum", auditor.add_up_all, None)
    auditor.attempt("line", auditor.account, "north")
    assert auditor.faults[0] == f"sum: {path} is not the file that south charged for"
    assert auditor.faults[1].startswith("line: entry 1 says 1/7 is spent, not ")

    def cheaper(body: dict[str, Any]) -> None:
        body["event"]["statistics"]["hours_mean"] = {"zcdp": "1/1000000"}

    pool.charge_again("south", 1, cheaper)
    auditor.attempt("line", auditor.account, "south")
    assert "entry 1 charges 1/1000000 for hours_mean; it costs " in auditor.faults[2]
    pool.write("ledger/south/1.json", b"[]")
    auditor.attempt("line", auditor.account, "south")
    assert auditor.faults[3] == "line: a file it needs does not read"


def test_a_published_number_that_was_changed(
    run: Any, script: Any, pool: Pool, release: Release, tmp_path: Path, capsys: Any
) -> None:
    value = release.to_json()
    value["statistics"][1]["parts"][0]["values"][0] += 1
    published = tmp_path / "release.json"
    published.write_text(json.dumps(value), encoding="utf-8")
    assert run(pool, "--release", str(published)) == 1
    name = value["statistics"][1]["name"]
    said = f"the releases: published otherwise than the noisy shares add up: {name}"
    assert f"FAULT: {said}\n" in capsys.readouterr().out
    published.write_text(json.dumps({"release": "0" * 16}), encoding="utf-8")
    assert run(pool, "--release", str(published)) == 1
    assert "is of no release in this pool" in capsys.readouterr().out


def test_an_older_copy_passes_an_audit_and_not_a_memory(
    run: Any, pool: Pool, tmp_path: Path, capsys: Any
) -> None:
    older = pool.copy(tmp_path / "older").without_ledger()
    assert run(older) == 3  # something has yet to come, and nothing is wrong with that
    assert run(pool) == 0
    kept = (tmp_path / "heads" / "heads.json").read_bytes()
    assert sorted(json.loads(kept)) == ["north", "south"]
    capsys.readouterr()
    assert run(older) == 1
    out = capsys.readouterr().out
    assert "INCOMPLETE" in out
    assert out.count("ROLLED BACK: the head kept from last time has 1 entries") == 2
    assert (tmp_path / "heads" / "heads.json").read_bytes() == kept
    assert run(pool) == 0


def test_another_history_of_the_same_length(run: Any, pool: Pool, capsys: Any) -> None:
    """The owner signs its ledger anew: alone it is consistent, beside the kept head it is not."""
    assert run(pool) == 0
    pool.charge_again("south", 1, lambda body: body["event"].update(noisy_share="0" * 64))
    capsys.readouterr()
    assert run(pool) == 1
    assert "REWRITTEN: the head kept from last time" in capsys.readouterr().out


def test_a_ledger_that_grew(script: Any, pool: Pool) -> None:
    """The head of last time is inside the longer ledger, and the longer head takes its place."""
    from grievance.audit import audit_pool

    report = audit_pool(pool.folder, trust=pool.trust)
    kept = pool.read("ledger/north/1.checkpoint").decode()
    pool.charge_again("north", 2, lambda body: body.update(event={"type": "destroyed"}))
    auditor = script.Auditor(open_store(pool.folder), report)
    assert auditor.head("north", kept) == pool.read("ledger/north/2.checkpoint").decode() != kept


def test_the_one_command(pool: Pool, tmp_path: Path) -> None:
    trust = [word for text in pool.trust for word in ("--trust", text)]
    heads = ["--heads", str(tmp_path / "heads")]
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), str(pool.folder), *trust, *heads],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "2 heads are kept" in ran.stdout
