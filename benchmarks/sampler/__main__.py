"""Try to refute what this library promises of its noise: `python -m benchmarks.sampler [FILE]`.

FILE is a plan (TOML) or a task out of a pool (rounds/ID/task.json); a plan of ours by default.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.sampler import examine_sampler
from grievance.task import parse_task
from grievance.testing import EXAMPLE_PLAN, make_coalition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.task import Task


def task_of(path: Path | None) -> Task:
    """The task in a file, or one for a plan."""
    if path is not None and path.suffix == ".json":
        return parse_task(path.read_bytes())
    return make_coalition(EXAMPLE_PLAN if path is None else path.read_text("utf-8")).task


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 where a check is flagged."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sampler", description="Lower bounds on what noise gives away."
    )
    parser.add_argument("file", nargs="?", type=Path, help="a plan or a task [default: our own]")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args(arguments)
    found = examine_sampler(task_of(options.file))
    if options.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        for check in found.checks:
            print(
                f"{'!!' if check.flagged else 'ok'}  {check.kind}, {check.about}: {check.sentence}"
            )
        print(
            f"{found.verdict.upper()}: {len(found.checks)} checks in {found.seconds:.0f} s; noise "
            f"as stated is flagged with a chance of at most {found.false_alarm:.0e}"
        )
    return int(found.verdict == "flagged")


if __name__ == "__main__":
    sys.exit(main())
