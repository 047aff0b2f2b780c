"""What the examples share: a whole round as its people type it, and exact answers to hold it to.

    Example(...).main()    what both `run.py` files are: find the table, hold the round, compare
    hold_round             the round itself, command by command

Exact answers come from a `.truth.json` file beside the table where there is one: it was made
from the published data by other means. For a sample, or for made-up people, `exact.recount`
counts the rows.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exact import Check, Question, Row, Verdict, compare, read_rows, recount, show, write_rows

from grievance.cli.output import errors_to_words
from grievance.cli.stage import Stage
from grievance.demo import generate
from grievance.plan import load_plan
from grievance.pool.relay import PAD_TO
from grievance.release import Release

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT.parent / "shared" / "data"


# The round, as its people type it.


@dataclass(frozen=True)
class Round:
    """What a round needs: two aggregators and the relays, each name -> name for people."""

    plan: Path
    mapping: Path
    aggregators: Mapping[str, str]
    relays: Mapping[str, str]


@dataclass
class Outcome:
    """What a round gave: its release, how many reports were real and relayed, and wall time."""

    release: Release
    sealed: int
    relayed: int
    seconds: dict[str, float] = field(default_factory=dict)


def hold_round(coalition: Round, rows: Path, num_rows: int, folder: Path, workers: int) -> Outcome:
    """Hold a whole round over the rows of a CSV file, in `folder`, and read its release.

    Raises what a command raises; a row that is refused ends it.
    """
    stage, clock = Stage(folder), Clock()
    leader, helper = coalition.aggregators

    stage.title("Every organisation makes an identity and publishes it in the shared folder")
    everybody = {**coalition.aggregators, **coalition.relays}
    prints = {name: stage.init(name, shown) for name, shown in everybody.items()}

    stage.title("The plan, and what it would show")
    stage.type(leader, "plan", "check", str(coalition.plan), "--reports", str(num_rows))

    stage.title("Two organisations open the round; fingerprints were compared by telephone")
    admitted = [f"--admit={name}:{prints[name]}" for name in coalition.relays]
    invited = f"--with={helper}:{prints[helper]}"
    # A round over published data is over in minutes: a backup with trustees would outlast it.
    consent = ("--yes", "--no-backup")
    new = ("round", "new", str(coalition.plan), invited, *admitted, *consent)
    round_id = stage.type(leader, *new, quiet=True).strip()
    expected = f"--expect={leader}:{prints[leader]}"
    stage.type(helper, "round", "join", round_id, expected, *consent, quiet=True)
    stage.settle(leader, helper, quiet=True)
    bundle = folder / "round.json"
    digest = stage.type(leader, "round", "invite", str(bundle)).strip()

    stage.title("Whoever holds the rows, and sees them, seals them, in a file for each relay")
    clock.start("sealing")
    sealed = folder / "sealed"
    told = stage.type(
        "survey-office",
        *("seal", str(bundle), "--trust", digest, "--table", str(rows)),
        *("--mapping", str(coalition.mapping), "--out", str(sealed), "--json"),
        *("--workers", str(workers)),
        live=True,
    )
    counts = json.loads(told)

    stage.title("The relays pass them on; nobody there can read them")
    clock.start("relaying")
    for file in sorted(sealed.iterdir()):
        stage.type(file.stem, "relay", str(file), "--trust", digest)

    stage.title("Both aggregators check every proof and add up what they cannot read")
    clock.start("checking")
    for name in (leader, helper):
        stage.type(name, "sync", live=True)
    stage.settle(leader, helper)

    stage.title("The round is closed, and both agree on a release")
    clock.start("releasing")
    stage.type(leader, "round", "close", "--yes", quiet=True)
    stage.settle(leader, helper, quiet=True)
    release_id = stage.type(leader, "release", "propose", "--yes").strip()
    stage.type(helper, "release", "approve", release_id, "--yes", quiet=True)
    stage.settle(leader, helper, *coalition.relays, quiet=True)
    results = folder / "results"
    stage.type(leader, "release", "export", str(results), quiet=True)
    clock.stop()
    release = Release.load(results / "release.json")
    # Every relay pads its batch with blank reports to a multiple of 100.
    relayed = sum(-(-number // PAD_TO) * PAD_TO for number in counts["files"].values())
    return Outcome(release, counts["sealed"], relayed, clock.seconds)


class Clock:
    """Wall time by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase, self._since = "", 0.0

    def start(self, phase: str) -> None:
        """End the phase before, and begin another."""
        self.stop()
        self._phase, self._since = phase, time.monotonic()

    def stop(self) -> None:
        """End the phase."""
        if self._phase:
            self.seconds[self._phase] = time.monotonic() - self._since
            self._phase = ""


# The example as a program.


