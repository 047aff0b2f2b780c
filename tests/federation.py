"""A whole coalition in a folder, driven through the library: what histories are tested on.

Every organisation has its own home; all share one pool. A test plays honest steps with the
methods here and does the dishonest ones by hand, on the pool's files or with an
organisation's own keys.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from grievance.aggregator import Office, SyncResult, sync
from grievance.aggregator.campaign import with_mechanism
from grievance.aggregator.outside import with_witnesses
from grievance.aggregator.releases import answer, propose
from grievance.aggregator.rounds import join_round, new_round
from grievance.client import Report, seal
from grievance.client.commitment import commitment_of, nonce_of, openings
from grievance.client.seal import Drawn, seal_shares
from grievance.home import Home
from grievance.pool.events import Close
from grievance.pool.layout import RoundPaths
from grievance.pool.order import OrderChain, read_chain
from grievance.pool.proposals import Approval, ReleaseView
from grievance.pool.relay import make_batches, publish_batch
from grievance.pool.rounds import read_task
from grievance.release import Release, collect
from plan_head import plan_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from grievance.task import Task

PLAN = (
    plan_head("Pressure at work", "trial")
    + """
[fields.problems]
question = "What is a problem?"
choices = ["overtime", "targets", "bullying", "caseload"]
pick = 2

[fields.hours]
question = "Unpaid hours"
unit = "hours"
minimum = 0
maximum = 10
step = 1
bands = [0, 2, 5, 10]

[statistics.problems_by_region]
count = ["problems", "region"]

[statistics.hours_mean]
mean = "hours"
by = ["region"]

[statistics.hours_spread]
distribution = "hours"
"""
).encode()

# As `round new` publishes it: with the noise that it leaves open written out.
NAMED_PLAN = PLAN.replace(b"[privacy]", b'[privacy]\nmechanism = "gaussian"')

HYBRID = PLAN.replace(b'envelope = "x25519"\n', b"")
"""The same with the envelope that a plan has by default."""

ANSWERS: dict[str, object] = {"region": "London", "problems": ["targets"], "hours": "4"}


class Federation:
    """Aggregators (the first one leads) and relays around one pool."""

    def __init__(
        self,
        folder: Path,
        aggregators: Sequence[str] = ("north", "south"),
        relays: Sequence[str] = ("nurses", "carers"),
        pool: str | None = None,
    ) -> None:
        self.folder = folder
        if pool is None:
            (folder / "pool").mkdir(parents=True)
            pool = str(folder / "pool")
        self.pool = pool
        self.homes = {
            name: Home.create(folder / name, name, name.capitalize(), pool)
            for name in (*aggregators, *relays)
        }
        self.aggregators, self.relays = list(aggregators), list(relays)
        self.witnesses: list[str] = []
        for home in self.homes.values():
            for other in self.homes.values():
                if other is not home:
                    home.trust(other.identity)
        self.round_id = ""

    @classmethod
    def opened(
        cls,
        folder: Path,
        plan: bytes = PLAN,
        aggregators: Sequence[str] = ("north", "south"),
        *,
        watched: bool = False,
    ) -> Self:
        """One whose round is open: a copy of the one that this process opened before.

        So two of them have the same keys and the same round; where that matters, open one anew.
        """
        return _open(cls, plan, tuple(aggregators), watched).copied(folder)

    def copied(self, folder: Path) -> Self:
        """The same federation in another folder, to be changed there."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        made = copy(self)
        made.folder, made.pool = folder, str(folder / "pool")
        made.aggregators, made.relays = list(self.aggregators), list(self.relays)
        made.witnesses, made.homes = list(self.witnesses), {}
        for name in self.homes:
            settings = folder / name / "organisation.json"
            settings.write_text(json.dumps(json.loads(settings.read_text()) | {"pool": made.pool}))
            made.homes[name] = Home.open(folder / name)
        return made

    @property
    def leader(self) -> Home:
        return self.homes[self.aggregators[0]]

    @property
    def paths(self) -> RoundPaths:
        return RoundPaths(self.round_id)

    @property
    def task(self) -> Task:
        task = read_task(self.leader.store, self.round_id)
        assert task is not None
        return task

    def file(self, path: str) -> Path:
        return Path(self.pool) / path

    def sync(self, *names: str, clean: bool = True) -> list[SyncResult]:
        """Sync by name, in this order; all aggregators and witnesses by default.

        `clean`: no faults allowed.
        """
        results = []
        for name in names or [*self.aggregators, *self.witnesses]:
            with Office.open(self.homes[name]) as office:
                results.append(sync(office))
            if clean:
                assert not results[-1].faults, (name, [str(f) for f in results[-1].faults])
        return results

    def settle(self, clean: bool = True) -> None:
        """Sync everybody until nobody has anything left to do."""
        while any(result.done or result.written for result in self.sync(clean=clean)):
            pass

    def invite_to(self, plan: bytes, *helpers: str, rehearsal: bool = False) -> str:
        """The leader invites some of the others, who join; nobody syncs. Returns the round.

        As `round new` does, with the noise written out where the plan leaves it open.
        """
        identities = [self.homes[name].identity for name in helpers]
        with Office.open(self.leader) as office:
            named = with_mechanism(office.state, plan)
            invitation = new_round(
                self.leader, office.state, named, identities, rehearsal=rehearsal
            )
            office.publish()
        for name in helpers:
            found = self.homes[name].invitation(invitation.round_id)
            assert found is not None
            with Office.open(self.homes[name]) as office:
                join_round(self.homes[name], office.state, found)
                office.publish()
        return invitation.round_id

    def open_round(self, plan: bytes = PLAN, rehearsal: bool = False) -> Task:
        """Invite, join, sign and admit. The plan's envelope is the quick one; see `HYBRID`."""
        self.round_id = self.invite_to(plan, *self.aggregators[1:], rehearsal=rehearsal)
        self.leader.admit_later(self.round_id, self.relays)
        self.settle()
        return self.task

    def open_watched(self, plan: bytes = PLAN) -> Task:
        """A round whose plan names the relays as its witnesses, as `round new` writes it out."""
        members = [self.homes[name].identity for name in self.aggregators]
        self.witnesses = list(self.relays)
        return self.open_round(with_witnesses(self.leader, plan, members, rehearsal=False))

    def chain(self) -> OrderChain:
        return read_chain(self.leader.store, self.task)

    def relay(self, relay: str, reports: Sequence[Report], pad_to: int = 1) -> list[str]:
        """Publish reports as one batch; unpadded, so that tests can count."""
        home = self.homes[relay]
        batches = make_batches(self.task, reports, home.key, pad_to=pad_to)
        return [publish_batch(home.store, self.task, relay, data) for data in batches]

    def seal(self, number: int, answers: Mapping[str, object] = ANSWERS) -> list[Report]:
        return [seal(self.task, answers) for _ in range(number)]

    def close(self) -> None:
        with Office.open(self.leader) as office:
            _, chain = office.open_bench(self.round_id)
            office.order(chain, Close())
            office.publish()
        self.settle()

    def propose(
        self, name: str | None = None, statistics: Sequence[str] | None = None
    ) -> ReleaseView:
        home = self.homes[name or self.aggregators[0]]
        with Office.open(home) as office:
            bench, chain = office.open_bench(self.round_id)
            view = propose(bench, chain, statistics)
            office.publish()
        return view

    def answer(self, name: str, release_id: str, how: str = "approve", reason: str = "") -> None:
        with Office.open(self.homes[name]) as office:
            bench, chain = office.open_bench(self.round_id)
            answer(bench, chain, release_id, Approval(name, how, reason))  # type: ignore[arg-type]
            office.publish()

    def release(self, statistics: Sequence[str] | None = None) -> Release:
        """Close if need be, propose, approve everywhere, settle, add up."""
        if not self.chain().closed:
            self.close()
        view = self.propose(statistics=statistics)
        for name in self.aggregators[1:]:
            self.answer(name, view.release_id)
        self.settle()
        return collect(self.leader.store, self.task, view.release_id)

    def reasons(self) -> dict[int, dict[int, str]]:
        """For every decided batch: refused row -> public reason code, as the leader signed it."""
        from grievance.aggregator.decisions import read_decision

        found = {}
        with Office.open(self.leader) as office:
            bench, chain = office.open_bench(self.round_id)
            for batch in chain.batches:
                decision = read_decision(bench, batch, 0)
                if decision is not None:
                    found[batch.seq] = {r: s.code for r, (s, _) in decision.refused.items()}
        return found


