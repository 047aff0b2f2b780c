"""What a trustee does: see who asks, compare a fingerprint by voice, pass its piece on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.backup.rehearsed import read_rehearsed
from grievance.backup.requests import (
    Request,
    make_answer,
    read_answer,
    read_request,
    read_requests,
)
from grievance.backup.sets import BackupSet, Trustee, open_piece, read_sets
from grievance.crypto.fingerprint import matches
from grievance.errors import GrievanceError, TrustError, UsageError
from grievance.home import read_identity
from grievance.pool.layout import BackupPaths, is_request_id

if TYPE_CHECKING:
    from grievance.home import Home


@dataclass(frozen=True)
class Plea:
    """A request that this organisation can answer, for the set of which it holds a piece."""

    backup_set: BackupSet
    request: Request
    trustee: Trustee
    answered: bool

    @property
    def owner(self) -> str:
        """Who asks, if it is who it says."""
        return self.backup_set.owner.name


def pleas(home: Home, owner: str | None = None) -> list[Plea]:
    """Every request in the pool that this organisation can answer, but a rehearsal that is over.

    `owner` narrows it to one organisation, and raises TrustError when its key is not the one
    that was compared before, PoolError when nobody is called so.
    """
    if owner is not None:
        return _pleas_of(home, owner, None)
    found = []
    for name in home.store.names("backups"):
        try:
            found += _pleas_of(home, name, None)
        except GrievanceError:
            continue
    return found


def _pleas_of(home: Home, owner: str, request_id: str | None) -> list[Plea]:
    identity = read_identity(home.store, owner)
    if home.known_key(owner) not in (None, identity.key):
        raise TrustError(
            f"{owner} has another key in the pool than the one you compared before",
            code="trust.changed",
            hint=f"the pool may have been tampered with; call {owner}",
        )
    sets = {one.set_id: one for one in read_sets(home.store, identity)}
    found = []
    if request_id is None:
        requests = read_requests(home.store, list(sets.values()))
    else:
        one = read_request(home.store, list(sets.values()), request_id)
        requests = [one] if one is not None else []
    records = {set_id: read_rehearsed(home.store, one) for set_id, one in sets.items()}
    for request in requests:
        backup_set = sets[request.set_id]
        trustee, over = backup_set.trustee(home.identity), records[request.set_id]
        if trustee is not None and (over is None or over.request != request.digest):
            done = read_answer(home.store, backup_set, request, trustee) is not None
            found.append(Plea(backup_set, request, trustee, done))
    return found


def find_plea(home: Home, owner: str, text: str | None = None) -> Plea:
    """The request that `text` begins to name; the only one not answered yet when it is None.

    Raises UsageError when none or several fit.
    """
    start = (text or "").strip().upper()
    # A whole name is looked up and not searched for, however many others lie there.
    every = _pleas_of(home, owner, start if is_request_id(start) else None)
    fitting = [plea for plea in every if plea.request.request_id.startswith(start)]
    if text is None and len(fitting) > 1:
        fitting = [plea for plea in fitting if not plea.answered]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UsageError(
            f"there is no request for a backup of {owner} that {home.name} could answer",
            code="usage.request",
            hint="a synced folder may need a moment; is the request's name typed right?",
        )
    raise UsageError(
        f"there are {len(fitting)} requests for a backup of {owner}",
        code="backup.which",
        hint="whoever asks reads out the fingerprint of the right one; type its first group: "
        + ", ".join(plea.request.request_id[:4] for plea in fitting[:10]),
    )


def answer(home: Home, plea: Plea, fingerprint: str) -> str:
    """Open our own piece and seal it to the request's key. Returns the path of the answer.

    `fingerprint` is what was read out by voice. Raises TrustError when it is another one,
    OpenError or PoolError when our piece does not open or is not the one the set names.
    """
    if not matches(fingerprint, plea.request.digest):
        raise TrustError(
            f"this is not the fingerprint of the request for {plea.owner}",
            code="backup.fingerprint",
            hint="let them read it out again; if it stays different, somebody else asks in their "
            "name: answer nothing, and tell them",
        )
    path = BackupPaths(plea.owner).answer(plea.request.request_id, home.name)
    if plea.answered:
        return path
    piece = open_piece(plea.backup_set, plea.trustee, home.mailbox())
    data = make_answer(plea.backup_set, plea.request, plea.trustee, piece.reveal(), home.key)
    home.store.put(path, data)
    return path
