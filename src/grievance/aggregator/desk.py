"""One aggregator's desk: its home, its state, and a bench for every round it signed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.aggregator.batches import Bench
from grievance.aggregator.state import State
from grievance.crypto import keys
from grievance.crypto.documents import parse_document
from grievance.errors import OrderError, PoolError, StateError, UsageError
from grievance.pipelines import Seat
from grievance.pool.layout import RoundPaths
from grievance.pool.order import KIND, OrderChain, read_chain
from grievance.pool.store import SMALL_FILE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.home import Home
    from grievance.task import Task


class Desk:
    """Holds the lock and the open state. Made by `Desk.open`."""

    def __init__(self, home: Home, state: State) -> None:
        self.home = home
        self.state = state

    @classmethod
    @contextlib.contextmanager
    def open(cls, home: Home) -> Iterator[Desk]:
        """Sit down: nobody else may work on this state until the block ends."""
        with home.lock():
            state = State(home.state_path)
            try:
                yield cls(home, state)
            finally:
                state.close()

    def task(self, round_id: str) -> Task | None:
        """The task we signed for a round."""
        data = self.state.task_of_round(round_id)
        return tasks.parse_task(data) if data is not None else None

    def bench(self, task: Task) -> Bench:
        """Load our keys for a round. Raises KeyFileError when they are gone."""
        files, passphrase = self.home.round_files(task.round_id), self.home.passphrase
        seat = Seat(
            task,
            task.index_of(self.home.name),
            keys.read_hpke_key(files.hpke, passphrase),
            keys.read_verify_key(files.verify, passphrase),
        )
        state_key = keys.read_state_key(files.state, passphrase)
        return Bench(seat, self.home.key, state_key, self.state, self.home.store)

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
        chain = read_chain(self.home.store, task)
        seen = self.state.order_length(task.digest)
        for seq in range(1, min(seen, chain.length) + 1):
            if self.state.order_digest(task.digest, seq) != chain.digests[seq - 1]:
                raise OrderError(
                    f"order/{seq}.json is not the event we saw there before",
                    code="order.fork",
                    hint="the leader signed two; keep both copies as evidence",
                )
        if chain.length < seen:
            if task.aggregators[0].name != self.home.name:
                raise PoolError(
                    f"the pool has {chain.length} of the {seen} events we saw",
                    code="pool.behind",
                    hint="wait until the pool has arrived whole",
                )
            return self._own_chain(task, seen)
        if chain.length > seen:
            with self.state.transaction():
                for seq in range(seen + 1, chain.length + 1):
                    self.state.see_order(task.digest, seq, chain.digests[seq - 1])
        return chain

    def _own_chain(self, task: Task, length: int) -> OrderChain:
        """The leader's chain from its own outgoing files, ahead of what the pool has."""
        chain, paths = OrderChain.start(task), RoundPaths(task.round_id)
        for seq in range(1, length + 1):
            data = self.state.outgoing(paths.order(seq))
            if data is None:
                raise StateError(f"our own order/{seq}.json is gone", code="state.order")
            chain.extend(parse_document(data, kind=KIND, signer=self.home.key.public))
        return chain

    def order(self, chain: OrderChain, event: dict[str, object]) -> None:
        """Sign and spool the next event, and extend `chain` by it. Run by the leader."""
        task = chain.task
        data = chain.sign_next(event, self.home.key)
        document = parse_document(data, kind=KIND, signer=self.home.key.public)
        path = RoundPaths(task.round_id).order(chain.length + 1)
        with self.state.transaction():
            self.state.spool(path, data)
            self.state.see_order(task.digest, chain.length + 1, document.digest)
        chain.extend(document)

    def publish(self) -> list[str]:
        """Put every spooled file that is not in the pool yet into it, byte for byte.

        A file of ours that was changed in the pool is written again.
        """
        written = []
        store = self.home.store
        for path in self.state.unpublished():
            data = self.state.outgoing(path)
            if data is None:
                raise StateError(f"{path}: the outgoing bytes are gone")
            if not _holds(store.view(path, max(len(data), SMALL_FILE_SIZE)), data):
                store.put(path, data)
                written.append(path)
            with self.state.transaction():
                self.state.mark_published(path)
        return written


def _holds(found: bytes | memoryview | None, data: bytes) -> bool:
    return found is not None and len(found) == len(data) and bytes(found) == data
