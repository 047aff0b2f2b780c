"""A rehearsal: one organisation tries a whole round out, and is told everywhere what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import ANSWERS, PLAN, Ran, type_words

LOUD = "REHEARSAL: all aggregators of this round are on one machine. There is NO SPLIT TRUST"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pool").mkdir()
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_init_to_export(place: Path) -> None:
    def type_(*words: str, loud: bool = True, **how: str) -> Ran:
        ran = type_words(*words, home=place / "me", **how).done()  # type: ignore[arg-type]
        assert (LOUD in ran.err + ran.out) == loud, (words, ran)
        if "--json" in words:
            assert ran.json["rehearsal"] is True
        return ran

    type_("init", "me", "--pool", "pool", loud=False)
    type_("round", "new", "plan.toml", "--rehearsal", "--yes", "--json")
    type_("status")
    digest = type_("round", "invite", "round.json").out.strip()
    type_("round", "invite", "again.json", "--json")
    sealing = ("seal", "round.json", "--trust", digest, "--answers", "-")
    for _ in range(3):
        sealed = type_(*sealing, "--json", stdin=ANSWERS)
    worded = type_(*sealing, stdin=ANSWERS)
    assert "nobody there can read it" not in worded.err
    assert sealed.json["file"].endswith(".report")
    relayed = type_("relay", ".")
    assert "Relayed 4 reports" in relayed.err
    assert "not admitted" not in relayed.err
    assert "100 of 100 reports count" in type_("sync").err
    type_("round", "close", "--yes")
    proposed = type_("release", "propose", "--yes")
    assert "the local helper approves" in proposed.err
    assert "published our noisy share" in type_("sync").err
    assert "hours_mean" in type_("release", "show").out
    type_("release", "export", "out")
    type_("release", "export", "out2", "--json")
    assert (place / "out" / "release.json").exists()
    assert "[released]" in type_("status").out


def test_a_rehearsal_asks_for_consent_too(place: Path) -> None:
    type_words("init", "me", "--pool", "pool", home=place / "me").done()
    words = ("round", "new", "plan.toml", "--rehearsal")
    type_words(*words, home=place / "me").refused(2, LOUD, "needs a person's consent")
    assert not (place / "pool" / "rounds").exists()
    type_words(*words, home=place / "me", keyboard="y\n").done()


def test_another_organisation_reads_that_it_is_one(place: Path) -> None:
    type_words("init", "me", "--pool", "pool", home=place / "me").done()
    type_words("init", "nurses", "--pool", "pool", home=place / "nurses").done()
    type_words("round", "new", "plan.toml", "--rehearsal", "--yes", home=place / "me").done()
    assert LOUD in type_words("status", home=place / "nurses").done().out
