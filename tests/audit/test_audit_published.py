"""A published release.json: nothing in it may be other than the pool says; honest ones pass.

One honest file after the other is changed at one place, at every place in turn; the audit takes
hundreds of files at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from audit_world import Pool, make_round, pool_of
from defects_releases import a_total_beyond_people_and_noise

from federation import PLAN, Federation
from grievance.audit import Finding
from grievance.audit.published import differences, own_version, spelled
from grievance.crypto.documents import canonical
from grievance.pool.store import LocalStore
from grievance.release import Release, collect

Json = dict[str, Any]
Change = Callable[[Json], object]

RICH = (
    PLAN.replace(
        b"hide_below = 0", b'hide_below = 12\nreports_per_worker = 2\nmechanism = "laplace"'
    )
    + b"""
[statistics.regions]
count = ["region"]

[statistics.cities]
count = ["region", "problems"]
merge = { region = { "outside London" = ["North", "Wales"] } }

[statistics.spread_in_the_north]
distribution = "hours"
by = ["region"]
where = { region = ["North", "Wales"] }

[statistics.hours_of_all]
mean = "hours"
"""
)
"""Laplace noise, a merged axis, a part of the people, a table that is read off another."""


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A rehearsal of three aggregators with every kind of table."""
    federation = Federation(tmp_path_factory.mktemp("rich"), ("north", "south", "west"))
    make_round(federation, plan=RICH, rehearsal=True)
    return pool_of(federation, [federation.task])


@pytest.fixture(scope="module", params=["round", "three", "partial", "rich"])
def honest(request: pytest.FixtureRequest, base: Callable[[str], Pool]) -> Pool:
    """Pools in which nothing is wrong, released in many ways."""
    if request.param == "rich":
        return request.getfixturevalue("rich")  # type: ignore[no-any-return]
    return base(request.param)


def released(pool: Pool) -> Release:
    return collect(LocalStore(pool.folder), pool.task, pool.release_id)


def found_in(pool: Pool, values: list[Json], folder: Path) -> list[list[Finding]]:
    """What the audit finds in each of some files, in one go."""
    places = []
    for number, value in enumerate(values):
        places.append(folder / f"{number}.json")
        places[-1].write_bytes(canonical(value))
    report = pool.audit(releases=places)
    assert not report.omitted
    named = ["/".join(place.parts[-2:]) for place in places]
    return [[f for f in report.findings if f.file == name] for name in named]


def audited(pool: Pool, value: Json, folder: Path) -> tuple[str, list[tuple[str, str]]]:
    place = folder / "release.json"
    place.write_bytes(canonical(value))
    report = pool.audit(releases=[place])
    return report.verdict, [(f.severity, f.message) for f in report.findings]


# -- honest files ---------------------------------------------------------------------------


def test_an_honest_file_passes(honest: Pool, tmp_path: Path) -> None:
    assert audited(honest, released(honest).to_json(), tmp_path) == ("pass", [])


def test_the_rich_one_is_rich(rich: Pool) -> None:
    value = released(rich).to_json()
    assert value["rehearsal"] is True and len(value["aggregators"]) == 3
    kinds = {(s["kind"], s["implied_by"] is not None) for s in value["statistics"]}
    assert kinds == {("count", False), ("count", True), ("mean", False), ("distribution", False)}
    titles = " ".join(s["title"] for s in value["statistics"])
    assert "(only region: North, Wales)" in titles and "Mean of: " in titles
    labels = [a["labels"] for s in value["statistics"] for p in s["parts"] for a in p["axes"]]
    assert ["London", "outside London"] in labels
    assert all("b" in s for s in value["statistics"])


def test_a_file_with_suspect_totals_passes_as_it_is(pool: Pool, tmp_path: Path) -> None:
    a_total_beyond_people_and_noise(pool)
    value = released(pool).to_json()
    assert value["suspect"] == [{"statistic": "problems_by_region", "index": 0}]
    verdict, found = audited(pool, value, tmp_path)
    assert verdict == "pass" and [severity for severity, _ in found] == ["note"]
    for other in ([], value["suspect"] * 2, [{**value["suspect"][0], "index": 1}], None, "none"):
        verdict, found = audited(pool, {**value, "suspect": other}, tmp_path)
        assert verdict == "fail" and "noisy shares: suspect" in found[0][1], other


# -- one place changed ----------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    what: str
    path: tuple[str | int, ...]
    value: Json


FREE = {("library",)}
"""What a file may say as it likes: the version of the program that wrote it."""


def others(value: object) -> Iterator[object]:
    """Other values for a leaf, a smallest change of it and one of another type."""
    if isinstance(value, bool):
        yield from (not value, int(value))
    elif isinstance(value, int):
        yield from (value + 1, str(value))
    elif isinstance(value, str):
        yield from (value + "0", value[:-1] if value else "x", None)
    else:
        yield from ("", False)


