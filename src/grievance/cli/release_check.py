"""`release check`: whether tables fit the release.json beside them; and what `audit` says of it.

The audit takes nothing from the code that makes releases. So where it is given a folder, it runs
`release check` as a process of its own, after its verdict, and repeats the one line that says
what came of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grievance.cli.output import REFUSED, WAITING, Json, emit, emit_json
from grievance.cli.places import HomeOption, TrustOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.pool.store import Store
    from grievance.release import Release
    from grievance.task import Task

_CODES = {"fits": 0, "does not fit": REFUSED, "not checked": WAITING}
_RUN = "from grievance.cli import main; main()"


def check(
    folder: Annotated[Path, typer.Argument(help="What `release export` wrote.")],
    pool: Annotated[
        str | None,
        typer.Option("--pool", help="Also hold its release.json against this pool."),
    ] = None,
    trust: TrustOption = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Make again what stands beside a release.json, and compare.

    That says whether they fit this release.json. Whether it fits a pool is only looked at with
    --pool; then --trust says whose pool that is. Exit codes: 0 everything fits; 1 something does
    not, and its line is named; 3 something could not be checked, as what another version wrote.
    """
    from grievance.release import check_folder

    def source(claim: Release) -> tuple[Release, Mapping[str, int]]:
        from grievance.cli.places import open_home, trusted_task
        from grievance.pool.store import open_store
        from grievance.release import collect

        store = open_store(pool or "")
        own = open_home(home) if not trust else None
        task = trusted_task(store, claim.task.round_id, trust, own)
        return collect(store, task, claim.release_id), relays_of(store, task)

    found = check_folder(folder, None if pool is None else source)
    if as_json:
        emit_json(found.to_json())
    else:
        emit(f"{folder} {found.line}")
        if not found.with_pool and found.outcome == "fits":
            emit("Whether that release.json fits a pool was not looked at: add --pool and --trust.")
    raise typer.Exit(_CODES[found.outcome])


def relays_of(store: Store, task: Task) -> dict[str, int]:
    """How many sealed reports of each admitted partner count; both are public."""
    from grievance.pool.order import read_chain

    chain = read_chain(store, task)
    passed_on = dict.fromkeys(chain.partners, 0)
    for batch in chain.counted:
        passed_on[batch.partner] += batch.rows
    return passed_on


@dataclass(frozen=True)
class BesideAudit:
    """What `release check` said of a folder that an audit was given; `line` is for people."""

    folder: Path
    outcome: str
    line: str

    @property
    def exit_code(self) -> int:
        """As `release check` would exit."""
        return _CODES[self.outcome]

    def to_json(self) -> dict[str, str]:
        """Write it for programs."""
        return {"folder": str(self.folder), "outcome": self.outcome, "line": self.line}


def check_apart(folder: Path) -> BesideAudit:
    """Run `release check` on a folder as a process of its own, and take its line."""
    # -P: a folder that somebody handed over must not lend its modules to us.
    words = [sys.executable, "-P", "-c", _RUN, "release", "check", "--json", "--", str(folder)]
    ran = subprocess.run(  # noqa: S603  # our own interpreter; the folder is one word after --
        words, capture_output=True, text=True, encoding="utf-8", check=False
    )
    found = _object(ran.stdout)
    outcome, line = found.get("outcome"), found.get("line")
    if outcome not in _CODES or _CODES[outcome] != ran.returncode or not isinstance(line, str):
        why = _object(ran.stderr.strip().rpartition("\n")[2]).get("message")
        outcome = "not checked"
        line = f"not checked: {why or f'`release check` ended with exit code {ran.returncode}'}"
    return BesideAudit(folder, outcome, f"Beside release.json: {folder.resolve().name} {line}.")


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
