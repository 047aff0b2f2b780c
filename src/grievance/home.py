"""An organisation's own folder on its own machine: its name, its pool, its keys.

    organisation.json      name, display name, pool: nothing secret
    known.json             fingerprints this organisation has compared with others
    identity.pem           the long-lived Ed25519 key
    mailbox.key            the long-lived HPKE key to which others seal letters to us
    admissions.json        partners to admit once a round is signed
    backup.json            which backup of our keys there is (see `backup`); nothing secret
    state.sqlite           what an aggregator remembers (see `aggregator.state`)
    rounds/<id>/hpke.key, verify.key, state.key
    rounds/<id>/sealed-*.sqlite  whom a table sealed here holds (see `tables.memory`)
    cards/<id>.json        the one card we made for a round
    evidence/<id>/         what we agreed to, and what somebody put in its place

The folder is never shared and never in the pool. Source: docs/design.md, section 5.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from grievance.crypto import keys
from grievance.crypto.documents import b64decode, b64encode
from grievance.crypto.fingerprint import matches, short
from grievance.crypto.hpke import HpkePrivateKey, HpkePublicKey
from grievance.crypto.signing import SigningKey, VerifyingKey
from grievance.errors import (
    GrievanceError,
    PoolError,
    StateError,
    TrustError,
    UsageError,
    after_fault,
    is_away,
)
from grievance.failpoints import failpoint
from grievance.names import check_name
from grievance.pool.layout import RoundPaths, mailbox_path, partner_path
from grievance.pool.places import check_apart
from grievance.pool.preflight import try_folder
from grievance.pool.rounds import (
    Invitation,
    invitation_of,
    read_card,
    read_invitations,
    seen_rounds,
)
from grievance.pool.store import SMALL_FILE_SIZE, WHEN_MOVED, find, open_store, sync_folder
from grievance.task import (
    Identity,
    make_identity,
    make_mailbox,
    parse_identity,
    parse_mailbox,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grievance.pool.store import Store


@dataclass(frozen=True)
class RoundFiles:
    """Where one round's keys lie."""

    folder: Path

    @property
    def hpke(self) -> Path:
        """The round's HPKE key."""
        return self.folder / "hpke.key"

    @property
    def verify(self) -> Path:
        """The round's verify key."""
        return self.folder / "verify.key"

    @property
    def state(self) -> Path:
        """The key under which sums are kept."""
        return self.folder / "state.key"


