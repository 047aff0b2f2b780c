"""Several organisations on one machine, each typing its own commands: for demos and examples.

Every command goes through the command line as a person's would; only that one process types
for all, and each organisation's folder is given to it by GRIEVANCE_HOME.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING

from grievance.cli.choice import typed
from grievance.cli.office import NOTHING_TO_DO
from grievance.cli.output import INTERRUPTED, emit, tell
from grievance.errors import GrievanceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Stage:
    """A folder with `pool` and one folder for each organisation.

    What is typed, and what the commands answer, is shown on stdout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = ""
        """What the last command wrote for people."""
        (folder / "pool").mkdir(parents=True)

    def title(self, text: str) -> None:
        """Announce a step."""
        emit(f"\n# {text}")

    def init(self, name: str, shown: str) -> str:
        """Make an organisation. Returns its fingerprint."""
        pool = str(self.folder / "pool")
        return self.type(name, "init", name, "--pool", pool, "--display-name", shown).strip()

    def settle(self, *names: str, quiet: bool = False) -> None:
        """Let aggregators sync in turn until none of them has anything left to do."""
        idle = 0
        while idle < len(names):
            for name in names:
                self.type(name, "sync", quiet=quiet)
                idle = idle + 1 if NOTHING_TO_DO in self.said else 0
                if idle == len(names):
                    break

    def type(
        self,
        name: str,
        *words: str,
        quiet: bool = False,
        live: bool = False,
        may_fail: bool = False,
    ) -> str:
        """Type a command as the organisation `name`; show it and its output, indented.

        `quiet` leaves out the words it writes for people; `live` lets them through as they
        come, progress bars included. Returns its stdout. Raises what the command raises,
        unless it `may_fail`: then the error is shown as a person would see it.
        """
        from grievance.cli.app import tree

        shown = [word.replace(str(self.folder), ".") for word in words]
        quoted = [f'"{word}"' if " " in word else word for word in shown]
        emit(f"{name}$ grievance {' '.join(quoted)}")
        out, err = io.StringIO(), io.StringIO()
        failed = False
        listening = contextlib.nullcontext() if live else contextlib.redirect_stderr(err)
        typed.set(tuple(words))
        with self._at_home(name), contextlib.redirect_stdout(out), listening:
            try:
                code = tree()(list(words), prog_name="grievance", standalone_mode=False)
                if code == INTERRUPTED:
                    raise KeyboardInterrupt
                failed = bool(code)
            except GrievanceError as error:
                if not may_fail:
                    raise
                tell(error)
                failed = True
        self.said = err.getvalue()
        words_for_people = [] if quiet and not failed else self.said.splitlines()
        for line in out.getvalue().splitlines() + words_for_people:
            emit(f"    {line.replace(str(self.folder), '.')}".rstrip())
        if failed and not may_fail:
            raise UsageError(
                f"`grievance {words[0]}` of {name} was not done whole",
                code="stage.failed",
                hint="what it said is above",
            )
        return out.getvalue()

    @contextlib.contextmanager
    def _at_home(self, name: str) -> Iterator[None]:
        """Work in an organisation's own folder; without a passphrase that was meant for another."""
        given = {"GRIEVANCE_HOME": str(self.folder / name), "GRIEVANCE_PASSPHRASE": ""}
        before = {key: os.environ.get(key) for key in given}
        os.environ.update(given)
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value
