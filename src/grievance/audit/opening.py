"""How a round began: plan, cards, task, signatures, the sealed verify key, and who vouches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.audit.terms import LIMIT as TASK_LIMIT
from grievance.audit.terms import read_terms
from grievance.audit.trustees import check_trustees
from grievance.crypto.fingerprint import TASK_GROUPS, matches, normalise
from grievance.crypto.strict import StrictObject
from grievance.errors import CryptoError, TaskError, TrustError
from grievance.ledger.versions import parse_card_versions
from grievance.plan import Plan
from grievance.pool.layout import RoundPaths, is_round_id, partner_path
from grievance.task.card import KIND as CARD_KIND
from grievance.task.card import card_matches, parse_card
from grievance.task.identity import parse_identity
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.task.verify_key import KIND as VERIFY_KEY_KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit.inspection import Inspection
    from grievance.task import Card, Task


@dataclass
class OpenedRound:
    """A round whose task reads. `signed`: who signed it; `vouched`: whether its keys are known.

    `other_task` is set when a signature in the round covers another task file than this, `after`
    to the round that follows one that never opened (see `note_followed`).
    """

    task: Task
    paths: RoundPaths
    signed: set[str] = field(default_factory=set)
    other_task: bool = False
    after: str = ""
    vouched: bool = False

    @property
    def names(self) -> list[str]:
        """All aggregators, the leader first."""
        return [party.name for party in self.task.aggregators]

    @property
    def unsigned(self) -> list[str]:
        """Aggregators whose signature is missing or does not hold."""
        return [name for name in self.names if name not in self.signed]


def open_rounds(inspection: Inspection) -> dict[str, OpenedRound]:
    """Read the opening of every round of the pool, by id."""
    found: dict[str, OpenedRound] = {}
    for round_id in inspection.files.inner("rounds"):
        if not is_round_id(round_id):
            continue
        inspection.step(f"rounds/{round_id}", _open_into, found, inspection, round_id)
    return found


def _open_into(found: dict[str, OpenedRound], inspection: Inspection, round_id: str) -> None:
    opened = _open_round(inspection, round_id)
    if opened is not None:
        found[round_id] = opened


def _open_round(inspection: Inspection, round_id: str) -> OpenedRound | None:
    paths = RoundPaths(round_id)
    plan = inspection.read(paths.plan)
    data = inspection.read(paths.task, TASK_LIMIT)
    if data is None:
        if inspection.has(paths.task):
            _give_up(inspection, paths, "its round's task cannot be read")
        else:
            _invited(inspection, paths, plan)
        return None
    try:
        terms = read_terms(data)
    except MALFORMED as error:
        inspection.refuse("task.form", paths.task, error)
        _give_up(inspection, paths, "its round's task does not read")
        return None
    opened = OpenedRound(terms.task, paths)
    if terms.task.round_id != round_id:
        inspection.fault("file.place", paths.task, "it is the task of another round")
        _give_up(inspection, paths, "its round has the task of another")
        return None
    for rule, message in terms.problems:
        inspection.fault(rule, paths.task, message)
    _check_plan(inspection, opened, plan)
    check_trustees(inspection, opened)
    _check_cards(inspection, opened)
    _check_signatures(inspection, opened)
    if opened.other_task:
        inspection.fault(
            "task.signatures", paths.task, "the aggregators signed another task than this file"
        )
        _give_up(inspection, paths, "its round's task is not the one that was signed")
        return None
    _check_verify_key(inspection, opened)
    return opened


def _give_up(inspection: Inspection, paths: RoundPaths, why: str) -> None:
    inspection.unread.append(paths.round_id)
    inspection.unchecked(inspection.files.under(paths.folder), why)


def _invited(inspection: Inspection, paths: RoundPaths, plan: bytes | None) -> None:
    """A round without a task: plan and cards may be there, and must fit each other."""
    fits = False
    for name in inspection.files.names(paths.cards):
        path = f"{paths.cards}/{name}"
        card = _read_card(inspection, path)
        if card is None:
            continue
        if f"{card.owner.name}.json" != name or card.round_id != paths.round_id:
            inspection.fault("file.place", path, "it is the card of another owner or round")
        elif plan is not None and hashlib.sha256(plan).digest() != card.plan_sha256:
            inspection.fault("task.plan", paths.plan, f"{card.owner.name}'s card names another")
        else:
            fits = True
    for name in inspection.files.names(f"{paths.folder}/evidence"):
        _check_card_versions(inspection, paths, f"{paths.folder}/evidence/{name}")
    if plan is None and not fits:
        return  # no round at all: whatever lies there is unknown
    inspection.waiting("task.signatures", paths.task, "the leader has not written the task yet")
    _give_up(inspection, paths, "its round has no task")


def _check_card_versions(inspection: Inspection, paths: RoundPaths, path: str) -> None:
    """Two cards for a round that has no task: its author's own identity says whose key it is."""
    data = inspection.read(path)
    try:
        found, key = parse_card_versions(data or b"")
        if found.place.round_id != paths.round_id:
            return
        identity = parse_identity(inspection.read(partner_path(found.place.author)) or b"")
    except MALFORMED:
        return  # it proves nothing, and is told of with the rest of the round
    inspection.signatures += 2
    if (identity.name, identity.key) == (found.place.author, key):
        inspection.fault("file.twice", path, f"{found.place.path}: {found}")


