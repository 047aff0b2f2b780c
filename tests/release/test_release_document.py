"""release.json: complete, canonical, without floats, and refused when altered."""

from __future__ import annotations

import copy
import hashlib
import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from grievance.cost import Cost
from grievance.crypto.documents import canonical
from grievance.errors import ReleaseError
from grievance.plan import Plan
from grievance.release import Release, document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from grievance.task import Task


@pytest.fixture(scope="module")
def release(
    task: Task,
    exact_values: Callable,
    noisy: Callable,
    make_release: Callable,
    population: Callable,
) -> Release:
    return make_release(task, noisy(task, exact_values(task, population(200, 3)), 4))


def leaves(value: object, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """Yield every leaf of a JSON value with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*path, at))
    else:
        yield path, value


def changed(obj: Any, path: tuple, value: object) -> Any:
    altered = copy.deepcopy(obj)
    at = altered
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return altered


def test_round_trip(release: Release, task: Task, tmp_path: Path) -> None:
    data = release.to_bytes()
    path = tmp_path / "release.json"
    path.write_bytes(data)
    for again in (
        Release.load(path),
        Release.load(path, task),
        Release.from_json(json.loads(data), task),
    ):
        assert again.to_bytes() == data
        assert again.values == release.values
        assert [repr(table) for table in again] == [repr(table) for table in release]


def test_no_float_anywhere(release: Release) -> None:
    kinds = {type(value) for _, value in leaves(release.to_json())}
    assert kinds <= {str, int, bool, type(None)}


def test_what_is_in_it(release: Release, task: Task) -> None:
    found = release.to_json()
    assert hashlib.sha256(canonical(found["task"])).hexdigest() == found["task_digest"]
    assert found["task_digest"] == task.digest.hex()
    assert Plan.from_json(found["task"]["plan"]) == task.plan
    assert found["accepted"] == 1000
    assert [entry["name"] for entry in found["aggregators"]] == ["org-0", "org-1"]
    statistics = {entry["name"]: entry for entry in found["statistics"]}
    assert list(statistics) == list(task.layout.statistics) == list(release.names)
    for name, given in task.allocations.items():
        entry = statistics[name]
        assert Fraction(entry["sigma"]) == given.scale
        assert Cost.from_json(entry["cost"]) == given.cost
        values = [value for part in entry["parts"] for value in part["values"]]
        assert tuple(values) == release.values[name]
    implied = statistics["regions"]
    assert implied["implied_by"] == "problems_by_region"
    assert implied["cost"] is None
    privacy = found["privacy"]
    assert Cost.from_json(privacy["cost"]) == Cost.from_json(privacy["round_cost"]) == task.cost
    assert Cost.from_json(privacy["round_cost_blanked"]) < task.cost
    words = " ".join(privacy["statement"])
    assert "epsilon 1 and delta 0.000001" in words
    assert "all aggregators in league" in words
    assert found["vdaf"] == {"draft": "draft-irtf-cfrg-vdaf-20", "wire_version": 18}


def test_part_of_the_statistics(task: Task, release: Release, make_release: Callable) -> None:
    some = make_release(task, {"problems_by_region": release.values["problems_by_region"]})
    assert some.names == ("regions", "problems_by_region", "problems")
    assert Release.from_json(some.to_json()).names == some.names
    cost = Cost.from_json(some.to_json()["privacy"]["cost"])
    assert cost == task.allocations["problems_by_region"].cost < task.cost


@pytest.mark.parametrize("wanted", range(12))
def test_every_altered_leaf_is_refused_or_is_a_raw_integer(release: Release, wanted: int) -> None:
    """Walk all leaves (a twelfth each): only noisy integers and free facts may change."""
    obj = release.to_json()
    free = {("accepted",), ("accepted_root",), ("release",)}
    charged = {at for at, entry in enumerate(obj["statistics"]) if entry["implied_by"] is None}
    # Values that an implied table is read off cannot change without it.
    sources = {entry["implied_by"] for entry in obj["statistics"]}
    for number, (path, value) in enumerate(leaves(obj)):
        if number % 12 != wanted or path[0] == "task":
            continue
        other = value + 1 if type(value) is int else f"{value}0"
        if isinstance(value, bool):
            other = not value
        raw = path[0] == "statistics" and path[-2] == "values" and path[1] in charged
        if raw and obj["statistics"][path[1]]["name"] not in sources:
            assert Release.from_json(changed(obj, path, other)) is not None
        elif path == ("library",) or path in free or path[0] == "noisy_shares":
            continue
        else:
            with pytest.raises(ReleaseError):
                Release.from_json(changed(obj, path, other))


def test_an_altered_task_is_refused(release: Release, task: Task, make_task: Callable) -> None:
    obj = release.to_json()
    for path, value in (
        (("task", "rehearsal"), True),
        (("task", "round"), "two"),
        (("task", "plan", "privacy", "epsilon"), "2"),
        (("task", "privacy", "statistics", "contracts", "sigma"), "1"),
        (("task", "plan", "title"), "Another"),
    ):
        with pytest.raises(ReleaseError):
            Release.from_json(changed(obj, path, value))
    # Consistently altered, it is another task, with another digest: seen when one is expected.
    other = make_task(shares=3)
    with pytest.raises(ReleaseError, match="another task"):
        Release.from_json(obj, other)


@pytest.mark.parametrize(
    "obj",
    [None, [], {}, "release", {"format": "grievance/2 release"}, {"format": 1}],
)
def test_no_release_at_all(obj: object) -> None:
    with pytest.raises(ReleaseError):
        Release.from_json(obj)


def test_altered_shapes(release: Release) -> None:
    obj = release.to_json()
    extra = obj | {"more": 1}
    less = {key: obj[key] for key in obj if key != "suspect"}
    reordered = changed(obj, ("statistics",), obj["statistics"][::-1])
    dropped = changed(obj, ("statistics",), obj["statistics"][1:])
    twice = changed(obj, ("statistics",), [*obj["statistics"], obj["statistics"][0]])
    implied_gone = changed(
        obj, ("statistics",), [e for e in obj["statistics"] if e["name"] != "regions"]
    )
    empty = changed(obj, ("statistics", 0, "parts", 0, "values"), [])
    boolean = changed(obj, ("statistics", 0, "parts", 0, "values", 0), True)
    huge = changed(obj, ("statistics", 0, "parts", 0, "values", 0), 2**60)
    floating = changed(obj, ("statistics", 0, "parts", 0, "values", 0), 1.0)
    for bad in (extra, less, reordered, twice, implied_gone, empty, boolean, huge, floating):
        with pytest.raises(ReleaseError):
            Release.from_json(bad)
    # A statistic left out whole is another release of the same round, except that its cost shows.
    with pytest.raises(ReleaseError, match="privacy"):
        Release.from_json(dropped)


def test_other_library_versions_may_use_other_words(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = release.to_json()
    obj["privacy"]["statement"] = ["Other words."]
    with pytest.raises(ReleaseError, match="privacy"):
        Release.from_json(obj)
    obj["library"] = "0.0.1"
    assert Release.from_json(obj).statement == release.statement
    obj["privacy"]["statement"] = "Other words."
    with pytest.raises(ReleaseError, match="privacy"):
        Release.from_json(obj)
    obj["privacy"] = [1]
    with pytest.raises(ReleaseError, match="privacy"):
        Release.from_json(obj)


def test_load_refuses_what_is_not_canonical(release: Release, tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    with pytest.raises(ReleaseError, match="cannot be read") as caught:
        Release.load(path)
    assert caught.value.code == "release.file"
    for data in (b"", b"{}", json.dumps(release.to_json(), indent=1).encode(), b"\xff\xfe"):
        path.write_bytes(data)
        with pytest.raises(ReleaseError):
            Release.load(path)


def test_build_refuses_what_does_not_fit(
    release: Release, task: Task, make_release: Callable
) -> None:
    values = dict(release.values)
    first = values["contracts"]
    bad_values: list[dict[str, object]] = [
        {},
        {"regions": [1, 2, 3]},
        {"nothing": [1]},
        values | {"contracts": first[:-1]},
        values | {"contracts": (*first[:-1], 0.5)},
        values | {"contracts": (*first[:-1], 2**53)},
    ]
    for bad in bad_values:
        with pytest.raises(ReleaseError) as caught:
            make_release(task, bad)
        assert caught.value.code == "release.shape"
    for change, code in (
        ({"accepted": 9}, "release.minimum"),
        ({"accepted": True}, "release.minimum"),
        ({"accepted_root": b"short"}, "release.root"),
        ({"noisy_shares": {"org-0": "ab" * 32}}, "release.shares"),
        ({"noisy_shares": {"org-0": "ab" * 32, "org-1": "AB" * 32}}, "release.shares"),
        ({"release_id": "../up"}, "release.id"),
        ({"release_id": ""}, "release.id"),
    ):
        with pytest.raises(ReleaseError) as caught:
            make_release(task, values, **change)
        assert caught.value.code == code


def test_names_and_repr(release: Release) -> None:
    with pytest.raises(ReleaseError) as caught:
        release["problem"]
    assert "problems_by_region" in str(caught.value.hint)
    assert "contracts" in release
    assert len(release) == len(list(release)) == 9
    assert len(repr(release)) < 100
    page = release._repr_html_()
    assert "autumn &lt;2026&gt;" in page
    assert "<2026>" not in page


def test_released_sd_is_the_same_everywhere() -> None:
    assert document.released_sd("gaussian", Fraction(533, 32), 2) == "23.5555"
    assert document.released_sd("gaussian", Fraction(2), 4) == "4"
    assert document.released_sd("gaussian", Fraction(10**6), 1) == "1000000"
    assert document.released_sd("gaussian", Fraction(1, 64), 1) == "0.015625"
    # sqrt(2q)/(1-q), q = e^-1/2; and two draws of a wide law, sqrt(4) b but for 1/(24 b^2)
    assert document.released_sd("laplace", Fraction(2), 1) == "2.79918"
    assert document.released_sd("laplace", Fraction(10**6), 2) == "2000000"
