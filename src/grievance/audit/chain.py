"""The order of events of one round, walked by its files and not by what its readers ignore."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import OrderError
from grievance.pool.order import KIND, OrderChain

if TYPE_CHECKING:
    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.crypto.documents import Document
    from grievance.crypto.signing import VerifyingKey

MAX_EVENTS = 20_000
"""More events than any round has; each is compared with those before it."""

_NUMBERED = re.compile(r"([1-9][0-9]{0,8})\.json")


@dataclass
class Order:
    """The chain as far as it holds. `whole`: nothing of it was broken or is missing."""

    chain: OrderChain
    whole: bool = True


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
            message = f"more than {MAX_EVENTS:,} events"
            inspection.fault("order.event", path, message, opened.names[:1])
            order.whole = False
            break
        leader = opened.task.aggregators[0].identity
        if seq + 1 not in numbers and _foreign(inspection, path, leader):
            numbers.discard(seq)
            break
        document = inspection.document(path, KIND, leader)
        if document is None or not _take(inspection, order, path, document):
            order.whole = False
            break
        for name, key in chain.partners.items():
            inspection.know(name, key)
    later = sorted(number for number in numbers if number > chain.length)
    if later and order.whole:
        order.whole = False
        path = opened.paths.order(chain.length + 1)
        inspection.waiting("order.chain", path, f"event {chain.length + 1} has not arrived")
    inspection.unchecked(
        map(opened.paths.order, later), "an event before it is missing or does not hold"
    )
    return order


def _foreign(inspection: Inspection, path: str, leader: VerifyingKey) -> bool:
    """Whether the last event is one that somebody else signed whole: nothing of the leader's."""
    document = inspection.signed_document(path, KIND)
    if document is None or document.signer == leader:
        return False
    inspection.not_ours(path, "an event that the leader did not sign")
    return True


def _take(inspection: Inspection, order: Order, path: str, document: Document) -> bool:
    """Extend the chain by an event; False when nothing after it can be read."""
    chain, body = order.chain, document.body
    seq, leader = chain.length + 1, [chain.task.aggregators[0].name]
    if set(body) != {"task", "seq", "previous", "event"} or not isinstance(body["event"], dict):
        inspection.fault("file.form", path, "it does not have the form of an event", leader)
        return False
    if body["task"] != chain.task.digest.hex() or body["seq"] != seq:
        inspection.spoil("file.place", path, "it belongs to another round or place")
        return False
    if body["previous"] != chain.head.hex():
        inspection.fault("order.chain", path, "it does not name the event before it", leader)
        return False
    try:
        chain.extend(document)
    except OrderError as error:
        rule = "order.closed" if error.code == "order.closed" else "order.event"
        inspection.refuse(rule, path, error, leader)
        # The event has no effect, but the leader signed the next one on top of it.
        chain.head, chain.length = document.digest, seq
        chain.files.append(document.data)
    return True
