"""Where everything lies in a pool: the one place that spells its paths.

    partners/<name>.json                        identity of an organisation
    partners/<name>.mailbox.json                the key others seal letters to it with
    ledger/<aggregator>/<size>.json             the entry that makes the ledger so long
    ledger/<aggregator>/<size>.checkpoint       its owner's signed head
    ledger/<aggregator>/<size>.share            its noisy share, sealed to itself
    ledger/<aggregator>/<size>.<witness>.cosignature, <size>.<witness>.fork
    heads/<aggregator>/<id>.json                it asks how long its ledger was
    heads/<aggregator>/<id>.<witness>.json      the last head that a witness holds of it
    rounds/<id>/plan.toml                       the plan as written
    rounds/<id>/cards/<aggregator>.json         a key for this round
    rounds/<id>/task.json                       the contract of the round
    rounds/<id>/verify-key.json                 the verify key, sealed to each aggregator
    rounds/<id>/signatures/<aggregator>.json    its signature under the task
    rounds/<id>/batches/<partner>-<digest>      sealed reports
    rounds/<id>/order/<seq>.json                the leader's chain of events
    rounds/<id>/evidence/order-<seq>-<witness>.json, twice-<file>-<witness>.json
    rounds/<id>/verify/<seq>/<aggregator>       verifier shares of a batch
    rounds/<id>/decide/<seq>/<aggregator>.json  which rows count
    rounds/<id>/releases/<release>/             proposal.json, approvals/, waivers/, noisy/
    backups/<owner>/<set>/set.json              who holds the pieces of its backup key, sealed
    backups/<owner>/<set>/archive-<n>           its key files, sealed; the only files ever deleted
    backups/<owner>/<set>/rehearsed.json        that the pieces were put together, and when;
                                                the only file its owner writes anew, each time
    backups/<owner>/requests/<id>.json          a machine that asks for the pieces
    backups/<owner>/answers/<id>/<trustee>.json a piece, sealed to that machine

Source: docs/design.md, section 7.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from grievance.errors import PoolError
from grievance.names import is_name

_ROUND_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,48}")
_BATCH = re.compile(r"([a-z0-9][a-z0-9-]{0,39})-([0-9a-f]{64})")
_VERIFY = re.compile(
    rf"rounds/({_ROUND_ID.pattern})/verify/([1-9][0-9]{{0,8}})/[a-z0-9][a-z0-9-]{{0,39}}"
)
_RELEASE = re.compile(r"[0-9a-f]{16}")
_BACKUP_SET = re.compile(r"[0-9a-f]{16}")
_ARCHIVE = re.compile(r"archive-([1-9][0-9]{0,8})")
# What `crypto.fingerprint.short` writes; people compare it by voice.
_REQUEST_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){4}")


def is_round_id(text: object) -> bool:
    """Whether `text` may name a round: the campaign's name, a hyphen, eight hex digits."""
    return isinstance(text, str) and bool(_ROUND_ID.fullmatch(text))


def is_release_id(text: object) -> bool:
    """Whether `text` is a release's id, 16 hex digits."""
    return isinstance(text, str) and bool(_RELEASE.fullmatch(text))


def _name(text: str) -> str:
    if not is_name(text):
        raise PoolError(f"{text!r:.60} is not the name of an organisation", code="pool.path")
    return text


def partner_path(name: str) -> str:
    """Where an organisation's identity lies."""
    return f"partners/{_name(name)}.json"


def mailbox_path(name: str) -> str:
    """Where the public half of an organisation's mailbox key lies."""
    return f"partners/{_name(name)}.mailbox.json"


def is_backup_set_id(text: object) -> bool:
    """Whether `text` may name one backup of an organisation, 16 hex digits."""
    return isinstance(text, str) and bool(_BACKUP_SET.fullmatch(text))


def is_request_id(text: object) -> bool:
    """Whether `text` may name a request for a backup: the short form of its digest."""
    return isinstance(text, str) and bool(_REQUEST_ID.fullmatch(text))


