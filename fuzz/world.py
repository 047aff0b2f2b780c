"""One small round whose parties all have fixed keys, known to everybody: for fuzzing alone.

Since the keys are at hand, a layer can sign or seal whatever the fuzzer makes up, and the
code behind signatures is reached as well as the code before them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grievance.backup.sets import KIND as SET_KIND
from grievance.backup.sets import BackupSet, parse_set, piece_digest
from grievance.backup.split import Piece
from grievance.crypto.documents import b64decode, b64encode, canonical, sign_document
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.signing import SigningKey, SigningKeySeed, VerifyingKey
from grievance.errors import GrievanceError
from grievance.ledger.asked import REQUEST_KIND, Request, parse_request
from grievance.ledger.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from grievance.plan import Plan
from grievance.plan.witnesses import write_out
from grievance.pool.order import OrderedBatch
from grievance.pool.proposals import Proposal
from grievance.secret import Secret, VerifyKey
from grievance.task import Identity, Task, build_task, parse_task
from grievance.testing import make_cards

if TYPE_CHECKING:
    from grievance.task import Card

_PLAN = """\
title = "Two questions"
campaign = "tiny"
opens = 2026-10-01
closes = 2026-12-20
envelope = "x25519"

[privacy]
mechanism = "gaussian"
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10
hide_below = 0

[fields.region]
question = "Where do you work?"
choices = ["London", "Wales"]
required = true

[fields.problems]
question = "What is a problem?"
choices = ["overtime", "targets"]
pick = 2

[fields.hours]
question = "Unpaid hours"
unit = "hours"
minimum = 0
maximum = 2
step = 1

[statistics.problems_by_region]
count = ["region", "problems"]

[statistics.hours_mean]
mean = "hours"
"""
ROUND = "tiny-00000001"
ROWS = 3
RELEASE = "0123456789abcdef"
SET = "fedcba9876543210"
ORGANISATIONS = ("north", "south", "nurses", "anna", "bert")


def secret(label: str, size: int = 32) -> bytes:
    """Bytes that anybody can compute."""
    return hashlib.shake_256(b"grievance fuzzing " + label.encode()).digest(size)


@cache
def signing_key(name: str) -> SigningKey:
    """The identity key of an organisation."""
    return SigningKey(SigningKeySeed(secret(f"identity {name}")))


@cache
def identity(name: str) -> Identity:
    """The organisation itself."""
    return Identity(name, name.title(), signing_key(name).public)


PLAN = write_out(_PLAN, {name: signing_key(name).public for name in ("anna", "bert")})


@cache
def hpke_key(name: str, kem: str = "X25519") -> HpkePrivateKey:
    """An organisation's key for the round, its mailbox, and its requests, all in one."""
    size = 32 if kem == "X25519" else 96
    return HpkePrivateKey.from_export(kem, Secret(secret(f"hpke {name}", size)))


@dataclass(frozen=True)
class World:
    """A task of two aggregators, a batch that was ordered, a proposal, a head, a backup."""

    task: Task
    cards: tuple[Card, ...]
    verify_key: VerifyKey
    batch: OrderedBatch
    proposal: Proposal
    checkpoint: Checkpoint
    question: Request
    backup: BackupSet
    pieces: tuple[Piece, ...]


@cache
def world() -> World:
    """Build the round. The same in every process, as long as the formats stay the same."""
    plan = Plan.from_toml(PLAN)
    members = [identity("north"), identity("south")]
    cards = make_cards(
        [(signing_key(member.name), hpke_key(member.name).public) for member in members],
        round_id=ROUND,
        plan_sha256=hashlib.sha256(PLAN.encode()).digest(),
        members=members,
    )
    verify_key = VerifyKey(secret("verify key"))
    task = parse_task(build_task(plan, cards, verify_key, round_id=ROUND))
    relay = signing_key("nurses").public
    backup, pieces = _backup()
    proposal = Proposal("north", secret("close"), tuple(task.allocations), 12, secret("root"), 0)
    note = sign_checkpoint("north", 1, secret("head"), signing_key("north"))
    return World(
        task=task,
        cards=cards,
        verify_key=verify_key,
        batch=OrderedBatch(2, "nurses", relay, secret("batch"), ROWS),
        proposal=proposal,
        checkpoint=parse_checkpoint(note, "north", signing_key("north").public),
        question=_question(),
        backup=backup,
        pieces=pieces,
    )


def _question() -> Request:
    """North asks how long its ledger was, with random bytes that are always the same."""
    body = {"ledger": "north", "random": secret("random").hex()}
    north = signing_key("north")
    return parse_request(sign_document(REQUEST_KIND, body, north), "north", north.public)


def _backup() -> tuple[BackupSet, tuple[Piece, ...]]:
    """A set of two trustees. What is sealed in it is made up, so that it is always the same."""
    owner, pieces, trustees = identity("north"), [], []
    for index, name in enumerate(("anna", "bert"), start=1):
        pieces.append(Piece(secret(f"piece {index}")))
        digest = piece_digest(owner, SET, index, pieces[-1])
        sealed = b64encode(secret(f"sealed {index}", 80))
        trustees.append({**identity(name).to_json(), "piece": digest.hex(), "sealed": sealed})
    archives = hpke_key("archives").public
    body = {
        "hpke": b64encode(archives.raw),
        "kem": archives.kem,
        "made": "2026-10-01",
        "number": 1,
        "owner": "north",
        "set": SET,
        "threshold": 2,
        "trustees": trustees,
    }
    data = sign_document(SET_KIND, body, signing_key("north"))
    return parse_set(data, owner, SET), tuple(pieces)


# Layers: from what a fuzzer made up to bytes that look genuine.


def as_json(data: bytes) -> bytes:
    """The canonical form of any JSON; bytes that are none stay as they are."""
    try:
        return canonical(json.loads(data))
    except (ValueError, RecursionError, GrievanceError):
        return data


def signed(kind: str, name: str, data: bytes) -> bytes:
    """A document by `name` whose body is `data`, canonical or not."""
    key, body = signing_key(name), as_json(data)
    signature, signer = b64encode(key.sign(kind, body)), b64encode(key.public.raw)
    tail = f',"kind":"{kind}","signature":"{signature}","signer":"{signer}"}}'
    return b'{"body":' + body + tail.encode()


def body_of(document: bytes) -> bytes:
    """The body inside a signed document: what `signed` takes."""
    return canonical(json.loads(document)["body"])


def signer_of(document: bytes) -> VerifyingKey:
    """Whose name is under a signed document."""
    return VerifyingKey(b64decode(json.loads(document)["signer"]))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="grievance-fuzz-")


def as_file(data: bytes, name: str = "input") -> Path:
    """Put bytes into a file that only its owner can touch, for readers that take a path."""
    path = Path(_folder().name) / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


class Files:
    """The files of a pool that holds nothing but these: what the audit reads from."""

    def __init__(self, **files: bytes) -> None:
        self.content = files
        self.sizes = {path: len(data) for path, data in files.items()}
        self.left_out: dict[str, int] = {}

    def read(self, path: str, limit: int) -> bytes:
        """Read a file, or as much of it as the limit allows."""
        return self.content[path][: limit + 1]

    def open(self, path: str, limit: int) -> Any:
        """Open a file."""
        import io

        return io.BytesIO(self.read(path, limit))