def _read_card(inspection: Inspection, path: str) -> Card | None:
    document = inspection.document(path, CARD_KIND)
    if document is None:
        return None
    try:
        return parse_card(document.data)
    except MALFORMED as error:
        foreign = getattr(error, "code", "") == "document.signer"
        inspection.refuse("file.foreign" if foreign else "file.form", path, error)
        return None


def _check_plan(inspection: Inspection, opened: OpenedRound, data: bytes | None) -> None:
    task, path = opened.task, opened.paths.plan
    if data is None:
        if not inspection.has(path):
            inspection.waiting("task.plan", path, "the plan file is missing")
        return
    if hashlib.sha256(data).digest() != task.plan_sha256:
        inspection.fault("task.plan", path, "it is not the plan file that the task names")
        return
    try:
        same = Plan.from_toml(data) == task.plan
    except MALFORMED as error:
        inspection.refuse("task.plan", path, error)
        return
    if not same:
        inspection.fault("task.plan", path, "the task's plan is not what the plan file says")


def _check_cards(inspection: Inspection, opened: OpenedRound) -> None:
    task = opened.task
    members = [party.member for party in task.aggregators]
    for party in task.aggregators:
        path = opened.paths.card(party.name)
        if not inspection.has(path):
            inspection.waiting("task.cards", path, f"the card of {party.name} is missing")
            continue
        card = _read_card(inspection, path)
        if card is None:
            continue
        if card.owner.name != party.name or card.round_id != task.round_id:
            inspection.fault("file.place", path, "it is the card of another owner or round")
            continue
        if card.owner.key != party.identity:
            inspection.fault("file.foreign", path, "it is signed with another key than the task's")
            continue
        try:
            card_matches(
                card,
                round_id=task.round_id,
                plan_sha256=task.plan_sha256,
                members=members,
                rehearsal=task.rehearsal,
                invitation=task.aggregators[0].card,
                kem=task.plan.kem,
            )
        except TaskError as error:
            inspection.refuse("task.cards", path, error)
            continue
        if card.digest != party.card or card.hpke != party.hpke:
            inspection.fault("task.cards", path, f"the task names another card of {party.name}")
        elif card.backup != party.backup:
            message = f"the task says something else about the backup of {party.name}"
            inspection.fault("task.cards", path, message)
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
            inspection.fault("file.place", path, f"it is not the signature of {party.name}")
        elif body["task"] != task.digest.hex():
            inspection.fault("file.place", path, "it is a signature under another task")
            opened.other_task = True
        else:
            opened.signed.add(party.name)


