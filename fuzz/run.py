"""Coverage-guided fuzzing of the targets with atheris: `python -m fuzz TARGET|all --seconds N`.

Every target runs in a process of its own, under limits of time and memory; the input that
broke a promise is kept in `fuzz/found/<target>/`. Without atheris this still replays files:
`python -m fuzz TARGET FILE...`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz.contract import judge
from fuzz.seeds import corpus, seeds
from fuzz.targets import TARGETS

ROOT = Path(__file__).parent.parent
FOUND = Path(__file__).parent / "found"
_DONE = re.compile(r"Done (\d+) runs? in \d+ second")
_SEEN = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("target", help="a target, or `all`")
    parser.add_argument("files", nargs="*", type=Path, help="replay these inputs and nothing else")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    options = parser.parse_args(arguments)
    if options.target not in (*TARGETS, "all"):
        parser.error("there is no such target; there are: " + " ".join(sorted(TARGETS)))
    names = sorted(TARGETS) if options.target == "all" else [options.target]
    if options.files:
        return replay(names, options.files)
    found = [name for name in names if fuzz(name, options.seconds)]
    return int(bool(found))


def replay(names: list[str], files: list[Path]) -> int:
    """Feed files to targets; a finding ends it with its traceback."""
    for path in files:
        for name in names:
            accepted = judge(TARGETS[name], path.read_bytes())
            sys.stdout.write(f"{name}: {path}: {'accepted' if accepted else 'refused'}\n")
    return 0


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own. Returns whether anything was found."""
    with tempfile.TemporaryDirectory(prefix="grievance-fuzz-") as scratch:
        inputs, found = Path(scratch) / "corpus", FOUND / name
        inputs.mkdir()
        found.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate([*corpus(name), *seeds()[name]]):
            (inputs / f"{number:04}").write_bytes(data)
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "fuzz.inside", name, str(inputs), str(seconds), str(found)],
            check=False,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": scratch, "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    if not any(found.iterdir()):
        found.rmdir()
    runs, seen = _DONE.findall(done.stdout), _SEEN.findall(done.stdout)
    executions = runs[-1] if runs else (seen[-1][0] if seen else "0")
    verdict = "nothing found" if done.returncode == 0 else f"FOUND (exit code {done.returncode})"
    edges = seen[-1][1] if seen else "no"
    sys.stdout.write(f"{name}: {executions} executions, {edges} edges covered: {verdict}\n")
    if done.returncode:
        sys.stdout.write(done.stdout[-3000:] + "\n")
    sys.stdout.flush()
    return done.returncode != 0
