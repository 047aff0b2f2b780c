"""A shell for tests: types commands in this process, and says what came out and how it ended."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from grievance.cli.app import run
from plan_head import plan_head

PLAN = (
    plan_head("Pressure at work", "trial", lifetime="8.0").lstrip()
    + """
[fields.problems]
question = "What is a problem?"
help = "Tick at most two."
choices = ["overtime", "targets", "bullying"]
pick = 2

[fields.hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 10
step = 1

[statistics.problems_by_region]
count = ["problems", "region"]

[statistics.hours_mean]
mean = "hours"
"""
)
ANSWERS = '{"region": "London", "problems": ["targets"], "hours": 4}'


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which must be one JSON value and nothing else."""
        return json.loads(self.out)

    def refused(self, code: int, *words: str) -> Ran:
        """Assert a refusal: exit code, an error and its words on stderr, nothing on stdout."""
        assert self.code == code, (self.code, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        assert "grievance: error: " in self.err, self.err
        for word in words:
            assert word in self.err, (word, self.err)
        return self

    def done(self) -> Ran:
        """Assert that it was done."""
        assert self.code == 0, (self.code, self.out, self.err)
        return self


_OFFICES = tempfile.TemporaryDirectory(prefix="grievance-offices-")
_NUMBERS = itertools.count()


class Terminal(io.StringIO):
    """Input that says it is a keyboard, or output that says it is a screen."""

    def isatty(self) -> bool:
        return True


def type_words(
    *words: str,
    home: Path | None = None,
    stdin: str = "",
    keyboard: str | None = None,
    env: dict[str, str] | None = None,
    screen: Terminal | None = None,
) -> Ran:
    """Type a command. `stdin` is a pipe; `keyboard` is what a person types in a terminal.

    `screen` takes what is said, in place of a pipe.
    """
    out = io.StringIO()
    err = io.StringIO() if screen is None else screen
    settings = dict(env or {})
    if home is not None:
        settings["GRIEVANCE_HOME"] = str(home)
    elif words[:1] == ("seal",):
        # It remembers whom it sealed: nobody's own folder is for tests, and each is a new office.
        settings["GRIEVANCE_HOME"] = f"{_OFFICES.name}/{next(_NUMBERS)}"
    source = io.StringIO(stdin) if keyboard is None else Terminal(keyboard)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GRIEVANCE_")}
    code: object = 0
    with (
        mock.patch.dict(os.environ, {**clean, **settings}, clear=True),
        mock.patch.object(sys, "stdin", source),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run(words)
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


@dataclass
class Town:
    """Organisations around a pool, each with a folder of its own, and one round of theirs."""

    folder: Path
    prints: dict[str, str] = field(default_factory=dict)
    round_id: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.pool.exists():
            self.pool.mkdir(parents=True)
            self.plan.write_text(PLAN, encoding="utf-8")

    def copied(self, folder: Path) -> Town:
        """The same town in another folder, to be changed there; making one takes seconds."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        for path in folder.glob("homes/*/organisation.json"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(str(self.pool), str(folder / "pool")), encoding="utf-8")
        return replace(self, folder=folder, prints=dict(self.prints))

    @property
    def pool(self) -> Path:
        return self.folder / "pool"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.toml"

    @property
    def bundle(self) -> Path:
        return self.folder / "round.json"

    def home(self, name: str) -> Path:
        return self.folder / "homes" / name

    def type(self, name: str, *words: str, **how: Any) -> Ran:
        return type_words(*words, home=self.home(name), **how)

    def settle(self) -> None:
        """Aggregators and witnesses sync until there is nothing left to do."""
        names = ["north", "south"]
        if any(self.pool.glob("rounds/*/releases/*")):
            witnesses = [name for name in self.prints if name not in names]
            for name in witnesses:
                self.type(name, "sync", "--trust", self.digest).done()
            names += witnesses
        while any(self.type(name, "sync", "--json").done().json["done"] for name in names):
            pass

    def found(self, *names: str) -> None:
        for name in names:
            ran = self.type(name, "init", name, "--pool", str(self.pool))
            self.prints[name] = ran.done().out.strip()

    def named(self, name: str) -> str:
        return f"{name}:{self.prints[name]}"

    def new(self, *words: str, **how: Any) -> Ran:
        """North types `round new`. Backups have tests of their own."""
        return self.type("north", "round", "new", str(self.plan), "--no-backup", *words, **how)

    def join(self, round_id: str, *words: str, name: str = "south", **how: Any) -> Ran:
        """South types `round join`."""
        return self.type(name, "round", "join", round_id, "--no-backup", *words, **how)

    def open(self, *admit: str) -> str:
        """North and south open another round; the newest is `round_id`."""
        admitted = [f"--admit={self.named(name)}" for name in admit]
        words = (f"--with={self.named('south')}", *admitted, "--yes")
        self.round_id = self.new(*words).done().out.strip()
        self.join(self.round_id, f"--expect={self.named('north')}", "--yes").done()
        self.settle()
        bundle = self.bundle.with_name(f"{self.round_id}.json")
        invite = ("round", "invite", str(bundle), "--round", self.round_id)
        self.digest = self.type("north", *invite).done().out.strip()
        if not self.bundle.exists():
            self.bundle.write_bytes(bundle.read_bytes())
        return self.round_id

    def seal(self, *words: str, **how: Any) -> Ran:
        return type_words("seal", str(self.bundle), "--trust", self.digest, *words, **how)

    def fill(self, number: int = 12) -> Path:
        """Seal some reports into a folder."""
        inbox = self.folder / "inbox"
        inbox.mkdir(exist_ok=True)
        table = self.folder / "rows.csv"
        table.write_text("region,problems,hours\n" + "London,targets,4\n" * number)
        mapping = self.folder / "mapping.toml"
        mapping.write_text('[fields.problems]\nseparator = ";"\n')
        out = self.folder / "sealed"
        self.seal("--table", str(table), "--mapping", str(mapping), "--out", str(out)).done()
        (out / "all.reports").rename(inbox / "all.reports")
        out.rmdir()
        return inbox

    def collect(self, number: int = 12) -> None:
        """A filled round, relayed by nurses, checked by both."""
        inbox = self.fill(number)
        self.type("nurses", "relay", str(inbox), "--trust", self.digest).done()
        (inbox / "all.reports").unlink()
        self.settle()

    def close(self) -> None:
        self.type("north", "round", "close", "--yes").done()
        self.settle()

    def release(self) -> str:
        """Close, propose, approve, settle; returns the release's id."""
        self.close()
        release_id = self.type("north", "release", "propose", "--yes").done().out.strip()
        self.type("south", "release", "approve", release_id, "--yes").done()
        self.settle()
        return release_id