class Home:
    """One organisation's folder. Made by `create`, opened by `open`."""

    def __init__(self, root: Path, settings: dict[str, Any], passphrase: str | None) -> None:
        self.root = root
        self.name: str = settings["name"]
        self.display_name: str = settings["display_name"]
        self.pool: str = settings["pool"]
        self.passphrase = passphrase

    @classmethod
    def create(
        cls, root: Path, name: str, display_name: str, pool: str, passphrase: str | None = None
    ) -> Self:
        """Make the folder, a fresh identity and a mailbox, and publish both in the pool.

        What makes the folder an organisation's comes last, so a run that was cut short is gone
        on with by the next one. Raises UsageError when the folder is an organisation's already,
        PoolError when the name is taken in the pool or the pool cannot be used.
        """
        check_name(name, "the organisation's name")
        if (root / "organisation.json").exists():
            raise UsageError(
                f"{root} already belongs to an organisation",
                code="home.exists",
                hint="use another --home, or go on with the one that is there",
            )
        if (root / "restore.json").exists():
            raise UsageError(
                f"a restore of keys is under way in {root}",
                code="home.exists",
                hint="finish it with `grievance restore`, or use another --home",
            )
        check_apart(root, pool)
        store = open_store(pool)
        key_path = root / "identity.pem"
        begun = keys.read_identity(key_path, passphrase) if key_path.exists() else None
        taken = store.size(partner_path(name)) is not None
        if taken and (begun is None or not _carries(store, name, begun.public)):
            raise PoolError(
                f"somebody in this pool is called {name} already",
                code="home.name",
                hint="choose another name, or restore the old key if it was you",
            )
        try_folder(store)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        failpoint("init.folder")
        key = begun or SigningKey.generate()
        if begun is None:
            keys.write_identity(key_path, key, passphrase)
        settings = {"name": name, "display_name": display_name, "pool": store.location}
        home = cls(root, settings, passphrase)
        store.put(partner_path(name), make_identity(name, display_name, key))
        home.mailbox()
        _write_json(root / "organisation.json", settings)
        return home

    @classmethod
    def open(cls, root: Path, passphrase: str | None = None) -> Self:
        """Open an existing folder. Raises UsageError when there is none, or it is in its pool."""
        path = root / "organisation.json"
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            wanted = ("name", "display_name", "pool")
            if not all(isinstance(settings[key], str) for key in wanted):
                raise ValueError("settings")
            check_name(settings["name"], "the organisation's name")
        except FileNotFoundError:
            raise UsageError(
                f"there is no organisation at {root}",
                code="home.missing",
                hint="make one with `grievance init NAME --pool DIR`, or say which with --home",
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StateError(f"{path} is damaged", code="home.damaged") from None
        check_apart(root, settings["pool"])
        return cls(root, settings, passphrase)

    @cached_property
    def key(self) -> SigningKey:
        """The organisation's identity key. Raises KeyFileError."""
        return keys.read_identity(self.root / "identity.pem", self.passphrase)

    @cached_property
    def store(self) -> Store:
        """The pool. Raises PoolError."""
        try:
            return open_store(self.pool)
        except PoolError as error:
            if error.code != "pool.missing":
                raise
            raise PoolError(error.message, code=error.code, hint=WHEN_MOVED) from None

    @property
    def identity(self) -> Identity:
        """What others know us by."""
        return Identity(self.name, self.display_name, self.key.public)

    def mailbox(self) -> HpkePrivateKey:
        """Our mailbox key, with its public half in the pool; made when it is first needed.

        Raises KeyFileError, PoolError.
        """
        path = self.root / "mailbox.key"
        if not path.exists():
            keys.write_hpke_key(path, HpkePrivateKey.generate(), self.passphrase)
        key = keys.read_hpke_key(path, self.passphrase)
        if _read_mailbox(self.store, self.identity) != key.public:
            document = make_mailbox(self.name, key.public, self.key)
            self.store.put(mailbox_path(self.name), document)
        return key

    @property
    def state_path(self) -> Path:
        """The aggregator's memory."""
        return self.root / "state.sqlite"

    def round_files(self, round_id: str) -> RoundFiles:
        """Where a round's keys lie; the id is checked like a path of the pool."""
        return RoundFiles(self.root / RoundPaths(round_id).folder)

    def card_file(self, round_id: str) -> Path:
        """Our card for a round, kept for good: there is never a second one."""
        return self.root / "cards" / f"{RoundPaths(round_id).round_id}.json"

    def settings_file(self, name: str) -> Path:
        """A small JSON file of ours."""
        return self.root / f"{name}.json"

    def read_settings(self, name: str) -> dict[str, Any]:
        """One of our small JSON files; empty when there is none. Raises StateError."""
        return _read_json(self.settings_file(name))

    def write_settings(self, name: str, value: dict[str, Any]) -> None:
        """Replace one of our small JSON files, whole."""
        _write_json(self.settings_file(name), value)

    # Partners to admit as soon as a round is signed.

    def waiting_admissions(self, round_id: str) -> list[str]:
        """Names the leader's steward admitted before the round was signed."""
        listed = _read_json(self.settings_file("admissions")).get(round_id, [])
        if not isinstance(listed, list):
            raise StateError(f"{self.settings_file('admissions')} is damaged", code="home.damaged")
        return [name for name in listed if isinstance(name, str)]

    def admit_later(self, round_id: str, names: list[str]) -> None:
        """Remember partners to admit. Run by the leader."""
        listed, known = self.read_settings("admissions"), self.waiting_admissions(round_id)
        listed[round_id] = [*known, *(name for name in names if name not in known)]
        self.write_settings("admissions", listed)

    def invitation(self, round_id: str) -> Invitation | None:
        """The invitation to a round that means us, from a leader we know where there is one.

        Once our own card is in the pool, only what that card consents to counts. Raises
        TrustError `round.invitations` when until then several are equally good: which one is
        meant is for the stewards to say.
        """
        found = self._best_invitations(round_id)
        if len(found) > 1 and self.identity in found[0].members:
            leaders = [invitation.members[0].name for invitation in found]
            folder = RoundPaths(round_id).cards
            raise TrustError(
                f"{' and '.join(leaders)} each invite {self.name} to {round_id} as its leader",
                code="round.invitations",
                hint="join none of them yet; call them and ask who opened it, then move the card "
                f"of whoever did not out of {folder} and keep it: only one can be meant",
            )
        return found[0] if found else None

    def invitations(self) -> list[Invitation]:
        """Every round in which we are to be an aggregator; of several equally good any."""
        mine = []
        for round_id in seen_rounds(self.store, self.compared()):
            try:
                found = self._best_invitations(round_id)
            except GrievanceError as error:
                if is_away(error):
                    raise
                continue
            if found and self.identity in found[0].members:
                mine.append(found[0])
        return mine

    def _best_invitations(self, round_id: str) -> list[Invitation]:
        """Those with the terms of our own card; while there is none, those we believe most."""
        own = read_card(self.store, round_id, self.identity)
        if own is not None:
            agreed = invitation_of(self.store, own)
            return [agreed] if agreed is not None else []
        found = read_invitations(self.store, round_id)
        belief = max(map(self._belief, found), default=None)
        return [invitation for invitation in found if self._belief(invitation) == belief]

    def _belief(self, invitation: Invitation) -> tuple[bool, bool]:
        leader = invitation.members[0]
        known = leader.key in (self.key.public, self.known_key(leader.name))
        return self.identity in invitation.members, known

    def known(self) -> dict[str, VerifyingKey]:
        """The keys we compared, by name. Raises StateError."""
        found = _read_json(self.settings_file("known"))
        if not all(isinstance(text, str) for text in found.values()):
            raise StateError(f"{self.settings_file('known')} is damaged", code="home.damaged")
        return {name: VerifyingKey(b64decode(text)) for name, text in found.items()}

    def known_key(self, name: str) -> VerifyingKey | None:
        """The key we vouched for under a name before."""
        return self.known().get(name)

    def compared(self) -> dict[str, VerifyingKey]:
        """The keys we vouch for, by name: those we compared, and our own."""
        return self.known() | {self.name: self.key.public}

    def trust(self, identity: Identity) -> None:
        """Remember that the fingerprint was compared from outside the pool."""
        known = self.known() | {identity.name: identity.key}
        self.write_settings("known", {name: b64encode(key.raw) for name, key in known.items()})

    def find_partner(self, name: str, fingerprint: str | None = None) -> Identity:
        """Read an organisation's identity from the pool and hold it against what we know.

        Raises TrustError when its key is not the one we compared, or does not match
        `fingerprint`, or when nobody has vouched for it yet.
        """
        identity = read_identity(self.store, name)
        known = self.known_key(name)
        if fingerprint is not None:
            if not matches(fingerprint, identity.key.fingerprint):
                raise TrustError(
                    f"the key of {name} in the pool is not the one you were told",
                    code="trust.fingerprint",
                    hint=f"the pool says {short(identity.key.fingerprint)}; ask {name} again, "
                    "over another channel",
                )
        elif known is None and name != self.name:
            raise TrustError(
                f"nobody has compared the fingerprint of {name} yet",
                code="trust.unknown",
                hint=f"call {name}; if they read out {short(identity.key.fingerprint)}, "
                f"write {name}:{short(identity.key.fingerprint)}",
            )
        if known is not None and known != identity.key:
            raise TrustError(
                f"{name} has another key in the pool than the one you compared before",
                code="trust.changed",
                hint=f"the pool may have been tampered with; call {name}",
            )
        return identity

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that works here. Raises StateError when another one does."""
        import fcntl

        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError(
                    f"another command is at work in {self.root}",
                    code="state.busy",
                    hint="wait until it ends; nothing was changed",
                ) from None
            except OSError as error:
                raise StateError(
                    f"{self.root} lies where files cannot be locked ({error.strerror})",
                    code="state.lock",
                    hint="keep the organisation's folder on a disk of this machine, and only the "
                    "pool on a network share",
                ) from None
            yield
        finally:
            os.close(fd)


def read_identity(store: Store, name: str) -> Identity:
    """Read an organisation's self-signed identity from the pool. Raises PoolError."""
    data = store.view(partner_path(name), SMALL_FILE_SIZE)
    if data is None:
        raise PoolError(
            f"nobody in this pool is called {name}",
            code="partner.missing",
            hint="they run `grievance init` first; a synced folder may need a moment",
        )
    try:
        identity = parse_identity(bytes(data))
    except GrievanceError as error:
        raise PoolError(f"{partner_path(name)}: {error}", code="partner.syntax") from None
    if identity.name != name:
        raise PoolError(f"{partner_path(name)} is about somebody else", code="partner.name")
    return identity


def read_mailbox(store: Store, owner: Identity) -> HpkePublicKey:
    """Read the mailbox of an organisation whose identity is trusted. Raises PoolError."""
    found = _read_mailbox(store, owner)
    if found is None:
        raise PoolError(
            f"{owner.name} has no mailbox in this pool that carries its signature",
            code="partner.mailbox",
            hint=f"{owner.name} runs `grievance backup status` once, which makes one",
        )
    return found


def _read_mailbox(store: Store, owner: Identity) -> HpkePublicKey | None:
    data = find(store, mailbox_path(owner.name), SMALL_FILE_SIZE)
    try:
        return parse_mailbox(bytes(data), owner) if data is not None else None
    except GrievanceError:
        return None


def _carries(store: Store, name: str, key: VerifyingKey) -> bool:
    """Whether the pool's organisation of this name has this key."""
    try:
        return read_identity(store, name).key == key
    except PoolError as error:
        if is_away(error):
            raise
        return False


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StateError(f"{path} is damaged", code="home.damaged")
    return value


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("x", encoding="utf-8") as file:
                file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            failpoint("settings.written")
            temporary.replace(path)
            failpoint("settings.renamed")
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"{path} cannot be written ({error.strerror})",
            code="state.write",
            hint=after_fault(error),
        ) from None
