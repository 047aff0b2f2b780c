"""Every limit of a plan by file, key, code and words; JSON there and back; no traceback ever."""

from __future__ import annotations

import copy
import json
import pickle
from contextlib import suppress
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import EXAMPLE, plans, to_toml

from grievance.errors import PlanError
from grievance.plan import MultiField, NumberField, Plan, load_plan

if TYPE_CHECKING:
    from pathlib import Path

LENIENT = settings(max_examples=100)

REGIONS = '"London", "North", "Midlands", "South", "Scotland", "Wales"'
WHERE = 'where = { region = ["London", "North"] }'
MERGE = f'"outside London" = [{REGIONS[10:]}]'
COUNT = 'count = ["problems", "region"]'
BANDS = "bands = [0, 1, 5, 10, 20, 40]"

# section of the plan -> (old text, new text, code without "plan.", key, words)
BAD = {
    "": [
        ("title =", "title", "syntax", "", "is not TOML"),
        ("title =", 'title = "again"\ntitle =', "syntax", "", "is not TOML"),
        ("title =", "titel =", "syntax", "title", 'did you mean "title"'),
        ("opens = 2026-10-01\n", "", "syntax", "opens", "is missing"),
        ("[privacy]\n", "[private]\n", "syntax", "privacy", "private: is not a key of a plan"),
        ('"mhw-2026"', '"../x"', "name", "campaign", "lowercase letters"),
        ('"mhw-2026"', '"MHW"', "name", "campaign", "lowercase letters"),
        ('"mhw-2026"', '""', "name", "campaign", "lowercase letters"),
        ('"mhw-2026"', '"con"', "name", "campaign", "lowercase letters"),
        ("[fields.region]", "[fields.Region]", "name", "fields.Region", "is not a name"),
        ("[fields.region]", '[fields."a\u202eb"]', "name", "fields.'a\\u202eb'", "is not a name"),
        ("[statistics.unpaid_hours]", '[statistics."9"]', "name", "statistics.9", "is not a name"),
        ('"Mental health workforce, autumn"', '""', "label", "title", "1 to 120 characters"),
        ("closes = 2026-12-20", "closes = 2026-10-01", "period", "closes", "after `opens`"),
        ("closes = 2026-12-20", "closes = 9999-12-20", "period", "closes", "2020 to 2100"),
        ("opens = 2026-10-01", "opens = 1999-10-01", "period", "opens", "2020 to 2100"),
        ("opens = 2026-10-01", 'opens = "2026-10-01"', "period", "opens", "without quotes"),
        ("opens = 2026-10-01", "opens = 2026-10-01T00:00:00", "period", "opens", "without time"),
        ("opens = 2026-10-01", "opens = 2026-10-01T00:00:00Z", "period", "opens", "without time"),
        ("opens = 2026-10-01", "opens = 2026", "period", "opens", "must be a date"),
        (COUNT, 'count = ["region"]', "field", "fields.problems", "must not be asked"),
    ],
    "privacy": [
        ("hide_below", "hide", "version", "hide", 'did you mean "hide_below"'),
        ("epsilon = 1.0", "epsilon = 0", "budget", "epsilon", "0.01 to 10"),
        ("epsilon = 1.0", "epsilon = -1", "budget", "epsilon", "0.01 to 10"),
        ("epsilon = 1.0", "epsilon = 10.01", "budget", "epsilon", "0.01 to 10"),
        ("epsilon = 1.0", "epsilon = inf", "number", "epsilon", "finite"),
        ("epsilon = 1.0", "epsilon = 1e400", "number", "epsilon", "digits"),
        ("epsilon = 1.0", 'epsilon = "1"', "number", "epsilon", "without quotes"),
        ("delta = 1e-6", "delta = 0", "budget", "delta", "above 0"),
        ("delta = 1e-6", "delta = 0.002", "budget", "delta", "0.001"),
        ("lifetime_epsilon = 4.0", "lifetime_epsilon = 0.9",
         "budget", "lifetime_epsilon", "at least epsilon, 1"),
        ("lifetime_epsilon = 4.0", "lifetime_epsilon = 21",
         "budget", "lifetime_epsilon", "at most 20"),
        ("reports_per_worker = 1", "reports_per_worker = 0",
         "budget", "reports_per_worker", "1 to 10"),
        ("reports_per_worker = 1", "reports_per_worker = 11",
         "budget", "reports_per_worker", "1 to 10"),
        ("minimum_reports = 50", "minimum_reports = 9", "budget", "minimum_reports", "10 to"),
        ("minimum_reports = 50", "minimum_reports = 10000000000",
         "budget", "minimum_reports", "10 to"),
        ("hide_below = 10", "hide_below = -1", "budget", "hide_below", "0 to"),
        ("hide_below = 10", 'mechanism = "exponential"', "budget", "mechanism", "gaussian"),
    ],
    "fields.region": [
        ("required = true", 'required = "yes"', "syntax", "required", "true or false"),
        ('"Where do you work?"', '"a\\nb"', "label", "question", "U+000A"),
        ('"Where do you work?"', f'"{"x" * 301}"', "label", "question", "300"),
        (f"[{REGIONS}]", '["London"]', "label", "choices", "2 to 200"),
        (f"[{REGIONS}]", str([f"n{i}" for i in range(201)]), "label", "choices", "2 to 200"),
        (f"[{REGIONS}]", '"London"', "syntax", "choices", "must be a list"),
        (f"[{REGIONS}]", '["London", 5]', "syntax", "choices", "entry 2"),
        ('"London", "North", ', '"London", "LONDON", ', "label", "choices", "same but for case"),
        ('"London", "North", ', '"London", "L\u043endon", ', "label", "choices", "CYRILLIC"),
        ('"London", "North", ', '"Not answered", ', "label", "choices", "is reserved"),
    ],
    "fields.problems": [
        ("help = ", "hlep = ", "version", "hlep", 'did you mean "help"'),
        ('"Tick at most three."', f'"{"x" * 1001}"', "label", "help", "1000"),
        ("pick = 3", "pick = 6", "block", "pick", "1 to 5"),
        ("pick = 3", "pick = 0", "block", "pick", "1 to 5"),
        ("pick = 3", "pick = 3.0", "syntax", "pick", "whole number"),
        ("pick = 3", "pick = true", "syntax", "pick", "whole number"),
        ("pick = 3", "pick = 3\nstep = 1", "version", "step", "several choices"),
    ],
    "fields.unpaid_hours": [
        ('"hours"', '"ho\\u200burs"', "label", "unit", "U+200B"),
        ("minimum = 0", "minimum = nan", "number", "minimum", "finite"),
        ("minimum = 0", "minimum = true", "number", "minimum", "without quotes"),
        ("minimum = 0", 'minimum = "0"', "number", "minimum", "without quotes"),
        ("minimum = 0", "minimum = 40", "number", "maximum", "larger than"),
        ("minimum = 0\n", "", "syntax", "minimum", "is missing"),
        ("maximum = 40", "maximum = 1e10", "number", "maximum", "within"),
        ("step = 0.5", "step = 0.3", "number", "step", "does not divide"),
        ("step = 0.5", "step = -0.5", "number", "step", "larger than 0"),
        ("step = 0.5", "step = 0.00001", "number", "step", "1,000,000"),
        ("step = 0.5", "step = 1e-19", "number", "step", "digits"),
        (BANDS, "bands = [0, 5, 5, 40]", "number", "bands", "5 comes after 5"),
        (BANDS, "bands = [1, 5, 40]", "number", "bands", "minimum, 0"),
        (BANDS, "bands = [0, 5, 39]", "number", "bands", "maximum, 40"),
        (BANDS, "bands = [0, 0.75, 40]", "number", "bands", "0.75 is no answer"),
        (BANDS, "bands = [0]", "number", "bands", "edges"),
        (BANDS, "bands = 5", "syntax", "bands", "list"),
    ],
    "statistics.problems_by_region": [
        (COUNT, COUNT + "\nby = []", "version", "by", "of a count"),
        (COUNT, "count = []", "statistic", "count", "at least one"),
        (COUNT, 'count = "region"', "syntax", "count", "list"),
        (COUNT, 'count = ["region", "region"]', "statistic", "count", "twice"),
        (COUNT, 'count = ["problems", "regoin"]', "statistic", "count", 'did you mean "region"'),
        (COUNT, 'count = ["unpaid_hours"]', "statistic", "count", "`mean` or `distribution`"),
        (COUNT, 'mean = "unpaid_hours"\n' + COUNT, "version", "count", "of a mean"),
        (COUNT, "", "syntax", "count", "is missing"),
        (COUNT, f"count = {[f'f{i}' for i in range(9)]}", "block", "count", "at most 8"),
        ("importance = 2", "importance = 0", "number", "importance", "0.001 to 1000"),
        ("importance = 2", "importance = 1001", "number", "importance", "0.001 to 1000"),
    ],
    "statistics.unpaid_hours": [
        ('mean = "unpaid_hours"', 'mean = "region"', "statistic", "mean", "use `count`"),
        ('mean = "unpaid_hours"', 'mean = "problems"', "statistic", "mean", "use `count`"),
        ('mean = "unpaid_hours"', 'mean = "hours"', "statistic", "mean", "no field 'hours'"),
        ('by = ["region"]', 'by = ["problems"]', "statistic", "by", "overlap"),
        ('by = ["region"]', 'by = ["unpaid_hours"]', "statistic", "by", "is a number"),
        (WHERE, 'where = { region = ["Nrth"] }',
         "statistic", "where.region", 'did you mean "North"'),
        (WHERE, "where = { region = [] }", "statistic", "where.region", "one or more"),
        (WHERE, 'where = { region = ["North", "North"] }',
         "statistic", "where.region", "each once"),
        (WHERE, 'where = { region = ["not answered"] }', "statistic", "where.region", "no choice"),
        (WHERE, 'where = { problems = ["targets"] }',
         "statistic", "where.problems", "several choices"),
        (WHERE, 'where = { place = ["targets"] }', "statistic", "where.place", "no field"),
        (WHERE, f"where = {{ region = [{REGIONS}] }}",
         "statistic", "where.region", "restricts nothing"),
        (WHERE, 'where = ["region"]', "syntax", "where", "table"),
        (WHERE, WHERE + '\nmerge = { region = { x = ["North", "South"] } }',
         "statistic", "merge.region.x", "left out by `where`"),
    ],
    "statistics.unpaid_hours_spread": [
        (BANDS, "", "statistic", "distribution", "add `bands`"),
        (MERGE, "", "statistic", "merge.region", "merges nothing"),
        (MERGE, 'x = ["North"]', "statistic", "merge.region.x", "two or more"),
        (MERGE, 'x = ["North", "Nord"]', "statistic", "merge.region.x", "'Nord' is no choice"),
        (MERGE, 'x = ["North", "South"], y = ["South", "Wales"]',
         "statistic", "merge.region", "two groups"),
        (MERGE, 'x = ["North", "South"], X = ["Scotland", "Wales"]',
         "label", "merge.region", "same but for case"),
        (MERGE, 'WALES = ["North", "South"]', "label", "merge.region.WALES", "also a choice"),
        (MERGE, '"not answered" = ["North", "South"]',
         "label", "merge.region.not answered", "reserved"),
        ("merge = { region =", "merge = { problems =", "statistic", "merge.problems", "not over"),
    ],
}  # fmt: skip
ROWS = [(section, *row) for section, rows in BAD.items() for row in rows]