F = TypeVar("F", bound=Federation)
_OPENED = tempfile.TemporaryDirectory(prefix="grievance-federations-")


@functools.cache
def _open(kind: type[F], plan: bytes, aggregators: tuple[str, ...], watched: bool) -> F:
    made = kind(Path(tempfile.mkdtemp(dir=_OPENED.name)), aggregators)
    (made.open_watched if watched else made.open_round)(plan)
    return made


def drawn_from(task: Task, seed: bytes, commitment: bytes | None = None) -> Drawn:
    """What a client draws, its salts made of a seed; under another commitment if it is given."""
    opened, hashes = openings(
        [hashlib.sha256(seed + bytes([index])).digest() for index in range(len(task.aggregators))]
    )
    return Drawn([], b"", commitment or commitment_of(task.digest, hashes), opened)


def seal_measurement(
    task: Task,
    meas: Sequence[int],
    *,
    seed: bytes = b"\x07" * 32,
    rand: bytes | None = None,
    commitment: bytes | None = None,
) -> Report:
    """Seal any encoded measurement, valid or not: what a dishonest client can do."""
    import secrets

    vdaf, drawn = task.vdaf, drawn_from(task, seed, commitment)
    rand = rand or secrets.token_bytes(vdaf.RAND_SIZE)
    public, shares = vdaf._shard_encoded(task.ctx, meas, nonce_of(drawn.commitment), rand)
    encoded = [vdaf.encode_input_share(share) for share in shares]
    return seal_shares(task, drawn, vdaf.encode_public_share(public), encoded)


def encode(task: Task, answers: Mapping[str, object] = ANSWERS) -> list[int]:
    """The encoded measurement of honest answers: block bits, then weights."""
    return list(task.vdaf.circuit.encode(task.layout.encode(task.layout.answers(answers))))
