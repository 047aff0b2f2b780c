"""What a steward reads before consent: the noise as written out, and what a round will show."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import PLAN, Town

from grievance.plan import Plan


def test_the_noise_stands_in_the_plan_that_is_published(opened: Town) -> None:
    """Of a first round it is what the plan resolves to; of a later one its campaign's."""
    first = opened.pool / "rounds" / opened.round_id / "plan.toml"
    assert 'mechanism = "gaussian"' in first.read_text("utf-8")
    # Of one table alone Laplace noise would be less.
    one_table = PLAN[: PLAN.index("[fields.problems]")] + '[statistics.who]\ncount = ["region"]\n'
    opened.plan.write_text(one_table, encoding="utf-8")
    later = opened.open("nurses")
    published = opened.pool / "rounds" / later / "plan.toml"
    assert Plan.from_toml(published.read_bytes()).privacy.mechanism == "gaussian"
    opened.plan.write_text(one_table.replace('"trial"', '"another"'), encoding="utf-8")
    other = opened.pool / "rounds" / opened.open("nurses") / "plan.toml"
    assert Plan.from_toml(other.read_bytes()).privacy.mechanism == "laplace"


def test_a_later_plan_of_other_noise_is_refused(opened: Town) -> None:
    opened.plan.write_text(PLAN.replace("[privacy]", '[privacy]\nmechanism = "laplace"'))
    words = (f"--with={opened.named('south')}", "--yes")
    opened.new(*words).refused(1, "has discrete-gaussian noise in all its rounds", "hint: ")


def test_both_stewards_read_how_exact_it_will_be(town: Town) -> None:
    made = town.new(f"--with={town.named('south')}", "--yes").done()
    joined = town.join(made.out.strip(), f"--expect={town.named('north')}", "--yes").done()
    for ran in (made, joined):
        said = " ".join(ran.err.split())
        assert "Noise may move each number by about" in said
        assert "smaller ones say nothing" in said
        assert "people answer, no table says something of every answer" in said
        assert "In the last round" not in said


def test_the_last_round_tells_what_this_one_will_show(
    released: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its noisy numbers are of anybody's round: how many people they say is set here."""
    town = released.copied(tmp_path)
    spread = {"region": {"London": 600, "North": 100, "Wales": 0}}
    monkeypatch.setattr("grievance.planner.people_of", lambda _release: 700)
    monkeypatch.setattr("grievance.planner.groups_of", lambda *_: spread)
    made = town.new(f"--with={town.named('south')}", "--yes").done()
    said = " ".join(made.err.split())
    assert f"In the last round, {released.round_id}, about 700 people answered." in said
    assert "problems_by_region: each number ±" in said
    folder = tmp_path / "results"
    town.type("north", "release", "export", str(folder), "--round", released.round_id).done()
    words = ("plan", "check", str(town.plan), "--last", str(folder / "release.json"), "--json")
    found = town.type("north", *words).done().json
    assert found["reports"] == 700
    assert any("Given: region." in note for note in found["notes"])
    monkeypatch.setattr("grievance.planner.people_of", lambda _release: None)
    town.type("north", *words[:-1]).refused(2, "does not say how many people", "add --reports")