@dataclass(frozen=True)
class BackupPaths:
    """The paths of one organisation's backups. Raises PoolError for what is no name or id."""

    owner: str

    def __post_init__(self) -> None:
        _name(self.owner)

    @property
    def folder(self) -> str:
        """The folder of all its backups."""
        return f"backups/{self.owner}"

    def set_folder(self, set_id: str) -> str:
        """The folder of one backup."""
        if not is_backup_set_id(set_id):
            raise PoolError(f"{set_id!r:.60} is not the id of a backup", code="pool.path")
        return f"{self.folder}/{set_id}"

    def set(self, set_id: str) -> str:
        """Who the trustees are, with their sealed pieces."""
        return f"{self.set_folder(set_id)}/set.json"

    def archive(self, set_id: str, number: int) -> str:
        """One sealed archive of key files, counted from 1."""
        return f"{self.set_folder(set_id)}/archive-{number}"

    def rehearsed(self, set_id: str) -> str:
        """The owner's record of the last rehearsal."""
        return f"{self.set_folder(set_id)}/rehearsed.json"

    @property
    def requests(self) -> str:
        """The folder of requests."""
        return f"{self.folder}/requests"

    def request(self, request_id: str) -> str:
        """One machine's request for the pieces."""
        return f"{self.requests}/{_request(request_id)}.json"

    def answer(self, request_id: str, trustee: str) -> str:
        """One trustee's answer to a request."""
        return f"{self.folder}/answers/{_request(request_id)}/{_name(trustee)}.json"


def _request(text: str) -> str:
    if not is_request_id(text):
        raise PoolError(f"{text!r:.60} is not the id of a request", code="pool.path")
    return text


def parse_archive_name(name: str) -> int | None:
    """The number in `archive-<n>`; None for any other file name."""
    match = _ARCHIVE.fullmatch(name)
    return int(match[1]) if match else None


def ledger_folder(aggregator: str) -> str:
    """The folder of one aggregator's ledger."""
    return f"ledger/{_name(aggregator)}"


def ledger_path(aggregator: str, size: int) -> str:
    """The entry that makes the ledger `size` entries long (1 is the first)."""
    return f"{ledger_folder(aggregator)}/{size}.json"


def checkpoint_path(aggregator: str, size: int) -> str:
    """The owner's signed head of that size."""
    return f"{ledger_folder(aggregator)}/{size}.checkpoint"


def share_path(aggregator: str, size: int) -> str:
    """The noisy share that this entry pays for, sealed by the aggregator to itself."""
    return f"{ledger_folder(aggregator)}/{size}.share"


def cosignature_path(aggregator: str, size: int, witness: str) -> str:
    """A witness's cosignature of that head."""
    return f"{ledger_folder(aggregator)}/{size}.{_name(witness)}.cosignature"


def fork_path(aggregator: str, size: int, witness: str) -> str:
    """A witness's evidence that there are two heads of that size."""
    return f"{ledger_folder(aggregator)}/{size}.{_name(witness)}.fork"


def heads_folder(aggregator: str) -> str:
    """The folder in which an aggregator asks how long its ledger was."""
    return f"heads/{_name(aggregator)}"


def heads_request_path(aggregator: str, request: str) -> str:
    """A question about an aggregator's ledger, by the first 16 hex digits of its SHA-256."""
    return f"{heads_folder(aggregator)}/{_heads_id(request)}.json"


def heads_answer_path(aggregator: str, request: str, witness: str) -> str:
    """What one organisation answered to it."""
    return f"{heads_folder(aggregator)}/{_heads_id(request)}.{_name(witness)}.json"


def _heads_id(text: str) -> str:
    if not is_release_id(text):
        raise PoolError(f"{text!r:.60} is not the id of a question", code="pool.path")
    return text


