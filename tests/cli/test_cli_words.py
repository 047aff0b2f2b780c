"""How the command line speaks: help, exit codes, errors with a next step, no tracebacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_shell import Town, type_words

from grievance.cli.app import tree
from grievance.cli.output import counted, exit_code, table
from grievance.errors import (
    GrievanceError,
    LedgerError,
    MappingError,
    PlanError,
    PoolError,
    ReleaseError,
    TrustError,
    UsageError,
)

COMMAND = [sys.executable, "-c", "from grievance.cli import main; main()"]


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in tree().commands.items():
        inner = getattr(command, "commands", None)
        found += [(name,)] if inner is None else [(name, other) for other in inner]
    return found


def test_every_command_of_the_design_is_there() -> None:
    names = {" ".join(words) for words in commands()}
    assert names >= {
        *("init", "admit", "expel", "sync", "status", "seal", "relay", "demo"),
        *("plan new", "plan check", "plan mapping"),
        *("round new", "round join", "round invite", "round close", "round status"),
        *("release propose", "release approve", "release decline"),
        *("release show", "release export", "release schema"),
    }


@pytest.mark.parametrize("words", commands(), ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself(words: tuple[str, ...], flag: str) -> None:
    ran = type_words(*words, flag).done()
    assert ran.out.startswith(f"Usage: grievance {' '.join(words)} ")
    first = ran.out.split("\n\n")[1].strip()
    assert first.endswith(".")


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_that_answer_can_answer_in_json(words: tuple[str, ...]) -> None:
    has_json = "--json" in type_words(*words, "-h").out
    # What these print is JSON anyway, or TOML to edit.
    assert has_json or words in {("demo",), ("plan", "mapping"), ("release", "schema")}


def test_short_helps_are_not_cut() -> None:
    cut = []
    for group in {words[:-1] for words in commands()}:
        listed = type_words(*group, "--help").done().out.split("Commands:")[1]
        cut += [(*group, line.strip()) for line in listed.splitlines() if line.endswith("...")]
    assert not cut, "the first sentence of a command's docstring fits into its list"


def test_exit_codes_are_documented() -> None:
    text = " ".join(type_words("--help").done().out.split())
    for words in (
        "0 done",
        "1 refused or failed",
        "2 typed wrongly",
        "3 waiting for somebody else",
        "130 interrupted",
    ):
        assert words in text


def test_version() -> None:
    assert type_words("--version").done().out.startswith("grievance 0")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("--nonsense",),
        ("status", "--nonsense"),
        ("seal",),
        ("plan",),
        ("plan", "check", "x.toml", "--reports", "0"),
        ("plan", "check", "x.toml", "--reports", "many"),
        ("sync", "--interval", "0.1"),
        (),
    ],
    ids=" ".join,
)
def test_typing_errors_exit_with_2(words: tuple[str, ...]) -> None:
    ran = type_words(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert "Usage: grievance" in ran.err
    assert "Traceback" not in ran.err


def test_typing_errors_are_json_where_json_was_asked_for() -> None:
    ran = type_words("status", "--nonsense", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert json.loads(ran.err)["error"] == "usage"


def test_errors_are_json_where_json_was_asked_for(tmp_path: Path) -> None:
    ran = type_words("status", "--json", home=tmp_path / "nobody")
    assert (ran.code, ran.out) == (2, "")
    found = json.loads(ran.err)
    assert found["error"] == "home.missing"
    assert "grievance init" in found["hint"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GrievanceError("x"), 1),
        (TrustError("x"), 1),
        (LedgerError("x"), 1),
        (UsageError("x"), 2),
        (PlanError("x"), 2),
        (MappingError("x"), 2),
        (UsageError("x", code="usage.declined"), 1),
        (UsageError("x", code="round.waiting"), 3),
        (PoolError("x", code="pool.waiting"), 3),
        (PoolError("x", code="pool.behind"), 3),
        (ReleaseError("x", code="release.waiting"), 3),
        (ReleaseError("x", code="release.early"), 3),
        (ReleaseError("x", code="release.twice"), 1),
    ],
)
def test_exit_codes(error: GrievanceError, code: int) -> None:
    assert exit_code(error) == code


def test_a_disk_that_refuses_is_an_error_in_words(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "plan.toml"
    type_words("plan", "new", str(target)).refused(2, str(target), "No such file")
    (tmp_path / "file").write_text("x")
    type_words("status", home=tmp_path / "file").refused(1, "Not a directory")


def test_our_own_mistakes_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("grievance.plan.new_plan", broken)
    with pytest.raises(ZeroDivisionError):
        type_words("plan", "new", "x.toml")


def test_words_and_data_take_their_own_streams(town: Town) -> None:
    ran = type_words("init", "west", "--pool", str(town.pool), home=town.home("west")).done()
    assert len(ran.out.split()) == 1
    assert "on your web site and posters" in ran.err


def test_control_c_is_clean(town: Town) -> None:
    environment = {**os.environ, "GRIEVANCE_HOME": str(town.home("north"))}
    running = subprocess.Popen(
        [*COMMAND, "sync", "--watch", "--interval", "3600", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    assert running.stdout is not None
    assert "Ctrl-C" in running.stderr.readline()
    assert json.loads(running.stdout.readline())["done"] == []  # it has looked, and sleeps now
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=300)
    assert running.returncode == 130
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err


def test_the_end_of_input_at_a_question_is_an_interruption(opened: Town) -> None:
    ran = opened.seal("--out", str(opened.folder / "my.report"), keyboard="1\n")
    assert ran.code == 130
    assert ran.out == ""
    assert "interrupted" in ran.err
    assert not (opened.folder / "my.report").exists()


def test_whoever_reads_may_leave_early(town: Town) -> None:
    command = f'"{sys.executable}" -c "from grievance.cli import main; main()" plan mapping'
    ran = subprocess.run(
        ["bash", "-c", f'{command} "{town.plan}" | true'],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "Traceback" not in ran.stderr


def test_the_installed_command() -> None:
    ran = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("grievance ")


def test_tables_and_numbers() -> None:
    assert counted(1, "report") == "1 report"
    assert counted(1200, "report") == "1,200 reports"
    assert counted(2, "batch", "batches") == "2 batches"
    assert table(["a", "b"], [["x", "1"], ["yy", "10"]], right=(1,)).splitlines() == [
        "a    b",
        "--  --",
        "x    1",
        "yy  10",
    ]
