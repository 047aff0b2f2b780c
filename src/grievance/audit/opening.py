"""How a round began: plan, cards, task, signatures, the sealed verify key, and who vouches."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.audit.once import claim_task
from grievance.audit.terms import LIMIT as TASK_LIMIT
from grievance.audit.terms import read_terms
from grievance.audit.trust import Anchors, leave_alone
from grievance.audit.trustees import check_trustees
from grievance.crypto.strict import StrictObject
from grievance.errors import TaskError
from grievance.ledger.versions import parse_card_versions
from grievance.plan import Plan
from grievance.plan.limits import MAX_PLAN_SIZE
from grievance.pool.layout import RoundPaths, is_round_id, partner_path
from grievance.task.card import KIND as CARD_KIND
from grievance.task.card import LIMIT as CARD_LIMIT
from grievance.task.card import card_matches, parse_card
from grievance.task.identity import LIMIT as IDENTITY_LIMIT
from grievance.task.identity import parse_identity
from grievance.task.parties import read_head
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.task.signatures import LIMIT as SIGNATURE_LIMIT
from grievance.task.signatures import parse_task_signature
from grievance.task.verify_key import KIND as VERIFY_KEY_KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.terms import AuditedTask
    from grievance.crypto.documents import Document
    from grievance.task import AggregatorEntry, Card


@dataclass
class OpenedRound:
    """A round whose task reads. `signed`: who signed it; `vouched`: whether its keys are known.

    `after` is the round that follows one that never opened (see `note_followed`).
    """

    task: AuditedTask
    paths: RoundPaths
    signed: set[str] = field(default_factory=set)
    after: str = ""
    vouched: bool = False

    @property
    def names(self) -> list[str]:
        """All aggregators, the leader first."""
        return [party.name for party in self.task.aggregators]

    @property
    def signers(self) -> list[bytes]:
        """The keys of those who signed it."""
        return [self.key_of(name) for name in self.names if name in self.signed]

    def key_of(self, name: str) -> bytes:
        """The key of an aggregator."""
        return self.task.aggregators[self.task.index_of(name)].identity.raw

    @property
    def unsigned(self) -> list[str]:
        """Aggregators whose signature is missing or does not hold."""
        return [name for name in self.names if name not in self.signed]


def open_rounds(inspection: Inspection, trust: Sequence[str] = ()) -> dict[str, OpenedRound]:
    """Read the opening of every round of the pool, by id.

    With `trust`, only of rounds that somebody whose key is named there has signed or offered a
    card for, or whose own digest is; strangers' rounds cost no more than the look at that.
    """
    anchors = Anchors(inspection, trust)
    found: dict[str, OpenedRound] = {}
    for round_id in inspection.files.inner("rounds"):
        if not is_round_id(round_id):
            continue
        paths = RoundPaths(round_id)
        if not anchors.sees(paths):
            leave_alone(inspection, paths)
            continue
        inspection.step(f"rounds/{round_id}", _open_into, found, inspection, round_id)
    return found


def _open_into(found: dict[str, OpenedRound], inspection: Inspection, round_id: str) -> None:
    opened = _open_round(inspection, round_id)
    if opened is not None:
        found[round_id] = opened


def _open_round(inspection: Inspection, round_id: str) -> OpenedRound | None:
    paths = RoundPaths(round_id)
    plan = inspection.read(paths.plan, MAX_PLAN_SIZE)
    data = inspection.read(paths.task, TASK_LIMIT)
    if data is None:
        if paths.task in inspection.files.sizes:
            _give_up(inspection, paths, "its round's task cannot be read")
        else:
            _invited(inspection, paths, plan)
        return None
    signed = _signed_by(inspection, paths, data)
    if not signed:
        # Nobody's word: it may be another task than was signed, or one that nobody ever signed.
        inspection.spoil("task.signatures", paths.task, "none of its aggregators has signed it")
        for path in inspection.files.under(f"{paths.folder}/signatures"):
            inspection.spoil("file.signature", path, "it is nobody's signature under this task")
        _give_up(inspection, paths, "its round's task is not the one that was signed")
        return None
    try:
        terms = read_terms(data)
    except MALFORMED as error:
        inspection.refuse("task.form", paths.task, error, signed)
        _give_up(inspection, paths, "its round's task does not read")
        return None
    opened = OpenedRound(terms.task, paths)
    if terms.task.round_id != round_id:
        inspection.spoil("file.place", paths.task, "it is the task of another round")
        _give_up(inspection, paths, "its round has the task of another")
        return None
    inspection.tasks[terms.task.digest.hex()] = round_id
    for party in terms.task.aggregators:
        inspection.know(party.name, party.identity)
    _check_signatures(inspection, opened)
    for rule, message in terms.problems:
        inspection.fault(rule, paths.task, message, opened.signed)
    for name in opened.signed:
        claim = claim_task(opened.key_of(name), round_id, terms.task.digest)
        inspection.state(claim, paths.task)
    _check_plan(inspection, opened, plan)
    check_trustees(inspection, opened)
    _check_cards(inspection, opened)
    _check_verify_key(inspection, opened)
    return opened


def _signed_by(inspection: Inspection, paths: RoundPaths, data: bytes) -> list[str]:
    """Who signed the bytes of a task file, of those it names; before anything is laid out."""
    try:
        head = read_head(data)
    except MALFORMED:
        return []
    found = []
    for party in head.aggregators:
        path = paths.signature(party.name)
        if not inspection.has(path):
            continue
        with contextlib.suppress(*MALFORMED):
            signature = inspection.files.read(path, SIGNATURE_LIMIT)
            if parse_task_signature(signature, head) == party.name:
                found.append(party.name)
    return found


def _give_up(inspection: Inspection, paths: RoundPaths, why: str) -> None:
    inspection.unread.append(paths.round_id)
    inspection.unchecked(inspection.files.under(paths.folder), why)


def _invited(inspection: Inspection, paths: RoundPaths, plan: bytes | None) -> None:
    """A round without a task: plan and cards may be there, and must fit each other."""
    fits = False
    for name in inspection.files.names(paths.cards):
        path = f"{paths.cards}/{name}"
        document = inspection.signed_document(path, CARD_KIND, CARD_LIMIT)
        card = None
        with contextlib.suppress(*MALFORMED):
            card = parse_card(document.data) if document is not None else None
        if card is None or f"{card.owner.name}.json" != name or card.round_id != paths.round_id:
            inspection.claimed.discard(path)  # nobody's card for this round
        elif plan is not None and hashlib.sha256(plan).digest() != card.plan_sha256:
            message = f"{card.owner.name}'s card names another"
            inspection.spoil("task.plan", paths.plan, message)
        else:
            fits = True
    for name in inspection.files.names(f"{paths.folder}/evidence"):
        _check_card_versions(inspection, paths, f"{paths.folder}/evidence/{name}")
    if not fits:
        inspection.claimed.discard(paths.plan)
        return  # no round at all: whatever lies there is unknown
    inspection.waiting("task.signatures", paths.task, "the leader has not written the task yet")
    _give_up(inspection, paths, "its round has no task")


def _check_card_versions(inspection: Inspection, paths: RoundPaths, path: str) -> None:
    """Two cards for a round that has no task: its author's own identity says whose key it is."""
    try:
        found, key = parse_card_versions(inspection.files.read(path, 2 * CARD_LIMIT))
        if found.place.round_id != paths.round_id:
            return
        owner = inspection.files.read(partner_path(found.place.author), IDENTITY_LIMIT)
        identity = parse_identity(owner)
    except MALFORMED:
        return  # it proves nothing, and is told of with the files that nobody answers for
    inspection.signatures += 2
    if (identity.name, identity.key) == (found.place.author, key):
        inspection.claim(path)
        message = f"{found.place.path}: {found}"
        inspection.fault("file.twice", path, message, [found.place.author])


