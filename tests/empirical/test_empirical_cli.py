"""`grievance audit --statistical`, typed for real on a finished pool."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from federation import Federation
from grievance import privacy
from grievance.cli.statistical import show
from grievance.empirical import NOT_SHOWN, Effort, StatisticalResult, run
from grievance.empirical.result import Check

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))

from cli_shell import Ran, type_words


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    federation = Federation(tmp_path_factory.mktemp("pool"))
    federation.open_round()
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.release()
    return federation


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch, seldom_by_chance: None) -> None:
    small = Effort(draws=2000, pair=100, path=20, canaries=100)
    monkeypatch.setattr(run, "Effort", lambda: small)


def audit(federation: Federation, *words: str) -> Ran:
    trust = [
        word
        for entry in federation.task.aggregators
        for word in ("--trust", entry.identity.fingerprint.hex())
    ]
    return type_words("audit", federation.pool, *trust, "--statistical", *words)


@pytest.mark.usefixtures("quickly")
def test_a_pass_is_told_in_words(finished: Federation) -> None:
    ran = audit(finished).done()
    assert "Audit of" in ran.out and "PASS" in ran.out
    part = ran.out[ran.out.index("Statistical audit of the noise") :]
    assert "PASS" in part.splitlines()[0] and "!!" not in part
    for words in ("law, hours_mean", "pair, problems_by_region", "way-out", "canaries"):
        assert words in part
    assert "published" in part and "overlap in" in part
    for line in NOT_SHOWN:
        assert line in part


@pytest.mark.usefixtures("quickly")
def test_a_flag_ends_with_1_and_a_next_step(finished: Federation, monkeypatch) -> None:
    monkeypatch.setattr(privacy, "draw", lambda _mechanism, scales: [0] * len(scales))
    ran = audit(finished)
    assert ran.code == 1
    assert "FLAGGED" in ran.out and "!!  pair" in ran.out and "next: run it again" in ran.out


@pytest.mark.usefixtures("quickly")
def test_json_for_programs(finished: Federation) -> None:
    value = json.loads(audit(finished, "--json").done().out)
    assert value["verdict"] == "pass"
    (one,) = value["statistical"]
    assert (one["round"], one["verdict"]) == (finished.round_id, "pass")
    assert {check["check"] for check in one["checks"]} == {
        "law",
        "pair",
        "way-out",
        "canaries",
        "published",
    }
    assert one["not_shown"] == list(NOT_SHOWN)
    assert "statistical" not in json.loads(type_words("audit", finished.pool, "--json").out)


def test_published_numbers_are_not_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    checks = (
        Check("published", "the noise really drawn", True, "LARGER.", {}),
        Check("way-out", "all statistics together", False, "as stated.", {}),
    )
    report = StatisticalResult("trial-1", checks, 0.0)
    assert report.false_alarm == pytest.approx(3e-6)
    show([report])
    told = capsys.readouterr().out
    assert "reads the same published numbers" in told and "run it again" not in told


def test_a_round_without_release_shows_no_real_noise(capsys: pytest.CaptureFixture[str]) -> None:
    show([StatisticalResult("trial-1", (), 0.0)])
    assert "nothing is released yet" in capsys.readouterr().out