@dataclass(frozen=True)
class RoundPaths:
    """The paths of one round. Raises PoolError when `round_id` is not one."""

    round_id: str

    def __post_init__(self) -> None:
        if not is_round_id(self.round_id):
            raise PoolError(f"{self.round_id!r:.60} is not the id of a round", code="pool.path")

    @property
    def folder(self) -> str:
        """The round's own folder."""
        return f"rounds/{self.round_id}"

    @property
    def plan(self) -> str:
        """The plan as its author wrote it."""
        return f"{self.folder}/plan.toml"

    @property
    def task(self) -> str:
        """The task, without signatures."""
        return f"{self.folder}/task.json"

    @property
    def cards(self) -> str:
        """The folder of cards."""
        return f"{self.folder}/cards"

    @property
    def batches(self) -> str:
        """The folder of batches."""
        return f"{self.folder}/batches"

    @property
    def releases(self) -> str:
        """The folder of releases."""
        return f"{self.folder}/releases"

    def card(self, aggregator: str) -> str:
        """One aggregator's card."""
        return f"{self.cards}/{_name(aggregator)}.json"

    @property
    def verify_key(self) -> str:
        """The verify key, sealed to every aggregator."""
        return f"{self.folder}/verify-key.json"

    def signature(self, aggregator: str) -> str:
        """One aggregator's signature under the task."""
        return f"{self.folder}/signatures/{_name(aggregator)}.json"

    def batch(self, partner: str, digest: bytes) -> str:
        """One batch, by its relay and the SHA-256 of the file."""
        return f"{self.batches}/{_name(partner)}-{digest.hex()}"

    def order(self, seq: int) -> str:
        """One event of the order chain, counted from 1."""
        return f"{self.folder}/order/{seq}.json"

    def order_fork(self, seq: int, witness: str) -> str:
        """A witness's evidence that the leader signed two events for one place."""
        return f"{self.folder}/evidence/order-{seq}-{_name(witness)}.json"

    def two_versions(self, path: str, witness: str) -> str:
        """A witness's evidence that the author of `path` signed two versions of it."""
        name = hashlib.sha256(path.encode()).hexdigest()[:16]
        return f"{self.folder}/evidence/twice-{name}-{_name(witness)}.json"

    def verify(self, seq: int, aggregator: str) -> str:
        """One aggregator's verifier shares for the batch ordered as `seq`."""
        return f"{self.folder}/verify/{seq}/{_name(aggregator)}"

    def decide(self, seq: int, aggregator: str) -> str:
        """One aggregator's decision about the batch ordered as `seq`."""
        return f"{self.folder}/decide/{seq}/{_name(aggregator)}.json"

    def _release(self, release_id: str) -> str:
        if not is_release_id(release_id):
            raise PoolError(f"{release_id!r:.60} is not the id of a release", code="pool.path")
        return f"{self.releases}/{release_id}"

    def proposal(self, release_id: str) -> str:
        """What is to be released."""
        return f"{self._release(release_id)}/proposal.json"

    def approval(self, release_id: str, aggregator: str) -> str:
        """One aggregator's approval or refusal."""
        return f"{self._release(release_id)}/approvals/{_name(aggregator)}.json"

    def waiver(self, release_id: str, aggregator: str) -> str:
        """One aggregator's word that the release does not wait for certain witnesses."""
        return f"{self._release(release_id)}/waivers/{_name(aggregator)}.json"

    def noisy(self, release_id: str, aggregator: str) -> str:
        """One aggregator's noisy share."""
        return f"{self._release(release_id)}/noisy/{_name(aggregator)}.json"


def verify_place(path: str) -> tuple[str, int] | None:
    """The round and the batch's place of a file of verifier shares; None for any other path."""
    match = _VERIFY.fullmatch(path)
    return (match[1], int(match[2])) if match is not None else None


def parse_batch_name(name: str) -> tuple[str, bytes] | None:
    """Split `<partner>-<digest>`; None for any other file name."""
    match = _BATCH.fullmatch(name)
    if match is None or not is_name(match[1]):
        return None
    return match[1], bytes.fromhex(match[2])