def _check_plan(inspection: Inspection, opened: OpenedRound, data: bytes | None) -> None:
    task, path = opened.task, opened.paths.plan
    if data is None:
        inspection.lacks("task.plan", path, "the plan file is missing")
        return
    if hashlib.sha256(data).digest() != task.plan_sha256:
        inspection.spoil("task.plan", path, "it is not the plan file that the task names")
        return
    try:
        same = Plan.from_toml(data) == task.plan
    except MALFORMED as error:
        inspection.refuse("task.plan", path, error, opened.signed)
        return
    if not same:
        message = "the task's plan is not what the plan file says"
        inspection.fault("task.plan", path, message, opened.signed)


def _check_cards(inspection: Inspection, opened: OpenedRound) -> None:
    for party in opened.task.aggregators:
        path = opened.paths.card(party.name)
        if not inspection.has(path):
            inspection.lacks("task.cards", path, f"the card of {party.name} is missing")
            continue
        document = inspection.document(path, CARD_KIND, party.identity, limit=CARD_LIMIT)
        if document is not None:
            _check_card(inspection, opened, party, document)


def _check_card(
    inspection: Inspection, opened: OpenedRound, party: AggregatorEntry, document: Document
) -> None:
    """Hold a card that its owner signed against the task."""
    task, path = opened.task, opened.paths.card(party.name)
    try:
        card = parse_card(document.data)
    except MALFORMED as error:
        inspection.refuse("file.form", path, error, [party.name])
        return
    if card.owner.name != party.name or card.round_id != task.round_id:
        inspection.spoil("file.place", path, "it is the card of another owner or round")
        return
    try:
        card_matches(
            card,
            round_id=task.round_id,
            plan_sha256=task.plan_sha256,
            members=[entry.member for entry in task.aggregators],
            rehearsal=task.rehearsal,
            invitation=task.aggregators[0].card,
            kem=task.plan.kem,
        )
    except TaskError as error:
        inspection.refuse("task.cards", path, error, opened.signed)
        return
    # Whoever signed the task signed that its card is the one named there.
    by = [party.name] if party.name in opened.signed else opened.signed
    if card.digest != party.card or card.hpke != party.hpke:
        message = f"the task names another card of {party.name}"
        inspection.fault("task.cards", path, message, by)
    elif card.backup != party.backup:
        message = f"the task says something else about the backup of {party.name}"
        inspection.fault("task.cards", path, message, opened.signed)
    elif card.index == 0:
        _note_claims(inspection, opened, card)


