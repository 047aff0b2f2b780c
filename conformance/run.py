"""Test any audit of grievance pools against the cases in this folder. Needs only Python.

    python conformance/run.py [--strict] [--only WORD] [--keep FOLDER] COMMAND...

runs `COMMAND... POOL --trust TEXT... --json` on every case and compares exit code, verdict and
findings. See README.md for what COMMAND must do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PREFIX = "pool/"


@dataclass(frozen=True)
class Case:
    """One pool and what an audit must find: a finished pool, changed as `case.json` says."""

    folder: Path
    recipe: dict[str, Any]
    expected: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def trust(self) -> list[str]:
        return list(self.recipe["trust"])

    def write(self, pool: Path) -> None:
        """Write the pool into a new folder."""
        with zipfile.ZipFile(HERE / "pools" / f"{self.recipe['base']}.zip") as bundle:
            for name in bundle.namelist():
                if name.startswith(PREFIX):
                    _put(pool / name.removeprefix(PREFIX), bundle.read(name))
        for path in self.recipe["remove"]:
            (pool / path).unlink()
        files = self.folder / "files"
        for source in sorted(files.rglob("*")) if files.is_dir() else ():
            if source.is_file():
                _put(pool / source.relative_to(files), source.read_bytes())
        for path, size in self.recipe["grow"].items():
            with (pool / path).open("r+b") as file:
                file.truncate(size)
        for path, target in self.recipe["links"].items():
            (pool / path).symlink_to(target)
        # A folder that holds nothing more is as if it were not there.
        for folder in sorted(pool.rglob("*"), reverse=True):
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def cases(only: str = "") -> Iterator[Case]:
    """All cases whose name holds `only`, in order."""
    for folder in sorted((HERE / "cases").iterdir()):
        if only in folder.name:
            recipe = json.loads((folder / "case.json").read_text("utf-8"))
            yield Case(folder, recipe, json.loads((folder / "expected.json").read_text("utf-8")))


def differences(
    expected: dict[str, Any], code: int, found: dict[str, Any], *, strict: bool = False
) -> list[str]:
    """What an audit said otherwise than expected, in words. Notes count only if `strict`."""
    said = []
    if code != expected["exit"]:
        said.append(f"exit code {code}, not {expected['exit']}")
    if found.get("verdict") != expected["verdict"]:
        said.append(f"verdict {found.get('verdict')!r}, not {expected['verdict']!r}")
    severities = ("fault", "waiting", "note") if strict else ("fault", "waiting")
    wanted, given = (
        {
            (item["severity"], item["rule"], item["file"])
            for item in findings
            if item["severity"] in severities
        }
        for findings in (expected["findings"], found.get("findings", ()))
    )
    said += [f"missed: {' '.join(item)}" for item in sorted(wanted - given)]
    said += [f"too much: {' '.join(item)}" for item in sorted(given - wanted)]
    return said


def _run(case: Case, command: list[str], pool: Path, *, strict: bool) -> list[str]:
    case.write(pool)
    words = [word for text in case.trust for word in ("--trust", text)]
    done = subprocess.run(
        [*command, str(pool), *words, "--json"], capture_output=True, text=True, check=False
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return [f"exit code {done.returncode} and no JSON: {done.stderr.strip()[-300:]}"]
    return differences(case.expected, done.returncode, found, strict=strict)


def main() -> int:
    """Run a command on all cases; 0 if it agrees on all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--strict", action="store_true", help="compare notes as well")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--keep", type=Path, help="write the pools here and leave them")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    given.command = given.command[given.command[:1] == ["--"] :]
    if not given.command and given.keep is None:
        parser.error("which command is to be tested?")
    bad = number = 0
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases(given.only):
            number += 1
            pool = (given.keep or Path(temporary)) / case.name
            if not given.command:
                case.write(pool)
                continue
            said = _run(case, given.command, pool, strict=given.strict)
            bad += bool(said)
            print(f"{'differs' if said else 'ok     '}  {case.name}", flush=True)
            for line in said:
                print(f"         {line}")
    if given.command:
        print(f"{number - bad} of {number} cases agree")
    return 1 if bad or not number else 0


class _Plain(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    sys.exit(main())
