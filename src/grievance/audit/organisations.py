"""What organisations say of themselves: identities, mailboxes, and backups of their keys.

Of a backup only signatures and places are public; everything in it is sealed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.names import is_name
from grievance.task.identity import KIND as IDENTITY_KIND
from grievance.task.identity import parse_identity
from grievance.task.mailbox import KIND as MAILBOX_KIND
from grievance.task.mailbox import parse_mailbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.audit.inspection import Inspection
    from grievance.crypto.documents import Document
    from grievance.crypto.signing import VerifyingKey
    from grievance.task.identity import Identity

_KIND = re.compile(
    rb',"kind":"(grievance/2 backup [a-z ]{1,40})","signature":"[^"]*","signer":"[^"]*"}\Z'
)
_TAIL = 400
_SET = re.compile(r"backups/([^/]+)/([0-9a-f]{16})/(set|rehearsed)\.json")
_ARCHIVE = re.compile(r"backups/([^/]+)/([0-9a-f]{16})/archive-([1-9][0-9]{0,8})")
_ANSWER = re.compile(r"backups/([^/]+)/answers/[0-9A-Z-]{24}/([^/]+)\.json")
_REQUEST = re.compile(r"backups/([^/]+)/requests/[0-9A-Z-]{24}\.json")
_IDENTITY = re.compile(r"partners/([^/.]+)\.json")
_MAILBOX = re.compile(r"partners/([^/.]+)\.mailbox\.json")


def check_organisations(
    inspection: Inspection,
    keys: Mapping[str, set[VerifyingKey]],
    titles: Mapping[VerifyingKey, set[str]],
) -> None:
    """Check identities, mailboxes and backups.

    `keys`: by which keys the rounds know a name; `titles`: how they call the owner of a key.
    Who takes part in no round is a stranger, to whose files nothing here holds anybody.
    """
    known: dict[str, Identity] = {}
    for path in inspection.files.under("partners"):
        match = _IDENTITY.fullmatch(path)
        if match is not None and is_name(match[1]):
            identity = _check_identity(inspection, path, match[1], keys.get(match[1], set()))
            if identity is not None:
                known[match[1]] = identity
                for title in titles.get(identity.key, set()) - {identity.display_name}:
                    message = f'a round calls it "{title}", and it calls itself here otherwise'
                    inspection.note("task.cards", path, message)
    for path in inspection.files.under("partners"):
        match = _MAILBOX.fullmatch(path)
        if match is not None and is_name(match[1]):
            _check_mailbox(inspection, path, known.get(match[1]), party=match[1] in keys)
    for path in inspection.files.under("backups"):
        _check_backup(inspection, path, known, keys)


def _check_identity(
    inspection: Inspection, path: str, name: str, keys: set[VerifyingKey]
) -> Identity | None:
    if keys:
        document = inspection.document(path, IDENTITY_KIND, *keys)
    else:
        document = inspection.signed_document(path, IDENTITY_KIND)
    if document is None:
        return None
    try:
        identity = parse_identity(document.data)
    except MALFORMED as error:
        if keys:
            inspection.refuse("file.form", path, error, [name])
        else:
            inspection.not_ours(path, "it does not have the form of an identity")
        return None
    if identity.name != name:
        if keys:
            inspection.spoil("file.place", path, f"it is the identity of {identity.name}")
        else:
            inspection.not_ours(path, f"it is the identity of {identity.name}")
        return None
    return identity


def _check_mailbox(
    inspection: Inspection, path: str, owner: Identity | None, *, party: bool
) -> None:
    if owner is None:
        if inspection.signed_document(path, MAILBOX_KIND) is not None:
            inspection.note("file.unchecked", path, "the identity of its owner is not here")
        return
    document = _owned(inspection, path, MAILBOX_KIND, owner.key, party=party)
    if document is None:
        return
    try:
        parse_mailbox(document.data, owner)
    except MALFORMED as error:
        if document.body.get("name") != owner.name:
            _misplaced(inspection, path, "it is another's mailbox", party=party)
        elif party:
            inspection.refuse("file.form", path, error, [owner.name])
        else:
            inspection.not_ours(path, "it does not have the form of a mailbox")


def _owned(
    inspection: Inspection, path: str, kind: str, owner: VerifyingKey, *, party: bool
) -> Document | None:
    """A document that its owner signed: a party's place holds it, or something of ours is amiss."""
    if party:
        return inspection.document(path, kind, owner)
    document = inspection.signed_document(path, kind)
    if document is None or document.signer == owner:
        return document
    inspection.not_ours(path, "it is signed by somebody else than the owner of this place")
    return None


def _misplaced(inspection: Inspection, path: str, why: str, *, party: bool) -> None:
    if party:
        inspection.spoil("file.place", path, why)
    else:
        inspection.not_ours(path, why)


def _check_backup(
    inspection: Inspection,
    path: str,
    known: Mapping[str, Identity],
    keys: Mapping[str, set[VerifyingKey]],
) -> None:
    """Check that a file of a backup is signed by whose it is, and lies where it says."""
    for pattern, writer in ((_SET, 1), (_ARCHIVE, 1), (_ANSWER, 2), (_REQUEST, 0)):
        match = pattern.fullmatch(path)
        if match is None or not is_name(match[1]):
            continue
        data = inspection.read(path)
        if data is None:
            return
        kind = _KIND.search(data, max(0, len(data) - _TAIL))
        name = match[writer] if writer else ""
        party = name in keys
        if kind is None:
            if party:
                inspection.spoil("file.form", path, "it is no file of a backup")
            else:
                inspection.claimed.discard(path)
            return
        if name in known:
            document = _owned(inspection, path, kind[1].decode(), known[name].key, party=party)
        else:
            document = inspection.signed_document(path, kind[1].decode())
        if document is None:
            return
        if writer and name not in known:
            inspection.note("file.unchecked", path, f"the identity of {name} is not here")
        _check_place(inspection, path, document, match, pattern, party=party)
        return


def _check_place(
    inspection: Inspection,
    path: str,
    document: Document,
    match: re.Match[str],
    pattern: re.Pattern[str],
    *,
    party: bool,
) -> None:
    body = document.body
    wanted: dict[str, object] = {"owner": match[1]}
    if pattern in (_SET, _ARCHIVE):
        wanted["set"] = match[2]
    if pattern is _ARCHIVE:
        wanted["number"] = int(match[3])
    if pattern is _ANSWER:
        wanted["trustee"] = match[2]
    if any(body.get(key, value) != value for key, value in wanted.items()):
        _misplaced(inspection, path, "it belongs to another owner, set or place", party=party)
