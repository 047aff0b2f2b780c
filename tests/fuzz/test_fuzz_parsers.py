"""Every reader of foreign bytes keeps its promise: see fuzz/contract.py and docs/fuzzing.md.

The same targets as `python -m fuzz`, with inputs that hypothesis makes: seeds that were changed
a little, and bytes at random. No time measured here; a reader that takes seconds is a finding.
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fuzz.contract import Finding, Target, agree, judge, same
from fuzz.mutate import Choices, change
from fuzz.run import replay
from fuzz.seeds import CORPUS, corpus, seeds
from fuzz.targets import TARGETS
from fuzz.world import as_json

from fuzz import contract
from grievance.audit.terms import read_terms
from grievance.errors import WireError

if TYPE_CHECKING:
    from types import CodeType, FrameType

NAMES = sorted(TARGETS)
EXAMPLES = 25
SOURCE = Path(inspect.getfile(WireError)).parent


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_accepted(name: str) -> None:
    assert seeds()[name]
    for data in seeds()[name]:
        assert judge(TARGETS[name], data)


@pytest.mark.parametrize("name", NAMES)
def test_changed_seeds_and_random_bytes(name: str) -> None:
    target, known = TARGETS[name], seeds()[name]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=24, max_size=24))
    def near(stream: bytes) -> None:
        choices = Choices(stream)
        judge(target, change(choices.of(known), known, target.form, choices))

    @settings(max_examples=5, derandomize=True, database=None)
    @given(st.binary(max_size=300))
    def anything(data: bytes) -> None:
        judge(target, data)

    near()
    anything()


def test_the_corpus_holds_inputs_of_every_target_and_nothing_found_there_comes_back() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == NAMES
    for name in NAMES:
        inputs = corpus(name)
        assert inputs, f"{name}: run `python -m fuzz.seeds`"
        assert sum(map(len, inputs)) < 1 << 16
        for data in inputs:
            judge(TARGETS[name], data)


# What is covered.

# A parser is a public function so called ...
_CALLED = ("parse", "load", "unpack", "decode", "locate", "normalise", "b64decode", "from_")
_READS = ("read_", "open_", "check_cosignature", "check_inclusion")
# ... that takes bytes, text or a value, and not a place to look for them. What reads a pool or a
# home finds the bytes there and hands them to a parser.
_PLACES = ("Store", "Home", "Office", "Bench", "Inspection", "Seat", "Invitation")
# Inputs of these come from ourselves, or are read by somebody else's parser.
_OURS = {
    "vdaf/circuits.py": "arithmetic on decoded vectors",
    "vdaf/vectors.py": "arithmetic on decoded vectors",
    "kernels/elements.py": "compiled arithmetic",
    "plan/implied.py": "names of statistics of a plan that was read",
    "plan/answers.py": "answers, through target `answers`",
    "plan/problems.py": "findings of pydantic, which targets `plan` and `plan-json` provoke",
    "tables/refusals.py:parse_rows": "numbers of rows, typed by whoever holds the table",
    "kernels/cache.py:load_overload": "our own machine code, held by its digest",
    "pool/rounds.py:read_invitation": "bytes through targets `plan` and `card`",
    "relay/files.py:read_files": "a place; its files are read by `report-file` and `reports-file`",
    "tables/arrow_rows.py": "the caller's own table, which Arrow reads",
    "pool/store.py": "a place, not bytes",
    "cli/places.py": "a place, not bytes",
    "audit/opening.py:open_rounds": "a place, not bytes",
    "aggregator/batches.py": "its own state, and its own sums through target `at-rest`",
    "aggregator/burns.py": "its own state",
    "aggregator/state.py": "its own state, which SQLite reads",
    "audit/pages.py": "pages that are part of the program",
    "aggregator/office.py:open_bench": "a place, not bytes",
    "cli/demo.py": "a demonstration",
    "release/page/reading.py": "tables of a release that was read",
    "aggregator/bench.py:open_sum": "its own sums, through target `at-rest`",
}


def parsers() -> dict[str, str]:
    """Every parser of the package: file and line of its definition -> how it is called."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        where = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            taken = [ast.unparse(arg.annotation) for arg in node.args.args if arg.annotation]
            if (
                node.name.startswith((*_CALLED, *_READS))
                and taken
                and not any(place in text for text in taken for place in _PLACES)
                and not {where, f"{where}:{node.name}"} & set(_OURS)
            ):
                found[f"{path}:{node.name}"] = f"{where}:{node.name}"
    return found


@pytest.mark.lint
def test_every_parser_is_reached_by_a_target() -> None:
    called: set[str] = set()

    def watch(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call":
            code: CodeType = frame.f_code
            called.add(f"{code.co_filename}:{code.co_name}")

    seeds()
    read_terms.cache_clear()
    sys.setprofile(watch)
    try:
        for name in NAMES:
            for data in seeds()[name]:
                TARGETS[name].run(data)
    finally:
        sys.setprofile(None)
    wanted = parsers()
    assert len(wanted) > 50
    missed = sorted(shown for place, shown in wanted.items() if place not in called)
    assert not missed, f"no target in fuzz/ reads with {missed}; see docs/fuzzing.md"


# The judge itself.


def test_the_judge_sees_every_way_to_break_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(message: str) -> None:
        raise WireError(message)

    assert judge(Target("t", lambda _data: None), b"")
    assert not judge(Target("t", lambda _data: refuse("no")), b"")
    with pytest.raises(ZeroDivisionError):
        judge(Target("t", lambda _data: 1 // 0), b"")  # type: ignore[arg-type, return-value]
    with pytest.raises(Finding, match="goes on"):
        judge(Target("t", lambda _data: refuse("x" * 5000)), b"")
    with pytest.raises(Finding, match="other bytes"):
        judge(Target("t", lambda data: same(data + b"x", data)), b"")
    with pytest.raises(Finding, match="one reader"):
        judge(Target("t", lambda _data: agree(here=True, there=False)), b"")
    monkeypatch.setattr(contract, "MAX_SECONDS", -1)
    with pytest.raises(Finding, match="took"):
        judge(Target("t", lambda _data: None), b"")
    monkeypatch.setattr(contract, "MAX_SECONDS", 60)
    peaks = iter([0, contract.MAX_MEMORY + 1])
    monkeypatch.setattr(contract, "_peak", lambda: next(peaks))
    with pytest.raises(Finding, match="MiB"):
        judge(Target("t", lambda _data: None), b"")


def test_changes_reach_inside_values() -> None:
    data = b'{"a": [1, {"b": "text"}]}'
    made = {change(data, [data], "json", Choices.from_seed(seed)) for seed in range(300)}
    values = {as_json(one) for one in made if as_json(one) != one or one.startswith(b"{")}
    assert len(values) > 150
    assert len({value for value in values if b'{"b":' in value and b'"text"' not in value}) > 10
    assert len({change(b"", [], "bytes", Choices.from_seed(seed)) for seed in range(50)}) > 10


def test_inputs_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").write_bytes(b"2")
    assert replay(["fraction"], [tmp_path / "one"]) == 0
    assert capsys.readouterr().out.endswith("one: accepted\n")
