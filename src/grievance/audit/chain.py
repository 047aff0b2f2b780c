"""The order of events of one round, walked by its files and not by what its readers ignore."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.crypto.strict import StrictObject
from grievance.errors import OrderError
from grievance.ledger.versions import KIND as VERSIONS_KIND
from grievance.ledger.versions import LIMIT as VERSIONS_LIMIT
from grievance.ledger.versions import parse_versions
from grievance.names import is_name
from grievance.pool.batch import MAX_BATCH_ROWS
from grievance.pool.order import FORK_KIND, KIND, OrderChain

if TYPE_CHECKING:
    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.crypto.documents import Document

MAX_EVENTS = 20_000
"""More events than any round has; each is compared with those before it."""

_NUMBERED = re.compile(r"([1-9][0-9]{0,8})\.json")
_EVIDENCE = re.compile(r"(?:order-([1-9][0-9]{0,8})|twice-[0-9a-f]{16})-(.{1,40})\.json")


@dataclass
class Order:
    """The chain as far as it holds. `whole`: nothing of it was broken or is missing.

    `voids` maps a voided batch to the event that voided it.
    """

    chain: OrderChain
    whole: bool = True
    voids: dict[int, int] = field(default_factory=dict)
    places: set[int] = field(default_factory=set)


def walk(inspection: Inspection, opened: OpenedRound) -> Order:
    """Check every event of a round, in order."""
    order = Order(OrderChain.start(opened.task))
    folder = f"{opened.paths.folder}/order"
    matched = (_NUMBERED.fullmatch(name) for name in inspection.files.names(folder))
    numbers = {int(match[1]) for match in matched if match}
    chain = order.chain
    while chain.length + 1 in numbers:
        seq = chain.length + 1
        path = opened.paths.order(seq)
        if seq > MAX_EVENTS:
            inspection.fault("order.event", path, f"more than {MAX_EVENTS:,} events")
            order.whole = False
            break
        document = inspection.document(path, KIND, opened.task.aggregators[0].identity)
        if document is None or not _take(inspection, order, path, document):
            order.whole = False
            break
    later = sorted(number for number in numbers if number > chain.length)
    if later and order.whole:
        order.whole = False
        path = opened.paths.order(chain.length + 1)
        inspection.waiting("order.chain", path, f"event {chain.length + 1} has not arrived")
    inspection.unchecked(
        map(opened.paths.order, later), "an event before it is missing or does not hold"
    )
    _check_evidence(inspection, opened)
    return order


def _take(inspection: Inspection, order: Order, path: str, document: Document) -> bool:
    """Extend the chain by an event; False when nothing after it can be read."""
    chain, body = order.chain, document.body
    seq = chain.length + 1
    if set(body) != {"task", "seq", "previous", "event"} or not isinstance(body["event"], dict):
        inspection.fault("file.form", path, "it does not have the form of an event")
        return False
    if body["task"] != chain.task.digest.hex() or body["seq"] != seq:
        inspection.fault("file.place", path, "it belongs to another round or place")
        return False
    if body["previous"] != chain.head.hex():
        inspection.fault("order.chain", path, "it does not name the event before it")
        return False
    event = body["event"]
    try:
        chain.extend(document)
    except OrderError as error:
        rule = "order.closed" if error.code == "order.closed" else "order.event"
        inspection.refuse(rule, path, error)
        # The event has no effect, but the leader signed the next one on top of it.
        chain.head, chain.length = document.digest, seq
        chain.files.append(document.data)
        return True
    if event["type"] == "void":
        order.voids[event["batch"]] = seq
    if event["type"] == "batch":
        order.places.add(seq)
        if event["rows"] > MAX_BATCH_ROWS:
            inspection.fault("order.event", path, "it orders more rows than a batch can have")
            chain.batches.pop()
    return True


def _check_evidence(inspection: Inspection, opened: OpenedRound) -> None:
    folder = f"{opened.paths.folder}/evidence"
    keys = {party.name: party.identity for party in opened.task.aggregators}
    for name in inspection.files.names(folder):
        path, match = f"{folder}/{name}", _EVIDENCE.fullmatch(name)
        if match is None or not is_name(match[2]):
            continue
        if match[2] not in keys:
            inspection.claim(path)
            inspection.fault("file.foreign", path, f"{match[2]} is no aggregator of this round")
            continue
        if match[1] is None:
            _check_versions(inspection, opened, path, match[2])
            continue
        document = inspection.document(path, FORK_KIND, keys[match[2]])
        if document is not None:
            _check_fork(inspection, opened, path, int(match[1]), document)


def _check_fork(
    inspection: Inspection, opened: OpenedRound, path: str, seq: int, document: Document
) -> None:
    """Two events the leader signed for one place prove it, whoever says so."""
    try:
        body = StrictObject(document.body, ("seq", "files"), where="the evidence")
        if body.integer("seq", 1) != seq:
            inspection.fault("file.place", path, "it is about another place")
            return
        texts = [item for item in body.items("files") if isinstance(item, str)]
        digests = []
        for text in texts:
            inspection.signatures += 1
            event = _event(text, opened)
            if (event.body.get("task"), event.body.get("seq")) != (opened.task.digest.hex(), seq):
                body.refuse("is not about this place of this round", "files")
            digests.append(event.digest.hex())
        if len(digests) != 2 or digests[0] == digests[1]:
            body.refuse("does not hold two different events", "files")
    except MALFORMED as error:
        inspection.refuse("file.form", path, error)
        return
    message = (
        f"{opened.names[0]} signed two events for place {seq}: SHA-256 {digests[0]} and "
        f"{digests[1]}"
    )
    inspection.fault("order.fork", path, message)


def _check_versions(inspection: Inspection, opened: OpenedRound, path: str, witness: str) -> None:
    """Two versions of one file, both signed by its author, prove it, whoever says so."""
    owner = opened.task.aggregators[opened.task.index_of(witness)].identity
    document = inspection.document(path, VERSIONS_KIND, owner, limit=VERSIONS_LIMIT)
    if document is None:
        return
    inspection.signatures += 2
    try:
        found = parse_versions(document.data, opened.task)
    except MALFORMED as error:
        inspection.refuse("file.form", path, error)
        return
    if path != opened.paths.two_versions(found.place.path, witness):
        inspection.fault("file.place", path, "it is about another file than its name says")
        return
    inspection.fault("file.twice", path, f"{found.place.path}: {found}")


def _event(text: str, opened: OpenedRound) -> Document:
    from grievance.crypto.documents import parse_document

    return parse_document(
        text.encode("utf-8"), kind=KIND, signer=opened.task.aggregators[0].identity
    )
