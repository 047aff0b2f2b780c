"""Targets: signed documents, each as a whole file and, one layer further in, as a signed body.

The target `card` reads bytes as they come from a pool; `card-body` signs them first with the
key of whoever may write that file, so that what stands behind the signature is reached.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from fuzz.contract import Finding, Target, agree, same
from fuzz.world import (
    RELEASE,
    ROUND,
    SET,
    Files,
    as_json,
    hpke_key,
    identity,
    signed,
    signing_key,
    world,
)
from grievance import ledger
from grievance.audit.decisions import read_decisions
from grievance.audit.inspection import Inspection
from grievance.audit.opening import OpenedRound
from grievance.audit.terms import read_terms
from grievance.backup import archive, rehearsed, requests, sets
from grievance.crypto.documents import b64encode, canonical, parse_document, sign_document
from grievance.errors import GrievanceError, TaskError
from grievance.ledger import asked, versions
from grievance.ledger.log import LedgerLog
from grievance.pool import decisions, noisy, order, proposals, waivers
from grievance.pool.layout import RoundPaths
from grievance.task import (
    card,
    check_signatures,
    load_task,
    mailbox,
    make_card,
    make_identity,
    make_mailbox,
    open_verify_key,
    parse_bundle,
    parse_card,
    parse_identity,
    parse_mailbox,
    parse_task,
    parse_task_signature,
    sign_task,
    signatures,
    verify_key,
)
from grievance.task import (
    identity as identities,
)
from grievance.task.signatures import bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Round and organisations.


def _card(data: bytes) -> None:
    found = parse_card(data)
    again = make_card(
        signing_key(found.owner.name),
        found.hpke,
        round_id=found.round_id,
        plan_sha256=found.plan_sha256,
        members=found.members,
        rehearsal=found.rehearsal,
        backup=found.backup,
        invitation=found.invitation,
        expected=found.expected,
    )
    same(again, data)


def _identity(data: bytes) -> None:
    found = parse_identity(data)
    same(make_identity(found.name, found.display_name, signing_key("north")), data)


def _mailbox(data: bytes) -> None:
    found = parse_mailbox(data, identity("anna"))
    same(make_mailbox("anna", found, signing_key("anna")), data)


def _task(data: bytes) -> None:
    """Two readers of one format: what the parties sign, the audit must be able to check."""
    terms = None
    with contextlib.suppress(GrievanceError):
        terms = read_terms(data)
    task = parse_task(data)
    same(task.data, data)
    if terms is None or terms.problems:
        raise Finding("a task that can be signed does not pass the audit")


def _task_value(data: bytes) -> None:
    _task(as_json(data))


def _terms(data: bytes) -> None:
    read_terms(as_json(data))


def _task_signature(data: bytes) -> None:
    name = parse_task_signature(data, world().task)
    same(sign_task(world().task, signing_key(name), name), data)


def _bundle(data: bytes) -> None:
    body, files = parse_bundle(data)
    task = parse_task(body)
    check_signatures(task, files)
    load_task(data, trust=[task.digest.hex()])
    bundle(task, files)


def _bundle_value(data: bytes) -> None:
    _bundle(as_json(data))


def _verify_key(data: bytes) -> None:
    found = open_verify_key(data, world().task, "south", hpke_key("south"))
    same(found, world().verify_key)


# Order, decisions, releases.


def _order(data: bytes) -> None:
    chain = order.OrderChain.start(world().task)
    document = parse_document(data, kind=order.KIND, signer=signing_key("north").public)
    chain.extend(document)
    place = {"previous": world().task.digest.hex(), "seq": 1, "task": world().task.digest.hex()}
    same(canonical(document.body), canonical({**place, "event": document.body["event"]}))


def _events(data: bytes) -> None:
    """A list of events, each signed in its place, until one is refused."""
    import json

    try:
        events = json.loads(data)
    except (ValueError, RecursionError):
        events = None
    if not isinstance(events, list):
        raise TaskError("not a list of events")
    chain = order.OrderChain.start(world().task)
    for event in events:
        body = {
            "event": event,
            "previous": chain.head.hex(),
            "seq": chain.length + 1,
            "task": world().task.digest.hex(),
        }
        file = signed(order.KIND, "north", canonical(body))
        before = chain.copy()
        try:
            chain.extend(parse_document(file, kind=order.KIND, signer=signing_key("north").public))
        except GrievanceError:
            same(chain, before)
            raise


def _decision(data: bytes) -> None:
    """Both readers of a decision: whoever acts on it, and whoever audits it."""
    task, batch = world().task, world().batch
    opened = OpenedRound(task, RoundPaths(ROUND))
    inspection = Inspection(Files(**{opened.paths.decide(batch.seq, "south"): data}))  # type: ignore[arg-type]
    audited = read_decisions(inspection, opened, batch)
    found = decisions.parse_decision(data, task, batch, 1)
    same(found.sign(task, signing_key("south")), data)
    agree(here=True, there="south" in audited)


def _proposal(data: bytes) -> None:
    found = proposals.parse_proposal(data, world().task)
    same(found.sign(world().task, signing_key(found.proposer)), data)


def _approval(data: bytes) -> None:
    found = proposals.parse_approval(data, world().task, world().proposal, 1)
    same(found.sign(world().task, world().proposal, signing_key("south")), data)


def _noisy(data: bytes) -> None:
    task = world().task
    found = noisy.parse_noisy_share(data, task, 1)
    encode = task.vdaf.field.encode_vec
    body = {
        "task": task.digest.hex(),
        "release": found.release,
        "aggregator": found.aggregator,
        "statistics": {name: b64encode(encode(list(v))) for name, v in found.values.items()},
    }
    same(sign_document(noisy.KIND, body, signing_key("south")), data)


def _own_share(data: bytes) -> None:
    key = signing_key("south")
    box = noisy.parse_own_share(data, world().task, RELEASE, key.public)
    same(noisy.sign_own_share(world().task, RELEASE, box, key), data)


def _waiver(data: bytes) -> None:
    key, task = signing_key("south"), world().task
    found = waivers.parse_waiver(data, task, RELEASE, 1)
    same(waivers.sign_waiver(task, RELEASE, "south", sorted(found), key), data)


# Ledger.


def _heads_request(data: bytes) -> None:
    found = asked.parse_request(data, "north", signing_key("north").public)
    same(found.data, data)


def _heads_answer(data: bytes) -> None:
    key, request = signing_key("south"), world().question
    head = asked.parse_answer(data, request, "south", key.public, signing_key("north").public)
    same(asked.make_answer(request, "south", head, key), data)


def _entry(data: bytes) -> None:
    found = ledger.LedgerEntry.parse(data, signing_key("south").public)
    body = {
        "campaign": found.campaign,
        "event": found.event.to_json(),
        "ledger": found.ledger,
        "previous": found.previous.hex(),
        "size": found.size,
        "spent": found.spent.to_json(),
        "task": found.task.hex(),
    }
    same(sign_document(ledger.KIND, body, signing_key("south")), data)
    LedgerLog("south").append(found)


def _two_versions(data: bytes) -> None:
    found = versions.parse_versions(data, world().task)
    kept = [statement.kept for statement in found.versions]
    same(versions.sign_versions(found.place.path, *kept, signing_key("north")), data)


def _card_versions(data: bytes) -> None:
    found, key = versions.parse_card_versions(data)
    kept = [statement.kept for statement in found.versions]
    same(versions.sign_versions(found.place.path, *kept, signing_key("north")), data)
    same(key.raw, signing_key("north").public.raw)


# Backup.


def _set(data: bytes) -> None:
    found = sets.parse_set(data, identity("north"), SET)
    trustees = [
        {
            **trustee.identity.to_json(),
            "piece": trustee.digest.hex(),
            "sealed": b64encode(trustee.sealed),
        }
        for trustee in found.trustees
    ]
    body = {
        "hpke": b64encode(found.key.raw),
        "kem": found.key.kem,
        "made": found.made,
        "number": found.number,
        "owner": found.owner.name,
        "set": found.set_id,
        "threshold": found.threshold,
        "trustees": trustees,
    }
    same(sign_document(sets.KIND, body, signing_key("north")), data)


def _request(data: bytes) -> None:
    found = requests.parse_request(data, world().backup)
    again = requests.make_request(
        world().backup, found.key, signing_key("north"), rehearsal=found.rehearsal
    )
    same(again.data, data)


class _OneFile:
    """A pool in which every path holds the same file."""

    location = "nowhere"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def view(self, _path: str, limit: int) -> bytes | None:
        """The file, unless it is too large."""
        return self._data if len(self._data) <= limit else None


def _answer(data: bytes) -> None:
    """An answer is read from the pool; what does not hold is as if it were not there."""
    made, asked = world().backup, hpke_key("request")
    request = requests.make_request(made, asked.public, signing_key("north"), rehearsal=True)
    pool: Any = _OneFile(data)
    sealed = requests.read_answer(pool, made, request, made.trustees[0])
    if sealed is None:
        raise TaskError("no answer")
    requests.collect_answers(pool, made, request, asked)


def _rehearsed(data: bytes) -> None:
    found = rehearsed.parse_rehearsed(data, world().backup)
    again = rehearsed.make_rehearsed(
        world().backup,
        signing_key("north"),
        day=found.day,
        request=found.request,
        trustees=found.trustees,
        number=found.archive,
    )
    same(again, data)


def _archive(data: bytes) -> None:
    found = archive.parse_archive(data, world().backup, 1)
    body = {"number": 1, "owner": "north", "sealed": b64encode(found.sealed), "set": SET}
    same(sign_document(archive.KIND, body, signing_key("north")), data)
    archive.open_archive(world().backup, found, hpke_key("archives"))


def _archive_contents(data: bytes) -> None:
    same(archive.pack(archive.unpack(data)), data)


def _archive_value(data: bytes) -> None:
    _archive_contents(as_json(data))


# kind, who signs, reader
DOCUMENTS: Mapping[str, tuple[str, str, Callable[[bytes], None]]] = {
    "card": (card.KIND, "north", _card),
    "identity": (identities.KIND, "north", _identity),
    "mailbox": (mailbox.KIND, "anna", _mailbox),
    "task-signature": (signatures.KIND, "north", _task_signature),
    "verify-key": (verify_key.KIND, "north", _verify_key),
    "order": (order.KIND, "north", _order),
    "decision": (decisions.DECISION_KIND, "south", _decision),
    "proposal": (proposals.PROPOSAL_KIND, "north", _proposal),
    "approval": (proposals.APPROVAL_KIND, "south", _approval),
    "noisy-share": (noisy.KIND, "south", _noisy),
    "own-share": (noisy.OWN_KIND, "south", _own_share),
    "ledger-entry": (ledger.KIND, "south", _entry),
    "waiver": (waivers.KIND, "south", _waiver),
    "heads-request": (asked.REQUEST_KIND, "north", _heads_request),
    "heads-answer": (asked.ANSWER_KIND, "south", _heads_answer),
    "two-versions": (versions.KIND, "north", _two_versions),
    "card-versions": (versions.KIND, "north", _card_versions),
    "backup-set": (sets.KIND, "north", _set),
    "backup-request": (requests.REQUEST_KIND, "north", _request),
    "backup-answer": (requests.ANSWER_KIND, "anna", _answer),
    "backup-rehearsed": (rehearsed.KIND, "north", _rehearsed),
    "backup-archive": (archive.KIND, "north", _archive),
}


def _behind(kind: str, name: str, read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    return lambda data: read(signed(kind, name, data))


TARGETS = [
    *(Target(name, read) for name, (_, _, read) in DOCUMENTS.items()),
    *(
        Target(f"{name}-body", _behind(kind, owner, read), "json")
        for name, (kind, owner, read) in DOCUMENTS.items()
    ),
    Target("order-events", _events, "json"),
    Target("task", _task),
    Target("task-value", _task_value, "json"),
    Target("audit-terms", _terms, "json"),
    Target("bundle", _bundle),
    Target("bundle-value", _bundle_value, "json"),
    Target("archive-contents", _archive_contents),
    Target("archive-value", _archive_value, "json"),
]
