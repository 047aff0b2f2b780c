"""The order chain: the leader's numbered events, each naming the hash of the one before.

Everything any party decides depends on this chain alone, so all aggregators decide alike,
in whatever order a synced folder delivers its files. A file the leader did not sign does
not exist; one it signed that breaks a rule is the leader's fault and stops the round.
Source: docs/design.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import (
    Document,
    b64decode,
    b64encode,
    parse_document,
    sign_document,
)
from grievance.crypto.signing import VerifyingKey
from grievance.errors import GrievanceError, OrderError
from grievance.names import is_name
from grievance.pool.batch import MAX_BATCH_ROWS
from grievance.pool.layout import RoundPaths, is_release_id
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store
    from grievance.task import Task

KIND = "grievance/2 order"
_SHAPES: dict[str, dict[str, type]] = {
    "admit": {"partner": str, "identity": str},
    "expel": {"partner": str},
    "batch": {"partner": str, "batch": str, "rows": int},
    "void": {"batch": int},
    "close": {},
    "release": {"release": str, "proposal": str},
}


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
    """The events so far, and what they add up to."""

    task: Task
    head: bytes
    length: int = 0
    files: list[bytes] = field(default_factory=list)
    partners: dict[str, VerifyingKey] = field(default_factory=dict)
    expelled: set[str] = field(default_factory=set)
    batches: list[OrderedBatch] = field(default_factory=list)
    voided: set[int] = field(default_factory=set)
    releases: dict[str, bytes] = field(default_factory=dict)
    closed_by: bytes | None = None

    @classmethod
    def start(cls, task: Task) -> OrderChain:
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

    def sign_next(self, event: Mapping[str, Any], key: SigningKey) -> bytes:
        """Make the file of the next event. Run by the leader; raises OrderError on a bad event."""
        body = {
            "task": self.task.digest.hex(),
            "seq": self.length + 1,
            "previous": self.head.hex(),
            "event": dict(event),
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
            set(self.voided),
            dict(self.releases),
            self.closed_by,
        )

    def extend(self, document: Document) -> None:
        """Take the next event. Raises OrderError, changing nothing, when it does not follow."""
        body = document.body
        seq = self.length + 1
        if set(body) != {"task", "seq", "previous", "event"} or not isinstance(body["event"], dict):
            raise self._error(seq, "it does not have the form of an event")
        # To Python, true equals 1.
        if body["task"] != self.task.digest.hex() or (type(body["seq"]), body["seq"]) != (int, seq):
            raise self._error(seq, "it belongs to another round or place")
        if body["previous"] != self.head.hex():
            raise self._error(seq, "it does not follow the event before it", code="order.chain")
        self._apply(seq, body["event"], document.digest)
        self.head, self.length = document.digest, seq
        self.files.append(document.data)

    def _error(self, seq: int, message: str, code: str = "order") -> OrderError:
        return OrderError(
            f"order/{seq}.json: {message}",
            code=code,
            hint="the leader signed this; keep the file as evidence and talk to the leader",
        )

    def _apply(self, seq: int, event: dict[str, Any], digest: bytes) -> None:
        kind = event.get("type")
        shape = _SHAPES.get(kind) if isinstance(kind, str) else None
        if shape is None or set(event) != {"type", *shape}:
            raise self._error(seq, "the event is not known")
        if any(type(event[name]) is not wanted for name, wanted in shape.items()):
            raise self._error(seq, "a field of the event has the wrong type")
        if kind not in ("release", "void") and self.closed:
            raise self._error(seq, "the round is closed", code="order.closed")
        if "partner" in shape and not is_name(event["partner"]):
            raise self._error(seq, "the partner's name is not a name")
        getattr(self, f"_{kind}")(seq, event, digest)

    def _admit(self, seq: int, event: dict[str, Any], _digest: bytes) -> None:
        try:
            key = VerifyingKey(b64decode(event["identity"]))
        except GrievanceError as error:
            raise self._error(seq, str(error)) from None
        name = event["partner"]
        if name in self.partners or key in self.partners.values():
            raise self._error(seq, "this partner, or this key, was admitted before")
        self.partners[name] = key

    def _expel(self, seq: int, event: dict[str, Any], _digest: bytes) -> None:
        name = event["partner"]
        if name not in self.partners or name in self.expelled:
            raise self._error(seq, "there is no such partner to expel")
        self.expelled.add(name)

    def _batch(self, seq: int, event: dict[str, Any], _digest: bytes) -> None:
        name = event["partner"]
        if name not in self.partners or name in self.expelled:
            raise self._error(seq, "the batch is from nobody who is admitted")
        digest = _digest_from(event["batch"])
        if digest is None or not 1 <= event["rows"] <= MAX_BATCH_ROWS:
            raise self._error(seq, "the batch's digest or size is out of range")
        if self.has_batch(digest):
            raise self._error(seq, "the batch was ordered before")
        self.batches.append(OrderedBatch(seq, name, self.partners[name], digest, event["rows"]))

    def _void(self, seq: int, event: dict[str, Any], _digest: bytes) -> None:
        place = event["batch"]
        if place in self.voided or all(batch.seq != place for batch in self.batches):
            raise self._error(seq, "there is no such batch to void")
        if self.releases:
            raise self._error(seq, "a batch is voided after a release", code="order.closed")
        self.voided.add(place)

    def _close(self, _seq: int, _event: dict[str, Any], digest: bytes) -> None:
        self.closed_by = digest

    def _release(self, seq: int, event: dict[str, Any], _digest: bytes) -> None:
        if not self.closed:
            raise self._error(seq, "a release before the round is closed")
        proposal = _digest_from(event["proposal"])
        if not is_release_id(event["release"]) or proposal is None:
            raise self._error(seq, "the release's id or digest is out of range")
        if event["release"] in self.releases:
            raise self._error(seq, "the release was ordered before")
        self.releases[event["release"]] = proposal


def _digest_from(text: str) -> bytes | None:
    """32 bytes written as 64 lowercase hex digits; None for any other text."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        return None
    return digest if len(digest) == 32 and digest.hex() == text else None


def admit_event(name: str, key: VerifyingKey) -> dict[str, Any]:
    """Admit a partner as a relay."""
    return {"type": "admit", "partner": name, "identity": b64encode(key.raw)}


def read_chain(store: Store, task: Task) -> OrderChain:
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


def is_about(document: Document, task: Task, seq: int) -> bool:
    """Whether an event says that it stands at this place of this round.

    Anybody who can write to the pool can put a true event of another place there; that is
    not the leader's doing.
    """
    said = document.body.get("seq")
    return document.body.get("task") == task.digest.hex() and type(said) is int and said == seq
