"""Replay a directory of test vectors: `python -m grievance.vdaf.check DIR [--json] [--fast]`.

One line a file, then the count alone on the last line. Files of algorithms that are not built
here are named as skipped and count neither way. Exit code 0 when at least one file passed and
none failed. `--fast` replays on the batch kernels in place of the reference.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from grievance.errors import GrievanceError
from grievance.vdaf.replay import replay
from grievance.vdaf.vectors import BadVector, Json, NotBuilt, algorithm_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Replay = Callable[[str, Json], int]

LARGEST_FILE = 64 * 2**20
# Beside our own verdicts: what reading any bytes as JSON, and numbers of any size, may raise.
REFUSALS = (BadVector, GrievanceError, OSError, ValueError, TypeError, MemoryError, RecursionError)


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    file: str
    status: Literal["pass", "fail", "skip"]
    algorithm: str
    operations: int
    detail: str


def check_file(path: Path, name: str, replay: Replay = replay) -> Outcome:
    """Replay one file, whatever is in it. Raises nothing."""
    algorithm = ""
    try:
        vector = Json(_load(path), "the file")
        vector.where = "the vector"
        algorithm = algorithm_of(path.stem, vector)
        operations = replay(algorithm, vector)
    except NotBuilt as other:
        return Outcome(name, "skip", str(other), 0, f"{other} is not built here")
    except REFUSALS as error:
        detail = str(error) or type(error).__name__
        return Outcome(name, "fail", algorithm, 0, detail)
    return Outcome(name, "pass", algorithm, operations, f"{operations} operations")


def _load(path: Path) -> object:
    if not path.is_file():
        raise BadVector("not a regular file")
    if path.stat().st_size > LARGEST_FILE:
        raise BadVector(f"more than {LARGEST_FILE} bytes")
    try:
        loaded: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadVector("not readable as JSON") from error
    return loaded


def find(root: Path) -> list[tuple[Path, str]]:
    """List the JSON files under a directory (or the one file given), with names to print."""
    if root.is_file():
        return [(root, root.name)]
    found = [path for path in root.rglob("*.json") if not path.is_dir()]
    return sorted((path, path.relative_to(root).as_posix()) for path in found)


def check(root: Path, replay: Replay = replay) -> list[Outcome]:
    """Replay everything under `root`."""
    return [check_file(path, name, replay) for path, name in find(root)]


def _kernels() -> Replay:
    """Load the replay on kernels, by name: the reference does not depend on what it checks."""
    fast: Replay = import_module("grievance.kernels.check").replay
    return fast


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m grievance.vdaf.check", description="Replay a directory of VDAF vectors."
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--fast", action="store_true", help="replay on the batch kernels")
    options = parser.parse_args(arguments)
    outcomes = check(options.directory, _kernels() if options.fast else replay)
    counts = {
        status: sum(o.status == status for o in outcomes) for status in ("pass", "fail", "skip")
    }
    if options.json:
        summary = {"passed": counts["pass"], "failed": counts["fail"], "skipped": counts["skip"]}
        text = json.dumps({**summary, "files": [asdict(o) for o in outcomes]}, indent=2)
    else:
        # File names are strangers' text: ascii() keeps each on its line.
        lines = [f"{o.status}  {ascii(o.file)[1:-1]}: {ascii(o.detail)[1:-1]}" for o in outcomes]
        text = "\n".join([*lines, f"{counts['pass']} passed, {counts['fail']} failed"])
    sys.stdout.write(text + "\n")
    if not outcomes:
        sys.stderr.write("grievance: error: no test vectors (*.json) were found there\n")
    return 0 if counts["pass"] and not counts["fail"] else 1


if __name__ == "__main__":
    sys.exit(main())
