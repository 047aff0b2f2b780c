"""One coalition at some moments, and every command somebody may type in it.

`make` plays the coalition with everything installed and keeps a copy of each moment. `play` types
commands, each in a fresh copy; it is also run in other environments, where less is installed:

    python typed_everything.py [--block NAME,NAME] [--unguarded] FOLDER NUMBER...
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

TESTS = Path(__file__).resolve().parent.parent
sys.path += [str(TESTS), str(TESTS / "cli")]


@dataclass(frozen=True)
class Typed:
    """A command, typed by somebody at some moment. `code`: how it ends where all is installed."""

    command: str
    moment: str
    who: str
    words: tuple[str, ...] = ()
    code: int = 0
    steward: bool = False
    """Whether it is refused where only the base is installed."""
    pipe: str = ""
    in_base: int | None = None
    """How it ends in the base, where that differs: what only Arrow reads is not checked there."""

    @property
    def name(self) -> str:
        return f"{self.command} ({self.who}, {self.moment})"


def typed(town: dict[str, Any]) -> list[Typed]:
    """Every command of the program at least once. `town`: names, digests and paths of `make`."""
    folder, first, trust = town["folder"], town["round"], ("--trust", town["digest"])
    north, nurses, carers = (f"{n}:{town['prints'][n]}" for n in ("north", "nurses", "carers"))
    pool, bundle = f"{folder}/pool", f"{folder}/round.json"
    table = ("--table", f"{folder}/rows.csv", "--mapping", f"{folder}/mapping.toml")
    out, rehearsal = ("--out", f"{folder}/sealed"), ("--fingerprint", town["request"], "--yes")
    answers = '{"region": "London", "problems": ["targets"], "hours": 4}'
    new = ("--with", f"south:{town['prints']['south']}", "--no-backup", "--yes")
    join = (first, "--expect", north, "--no-backup", "--yes")
    steward: Any = {"steward": True}
    return [
        Typed("init", "founded", "patients", ("patients", "--pool", pool)),
        Typed("status", "open", "north"),
        Typed("status", "released", "carers"),
        Typed("sync", "open", "nurses"),
        Typed("sync", "released", "carers", trust),
        Typed("sync", "destroyed", "south"),
        Typed("sync", "invited", "north", **steward),
        Typed("sync", "relayed", "north", **steward),
        Typed("sync", "approved", "north", **steward),
        Typed("admit", "open", "north", (carers, "--yes"), **steward),
        Typed("expel", "open", "north", ("nurses", "--yes")),
        Typed("heads", "released", "nurses"),
        Typed("compare", "founded", "nurses", (north, "--yes")),
        Typed("home move-pool", "open", "nurses", (f"{folder}/pool-moved",)),
        Typed("seal", "open", "nobody", (bundle, *trust, "--answers", "-", *out), pipe=answers),
        Typed("seal", "open", "nobody", (bundle, *trust, "--blank", *out)),
        Typed("seal", "open", "nurses", (bundle, *trust, *table, *out), **steward),
        Typed("relay", "open", "nurses", (f"{folder}/inbox", *trust)),
        Typed("recover", "lost", "south", ("--alone",), **steward),
        Typed("audit", "released", "nobody", (pool, *trust)),
        Typed("audit", "open", "nobody", (pool, *trust)),
        Typed("audit", "released", "nobody", (pool, *trust, "--statistical")),
        Typed("counted", "released", "nobody", (town["receipt"], "--pool", pool, *trust)),
        Typed("exposure", "released", "north"),
        Typed("demo", "founded", "nobody", ("--workers", "100"), **steward),
        Typed("plan new", "founded", "nobody", (f"{folder}/new.toml",)),
        Typed("plan check", "founded", "nobody", (f"{folder}/plan.toml", "--reports", "300")),
        Typed("plan mapping", "founded", "nobody", (f"{folder}/plan.toml",)),
        Typed("round new", "founded", "north", (f"{folder}/plan.toml", *new), **steward),
        Typed("round join", "invited", "south", join, **steward),
        Typed("round consent", "open", "south", (first,), **steward),
        Typed("round invite", "released", "nurses", (f"{folder}/again.json",)),
        Typed("round close", "open", "north", ("--yes",), **steward),
        Typed("round void", "open", "north", ("9", "--yes"), code=1, **steward),
        Typed("round order", "open", "north", ("9",), code=2, **steward),
        Typed("round destroy", "released", "south", ("--yes",), **steward),
        Typed("round status", "open", "nurses"),
        Typed("release propose", "closed", "north", ("--yes",), **steward),
        Typed("release approve", "proposed", "south", ("--yes",), **steward),
        Typed("release decline", "proposed", "south", ("--reason", "too early", "--yes")),
        Typed("release waive", "proposed", "north", ("--yes",), code=1),
        Typed("release show", "released", "carers", trust),
        Typed("release show", "released", "nobody", ("--pool", pool, *trust)),
        Typed("release export", "released", "carers", (f"{folder}/out", *trust), **steward),
        Typed("release check", "released", "nobody", (f"{folder}/results",), in_base=3),
        Typed("release schema", "founded", "nobody"),
        Typed("backup make", "founded", "south", ("--to", nurses, "--to", carers, "--yes")),
        Typed("backup rehearse", "founded", "north", code=3),
        Typed("backup answer", "founded", "carers", ("north", *rehearsal)),
        Typed("backup status", "founded", "north"),
        Typed("restore", "founded", "nobody", (north, "--pool", pool), code=3),
    ]


def make(folder: Path) -> list[Typed]:
    """Play the coalition in `folder`/town, and keep every moment beside it."""
    from cli_shell import Town

    town = Town(folder / "town")

    def keep(moment: str) -> None:
        shutil.copytree(town.folder, folder / moment)

    town.found("north", "south", "nurses", "carers")
    trustees = ("--to", town.named("nurses"), "--to", town.named("carers"))
    town.type("north", "backup", "make", *trustees, "--yes").done()
    asked = town.type("north", "backup", "rehearse", "--json")
    keep("founded")
    words = (f"--with={town.named('south')}", f"--admit={town.named('nurses')}", "--yes")
    town.round_id = town.new(*words).done().out.strip()
    keep("invited")
    town.join(town.round_id, f"--expect={town.named('north')}", "--yes").done()
    town.settle()
    invite = ("round", "invite", str(town.bundle))
    town.digest = town.type("north", *invite).done().out.strip()
    inbox = town.fill()
    one = ("--answers", "-", "--out", str(inbox / "one.report"))
    receipt = town.seal(*one, stdin='{"region": "Wales"}').done().out.strip()
    shutil.copytree(town.pool, town.folder / "pool-moved")
    keep("open")
    shutil.rmtree(town.folder / "pool-moved")
    town.type("nurses", "relay", str(inbox), "--trust", town.digest).done()
    keep("relayed")
    town.close()
    keep("closed")
    town.type("north", "release", "propose", "--yes").done()
    keep("proposed")
    town.type("south", "release", "approve", "--yes").done()
    keep("approved")
    town.settle()
    town.type("north", "release", "export", str(town.folder / "results")).done()
    keep("released")
    state = town.home("south") / "state.sqlite"
    state.rename(state.with_name("state.away"))
    keep("lost")
    state.with_name("state.away").rename(state)
    town.type("south", "round", "destroy", "--yes").done()
    keep("destroyed")
    facts = {
        "folder": str(town.folder),
        "round": town.round_id,
        "digest": town.digest,
        "prints": town.prints,
        "receipt": receipt,
        "request": asked.json["request"],
    }
    cases = typed(facts)
    (folder / "typed.json").write_text(json.dumps([asdict(case) for case in cases]))
    return cases


def play(folder: Path, which: Sequence[int]) -> list[dict[str, Any]]:
    """Type some of the commands, each in its moment. Tells how each ended."""
    from cli_shell import type_words

    cases = json.loads((folder / "typed.json").read_text())
    town, found = folder / "town", []
    for number in which:
        case = cases[number]
        shutil.rmtree(town)
        shutil.copytree(folder / case["moment"], town)
        before = _tree(town)
        home = town / "homes" / case["who"]
        words = [*case["command"].split(), *case["words"]]
        try:
            ran = type_words(*words, home=home, stdin=case["pipe"])
            code, said = ran.code, ran.err
        except Exception as error:  # noqa: BLE001  # somebody would see a traceback
            code, said = -1, f"{type(error).__name__}: {error}"
        found.append({"code": code, "said": said, "changed": _tree(town) != before})
    return found


def _tree(folder: Path) -> dict[str, str]:
    """Every file and what is in it; what SQLite keeps beside a database comes and goes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


class Absent:
    """An import hook: packages of these names are not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = set(names)

    def find_spec(self, name: str, _path: object = None, _target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--block", default="")
    parser.add_argument("--unguarded", action="store_true")
    parser.add_argument("folder", type=Path)
    parser.add_argument("numbers", type=int, nargs="*")
    given = parser.parse_args()
    sys.meta_path.insert(0, Absent(given.block.split(",")))  # type: ignore[arg-type]
    if given.unguarded:
        from grievance import extras

        extras.PACKAGES["steward"] = ()
    print(json.dumps(play(given.folder, given.numbers)))
