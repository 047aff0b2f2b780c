"""The failpoints themselves: declared, placed once each, and nothing without the variable."""

from __future__ import annotations

import ast
import errno
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import grievance
from grievance import failpoints
from grievance.errors import UsageError
from grievance.failpoints import LABELS, VARIABLE, failpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(grievance.__file__).parent


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint":
            yield node


def label_of(call: ast.Call) -> str:
    (argument,) = call.args
    assert isinstance(argument, ast.Constant)
    assert isinstance(argument.value, str)
    return argument.value


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.lint
def test_each_declared_label_occurs_once_and_each_occurrence_is_declared() -> None:
    found = Counter(label_of(call) for _, tree in trees() for call in calls(tree))
    assert found == Counter(dict.fromkeys(LABELS, 1))


@pytest.mark.lint
def test_no_failpoint_lies_where_an_os_error_is_ignored() -> None:
    """Else the variable could skip what stands behind it instead of making it fail."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.With):
                swallowed = [ast.unparse(i.context_expr) for i in node.items]
                if any("suppress" in text and "OSError" in text for text in swallowed):
                    assert not list(calls(node)), (path, node.lineno)
            if isinstance(node, ast.Try):
                for handler in node.handlers:
                    caught = ast.unparse(handler.type) if handler.type else ""
                    if ("OSError" in caught or not caught) and any(
                        list(calls(statement)) for statement in node.body
                    ):
                        ends = handler.body[-1]
                        assert isinstance(ends, ast.Raise), (path, handler.lineno)


def test_nothing_happens_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(failpoints, "_reach", None)
    for label in LABELS:
        failpoint(label)


@pytest.mark.parametrize(
    ("action", "number"), [("full", errno.ENOSPC), ("io", errno.EIO)], ids=["full", "io"]
)
def test_a_disk_fails_at_the_third_time(
    monkeypatch: pytest.MonkeyPatch, action: str, number: int
) -> None:
    monkeypatch.setattr(failpoints, "_reached", Counter())
    monkeypatch.setenv(VARIABLE, f"key.done:3:{action}")
    failpoint("key.done")
    failpoint("key.begin")
    failpoint("key.done")
    with pytest.raises(OSError) as caught:  # noqa: PT011
        failpoint("key.done")
    assert caught.value.errno == number
    failpoint("key.done")


@pytest.mark.parametrize(
    "text",
    [
        *("", "key.done", "key.done:1", "key.done:1:", "key.done:0:kill", "key.done:-1:kill"),
        *("key.done:one:io", "no.such.label:1:kill", "key.done:1:skip", "key.done:1:kill:more"),
    ],
)
def test_a_variable_that_does_not_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError) as caught:
        failpoint("key.done")
    assert caught.value.code == "failpoint"
    assert VARIABLE in (caught.value.hint or "")


def test_kill_means_kill_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The command as installed, with the variable in its environment."""
    (tmp_path / "pool").mkdir()
    ended = subprocess.run(
        [
            *(sys.executable, "-c", "from grievance.cli import main; main()"),
            *("init", "north", "--pool", tmp_path / "pool"),
        ],
        env={"GRIEVANCE_HOME": str(tmp_path / "north"), VARIABLE: "key.linked:1:kill"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "north" / "identity.pem").exists()
    assert not (tmp_path / "north" / "organisation.json").exists()
