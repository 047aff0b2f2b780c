"""One aggregator's office: its home, its state, and a bench for every round it signed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator.bench import Bench
from grievance.aggregator.sightings import NotingStore
from grievance.aggregator.state import State, open_state
from grievance.crypto import keys
from grievance.crypto.documents import parse_document
from grievance.errors import GrievanceError, OrderError, PoolError, StateError, UsageError
from grievance.failpoints import failpoint
from grievance.ledger.versions import sign_versions
from grievance.pipelines import Seat
from grievance.pool.layout import RoundPaths, verify_place
from grievance.pool.order import KIND, OrderChain, is_about, read_chain
from grievance.pool.store import OCCUPIED, SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grievance.home import Home
    from grievance.pool.events import Event
    from grievance.pool.store import Store
    from grievance.task import Task


class Office:
    """Holds the lock and the open state. Made by `Office.open`."""

    def __init__(
        self, home: Home, state: State, workers: int | None = None, *, reference: bool = False
    ) -> None:
        self.home = home
        self.state = state
        self.workers = workers or _cores()
        self.reference = reference
        self._looked_after = False

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, home: Home, workers: int | None = None, *, reference: bool = False
    ) -> Iterator[Office]:
        """Sit down: nobody else may work on this state until the block ends.

        `workers`: so many processes for large batches; all cores of this machine by default.
        `reference`: the reference checks every report, and no kernel.
        """
        with home.lock(), open_state(home.state_path) as state:
            yield cls(home, state, workers, reference=reference)

    def task(self, round_id: str) -> Task | None:
        """The task we signed for a round."""
        data = self.state.task_of_round(round_id)
        return tasks.parse_task(data) if data is not None else None

    def bench(self, task: Task) -> Bench:
        """Load our keys for a round. Raises KeyFileError when they are gone.

        Raises StateError `state.verify-key` when the verify key is not the one the task
        commits to: no report is ever verified under a second one.
        """
        files, passphrase = self.home.round_files(task.round_id), self.home.passphrase
        verify_key = keys.read_verify_key(files.verify, passphrase)
        if tasks.commitment(verify_key) != task.verify_key_commitment:
            raise StateError(
                f"{files.verify} is not the verify key that {task.round_id} commits to",
                code="state.verify-key",
                hint="put the round's own key back from a backup; verify nothing with this one",
            )
        seat = Seat(
            task,
            task.index_of(self.home.name),
            keys.read_hpke_key(files.hpke, passphrase),
            verify_key,
        )
        state_key = keys.read_state_key(files.state, passphrase)
        store = NotingStore(self.home, self.state, [task])
        return Bench(
            seat, self.home.key, state_key, self.state, store, self.workers, self.reference
        )

    def open_bench(self, round_id: str) -> tuple[Bench, OrderChain]:
        """The bench and the chain of a round we signed. Raises UsageError when we did not."""
        task = self.task(round_id)
        if task is None:
            raise UsageError(
                f"{self.home.name} has not signed a round {round_id}",
                code="round.missing",
                hint="`grievance status` lists the rounds",
            )
        return self.bench(task), self.chain(task)

    def chain(self, task: Task) -> OrderChain:
        """Read the order chain and hold it against what we saw before.

        Raises OrderError `order.fork` when the leader signed two events for one place.
        """
        seen = self.state.order_length(task.digest)
        self._check_fork(task, seen)
        chain = read_chain(self.home.store, task)
        if chain.length < seen:
            if task.aggregators[0].name != self.home.name:
                raise PoolError(
                    f"the pool has {chain.length} of the {seen} events we saw",
                    code="pool.behind",
                    hint="wait until the pool has arrived whole",
                )
            return self._own_chain(task, seen)
        if chain.length > seen:
            if task.aggregators[0].name == self.home.name:
                raise StateError(
                    f"the pool has {chain.length} events with our signature, we remember {seen}",
                    code="state.behind",
                    hint="this folder was restored from an old backup; run `grievance recover`",
                )
            with self.state.transaction():
                for seq in range(seen + 1, chain.length + 1):
                    self.state.see_order(task.digest, seq, chain.files[seq - 1])
        return chain

    def _check_fork(self, task: Task, seen: int) -> None:
        """Hold every event in the pool against the one we acted on; keep a pair that differs."""
        paths = RoundPaths(task.round_id)
        for seq in range(1, seen + 1):
            first = self.state.order_file(task.digest, seq)
            second = find(self.home.store, paths.order(seq), SMALL_FILE_SIZE)
            if first is None or second is None or bytes(second) == first:
                continue
            try:
                leader = task.aggregators[0].identity
                found = parse_document(bytes(second), kind=KIND, signer=leader)
            except GrievanceError:
                continue
            if not is_about(found, task, seq):
                continue
            path = paths.order_fork(seq, self.home.name)
            if self.state.outgoing(path) is None:
                with self.state.transaction():
                    evidence = sign_versions(paths.order(seq), first, bytes(second), self.home.key)
                    self.state.spool(path, evidence)
                self.publish()
            raise OrderError(
                f"the leader signed two events for order/{seq}.json",
                code="order.fork",
                hint=f"the proof is in {path}; do nothing more, and show it to the others",
            )

    def _own_chain(self, task: Task, length: int) -> OrderChain:
        """The leader's chain from its own outgoing files, ahead of what the pool has."""
        chain, paths = OrderChain.start(task), RoundPaths(task.round_id)
        for seq in range(1, length + 1):
            data = self.state.outgoing(paths.order(seq))
            if data is None:
                raise StateError(f"our own order/{seq}.json is gone", code="state.order")
            chain.extend(parse_document(data, kind=KIND, signer=self.home.key.public))
        return chain

    def order(
        self,
        chain: OrderChain,
        event: Event,
        together_with: Callable[[], None] = lambda: None,
    ) -> None:
        """Sign and spool the next event, and extend `chain` by it. Run by the leader.

        `together_with` runs in the same transaction: when it raises, nothing is ordered.
        """
        task = chain.task
        data = chain.sign_next(event, self.home.key)
        document = parse_document(data, kind=KIND, signer=self.home.key.public)
        path = RoundPaths(task.round_id).order(chain.length + 1)
        with self.state.transaction():
            self.state.spool(path, data)
            failpoint("order.spooled")
            self.state.see_order(task.digest, chain.length + 1, data)
            together_with()
        chain.extend(document)

    def publish(self) -> list[str]:
        """Put every spooled file that is not in the pool yet into it, byte for byte.

        The first time at this office also every file of ours that has gone from the pool or
        was changed there; large ones that all have read are told by their size. A place that
        cannot be written stops no other; raises PoolError in the end, for one that the pool did
        not take before one whose place is taken.
        """
        written, refused = [], None
        store, waiting = self.home.store, self.state.unpublished()
        if not self._looked_after:
            wanted = {*waiting, *self._lost(set(waiting))}
            waiting = [path for path, _ in self.state.all_outgoing() if path in wanted]
            self._looked_after = True
        for path in waiting:
            data = self.state.outgoing(path)
            if data is None:
                raise StateError(f"{path}: the outgoing bytes are gone")
            if not _holds(store, path, data):
                try:
                    store.put(path, data)
                except PoolError as error:
                    if refused is None or refused.code in OCCUPIED:
                        refused = error
                    continue
                written.append(path)
            failpoint("publish.put")
            with self.state.transaction():
                self.state.mark_published(path)
        if refused is not None:
            raise refused
        return written

    def _lost(self, waiting: set[str]) -> list[str]:
        """Published files that the pool does not hold any more as we wrote them."""
        found = []
        for path, size in self.state.all_outgoing():
            if path in waiting:
                continue
            if not self._is_held(path, size):
                found.append(path)
        return found

    def _is_held(self, path: str, size: int) -> bool:
        """Whether the pool has a file as we wrote it; a large one that all have read, its size."""
        store = self.home.store
        try:
            held = store.size(path) == size
        except PoolError:  # a link, a folder: not what we wrote
            return False
        if held and (size <= SMALL_FILE_SIZE or self._is_awaited(path)):
            return _holds(store, path, self.state.outgoing(path) or b"")
        return held

    def _is_awaited(self, path: str) -> bool:
        """Whether a file holds verifier shares that some aggregator has not decided by yet."""
        place = verify_place(path)
        task = self.task(place[0]) if place is not None else None
        if place is None or task is None:
            return False
        paths = RoundPaths(place[0])
        decided = (paths.decide(place[1], party.name) for party in task.aggregators)
        return not all(self._exists(file) for file in decided)

    def _exists(self, path: str) -> bool:
        try:
            return self.home.store.size(path) is not None
        except PoolError:
            return False


def _holds(store: Store, path: str, data: bytes) -> bool:
    try:
        found = store.view(path, max(len(data), SMALL_FILE_SIZE))
    except PoolError:  # a link, a pipe, something far too large: not what we wrote
        return False
    return found is not None and len(found) == len(data) and bytes(found) == data


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
