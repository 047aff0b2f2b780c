"""Every Python block of README and docs runs, in a folder that holds what the page says."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tomllib
from datetime import date
from pathlib import Path

import pytest
from docs_world import DOCS, PROJECT, TOKEN, Block, blocks

from federation import Federation
from grievance.plan import Plan, new_plan
from grievance.plan.template import Shape
from grievance.release import export
from grievance.task import bundle, load_task

PYTHON = [b for b in blocks("python", "py") if b.page.parent != DOCS / "audit"]
# These need evidence against somebody, and run where there is some.
ELSEWHERE = {"file.twice.md", "ledger.fork.md"}
PEOPLE = [
    {"region": "London", "problems": ["targets"], "unpaid_hours": "4.5"},
    {"region": "North", "problems": ["bullying", "caseload"], "unpaid_hours": "0"},
    {"region": "London", "problems": ["targets", "bullying"], "unpaid_hours": "12"},
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """round.json, plan.toml, a pool with a finished round of the template's plan, its results."""
    folder = tmp_path_factory.mktemp("snippets")
    days = {"opens": date(2026, 10, 1), "closes": date(2026, 12, 20)}
    shape = Shape(6, ("problems", "unpaid_hours", "unpaid_hours_spread"))
    plan = new_plan("Our first round", "first", **days, shape=shape).encode()
    town = Federation(folder, ("health-union", "law-centre"), ("nurses",))
    task = town.open_round(plan)
    for person in PEOPLE:
        town.relay("nurses", town.seal(20, person))
    town.settle()
    signatures = [town.file(town.paths.signature(n)).read_bytes() for n in town.aggregators]
    shown = folder / "shown"
    shown.mkdir()
    (shown / "round.json").write_bytes(bundle(task, signatures))
    (shown / "plan.toml").write_bytes(plan)
    export(town.release(), shown / "results")
    shutil.copytree(folder / "pool", shown / "pool")
    return shown


@pytest.mark.parametrize("block", PYTHON, ids=lambda b: b.where)
def test_a_snippet_runs(
    block: Block, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(here)
    digest = _digest(here)
    zeros = "0000-0000-0000-0000-0000"
    text = TOKEN.sub(lambda m: m[0] if m[0] == zeros else digest, block.text)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile("\n" * block.line + text, str(block.page), "exec"), {"__name__": "page"})
    if "print(" in block.text:
        assert said.getvalue().strip()


def _digest(folder: Path) -> str:
    document = json.loads((folder / "round.json").read_bytes())
    names = [entry["identity"] for entry in document["task"]["aggregators"]]
    assert len(names) == 2
    from grievance.crypto.documents import b64decode
    from grievance.crypto.signing import VerifyingKey

    prints = [VerifyingKey(b64decode(name)).fingerprint.hex() for name in names]
    return load_task(folder / "round.json", trust=prints).short_digest


@pytest.mark.lint
def test_no_snippet_is_left_out() -> None:
    assert len(PYTHON) >= 11
    other = [b for b in blocks("python", "py") if b.page.parent == DOCS / "audit"]
    assert {b.page.name for b in other} == ELSEWHERE
    tests = (PROJECT / "tests/hostile/test_two_faces.py").read_text(encoding="utf-8")
    assert all(f'run_snippet("{name}"' in tests for name in ELSEWHERE)


@pytest.mark.lint
def test_every_other_block_is_of_a_language_that_is_checked() -> None:
    known = {"python", "py", "console", "text", "bash", "sh", "", "toml", "json"}
    every = blocks(*known)
    assert {b.language for b in blocks_of_any_language()} <= known
    assert len(every) > 40


def blocks_of_any_language() -> list[Block]:
    from docs_world import pages, steps

    return [s for page in pages() for s in steps(page) if isinstance(s, Block)]


@pytest.mark.lint
@pytest.mark.parametrize("block", blocks("toml"), ids=lambda b: b.where)
def test_toml_reads(block: Block) -> None:
    value = tomllib.loads(block.text)
    if "statistics" in value and "fields" in value:
        Plan.from_toml(block.text)


@pytest.mark.lint
@pytest.mark.parametrize("block", blocks("json"), ids=lambda b: b.where)
def test_json_reads(block: Block) -> None:
    json.loads(block.text)
