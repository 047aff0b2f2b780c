"""The base installs without kernels, tables and noise: what runs there, and what says why not."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typed_everything
from cli_shell import type_words
from packaging.requirements import Requirement

from grievance import extras
from grievance.cli import needs, output
from grievance.cli.app import app
from grievance.errors import GrievanceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typed_everything import Typed

PROJECT = Path(__file__).resolve().parents[2]
STEWARD = ",".join(extras.PACKAGES["steward"])
COMMANDS = {name for name, _ in needs.commands(app)}


class World:
    """The moments on disk, and what can be typed in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases = typed_everything.make(folder)

    def play(
        self, cases: Sequence[Typed], *options: str, python: str | Path = sys.executable
    ) -> list[dict[str, Any]]:
        """Type commands with another interpreter, or with packages that it does not find."""
        numbers = [str(self.cases.index(case)) for case in cases]
        script = [str(python), typed_everything.__file__, *options, str(self.folder), *numbers]
        ran = subprocess.run(script, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return list(json.loads(ran.stdout))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("moments"))


def check(case: Typed, ended: dict[str, Any]) -> None:
    """Where the base alone is installed: done as usual, or refused with nothing changed."""
    if not case.steward:
        wanted = case.code if case.in_base is None else case.in_base
        assert ended["code"] == wanted, (case.name, ended["said"])
        return
    assert ended["code"] == 1, (case.name, ended["said"])
    assert "needs more than is installed here: numba, opendp, pyarrow" in ended["said"], case.name
    assert line_of(ended["said"]).endswith("-m pip install 'grievance[steward]'"), case.name
    assert not ended["changed"], case.name


def line_of(said: str) -> str:
    return said.rstrip().splitlines()[-1].strip()


# The table, and what is declared.


def test_every_command_is_typed_here_and_those_of_the_table_are_refused(world: World) -> None:
    assert {case.command for case in world.cases} == COMMANDS
    assert {case.command for case in world.cases if case.steward} == set(needs.STEWARD)


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {
        extra: tuple(Requirement(line).name for line in lines)
        for extra, lines in project["optional-dependencies"].items()
    }
    base = {Requirement(line).name for line in project["dependencies"]}
    for extra, packages in extras.PACKAGES.items():
        assert wanted[extra] == packages
        assert not base & set(packages)
    assert "numpy" in base
    for_tests = map(Requirement, project["optional-dependencies"]["test"])
    assert any(one.name == "grievance" and "steward" in one.extras for one in for_tests)


# Packages that are not found.


def test_without_the_extra_commands_work_or_say_what_to_type(world: World) -> None:
    for case, ended in zip(world.cases, world.play(world.cases, "--block", STEWARD), strict=True):
        check(case, ended)


def test_without_the_look_at_the_start_they_would_end_in_a_traceback(world: World) -> None:
    wanted = {"release export", "seal", "sync"}
    cases = [case for case in world.cases if case.steward and case.command in wanted]
    said = [end["said"] for end in world.play(cases, "--block", STEWARD, "--unguarded")]
    assert any(text.startswith("ModuleNotFoundError") for text in said), said


def test_sealing_and_auditing_need_no_numpy(world: World) -> None:
    wanted = {"seal", "audit", "counted"}
    cases = [
        case
        for case in world.cases
        if case.command in wanted and not case.steward and "--statistical" not in case.words
    ]
    for case, ended in zip(cases, world.play(cases, "--block", f"{STEWARD},numpy"), strict=True):
        check(case, ended)


@pytest.mark.parametrize("name", sorted(set(needs.STEWARD) - {"sync"}))
def test_nothing_is_read_before(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the home, the plan or the round that are named, which are not there."""
    monkeypatch.setitem(extras.PACKAGES, "steward", ("nosuchpackage",))
    nowhere = str(tmp_path / "nowhere")
    words = {
        "admit": ["carers"],
        "release export": [nowhere],
        "round consent": ["trial-00000000"],
        "round join": ["trial-00000000"],
        "round new": [nowhere],
        "round order": ["1"],
        "round void": ["1"],
        "seal": [nowhere, "--table", nowhere],
    }.get(name, [])
    ran = type_words(*name.split(), *words, home=tmp_path / "no home")
    ran.refused(1, f"`grievance {name}", "needs more than is installed here: nosuchpackage")
    as_json = type_words(*name.split(), *words, "--json", home=tmp_path / "no home")
    if name != "demo":  # which takes no --json
        assert json.loads(as_json.err)["error"] == "install.extra"
    assert not list(tmp_path.iterdir())


# The line to type.


def test_the_line_is_for_this_interpreter_and_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/our tools/bin/python")
    line = "'/opt/our tools/bin/python' -m pip install 'grievance[s3]'"
    assert extras.install_line("grievance[s3]") == line
    monkeypatch.setitem(sys.modules, "pip", None)
    line = "uv pip install --python '/opt/our tools/bin/python' 'grievance[s3]'"
    assert extras.install_line("grievance[s3]") == line


def test_the_line_stays_whole_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(extras.PACKAGES, "steward", ("nosuchpackage",))
    monkeypatch.setattr(output, "say", lambda text: print(output._broken(text), file=sys.stderr))
    monkeypatch.setattr(sys, "executable", "/srv/" + "a long way/" * 12 + "python")
    with pytest.raises(GrievanceError) as refused:
        extras.require("steward", "`grievance sync`")
    output.tell(refused.value)
    line = extras.install_line("grievance[steward]")
    assert f"    {line}" in capsys.readouterr().err.splitlines()


# A real environment, made from a wheel.


def run(*words: str | Path) -> str:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_a_base_from_a_wheel_and_the_line_typed_there(world: World, tmp_path: Path) -> None:
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, PROJECT)
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", *tmp_path.glob("*.whl"))
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    assert not {path.name for path in packages.iterdir()} & set(extras.PACKAGES["steward"])
    size = run("du", "-sk", "--exclude=pip", "--exclude=pip-*", packages).split()[0]
    assert int(size) <= 170 * 1024, f"{int(size) // 1024} MB"
    endings = world.play(world.cases, python=python)
    for case, ended in zip(world.cases, endings, strict=True):
        check(case, ended)
    refused = [case for case in world.cases if case.steward]
    lines = {line_of(endings[world.cases.index(case)]["said"]) for case in refused}
    assert len(lines) == 1
    subprocess.run(lines.pop(), shell=True, check=True, capture_output=True)
    for case, ended in zip(refused, world.play(refused, python=python), strict=True):
        assert ended["code"] == case.code, (case.name, ended["said"])
