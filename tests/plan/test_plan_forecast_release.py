"""The forecast held to what is then released: by simulated noise, and by a whole round."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import sys
from pathlib import Path

import pytest
from strategies import EXAMPLE

from grievance.plan import Layout, Plan, load_plan
from grievance.plan.budget import round_budget
from grievance.planner import forecast
from grievance.planner.expected import reach
from grievance.privacy import Mechanism, NoiseLaw
from grievance.release.page.apart import ask, compare
from grievance.release.page.reading import read_table
from grievance.release.tables import make_tables

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROUNDS = 600


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_a_difference_of_that_size_shows_in_the_report_of_half_of_all_rounds(
    mechanism: Mechanism,
) -> None:
    text = EXAMPLE.split("[fields.problems]")[0].replace("hide_below = 10", "hide_below = 0")
    text = text.replace("hide_below", f'mechanism = "{mechanism}"\nhide_below')
    text += '[fields.late]\nquestion = "Late?"\nchoices = ["yes", "no"]\nrequired = true\n'
    text += '[statistics.late]\ncount = ["late", "region"]\n'
    plan = Plan.from_toml(text)
    found = forecast(plan, 6000)["late"]
    assert found.difference_points is not None
    layout = Layout(plan)
    scale = round_budget(plan, layout).allocations["late"].scale
    law = NoiseLaw(mechanism, scale, 2)
    shown = {1.0: 0, found.difference_surely: 0}
    for times in shown:
        more = round(1000 * times * found.difference_points / 100 / 2)
        # By answer, then by region; London and the North differ.
        exact = [500 + more, 500 - more, *[500] * 4, 500 - more, 500 + more, *[500] * 4]
        noise = law.sample(ROUNDS * 12, f"{mechanism} {times}".encode()).reshape(ROUNDS, 12)
        for drawn in noise.tolist():
            values = {"late": [a + b for a, b in zip(exact, drawn, strict=True)]}
            table = make_tables(layout, values, laws={"late": law}, hide_below=0)["late"]
            reading = read_table(table, plan, layout.statistics["late"])
            assert len(ask(reading)) == found.comparisons == 1 + 15 + 6
            (asked,) = (
                one
                for one in compare(reading)
                if (one.asked.kind, one.asked.first, one.asked.second)
                == ("groups", "London", "North")
            )
            shown[times] += asked.apart
    # Five standard deviations of so many rounds, and a little for Laplace's heavier tails.
    assert shown[1.0] / ROUNDS == pytest.approx(0.5, abs=0.11)
    assert shown[found.difference_surely] / ROUNDS > 0.95 - 0.06


@pytest.mark.slow
def test_a_whole_round_beside_its_forecast(tmp_path: Path, shared: Path) -> None:
    before = list(sys.path)
    try:
        spec = importlib.util.spec_from_file_location("forecast_example", EXAMPLES / "forecast.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        example = module.load("osmi")
    finally:
        sys.path[:] = before
    data = shared / "data" / "osmi_2014.csv"
    rows = example.sample(data, 900, 3, tmp_path / "rows.csv")
    plan = load_plan(example.coalition.plan)
    groups = module.numbers_by_group(plan, rows)
    found = forecast(plan, len(rows), by_group=groups)
    with contextlib.redirect_stdout(io.StringIO()):
        checks, outcome = example.run(
            tmp_path / "rows.csv", example.recount(rows), tmp_path / "round", 1
        )
    for item in found.statistics:
        figures = outcome.release[item.name].cells()
        assert len(figures) == item.cells
        if item.kind == "mean":
            assert reach(figures[0], item.span) == pytest.approx(item.margin_units, rel=0.35)
            continue
        # Noise is known beforehand: to the last digit.
        assert {figure.margin for figure in figures} == {item.margin}
        for figure, cell in zip(figures, item.figures, strict=True):
            assert dict(figure.labels) == dict(cell.labels)
        # Labels that one field alone makes up are expected exactly.
        if item.name == "treatment":
            exact = [cell.expected for cell in item.figures]
            errors = [abs(f.estimate - e) for f, e in zip(figures, exact, strict=True)]
            assert max(errors) < 6 * item.margin / 1.96
    # So few inside by chance: once in 10^9 rounds.
    own = [check for check in checks if check.own_noise]
    outside, number = sum(not check.inside for check in own), len(own)
    chances = (math.comb(number, k) * 0.05**k * 0.95 ** (number - k) for k in range(outside))
    assert 1 - math.fsum(chances) > 1e-9
    assert len(module.lines(found, outcome.release, checks)) == len(found.statistics)