def _note_claims(inspection: Inspection, opened: OpenedRound, invitation: Card) -> None:
    """Say whose backup is another than the invitation knew: its aggregators were asked again."""
    for party, expected in zip(opened.task.aggregators, invitation.expected, strict=True):
        one, other = (
            (claim.threshold, {trustee.key for trustee in claim.trustees}) if claim else None
            for claim in (party.backup, expected)
        )
        if one != other:
            message = f"the backup of {party.name} is another than the invitation said"
            inspection.note("task.cards", opened.paths.card(party.name), message)


def _check_signatures(inspection: Inspection, opened: OpenedRound) -> None:
    task = opened.task
    for party in task.aggregators:
        path = opened.paths.signature(party.name)
        document = inspection.document(path, SIGNATURE_KIND, party.identity)
        if document is None:
            continue
        body = document.body
        if set(body) != {"task", "aggregator"} or body["aggregator"] != party.name:
            inspection.spoil("file.place", path, f"it is not the signature of {party.name}")
        elif body["task"] != task.digest.hex():
            inspection.spoil("file.place", path, "it is a signature under another task")
        else:
            opened.signed.add(party.name)


def _check_verify_key(inspection: Inspection, opened: OpenedRound) -> None:
    task, path = opened.task, opened.paths.verify_key
    if not inspection.has(path):
        inspection.lacks("task.verify-key", path, "the sealed verify key is missing")
        return
    document = inspection.document(path, VERIFY_KEY_KIND, task.aggregators[0].identity)
    if document is None:
        return
    try:
        where = "the sealed verify key"
        fields = StrictObject(document.body, ("sealed", "task"), where=where)
        if fields.digest("task") != task.digest:
            inspection.spoil("file.place", path, "it belongs to another task")
            return
        sealed = StrictObject(fields.raw("sealed"), opened.names, where=where)
        for party in task.aggregators:
            sealed.blob(party.name, party.hpke.ciphertext_size(32))
    except MALFORMED as error:
        inspection.refuse("task.verify-key", path, error, opened.names[:1])


def _has_begun(inspection: Inspection, opened: OpenedRound) -> bool:
    inner = inspection.files.inner(opened.paths.folder)
    return any(inner.count(name) for name in ("order", "batches", "releases"))


def note_followed(inspection: Inspection, rounds: Sequence[OpenedRound]) -> None:
    """Note which rounds never opened because somebody did not sign, and were gone on from.

    The leader of such a round and the leader of the next must have signed it. So a task that
    somebody made up, to use up a campaign or to leave a round out, is none of them.
    """
    by_digest = {opened.task.digest: opened for opened in rounds}
    for later in rounds:
        before = by_digest.get(later.task.previous or b"")
        leader = later.task.aggregators[0]
        if before is None or leader.name not in later.signed or not before.unsigned:
            continue
        signers = {p.identity for p in before.task.aggregators if p.name in before.signed}
        leaders = {leader.identity, before.task.aggregators[0].identity}
        if leaders <= signers and not _has_begun(inspection, before):
            before.after = later.task.round_id
