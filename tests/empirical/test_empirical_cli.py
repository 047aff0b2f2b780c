"""`grievance audit --statistical`, typed for real on a finished pool."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from federation import Federation
from grievance.cli import statistical
from grievance.empirical import NOT_SHOWN, StatisticalResult

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))

from cli_shell import Ran, type_words


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    federation = Federation.opened(tmp_path_factory.mktemp("pool"))
    federation.relay("nurses", federation.seal(12))
    federation.settle()
    federation.release()
    return federation


def audit(federation: Federation, *words: str) -> Ran:
    trust = [
        word
        for entry in federation.task.aggregators
        for word in ("--trust", entry.identity.fingerprint.hex())
    ]
    return type_words("audit", federation.pool, *trust, "--statistical", *words)


@pytest.mark.usefixtures("seldom_by_chance")
def test_a_pass_is_told_in_words(finished: Federation) -> None:
    ran = audit(finished).done()
    assert "Audit of" in ran.out and "PASS" in ran.out
    part = ran.out[ran.out.index("Statistical audit of the noise") :]
    assert "PASS" in part.splitlines()[0] and "!!" not in part
    assert "ok  the noise really drawn: " in part and "overlap in" in part
    for line in NOT_SHOWN:
        assert line in part


def test_a_flag_ends_with_1_and_a_next_step(finished: Federation, monkeypatch) -> None:
    """As if somebody had shifted one of the tables."""
    read = statistical._published

    def shifted(*of: object) -> dict[str, list[int]]:
        first, *others = read(*of).items()
        return {first[0]: [value + 10_000 for value in first[1]], **dict(others)}

    monkeypatch.setattr(statistical, "_published", shifted)
    ran = audit(finished)
    assert ran.code == 1
    assert "FLAGGED" in ran.out and "!!  the noise really drawn: " in ran.out
    assert "reads the same published numbers" in ran.out


@pytest.mark.usefixtures("seldom_by_chance")
def test_json_for_programs(finished: Federation) -> None:
    value = json.loads(audit(finished, "--json").done().out)
    assert value["verdict"] == "pass"
    (one,) = value["statistical"]
    assert (one["round"], one["verdict"]) == (finished.round_id, "pass")
    assert [check["check"] for check in one["checks"]] == ["published"]
    assert one["false_alarm"] == 1e-6
    assert one["not_shown"] == list(NOT_SHOWN)
    assert "statistical" not in json.loads(type_words("audit", finished.pool, "--json").out)


def test_a_round_without_release_shows_no_real_noise(capsys: pytest.CaptureFixture[str]) -> None:
    statistical.show([StatisticalResult("trial-1", (), 0.0)])
    assert "nothing is released yet" in capsys.readouterr().out