@dataclass(frozen=True)
class Example:
    """A table of survey rows, what is asked of it, and the coalition that asks."""

    table: str
    coalition: Round
    questions: Sequence[Question]
    made_up: int

    def main(self, words: Sequence[str] | None = None) -> int:
        """Run the example as typed; returns the exit code: 0 if the release holds."""
        typed = self._parser().parse_args(words)
        with errors_to_words(), _folder(typed.keep) as folder:
            rows_path, answers = self._find(typed, folder)
            checks, outcome = self.run(rows_path, answers, folder / "round", typed.workers)
        print("\n# What was released, beside the exact answers")
        show(checks)
        verdict = Verdict.over(checks)
        taken = ", ".join(f"{phase} {spent:.0f} s" for phase, spent in outcome.seconds.items())
        print(f"\n{outcome.sealed:,} rows sealed; {outcome.release.accepted:,} reports accepted.")
        print(verdict)
        print(f"Wall time {sum(outcome.seconds.values()):.0f} s: {taken}.")
        if typed.keep:
            print(f"Everything is in {typed.keep}.")
        return 0 if verdict.holds else 1

    def run(
        self, rows: Path, answers: Mapping[str, Any], folder: Path, workers: int
    ) -> tuple[list[Check], Outcome]:
        """Hold the round over a CSV file and compare it with the answers, by question id."""
        num_rows = len(read_rows(rows))
        outcome = hold_round(self.coalition, rows, num_rows, folder, workers)
        if (outcome.sealed, outcome.release.accepted) != (num_rows, outcome.relayed):
            raise SystemExit("some rows or reports were refused")
        checks = [
            check
            for question in self.questions
            for check in compare(outcome.release, question, answers[question["id"]])
        ]
        return checks, outcome

    def recount(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return exact answers to all questions, counted here."""
        return {question["id"]: recount(rows, question) for question in self.questions}

    def sample(self, source: Path, number: int, seed: int, target: Path) -> list[Row]:
        """Write a seeded sample of the rows as a CSV file of its own."""
        rows = read_rows(source)
        # Order by a hash: the same rows for the same seed, on every machine and version.
        order = sorted(
            range(len(rows)), key=lambda i: hashlib.sha256(f"{seed} {i}".encode()).digest()
        )
        chosen = [rows[i] for i in sorted(order[:number])]
        write_rows(target, chosen)
        return chosen

    def make_up(self, number: int, seed: int, target: Path) -> list[Row]:
        """Write made-up people's answers as a CSV file, where the real table is not at hand."""
        plan = load_plan(self.coalition.plan)
        rows = [
            {name: _cell(answers.get(name, "")) for name in plan.fields}
            for answers in generate(plan, number, seed)
        ]
        write_rows(target, rows)
        return rows

    def _find(self, typed: argparse.Namespace, folder: Path) -> tuple[Path, dict[str, Any]]:
        """Return the CSV file to use, and the exact answers to hold the release to."""
        source = Path(typed.data or DATA / self.table)
        if not source.exists():
            if typed.data:
                raise SystemExit(f"there is no table {source}")
            number = typed.sample or self.made_up
            print(f"{source} is not here: {number:,} made-up people answer instead.")
            rows = self.make_up(number, typed.seed, folder / "rows.csv")
            return folder / "rows.csv", self.recount(rows)
        if typed.sample:
            rows = self.sample(source, typed.sample, typed.seed, folder / "rows.csv")
            print(f"A sample of {len(rows):,} rows of {source.name}, compared with its own counts.")
            return folder / "rows.csv", self.recount(rows)
        truth = source.with_suffix(".truth.json")
        if truth.exists():
            print(f"All rows of {source.name}, compared with {truth.name}.")
            return source, read_truth(truth)
        print(f"All rows of {source.name}, compared with its own counts.")
        return source, self.recount(read_rows(source))

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            description=f"A whole round over {self.table}, beside exact answers."
        )
        parser.add_argument("--data", metavar="PATH", help=f"another place of {self.table}")
        parser.add_argument("--sample", metavar="N", type=int, help="only N rows, seeded")
        parser.add_argument("--seed", type=int, default=1, help="which sample (default 1)")
        parser.add_argument("--workers", type=int, default=2, help="sealing processes (default 2)")
        parser.add_argument("--keep", metavar="DIR", type=Path, help="leave everything in DIR")
        return parser


def read_truth(path: Path) -> dict[str, Any]:
    """Return the exact answers of a truth file, by statistic."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {statistic["id"]: statistic["answer"] for statistic in found["statistics"]}


def _cell(answer: object) -> str:
    """Return an answer as a cell of the table: several choices joined by semicolons."""
    return (";".join(answer) or "none") if isinstance(answer, list) else str(answer)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="grievance-example-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise SystemExit(f"{keep} is not empty: name a new folder")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()