def _check_verify_key(inspection: Inspection, opened: OpenedRound) -> None:
    task, path = opened.task, opened.paths.verify_key
    if not inspection.has(path):
        inspection.waiting("task.verify-key", path, "the sealed verify key is missing")
        return
    document = inspection.document(path, VERIFY_KEY_KIND, task.aggregators[0].identity)
    if document is None:
        return
    try:
        where = "the sealed verify key"
        fields = StrictObject(document.body, ("sealed", "task"), where=where)
        if fields.digest("task") != task.digest:
            inspection.fault("file.place", path, "it belongs to another task")
            return
        sealed = StrictObject(fields.raw("sealed"), opened.names, where=where)
        for party in task.aggregators:
            sealed.blob(party.name, party.hpke.ciphertext_size(32))
    except MALFORMED as error:
        inspection.refuse("task.verify-key", path, error)


def check_begun(inspection: Inspection, opened: OpenedRound) -> None:
    """Every aggregator signed before anything else happened in the round."""
    for name in opened.unsigned:
        path = opened.paths.signature(name)
        if inspection.has(path):
            continue
        message = f"{name} has not signed the task"
        if opened.after:
            message += f", and {opened.after} follows: it did not open, and its cost stays reserved"
            inspection.note("task.signatures", path, message)
        else:
            begun = _has_begun(inspection, opened)
            inspection.lacks("task.signatures", path, message, too_late=begun)


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


def check_trust(
    inspection: Inspection, rounds: Sequence[OpenedRound], texts: Sequence[str]
) -> bool:
    """Hold the rounds' keys against what was vouched for. Returns whether all keys are.

    A digest vouches for its task and for the keys in it, fingerprints for the keys alone; a
    round is vouched for when its digest is, or all its keys are. In a round that never opened only
    the keys of those who signed it need that. Raises TrustError for a text that is neither a
    digest nor a fingerprint.
    """
    if not texts:
        return False
    wanted = [_normal(text) for text in texts]
    keys = {p.identity for r in rounds for p in r.task.aggregators}
    known = {key for key in keys if any(matches(text, key.fingerprint) for text in wanted)}
    for opened in rounds:
        vouched = any(matches(text, opened.task.digest, TASK_GROUPS) for text in wanted)
        if vouched and not opened.unsigned:
            opened.vouched = True
            known |= {party.identity for party in opened.task.aggregators}
    moot = set()
    for opened in rounds:
        strange = [p.name for p in opened.task.aggregators if p.identity not in known]
        opened.vouched = opened.vouched or not strange
        # Keys whose owners let a round go by never counted for anything in it.
        if opened.after and not opened.signed & set(strange):
            moot.add(opened.task.digest)
        elif not opened.vouched:
            message = f"nothing given vouches for the key of {', '.join(strange)}"
            inspection.fault("task.trust", opened.paths.task, message)
    for text in wanted:
        is_known = any(matches(text, key.fingerprint) for key in keys) or any(
            matches(text, opened.task.digest, TASK_GROUPS) for opened in rounds
        )
        # A text may be meant for a round that does not read, which is a finding already.
        if not inspection.unread and not is_known:
            inspection.fault(
                "task.trust", "--trust", f"{text} is neither a round of this pool nor a key in it"
            )
    if not rounds and not inspection.unread:
        inspection.fault(
            "task.trust", "--trust", "there is no round here that could be vouched for"
        )
    # Where no round reads, that is what the findings are about, not the anchors.
    counted = [opened.vouched for opened in rounds if opened.task.digest not in moot]
    return all(counted) and bool(counted or inspection.unread)


def _normal(text: str) -> str:
    try:
        return normalise(text)
    except CryptoError as error:
        raise TrustError(error.message, code="trust.syntax", hint=error.hint) from None
