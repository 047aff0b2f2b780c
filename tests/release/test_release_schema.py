"""The shipped schema fits real releases of every kind, and refuses what is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from grievance.privacy.laws import NoiseLaw
from grievance.release import release, release_schema

if TYPE_CHECKING:
    from collections.abc import Callable

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")


@pytest.fixture(scope="module")
def written(
    task: Any, exact_values: Callable, noisy: Callable, make_release: Callable, population: Callable
) -> dict[str, Any]:
    values = noisy(task, exact_values(task, population(100, 3)), 4)
    values["contracts"][0] = 10**6  # suspect
    return json.loads(make_release(task, values).to_bytes())


def test_real_releases_follow_it(written: dict[str, Any]) -> None:
    schema = release_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert written["suspect"]
    assert [str(error) for error in validator.iter_errors(written)] == []


def test_a_release_with_laplace_noise_follows_it(
    make_task: Callable, exact_values: Callable, make_release: Callable, population: Callable
) -> None:
    task = make_task(mechanism="laplace")
    found = make_release(task, exact_values(task, population(50, 1)))
    written = json.loads(found.to_bytes())
    assert {"b", "sigma"} & set(written["statistics"][0]) == {"b"}
    validator = jsonschema.Draft202012Validator(release_schema())
    assert [str(error) for error in validator.iter_errors(written)] == []
    # Margins are those of the discrete Laplace.
    cell = found["contracts"].raw.cells()[0]
    scale = task.allocations["contracts"].scale
    assert cell.margin == NoiseLaw("laplace", scale, 2).margin()
    assert found["contracts"].cells()[0].margin < cell.margin
    assert type(found).from_json(written).to_bytes() == found.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(more=1),
        lambda r: r.pop("suspect"),
        lambda r: r.update(format="grievance/3 release"),
        lambda r: r.update(task_digest="ab"),
        lambda r: r["statistics"][0].update(b="7"),
        lambda r: r["statistics"][0].update(extra=0),
        lambda r: r["statistics"][0]["parts"][0]["values"].append(0.5),
        lambda r: r["statistics"][0].update(cost={"zcdp": "1", "pure": "1"}),
        lambda r: r["privacy"].update(epsilon=1.0),
    ],
)
def test_others_do_not(written: dict[str, Any], change: Callable) -> None:
    altered = json.loads(json.dumps(written))
    change(altered)
    assert not jsonschema.Draft202012Validator(release_schema()).is_valid(altered)


def test_its_keys_are_those_that_are_read() -> None:
    schema = release_schema()
    assert sorted(schema["properties"]) == sorted(schema["required"]) == sorted(release._KEYS)
    statistic, part = schema["$defs"]["statistic"], schema["$defs"]["part"]
    assert sorted(statistic["required"]) == sorted(set(release._STATISTIC_KEYS) - {"sigma", "b"})
    assert sorted(part["properties"]) == sorted(release._PART_KEYS)
    assert "Rules of versions" in schema["description"]