def every_change(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """Yield (what, path, value instead) for every node of a JSON value, itself first."""
    if isinstance(value, dict):
        yield "a key too much", path, {**value, "unknown": 1}
        for key in value:
            yield "a key too few", path, {k: item for k, item in value.items() if k != key}
            yield from every_change(value[key], (*path, key))
    elif isinstance(value, list):
        if value != value[::-1]:
            yield "reversed", path, value[::-1]
        if len(value) > 1 and value[0] != value[1]:
            yield "exchanged", path, [value[1], value[0], *value[2:]]
        yield "an item too much", path, [*value, *(value[-1:] or ["x"])]
        if value:
            yield "an item too few", path, value[:-1]
        for at, item in enumerate(value):
            yield from every_change(item, (*path, at))
    else:
        for other in others(value):
            yield "changed", path, other


def changes_of(value: Json) -> Iterator[Changed]:
    """All of them, each in a copy of the file. The task inside has a digest: its top is enough."""
    for what, path, instead in every_change(value):
        if path[:1] == ("task",) and len(path) > 2:
            continue
        altered = copy.deepcopy(value)
        at: Any = altered
        for step in path[:-1]:
            at = at[step]
        if path:
            at[path[-1]] = instead
        else:
            altered = instead
        yield Changed(what, path, altered)


@pytest.mark.parametrize("which", ["round", pytest.param("rich", marks=pytest.mark.slow)])
def test_no_place_can_be_changed(
    which: str, base: Callable[[str], Pool], rich: Pool, tmp_path: Path
) -> None:
    pool = rich if which == "rich" else base(which)
    value = released(pool).to_json()
    made = [each for each in changes_of(value) if each.path not in FREE]
    touched = {each.path[0] for each in made if each.path}
    assert touched | {path[0] for path in FREE} == set(value)
    assert len(made) > 600
    for start in range(0, len(made), 1000):
        some = made[start : start + 1000]
        for each, findings in zip(
            some, found_in(pool, [one.value for one in some], tmp_path), strict=True
        ):
            assert {f.severity for f in findings} == {"fault"}, (each.what, each.path)
            odd = each.value.get("format") != value["format"]
            assert {f.rule for f in findings} == {"file.form" if odd else "release.sum"}


def reversed_labels(name: str) -> Change:
    def change(value: Json) -> None:
        for statistic in value["statistics"]:
            for part in statistic["parts"]:
                for axis in part["axes"]:
                    if axis["name"] == name:
                        axis["labels"].reverse()

    return change


def merge(**changes: Any) -> Change:
    return lambda value: value.update(changes)


FORGED: dict[str, tuple[Change, str]] = {
    "regions exchanged": (reversed_labels("region"), "statistics[0].parts[0].axes[0].labels[0]"),
    "problems exchanged": (reversed_labels("problems"), "statistics[0].parts[1].axes[0].labels[0]"),
    "another epsilon": (lambda v: v["privacy"].update(epsilon="0.01"), "privacy.epsilon"),
    "a promise": (
        lambda v: v["privacy"].update(statement=["Everybody is perfectly anonymous."]),
        "privacy.statement[0]",
    ),
    "a cost": (lambda v: v["privacy"].update(cost={"zcdp": "0"}), "privacy.cost.zcdp"),
    "the other cost": (lambda v: v["privacy"].update(cost={"pure": "1"}), "privacy.cost.pure"),
    "a deviation": (lambda v: v["statistics"][1]["parts"][0].update(sd="0.001"), "parts[0].sd"),
    "a party": (lambda v: v["aggregators"][0].update(display_name="Government"), "display_name"),
    "a title": (merge(title="Other survey"), "title"),
    "a rehearsal": (merge(rehearsal=True), "rehearsal"),
    "a suspect": (merge(suspect=[{"statistic": "hours_mean", "index": 1}]), "suspect[0]"),
    "a key": (merge(extra=1), "extra"),
    "many": (lambda v: v.update(dict.fromkeys("abcdefg", 0)), "a, b, c, d, and 3 more"),
    "a long key": (merge(**{"k" * 500: 1}), "k" * 57 + "..."),
    "a digest": (lambda v: v["noisy_shares"].update(north="0" * 64), "names other noisy shares"),
    "a root": (merge(accepted_root="0" * 64), "over another set of reports"),
    "a number of reports": (merge(accepted=12), "over another number of reports"),
    "a statistic": (lambda v: v["statistics"].pop(), "other statistics than were approved"),
    "no statistics": (merge(statistics={}), "other statistics than were approved"),
    "odd statistics": (merge(statistics=[1]), "other statistics than were approved"),
    "a value": (
        lambda v: v["statistics"][2]["parts"][0]["values"].reverse(),
        "hours_spread is not the sum of the noisy shares",
    ),
    "its noise": (
        lambda v: v["statistics"][1].update(sigma="1"),
        "hours_mean does not say the noise",
    ),
    "other privacy": (merge(privacy=[]), "noisy shares: privacy"),
}


@pytest.mark.parametrize(("change", "said"), FORGED.values(), ids=FORGED)
def test_a_forged_file_is_told_by_its_first_places(
    made: Pool, tmp_path: Path, change: Change, said: str
) -> None:
    value = released(made).to_json()
    change(value)
    verdict, ((severity, message),) = audited(made, value, tmp_path)
    assert (verdict, severity) == ("fail", "fault")
    assert said in message and len(message) <= 400


def test_several_words_for_several_places(made: Pool, tmp_path: Path) -> None:
    value = released(made).to_json() | {"accepted": 99, "title": "x", "round": "one"}
    value["round"] = made.task.round_id
    value["statistics"][0]["parts"][0]["values"][0] += 1
    value["statistics"][0]["parts"][1]["values"][0] += 1
    _, found = audited(made, value, tmp_path)
    assert sorted(message for _, message in found) == [
        "it is not what follows from the task and the noisy shares: title",
        "it is over another number of reports",
        "problems_by_region is not the sum of the noisy shares",
    ]


# -- other versions of the program ----------------------------------------------------------


def words_of(value: Json, words: object) -> Json:
    return {**value, "privacy": {**value["privacy"], "statement": words}}


def test_another_version_may_have_written_the_same(made: Pool, tmp_path: Path) -> None:
    value = released(made).to_json()
    assert value["library"] == own_version()
    for name in ("0.0.1", "12.3.dev4+gabc", "unknown"):
        assert audited(made, {**value, "library": name}, tmp_path) == ("pass", [])
    for name in ("", "by the Government", "1" * 65, "1\n", None, 1, ["0.1"]):
        verdict, ((_, message),) = audited(made, {**value, "library": name}, tmp_path)
        assert verdict == "fail" and message.endswith("noisy shares: library"), name


def test_words_of_another_version_are_never_passed_in_silence(made: Pool, tmp_path: Path) -> None:
    value = words_of(released(made).to_json(), ["Everybody is perfectly anonymous."])
    verdict, ((severity, message),) = audited(made, {**value, "library": "0.0.1"}, tmp_path)
    assert (verdict, severity) == ("incomplete", "unchecked")
    assert message.startswith("privacy.statement was not checked: the file says that version 0.0.1")
    assert message.endswith("export the release again from the pool")
    assert audited(made, value, tmp_path)[0] == "fail"
    for odd in ("anonymous", [1], None, {}):
        old = {**words_of(value, odd), "library": "0.0.1"}
        assert audited(made, old, tmp_path)[0] == "fail", odd
    # Nothing but the words is left open.
    for forged in ({"title": "x"}, {"privacy": {**value["privacy"], "epsilon": "0.01"}}):
        verdict, found = audited(made, {**value, "library": "0.0.1", **forged}, tmp_path)
        assert verdict == "fail" and {severity for severity, _ in found} == {"fault", "unchecked"}


def test_the_verdict_says_that_something_was_not_checked(made: Pool, tmp_path: Path) -> None:
    value = words_of(released(made).to_json(), ["Trust us."]) | {"library": "0.0.1"}
    place = tmp_path / "release.json"
    place.write_bytes(canonical(value))
    report = made.audit(releases=[place])
    assert (
        report.sentence == "What could be checked is as it should be, but not everything could be."
    )
    # The same in the pool.
    pool = made.copy(tmp_path / "pool")
    pool.write(f"{pool.paths.releases}/{pool.release_id}/release.json", canonical(value))
    assert pool.audit().verdict == "incomplete"


# -- the comparison itself ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected", "places"),
    [
        ({"a": [1, {"b": "c"}]}, {"a": [1, {"b": "c"}]}, []),
        ({"a": True}, {"a": 1}, ["a"]),
        ({"a": 0}, {"a": False}, ["a"]),
        ({"a": None}, {}, ["a"]),
        ({}, {"a": None}, ["a"]),
        ({"a": []}, {"a": {}}, ["a"]),
        ([1, 2, 3], [1, 2], ["[2]"]),
        ([1], [1, 2], ["[1]"]),
        ({"a": [{"b": [1, 2]}]}, {"a": [{"b": [2, 2]}]}, ["a[0].b[0]"]),
    ],
)
def test_differences(found: object, expected: object, places: list[str]) -> None:
    assert [spelled(path) for path in differences(found, expected)] == places
