"""The stage on which demos and examples let several organisations type."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grievance.cli.stage import Stage
from grievance.errors import UsageError


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.init("north", "Union North")
    return made


def test_commands_are_shown_as_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(tmp_path)
    assert len(stage.init("north", "Union North").split("-")) == 5
    stage.title("Next")
    stage.type("north", "status")
    out = capsys.readouterr().out
    assert '$ grievance init north --pool ./pool --display-name "Union North"' in out
    assert "\n# Next\nnorth$ grievance status\n    There is no round" in out
    assert str(stage.folder) not in out


def test_everybody_types_at_home(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIEVANCE_HOME", "elsewhere")
    monkeypatch.setenv("GRIEVANCE_PASSPHRASE", "somebody else's")
    stage.type("north", "status")
    assert os.environ["GRIEVANCE_HOME"] == "elsewhere"
    assert os.environ["GRIEVANCE_PASSPHRASE"] == "somebody else's"


def test_failures_stop_unless_expected(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no organisation"):
        stage.type("south", "status")
    assert "no organisation" not in capsys.readouterr().out
    stage.type("south", "status", may_fail=True)
    assert "grievance: error: there is no organisation at ./south" in capsys.readouterr().out

    def stop(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("grievance.cli.steward.sync_once", stop)
    with pytest.raises(KeyboardInterrupt):
        stage.type("north", "sync")


def test_settling_ends(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.init("south", "Union South")
    capsys.readouterr()
    stage.settle("north", "south")
    assert capsys.readouterr().out.count("grievance sync") == 2