@pytest.mark.parametrize(("section", "old", "new", "code", "key", "words"), ROWS)
def test_every_limit_names_file_key_value_and_what_to_do(
    section: str, old: str, new: str, code: str, key: str, words: str
) -> None:
    assert old in EXAMPLE
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(EXAMPLE.replace(old, new, 1))
    error = caught.value
    path = ".".join(part for part in (section, key) if part)
    assert error.code == f"plan.{code}"
    assert error.where == (f"plan.toml: {path}" if path else "plan.toml")
    assert words in error.message
    assert error.message.replace("\n", "").isprintable()
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"x = '\xed\xa0\x80'",
        b"x = " + b"[" * 100_000,
        b"x = " + b"{a=" * 50_000,
        b"x = 1" + b"0" * 5000,
        b"x = 1e99999999999999999999",
        b"a." * 100_000 + b"a = 1",
        b"[" + b"a." * 100_000 + b"a]",
        b'"="."=".' * 20_000 + b"a = 1",
        b'x = ["\\"", {' + b"a." * 100_000 + b'a = "1"}]',
        b'x = """\na""", y."',
        b'"' * 200_000,
        b'"' + b'\\"' * 100_000,
        b"'" * 200_001,
        b"#" * (256 * 1024 + 1),
        b"",
        b"\0",
        b"\xef\xbb\xbf\xef\xbb\xbf",
        b"privacy = 5\nfields = 3\nstatistics = []",
        b"[fields]\na = 5\nb = []\n[statistics]\nx = 2026-01-01",
        b"[[fields]]\n[[statistics]]\n[[privacy]]",
    ],
    ids=range(21),
)
def test_no_bytes_give_a_traceback(data: bytes) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(data)
    assert caught.value.code.startswith("plan.")
    assert len(str(caught.value)) < 2000


