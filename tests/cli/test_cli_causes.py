"""An exception means one thing: Ctrl-D is told from a file that ends, a reader from a pipe."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from cli_shell import Town, type_words
from typer.core import TyperGroup

from grievance.cli import output
from grievance.cli.output import Root
from grievance.errors import PoolError
from grievance.home import Home


def broken_by(error: BaseException) -> Callable[..., None]:
    def fails(*_: object, **__: object) -> None:
        raise error

    return fails


@pytest.fixture
def typers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is off: Typer judges by the type alone."""
    monkeypatch.setattr(Root, "invoke", TyperGroup.invoke)


def test_the_end_of_a_file_is_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Home, "open", broken_by(EOFError("Ran out of input")))
    with pytest.raises(EOFError, match="Ran out of input"):
        type_words("status")


@pytest.mark.usefixtures("typers_own")
def test_by_its_type_alone_it_would_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Home, "open", broken_by(EOFError("Ran out of input")))
    ran = type_words("status")
    assert ran.code == 130
    assert "interrupted" in ran.err


def test_the_end_of_input_at_a_hidden_question_is_one(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"GRIEVANCE_PASSPHRASE": "river stone"}
    pool = ("--pool", str(town.pool))
    town.type("locked", "init", "locked", *pool, env=env).done()
    monkeypatch.setattr("typer._click.termui.hidden_prompt_func", broken_by(EOFError()))
    ran = town.type("locked", "status", keyboard="")
    assert ran.code == 130
    assert "interrupted" in ran.err


def test_a_pipe_that_broke_is_told_while_somebody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
    monkeypatch.setattr(Home, "open", broken_by(broken))
    type_words("status").refused(1, "Broken pipe", "then run the same command again")


@pytest.mark.usefixtures("typers_own")
def test_by_its_type_alone_nothing_would_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
    monkeypatch.setattr(Home, "open", broken_by(broken))
    ran = type_words("status")
    assert (ran.code, ran.out, ran.err) == (1, "", "")


OUTAGE = PoolError("cards: cannot be read now (503)", code="pool.read", hint="run it again")
NO_CARD = PoolError("no card", code="task.field", hint="")


def test_a_pool_that_cannot_be_read_is_not_one_without_rounds(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Home.open(opened.home("south"))
    assert [found.round_id for found in own.invitations()] == [opened.round_id]
    monkeypatch.setattr("grievance.home.read_card", broken_by(OUTAGE))
    with pytest.raises(PoolError, match="503"):
        own.invitations()


def test_a_round_that_does_not_hold_is_passed_over(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: what is wrong in one round's files keeps nobody from the others."""
    monkeypatch.setattr("grievance.home.read_card", broken_by(NO_CARD))
    assert Home.open(opened.home("south")).invitations() == []


MUCH = """
from grievance.cli import app, output
@app.app.command("much")
def much() -> None:
    output.emit("x" * 1_000_000)
app.run(["much"])
"""


def test_whoever_reads_much_may_leave_early() -> None:
    """More than the pipe holds: the write itself fails, and nobody is left to tell."""
    running = subprocess.Popen(
        [sys.executable, "-c", MUCH], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stderr is not None
    os.read(running.stdout.fileno(), 10)
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait(600) == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), "system.memory", "not enough free memory"),
        (OSError(errno.EIO, "Input/output error", "/home/us/x"), "system", "/home/us/x: Input"),
    ],
)
def test_what_the_system_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    monkeypatch.setattr(Home, "open", broken_by(error))
    type_words("status").refused(1, words, "grievance: hint: ")
    assert f'"error": "{code}"' in type_words("status", "--json").err


@pytest.mark.parametrize(
    "error",
    [PoolError("the pool is away"), OSError(errno.EIO, "Input/output error", "/home/us/lock")],
)
def test_watching_goes_on_after_what_may_pass(
    town: Town, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    looks = []

    def sleeps(_seconds: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("grievance.cli.steward.sync_once", broken_by(error))
    monkeypatch.setattr("grievance.cli.steward.time.sleep", sleeps)
    ran = town.type("north", "sync", "--watch")
    assert (ran.code, len(looks)) == (130, 3)
    assert ran.err.count(str(getattr(error, "strerror", None) or error)) == 3


def test_a_spool_is_looked_at_again_after_what_may_pass(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def sleeps(_seconds: float) -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    spool = opened.folder / "spool"
    spool.mkdir()
    broken = OSError(errno.EIO, "Input/output error", "/home/us/spool")
    monkeypatch.setattr("grievance.relay.look", broken_by(broken))
    monkeypatch.setattr("grievance.cli.partner.time.sleep", sleeps)
    words = ("--spool", str(spool), "--watch", "--trust", opened.digest)
    ran = opened.type("nurses", "relay", *words)
    assert (ran.code, len(looks)) == (130, 3)
    assert ran.err.count("/home/us/spool: Input/output error") == 3


def test_watching_ends_with_a_mistake_of_ours(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control for the above: not everything is gone on after."""
    monkeypatch.setattr("grievance.cli.steward.sync_once", broken_by(KeyError("ours")))
    with pytest.raises(KeyError):
        town.type("north", "sync", "--watch")


def test_only_a_reader_that_left_is_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert not output._reader_gone()
        os.close(reading)
        assert output._reader_gone()
        monkeypatch.undo()
