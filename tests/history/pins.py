"""What every reader says of one round, at each moment of a scripted history and after cuts.

`PYTHONPATH=tests python tests/history/pins.py` writes `pins.json` anew; a test holds the readers to
it. Ids and digests are drawn, so each stands there by its name.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cuts import PowerCutError, power
from dishonest import TINY_ANSWERS, TINY_PLAN, Snapshot
from federation import Federation
from grievance.aggregator import Office, destroy, sync
from grievance.aggregator.asked import Told
from grievance.aggregator.outside import with_witnesses
from grievance.aggregator.recover import recover
from grievance.aggregator.rounds import join_round, new_round
from grievance.aggregator.status import status
from grievance.audit import audit_pool
from grievance.errors import GrievanceError
from grievance.pool.bundle import BundleStore
from grievance.pool.events import Close, Event, Expel
from grievance.pool.rounds import read_task
from grievance.release import collect

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.pool.store import Store

PINS = Path(__file__).with_name("pins.json")
POOLS = Path(__file__).parent.parent.parent / "conformance" / "pools"

Pinned = dict[str, Any]


@dataclass
class Town:
    """A round with two aggregators, and two relays that are its witnesses."""

    federation: Federation
    names: dict[str, str] = field(default_factory=dict)
    release_id: str = ""

    def plain(self, text: str) -> str:
        """The text with every drawn id under its name."""
        for drawn, name in self.names.items():
            text = text.replace(drawn, name)
        text = re.sub(r"[0-9a-f]{64}", "DIGEST", text)
        return re.sub(r"(?:[0-9A-HJKMNP-TV-Z]{4}-){4,}[0-9A-HJKMNP-TV-Z]{4}", "SPOKEN", text)

    def sync(self, name: str, cut: tuple[str, int] | None = None) -> list[str]:
        with Office.open(self.federation.homes[name]) as office, power(cut):
            result = sync(office)
        return [self.plain(line) for line in [*result.done, *map(str, result.faults)]]

    def invite(self) -> None:
        town = self.federation
        town.witnesses = list(town.relays)
        members = [town.homes[name].identity for name in town.aggregators]
        plan = with_witnesses(town.leader, TINY_PLAN, members, rehearsal=False)
        with Office.open(town.leader) as office:
            others = [town.homes["south"].identity]
            town.round_id = new_round(town.leader, office.state, plan, others).round_id
            office.publish()
        self.names[town.round_id] = "ROUND"
        town.leader.admit_later(town.round_id, town.relays)

    def join(self) -> None:
        home = self.federation.homes["south"]
        found = home.invitation(self.federation.round_id)
        assert found is not None
        with Office.open(home) as office:
            join_round(home, office.state, found)
            office.publish()

    def relay(self, name: str, number: int) -> None:
        (path,) = self.federation.relay(name, self.federation.seal(number, TINY_ANSWERS))
        self.names[path] = f"BATCH of {name}"

    def event(self, event: Event) -> None:
        with Office.open(self.federation.leader) as office:
            _, chain = office.open_bench(self.federation.round_id)
            office.order(chain, event)
            office.publish()

    def propose(self) -> None:
        self.release_id = self.federation.propose().release_id
        self.names[self.release_id] = "RELEASE"

    def destroy(self, name: str) -> None:
        with Office.open(self.federation.homes[name]) as office:
            _, chain = office.open_bench(self.federation.round_id)
            destroy.destroy(office, chain)
            office.publish()

    # What the readers say.

    def says(self) -> Pinned:
        """What status says of every aggregator, and collect and audit to anybody."""
        store = self.federation.leader.store
        return {
            **{f"status of {name}": self.status(name) for name in self.federation.aggregators},
            **{self.plain(key): self.plain(text) for key, text in readers(store).items()},
        }

    def status(self, name: str) -> list[str]:
        with Office.open(self.federation.homes[name]) as office:
            (line,) = status(office)
        said = [
            f"{line.stage}, {line.decided} of {line.batches} batches decided",
            *(f"{which}: {what}" for which, what in line.releases.items()),
            *(f"{w.who}: {w.what} [{w.command}]" for w in line.waiting),
            *([line.fault] if line.fault else []),
            *([line.cannot_be_released] if line.cannot_be_released else []),
        ]
        return [self.plain(text) for text in said]

    def recovered(self, name: str) -> list[str]:
        """What recover finds where the state is lost, and what a sync does then."""
        home = self.federation.homes[name]
        for path in home.root.glob("state.sqlite*"):
            path.unlink()
        try:
            found = recover(home, Told())
        except GrievanceError as error:
            return [self.plain(f"{error.code}: {error.message}")]
        return [*map(self.plain, found), "then:", *self.sync(name)]


def readers(store: Store) -> dict[str, str]:
    """What anybody reads from a pool: collect about every release, audit about everything."""
    found: dict[str, str] = {}
    trust: list[str] = []
    for round_id in store.names("rounds"):
        task = read_task(store, round_id)
        if task is None:
            continue
        trust.append(task.digest.hex())
        for release_id in store.names(f"rounds/{round_id}/releases") or [None]:
            what = f"collect {release_id or 'nothing'}"
            try:
                found[what] = f"{collect(store, task, release_id).accepted} sealed reports"
            except GrievanceError as error:
                found[what] = f"{error.code}: {error.message}"
    report = audit_pool(store, trust=trust)
    lines = sorted({f"{f.severity} {f.rule}: {f.message}" for f in report.findings})
    return found | {"audit": "; ".join([report.verdict, *lines])}


def script(town: Town) -> list[tuple[str, Callable[[], object]]]:
    """The history, one act at a time."""

    def synced(name: str) -> tuple[str, Callable[[], object]]:
        return f"{name} syncs", lambda: town.sync(name)

    def acts(*words: str) -> list[tuple[str, Callable[[], object]]]:
        return [synced(name) for name in words]

    return [
        ("north invites", town.invite),
        ("south joins", town.join),
        *acts("north", "south", "north"),
        ("nurses relay", lambda: town.relay("nurses", 8)),
        ("carers relay", lambda: town.relay("carers", 4)),
        *acts("north", "south", "north", "south"),
        ("north expels carers", lambda: town.event(Expel("carers"))),
        ("north closes", lambda: town.event(Close())),
        *acts("south"),
        ("north proposes", town.propose),
        ("south approves", lambda: town.federation.answer("south", town.release_id)),
        *acts("north", "south", "north", "nurses", "north", "carers", "north", "south"),
        ("north destroys", lambda: town.destroy("north")),
        *acts("south"),
    ]


CUTS = {
    2: ("task.spooled", "publish.put"),
    3: ("sign.spooled",),
    7: ("order.spooled", "verify.burnt", "verify.spooled"),
    8: ("verify.burnt", "decide.spooled", "decide.stored"),
    16: ("order.spooled", "charge.drawn", "charge.stored", "charge.spooled", "publish.put"),
    17: ("witness.stored", "charge.drawn", "charge.spooled"),
    22: ("share.spooled", "publish.put"),
}
"""Act -> where the power fails in it."""

LOST = (3, 8, 10, 14, 17, 18, 22)
"""Acts after which south loses its state."""


def play(folder: Path, *, lost: bool = True, cuts: bool = True) -> Pinned:
    """Play the history; what everybody says at each moment of it."""
    town = Town(Federation(folder))
    found: Pinned = {}
    for number, (name, act) in enumerate(script(town)):
        before = Snapshot(town.federation)
        actor = name.split()[0]
        for label in CUTS.get(number, ()) if cuts else ():
            try:
                town.sync(actor, (label, 1))
            except PowerCutError:
                key = f"{number}: {name}, cut at {label}"
                found[key] = {"status": town.status(actor), "then": town.sync(actor)}
            else:
                raise AssertionError(f"{name} does not reach {label}")
            before.restore()
        done = act()
        found[f"{number}: {name}"] = {"did": done, **town.says()} if done else town.says()
        if lost and number in LOST:
            after = Snapshot(town.federation)
            found[f"{number}: {name}, then south's state is lost"] = town.recovered("south")
            after.restore()
    return found


def golden() -> Pinned:
    """What collect and audit say of the golden pools."""
    return {path.stem: readers(BundleStore(path)) for path in sorted(POOLS.glob("*.zip"))}


def everything(folder: Path) -> Pinned:
    """All pins."""
    return {"history": play(folder), "golden pools": golden()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        pinned = everything(Path(place) / "town")
    PINS.write_text(json.dumps(pinned, indent=1, ensure_ascii=False) + "\n", "utf-8")
