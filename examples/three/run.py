"""Three aggregators: one is silent for a while, one leaves for good. What `status` says.

    python examples/three/run.py [--keep DIR]

Made-up people answer. Every command that is shown is one a person would type.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from grievance.cli.output import emit
from grievance.cli.stage import Stage
from grievance.client import seal, write_report
from grievance.demo import generate
from grievance.task import load_task

AGGREGATORS = {
    "north-union": "Northern Health Union",
    "south-union": "Southern Health Union",
    "law-centre": "Community Law Centre",
}
RELAY = "nurses-network"
WORKERS = 150


class Three(Stage):
    """Three organisations that add up, and one that relays."""

    def play(self) -> None:
        """A round in which one aggregator stalls it, comes back, and one then leaves."""
        digest = self.open_round()
        self.collect(digest)
        self.silence()
        self.title("It comes back; the round goes on where it was, and a release comes out")
        self.settle(*AGGREGATORS)
        self.type("north-union", "round", "close", "--yes")
        self.settle(*AGGREGATORS)
        first = self.type("north-union", "release", "propose", "problems_by_region", "--yes")
        for name in ("south-union", "law-centre"):
            self.type(name, "release", "approve", first.strip(), "--yes")
        self.settle(*AGGREGATORS, RELAY)
        self.type("north-union", "release", "show", quiet=True)
        self.leaving()
        self.title("What was released stays, and anybody can check it")
        pool = str(self.folder / "pool")
        self.type("auditor", "audit", pool, "--trust", digest, may_fail=True)

    def open_round(self) -> str:
        """All three sign, the leader invites. Returns the round's digest."""
        self.title("Three organisations open a round: any two together learn nothing")
        prints = {name: self.init(name, shown) for name, shown in AGGREGATORS.items()}
        prints[RELAY] = self.init(RELAY, "Nurses Network")
        plan = self.folder / "plan.toml"
        plan.write_bytes(resources.files("grievance.demo").joinpath("plan.toml").read_bytes())
        helpers = [f"--with={name}:{prints[name]}" for name in ("south-union", "law-centre")]
        # Nobody waits for trustees in an example, and nothing of it is worth a backup.
        consent = ["--yes", "--no-backup"]
        round_id = self.type(
            "north-union", "round", "new", str(plan), *helpers,
            f"--admit={RELAY}:{prints[RELAY]}", *consent, quiet=True,
        ).strip()  # fmt: skip
        for name in ("south-union", "law-centre"):
            others = [f"--expect={n}:{prints[n]}" for n in AGGREGATORS if n != name]
            self.type(name, "round", "join", round_id, *others, *consent, quiet=True)
        self.settle(*AGGREGATORS)
        return self.type("north-union", "round", "invite", str(self.folder / "round.json")).strip()

    def collect(self, digest: str) -> None:
        """Workers seal, the network relays."""
        self.title(f"{WORKERS} workers seal, one network relays")
        task = load_task(self.folder / "round.json", trust=[digest])
        inbox = self.folder / "inbox"
        inbox.mkdir()
        for answers in generate(task.plan, WORKERS, seed=3):
            report = seal(task, answers)
            write_report(inbox / f"{report.digest.hex()[:16]}.report", report)
        self.type(RELAY, "relay", str(inbox), "--trust", digest)

    def silence(self) -> None:
        """The law centre does not sync: nothing is decided, nothing is lost, and all can see it."""
        self.title("The law centre is silent: the others wait, and see for whom")
        self.settle("north-union", "south-union")
        for name in AGGREGATORS:
            self.type(name, "status")

    def leaving(self) -> None:
        """South leaves for good: what was not released never can be, and nothing is charged."""
        self.title("The southern union leaves for good: a second release can only wait")
        second = self.type("north-union", "release", "propose", "unpaid_hours_mean", "--yes")
        self.type("law-centre", "release", "approve", second.strip(), "--yes")
        self.settle("north-union", "law-centre")
        for name in ("north-union", "law-centre"):
            self.type(name, "status")
        emit("\nNothing was charged for it: a lost aggregator costs the numbers that were not")
        emit("released yet, never the promise to workers. A backup of its keys brings it back.")


@contextlib.contextmanager
def folder_for(keep: Path | None) -> Iterator[Path]:
    """The folder everything happens in; a temporary one unless it is to be kept."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="grievance-three-") as made:
        yield Path(made)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--keep", type=Path, help="leave the pool and all folders in this new folder"
    )
    with folder_for(parser.parse_args().keep) as folder:
        Three(folder).play()


if __name__ == "__main__":
    main()
