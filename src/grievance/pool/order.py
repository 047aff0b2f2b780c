"""The order chain: the leader's numbered events, each naming the hash of the one before.

Everything any party decides depends on this chain alone, so all aggregators decide alike,
in whatever order a synced folder delivers its files. A file the leader did not sign does
not exist; one it signed that breaks a rule is the leader's fault and stops the round.
Source: docs/design.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.crypto.documents import Document, parse_document, sign_document
from grievance.errors import GrievanceError, OrderError
from grievance.pool.events import (
    Admit,
    Close,
    Event,
    Expel,
    OrderBatch,
    OrderRelease,
    Void,
    read_event,
)
from grievance.pool.layout import RoundPaths
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from grievance.crypto.signing import SigningKey, VerifyingKey
    from grievance.pool.store import Store
    from grievance.task import RoundTerms

KIND = "grievance/2 order"


@dataclass(frozen=True)
class OrderedBatch:
    """A batch the leader ordered: its place, its relay, the SHA-256 of its file."""

    seq: int
    partner: str
    relay: VerifyingKey
    digest: bytes
    rows: int


@dataclass
class OrderChain:
    """The events so far, and what they add up to. `voided`: a batch's place to that of its void."""

    task: RoundTerms
    head: bytes
    length: int = 0
    files: list[bytes] = field(default_factory=list)
    partners: dict[str, VerifyingKey] = field(default_factory=dict)
    expelled: set[str] = field(default_factory=set)
    batches: list[OrderedBatch] = field(default_factory=list)
    voided: dict[int, int] = field(default_factory=dict)
    releases: dict[str, bytes] = field(default_factory=dict)
    closed_by: bytes | None = None

    @classmethod
    def start(cls, task: RoundTerms) -> OrderChain:
        """Return the empty chain, whose head is the task's digest."""
        return cls(task, task.digest)

    @property
    def counted(self) -> list[OrderedBatch]:
        """The ordered batches that the leader did not void."""
        return [batch for batch in self.batches if batch.seq not in self.voided]

    @property
    def closed(self) -> bool:
        """Whether the round takes no more batches."""
        return self.closed_by is not None

    def has_batch(self, digest: bytes) -> bool:
        """Whether a batch with this digest has its place; one that was voided may come again."""
        return any(batch.digest == digest for batch in self.counted)

    def sign_next(self, event: Event, key: SigningKey) -> bytes:
        """Make the file of the next event. Run by the leader; raises OrderError on a bad event."""
        body = {
            "task": self.task.digest.hex(),
            "seq": self.length + 1,
            "previous": self.head.hex(),
            "event": event.to_json(),
        }
        data = sign_document(KIND, body, key)
        try:
            # Extending a copy first means the leader never signs what a helper would refuse.
            self.copy().extend(parse_document(data, kind=KIND, signer=key.public))
        except OrderError as error:
            raise OrderError(f"this cannot be ordered: {error}", code=error.code) from None
        return data

    def copy(self) -> OrderChain:
        """Return an independent copy."""
        return OrderChain(
            self.task,
            self.head,
            self.length,
            list(self.files),
            dict(self.partners),
            set(self.expelled),
            list(self.batches),
            dict(self.voided),
            dict(self.releases),
            self.closed_by,
        )

    def extend(self, document: Document) -> None:
        """Take the next event. Raises OrderError, changing nothing, when it does not follow."""
        body = document.body
        seq = self.length + 1
        if set(body) != {"task", "seq", "previous", "event"}:
            raise self._error(seq, "it does not have the form of an event")
        # To Python, true equals 1.
        if body["task"] != self.task.digest.hex() or (type(body["seq"]), body["seq"]) != (int, seq):
            raise self._error(seq, "it belongs to another round or place")
        if body["previous"] != self.head.hex():
            raise self._error(seq, "it does not follow the event before it", code="order.chain")
        try:
            event = read_event(body["event"])
        except OrderError as error:
            raise self._error(seq, error.message) from None
        self._apply(seq, event, document.digest)
        self.head, self.length = document.digest, seq
        self.files.append(document.data)

    def _error(self, seq: int, message: str, code: str = "order") -> OrderError:
        return OrderError(
            f"order/{seq}.json: {message}",
            code=code,
            hint="the leader signed this; keep the file as evidence and talk to the leader",
        )

    def _apply(self, seq: int, event: Event, digest: bytes) -> None:
        if self.closed and not isinstance(event, OrderRelease | Void):
            raise self._error(seq, "the round is closed", code="order.closed")
        match event:
            case Admit():
                self._admit(seq, event)
            case Expel():
                self._check_admitted(seq, event.partner)
                self.expelled.add(event.partner)
            case OrderBatch():
                self._batch(seq, event)
            case Void():
                self._void(seq, event)
            case Close():
                self.closed_by = digest
            case OrderRelease():
                self._release(seq, event)

    def _check_admitted(self, seq: int, partner: str) -> None:
        if partner not in self.partners or partner in self.expelled:
            raise self._error(seq, f"{partner} is not admitted")

    def _admit(self, seq: int, event: Admit) -> None:
        if event.partner in self.partners or event.identity in self.partners.values():
            raise self._error(seq, "this partner, or this key, was admitted before")
        self.partners[event.partner] = event.identity

    def _batch(self, seq: int, event: OrderBatch) -> None:
        name = event.partner
        self._check_admitted(seq, name)
        if self.has_batch(event.batch):
            raise self._error(seq, "the batch was ordered before")
        self.batches.append(OrderedBatch(seq, name, self.partners[name], event.batch, event.rows))

    def _void(self, seq: int, event: Void) -> None:
        place = event.batch
        if place in self.voided or all(batch.seq != place for batch in self.batches):
            raise self._error(seq, "there is no such batch to void")
        if self.releases:
            raise self._error(seq, "a batch is voided after a release", code="order.closed")
        self.voided[place] = seq

    def _release(self, seq: int, event: OrderRelease) -> None:
        if not self.closed:
            raise self._error(seq, "a release before the round is closed")
        if event.release in self.releases:
            raise self._error(seq, "the release was ordered before")
        self.releases[event.release] = event.proposal


def read_chain(store: Store, task: RoundTerms) -> OrderChain:
    """Read the chain as far as it has arrived.

    Raises OrderError when the leader signed an event that breaks a rule. A missing file, or
    one the leader did not sign for this place, ends the chain: what follows has not arrived yet.
    """
    chain = OrderChain.start(task)
    paths = RoundPaths(task.round_id)
    leader = task.aggregators[0].identity
    while True:
        data = find(store, paths.order(chain.length + 1), SMALL_FILE_SIZE)
        if data is None:
            return chain
        try:
            document = parse_document(bytes(data), kind=KIND, signer=leader)
        except GrievanceError:
            return chain
        if not is_about(document, task, chain.length + 1):
            return chain
        chain.extend(document)


def is_about(document: Document, task: RoundTerms, seq: int) -> bool:
    """Whether an event says that it stands at this place of this round.

    Anybody who can write to the pool can put a true event of another place there; that is
    not the leader's doing.
    """
    said = document.body.get("seq")
    return document.body.get("task") == task.digest.hex() and type(said) is int and said == seq
