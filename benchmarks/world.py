"""A round of two aggregators and one relay in a temporary folder, for plans of three sizes."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grievance.aggregator import Office, sync
from grievance.aggregator.rounds import join_round, new_round
from grievance.client.input_share import input_share_info
from grievance.client.report import Report
from grievance.crypto.keys import read_hpke_key
from grievance.demo import generate
from grievance.home import Home
from grievance.pool.relay import make_batches, publish_batch
from grievance.pool.rounds import read_task
from grievance.tables.bulk import BulkSealer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.task import Task

AGGREGATORS = ("north", "south")
RELAY = "nurses"
# Sector, post, region, grade, problems: three cross-tabs and a multi-choice count by grade.
CENSUS_TABLES = (
    "industry occupation",
    "industry hours_band",
    "region industry",
    "region occupation",
    "ethnic_group industry",
    "health occupation",
    "sex hours_band",
    "economic_activity hours_band",
)
SIZES = {100: (4, 5, 4, 6, 3), 500: (12, 10, 8, 15, 5), 2000: (20, 20, 22, 25, 12)}


def plan(size: int) -> bytes:
    """A plan of about `size` bits."""
    sector, post, region, grade, problems = SIZES[size]
    choices = {"sector": sector, "post": post, "region": region, "grade": grade}
    lines = [
        'title = "A survey to measure with"',
        'campaign = "bench"',
        "opens = 2026-10-01",
        "closes = 2026-12-20",
        "[privacy]",
        "epsilon = 1.0",
        "delta = 1e-6",
        "lifetime_epsilon = 4.0",
        "minimum_reports = 50",
    ]
    for name, number in (*choices.items(), ("problems", problems)):
        labels = ", ".join(f'"{a}{b}"' for a, b in itertools.islice(_letters(), number))
        lines += [f"[fields.{name}]", f'question = "Which {name}?"', f"choices = [{labels}]"]
        lines += ["required = true", *(["pick = 3"] if name == "problems" else [])]
    for table in ("sector post", "region grade", "problems grade", "post grade"):
        first, second = table.split()
        lines += [f"[statistics.{first}_{second}]", f'count = ["{first}", "{second}"]']
    return "\n".join(lines).encode()


def census_plan() -> bytes:
    """A plan of some 500 bits over the fields of the census in `examples/census`."""
    plan_of = Path(__file__).resolve().parent.parent / "examples/census/plan.toml"
    text = plan_of.read_text(encoding="utf-8")
    text = text[: text.index("# Read off hours_by_industry")].replace(
        "hide_below = 30", "hide_below = 0"
    )
    for table in CENSUS_TABLES:
        first, second = table.split()
        text += f'[statistics.{first}_{second}]\ncount = ["{first}", "{second}"]\n'
    return text.encode()


def _letters() -> Iterator[tuple[str, str]]:
    return itertools.product("abcdefghij", "klmnop")


@dataclass
class World:
    """Homes of two aggregators and a relay around one pool, and one open round."""

    folder: Path
    homes: dict[str, Home]
    task: Task
    keys: dict[str, HpkePrivateKey]
    sealer: BulkSealer
    people: Sequence[dict[str, object]]

    def seal(self, number: int, people: Sequence[dict[str, object]] | None = None) -> list[Report]:
        """Seal the answers of so many people, made-up ones if nobody else."""
        rows = list(itertools.islice(itertools.cycle(people or self.people), number))
        sealed = self.sealer.seal(rows)
        return [Report.from_bytes(item, self.task) for item in sealed if isinstance(item, bytes)]

    def relay(self, reports: Sequence[Report]) -> None:
        """Publish reports as the relay does, in batches."""
        home = self.homes[RELAY]
        for data in make_batches(self.task, reports, home.key):
            publish_batch(home.store, self.task, RELAY, data)

    def sync(self, name: str, workers: int = 1) -> None:
        """Let an aggregator do what it can."""
        with Office.open(self.homes[name], workers) as office:
            result = sync(office)
        if result.faults:
            raise result.faults[0]

    def open_bare(self, name: str, reports: Sequence[Report]) -> None:
        """Open every ciphertext for an aggregator, and do nothing else."""
        key, index = self.keys[name], self.task.index_of(name)
        for report in reports:
            info = input_share_info(self.task.digest, index, report.commitment, report.public_share)
            key.open(report.ciphertexts[index], info)


@contextlib.contextmanager
def open_world(size: int) -> Iterator[World]:
    """Open a round; everything is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="grievance-bench-") as place:
        folder = Path(place)
        yield make_world(folder, plan(size))


def make_world(folder: Path, survey: bytes) -> World:
    """Open a round with a plan, in a folder."""
    pool = folder / "pool"
    pool.mkdir()
    homes = {n: Home.create(folder / n, n, n.title(), str(pool)) for n in (*AGGREGATORS, RELAY)}
    for home, other in itertools.permutations(homes.values(), 2):
        home.trust(other.identity)
    leader, helper = (homes[name] for name in AGGREGATORS)
    with Office.open(leader) as office:
        invitation = new_round(leader, office.state, survey, [helper.identity])
        office.publish()
    leader.admit_later(invitation.round_id, [RELAY])
    found = helper.invitation(invitation.round_id)
    if found is None:
        raise RuntimeError("the invitation did not arrive")
    with Office.open(helper) as office:
        join_round(helper, office.state, found)
        office.publish()
    for name in (*AGGREGATORS, *AGGREGATORS):
        with Office.open(homes[name]) as office:
            sync(office)
    task = read_task(leader.store, invitation.round_id)
    if task is None:
        raise RuntimeError("the round did not open")
    keys = {n: read_hpke_key(homes[n].round_files(task.round_id).hpke) for n in AGGREGATORS}
    people = generate(task.plan, 2_000, 1)
    return World(folder, homes, task, keys, BulkSealer(task), people)
