"""`grievance demo`: a whole round between made-up organisations, with the commands they type."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.output import emit, progress_bars, say, table
from grievance.cli.stage import Stage
from grievance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.release import Release
    from grievance.task import Task

AGGREGATORS = {"health-union": "Health Workers Union", "law-centre": "Community Law Centre"}
PARTNERS = {
    "nurses-network": "Nurses Network",
    "carers-league": "Carers League",
    "patients-group": "Patients and Service Users Group",
}


def register(app: typer.Typer) -> None:
    """Add the demo."""
    app.command()(demo)


def demo(
    workers: Annotated[
        int, typer.Option("--workers", min=100, max=20_000, help="How many made-up workers.")
    ] = 580,
    seed: Annotated[int, typer.Option("--seed", help="Which made-up workers.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="DIR", help="Leave DIR/pool and every organisation's folder behind."
        ),
    ] = None,
) -> None:
    """Run a whole round of made-up organisations.

    Shows every command they type, and holds what is released against the truth, which nobody
    has in a real round. Takes some seconds and leaves nothing behind, unless with --keep.
    """
    with _folder(keep) as folder:
        Demo(folder).play(workers, seed)
    if keep is not None:
        say(f"Everything is in {keep}; look at the pool with: ls -R {keep / 'pool'}")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise UsageError(f"{keep} is not empty", code="usage.exists", hint="name a new folder")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="grievance-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Demo(Stage):
    """The demo's organisations and what they do."""

    receipt = ""
    """What one worker kept: the digest of the sealed report."""

    def play(self, workers: int, seed: int) -> None:
        """Run the round from identities to released tables, an audit and a refusal."""
        self.title("Five organisations, one shared folder")
        prints = {name: self.init(name, shown) for name, shown in (AGGREGATORS | PARTNERS).items()}
        plan = self.folder / "plan.toml"
        plan.write_bytes(resources.files("grievance.demo").joinpath("plan.toml").read_bytes())
        digest = self.open_round(prints, plan, workers)
        task, people = self.collect(workers, seed, digest)
        release = self.release(task)
        self.compare(task, release, people)
        self.title("Anybody can check it, with nothing but the folder")
        pool = str(self.folder / "pool")
        self.type("auditor", "audit", pool, "--trust", digest)
        self.type("worker", "counted", self.receipt, "--pool", pool, "--trust", digest)
        self.title("Asking twice is refused")
        self.type("health-union", "release", "propose", "--yes", may_fail=True)

    def open_round(self, prints: dict[str, str], plan: Path, workers: int) -> str:
        """Two organisations that trust nobody alone agree on a plan. Returns the digest."""
        self.title("What may be asked, and at what cost to privacy")
        self.type("health-union", "plan", "check", str(plan), "--reports", str(workers))
        self.title("Two of them open a round: neither can read an answer alone")
        # Nobody waits for trustees in a demo, and nothing of it is worth a backup.
        consent = ["--yes", "--no-backup"]
        admit = [f"--admit={name}:{prints[name]}" for name in PARTNERS]
        helper = f"--with=law-centre:{prints['law-centre']}"
        round_id = self.type(
            "health-union", "round", "new", str(plan), helper, *admit, *consent, quiet=True
        ).strip()
        expect = f"--expect=health-union:{prints['health-union']}"
        self.type("law-centre", "round", "join", round_id, expect, *consent, quiet=True)
        self.settle(*AGGREGATORS)
        invitation = self.folder / "round.json"
        return self.type("health-union", "round", "invite", str(invitation)).strip()

    def collect(self, workers: int, seed: int, digest: str) -> tuple[Task, list[dict[str, object]]]:
        """Workers seal on their own devices; partners relay what they cannot read."""
        from grievance.client import seal, write_report
        from grievance.demo import generate
        from grievance.task import load_task

        self.title(f"{workers} workers seal their answers, each on their own device")
        task = load_task(self.folder / "round.json", trust=[digest])
        people = generate(task.plan, workers, seed)
        inboxes = [self.folder / "inbox" / name for name in PARTNERS]
        for inbox in inboxes:
            inbox.mkdir(parents=True)
        emit(f"$ grievance seal round.json --trust {digest}     # {workers} times")
        with progress_bars() as progress:
            for number, answers in enumerate(people):
                report = seal(task, answers)
                inbox = inboxes[number % 6 % 4 % len(inboxes)]
                write_report(inbox / f"{report.digest.hex()[:16]}.report", report)
                self.receipt = report.digest.hex()
                progress("sealing", number + 1, workers)
        self.title("Three partners relay them")
        for inbox in inboxes:
            trust = ["--trust", digest]
            self.type(inbox.name, "relay", str(inbox), *trust)
        self.title("Both aggregators check and sum what they cannot read")
        self.settle(*AGGREGATORS)
        return task, people

    def release(self, task: Task) -> Release:
        """Close, propose, approve; the noise is in before anything leaves."""
        from grievance.pool.store import open_store
        from grievance.release.collect import collect

        self.title("The round is closed, and a release agreed")
        self.type("health-union", "round", "close", "--yes")
        self.settle(*AGGREGATORS)
        release_id = self.type("health-union", "release", "propose", "--yes").strip()
        self.type("law-centre", "release", "approve", release_id, "--yes")
        # The partners saw what was charged before a share leaves: they are the witnesses.
        self.settle(*AGGREGATORS, *PARTNERS)
        self.type("health-union", "release", "export", str(self.folder / "results"), quiet=True)
        return collect(open_store(self.folder / "pool"), task, release_id)

    def compare(self, task: Task, release: Release, people: Sequence[dict[str, object]]) -> None:
        """Print released tables beside the truth, which only a demo knows."""
        from grievance.demo import check_release, exact_release
        from grievance.release.page.lead import what_was_sealed, who_answered

        self.title("What was released, beside the truth that nobody in a real round has")
        answered = sum(not task.layout.answers(answers).is_blank for answers in people)
        emit(f"{who_answered(release)} In truth {answered:,} did.")
        emit(what_was_sealed(release))
        emit("")
        checks = check_release(release, exact_release(task, people, release))
        for name in release.names:
            rows = [
                [
                    ", ".join(check.labels.values()) or "everybody",
                    f"{check.estimate:.4g}",
                    f"{check.low:.4g} to {check.high:.4g}",
                    f"{check.truth:.4g}",
                    "" if check.inside else "outside",
                ]
                for check in checks
                if check.statistic == name
            ]
            emit(f"{name}: {release[name].title}")
            emit(table(["cell", "released", "95% of the noise", "truth", ""], rows, right=(1, 3)))
            emit("")
        inside = sum(check.inside for check in checks)
        emit(f"{inside} of {len(checks)} cells lie inside their stated 95% margin.")