def test_several_problems_are_told_at_once() -> None:
    text = EXAMPLE.replace("pick = 3", "pick = 9").replace("step = 0.5", "step = 0.3")
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(text, source="mine.toml")
    first, second = str(caught.value).splitlines()
    assert first == "mine.toml: fields.problems.pick: lets people tick 9 of 5 choices; give 1 to 5"
    assert second.startswith("mine.toml: fields.unpaid_hours.step: does not divide the range of 40")


def test_only_the_first_few_problems_are_told() -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_toml("\n".join(f"k{i} = 1" for i in range(50)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert lines[-1] == "(52 more)"


def _wide(count: int, choices: int, statistics: str) -> str:
    labels = json.dumps([f"n{i}" for i in range(choices)])
    fields = "".join(
        f'[fields.f{i}]\nquestion = "?"\nchoices = {labels}\nrequired = true\n'
        for i in range(count)
    )
    return EXAMPLE.split("[fields.")[0] + fields + statistics


def _count(*names: str) -> str:
    return f"[statistics.{'_'.join(names)}]\ncount = {json.dumps(names)}\n"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (_wide(3, 200, _count("f0", "f1", "f2")), "statistics.f0_f1_f2", "8,000,000 cells"),
        (_wide(2, 256, _count("f0", "f1")), "fields.f0.choices", "200"),
        (
            _wide(4, 200, _count("f0", "f1") + _count("f2", "f3")),
            "statistics",
            "80,000 cells together",
        ),
        (_wide(61, 2, "".join(_count(f"f{i}") for i in range(61))), "fields", "1 to 60"),
        (
            _wide(15, 2, "".join(_count(f"f{i}", f"f{j}") for i in range(15) for j in range(i))),
            "statistics",
            "1 to 100",
        ),
        (EXAMPLE.split("[fields.")[0] + "[fields]\n[statistics]\n", "fields", "1 to 60"),
        (
            _wide(2, 150, '[statistics.m]\nmean = "x"\nby = ["f0", "f1"]\n')
            + '[fields.x]\nquestion = "?"\nminimum = 0\nmaximum = 100\nstep = 1\n',
            "statistics.m",
            "180,000 cells",
        ),
    ],
    ids=range(7),
)
def test_sizes_are_limited_before_anything_is_built(text: str, key: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(text)
    assert caught.value.where == f"plan.toml: {key}"
    assert words in caught.value.message
    assert caught.value.code in ("plan.block", "plan.label")


def test_the_largest_plans_are_read_in_time() -> None:
    many = [_count(f"f{i}", f"f{j}") for i in range(15) for j in range(i)][:100]
    plan = Plan.from_toml(_wide(15, 20, "".join(many)))
    assert len(plan.statistics) == 100
    wide = _count("f0", "f1") + _count("f0") + _count("f1")
    assert len(Plan.from_toml(_wide(2, 200, wide)).statistics) == 3


def test_the_designs_example_is_read_exactly(example_toml: str) -> None:
    plan = Plan.from_toml(example_toml)
    assert (plan.opens, plan.closes) == (date(2026, 10, 1), date(2026, 12, 20))
    assert plan.privacy.delta == Fraction(1, 10**6)
    assert plan.privacy.mechanism == "auto"
    assert list(plan.fields) == ["region", "problems", "unpaid_hours"]
    hours, problems = plan.fields["unpaid_hours"], plan.fields["problems"]
    assert isinstance(hours, NumberField)
    assert (hours.grid_size, hours.band_edges) == (80, (0, 2, 10, 20, 40, 80))
    assert isinstance(problems, MultiField)
    assert (problems.pick, problems.required) == (3, False)
    assert plan.statistics["problems_by_region"].importance == 2
    assert plan.statistics["unpaid_hours"].where == {"region": ("London", "North")}


def test_a_plan_cannot_be_changed(example_toml: str) -> None:
    plan = Plan.from_toml(example_toml)
    with pytest.raises(ValidationError):
        plan.title = "x"
    with pytest.raises(TypeError):
        plan.fields["x"] = plan.fields["region"]
    with pytest.raises(AttributeError):
        plan.fields._entries = {}
    assert copy.deepcopy(plan) == plan == pickle.loads(pickle.dumps(plan))
    assert hash(copy.deepcopy(plan)) == hash(plan)


def test_byte_order_mark_and_line_ends_do_not_matter(example_toml: str) -> None:
    plan = Plan.from_toml(example_toml)
    windows = b"\xef\xbb\xbf" + example_toml.replace("\n", "\r\n").encode()
    assert Plan.from_toml(windows) == plan


def test_files(tmp_path: Path, example_toml: str) -> None:
    path = tmp_path / "autumn.toml"
    path.write_text(example_toml, encoding="utf-8")
    assert load_plan(path) == load_plan(str(path)) == Plan.from_toml(example_toml)
    path.write_text("x", encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert caught.value.where == "autumn.toml"
    for missing in (tmp_path / "none.toml", tmp_path, "\0"):
        with pytest.raises(PlanError) as caught:
            load_plan(missing)
        assert caught.value.code == "plan.file"
        assert caught.value.hint
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(PlanError, match="larger than"):
        load_plan(path)


@LENIENT
@given(plans())
def test_json_and_toml_there_and_back(plan: Plan) -> None:
    value = plan.to_json()
    assert Plan.from_json(value) == plan
    assert Plan.from_json(json.loads(json.dumps(value, sort_keys=True))) == plan
    again = Plan.from_json(json.loads(json.dumps(value, sort_keys=True)))
    assert json.dumps(again.to_json()) == json.dumps(value)
    assert Plan.from_toml(to_toml(plan)) == plan


def _replaced(value: object, path: tuple[object, ...], new: object) -> object:
    copied = copy.deepcopy(value)
    at = copied
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = new
    return copied


BAD_JSON = [
    (("version",), 2, "plan.version"),
    (("version",), "1", "plan.version"),
    (("version",), True, "plan.version"),
    (("title",), None, "plan.syntax"),
    (("opens",), "2026-1-1", "plan.period"),
    (("opens",), "20261001", "plan.period"),
    (("opens",), 5, "plan.period"),
    (("privacy", "epsilon"), "1.0", "plan.number"),
    (("privacy", "epsilon"), 1, "plan.number"),
    (("privacy", "epsilon"), 1.0, "plan.number"),
    (("privacy", "delta"), "1e-6", "plan.number"),
    (("privacy", "minimum_reports"), 50.0, "plan.syntax"),
    (("privacy", "minimum_reports"), True, "plan.syntax"),
    (("privacy", "more"), 1, "plan.version"),
    (("more",), 1, "plan.version"),
    (("fields",), {}, "plan.syntax"),
    (("fields",), None, "plan.syntax"),
    (("fields", 0), None, "plan.syntax"),
    (("fields", 0, "name"), None, "plan.syntax"),
    (("fields", 0, "name"), "problems", "plan.syntax"),
    (("fields", 0, "kind"), "multi", "plan.syntax"),
    (("fields", 0, "required"), 1, "plan.syntax"),
    (("fields", 1, "pick"), 3.0, "plan.syntax"),
    (("fields", 2, "bands"), ["0", "1.0", "40"], "plan.number"),
    (("statistics", 0, "kind"), "mean", "plan.syntax"),
    (("statistics", 0, "importance"), "2.0", "plan.number"),
    (("statistics", 1, "where"), [], "plan.syntax"),
    (("statistics", 1, "where", "region"), "London", "plan.syntax"),
]


@pytest.mark.parametrize(("path", "new", "code"), BAD_JSON)
def test_json_is_read_strictly(path: tuple[object, ...], new: object, code: str) -> None:
    value = _replaced(Plan.from_toml(EXAMPLE).to_json(), path, new)
    with pytest.raises(PlanError) as caught:
        Plan.from_json(value)
    assert caught.value.code == code
    assert caught.value.where.startswith("task")


@pytest.mark.parametrize("value", [None, [], "x", 5, {}, {"version": 1}])
def test_what_is_no_plan_in_json(value: object) -> None:
    with pytest.raises(PlanError):
        Plan.from_json(value)


def test_every_part_of_the_json_form_is_needed() -> None:
    whole = Plan.from_toml(EXAMPLE).to_json()

    def parts(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        if isinstance(value, dict):
            inner = [p for key in value for p in parts(value[key], (*path, key))]
            return [*((*path, key) for key in value), *inner]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [p for at, entry in enumerate(value) for p in parts(entry, (*path, at))]
        return []

    for path in parts(whole):
        value = copy.deepcopy(whole)
        at = value
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]
        if path[-2:-1] == ("where",) or path[-3:-2] == ("merge",) or path[-2:-1] == ("merge",):
            continue  # leaving out a restriction or a merge makes another good plan, or a bad one
        with pytest.raises(PlanError):
            Plan.from_json(value)


@LENIENT
@given(st.data())
def test_damaged_plans_are_refused_or_read(data: st.DataObject) -> None:
    text = EXAMPLE.encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 40, len(text))))
    junk = data.draw(st.binary(max_size=20) | st.sampled_from([b'"', b"]", b"= 1\n", b"[x]\n"]))
    with suppress(PlanError):
        Plan.from_toml(text[:start] + junk + text[end:])
