"""Verify files and decisions from aggregators that flip, replay, equivocate or contradict.

Source: docs/design.md, sections 7 and 8.
"""

from __future__ import annotations

import hashlib
import random
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dishonest import TINY_PLAN, flip
from grievance.crypto.documents import sign_document
from grievance.errors import CryptoError, GrievanceError, OpenError, PoolError, SignatureError
from grievance.pool.decisions import (
    DECISION_KIND,
    LABEL,
    Decision,
    Status,
    VerifierShares,
    _key_info,
    decision_limit,
    header_size,
    open_verify_file,
    parse_decision,
    verify_size,
    write_verify_file,
)
from grievance.pool.order import OrderedBatch
from grievance.testing import make_coalition
from grievance.wire import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.testing import Coalition

ROWS, SENDER = 5, 1
NAMES = ("north", "south", "west")


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    return make_coalition(TINY_PLAN.decode(), NAMES)


@pytest.fixture(scope="module")
def batch(coalition: Coalition) -> OrderedBatch:
    relay = coalition.signing_keys[0].public
    return OrderedBatch(3, "nurses", relay, b"\7" * 32, ROWS)


@pytest.fixture(scope="module")
def found(coalition: Coalition) -> VerifierShares:
    statuses = bytes([Status.OK, Status.OPEN, Status.OK, Status.BURNT, Status.TEST_POINT])
    width = coalition.task.vdaf.VERIFIER_SHARE_SIZE
    return VerifierShares(statuses, secrets.token_bytes(ROWS * width))


@pytest.fixture(scope="module")
def good(coalition: Coalition, batch: OrderedBatch, found: VerifierShares) -> bytes:
    return write_verify_file(coalition.task, batch, SENDER, found, coalition.signing_keys[SENDER])


def forged(
    coalition: Coalition,
    batch: OrderedBatch,
    plaintext: bytes,
    *,
    digest: bytes,
    rows: int = ROWS,
    keys: Mapping[int, bytes] | None = None,
) -> bytes:
    """A file the sender really signed, with any plaintext, and another key to somebody."""
    task, key = coalition.task, secrets.token_bytes(32)
    body = AESGCM(key).encrypt(bytes(12), plaintext, None)
    header = Writer().raw(b"GRVV").uint(1, 1).raw(task.digest).uint(batch.seq, 4)
    header.raw(batch.digest).uint(SENDER, 1).uint(rows, 4).raw(digest)
    header.raw(hashlib.sha256(body).digest())
    for index, party in enumerate(task.aggregators):
        sealed = (keys or {}).get(index, key)
        header.raw(party.hpke.seal(sealed, _key_info(task, batch.seq, SENDER, index, digest)))
    signed = header.finish()
    return signed + coalition.signing_keys[SENDER].sign(LABEL, signed) + body


def open_as(coalition: Coalition, batch: OrderedBatch, data: bytes, index: int) -> VerifierShares:
    key = coalition.hpke_keys[index]
    return open_verify_file(data, coalition.task, batch, SENDER, index, key)


def test_every_aggregator_reads_the_same(
    coalition: Coalition, batch: OrderedBatch, good: bytes, found: VerifierShares
) -> None:
    assert len(good) == verify_size(coalition.task, ROWS)
    for index in (0, SENDER, 2):
        assert open_as(coalition, batch, good, index) == found
        assert open_as(coalition, batch, memoryview(good), index) == found  # type: ignore[arg-type]
    assert found.plaintext() not in good


def test_every_flipped_byte_makes_the_file_nobodys(
    coalition: Coalition, batch: OrderedBatch, good: bytes
) -> None:
    draw = random.Random(2)
    header = header_size(coalition.task)
    places = [*range(header), *draw.sample(range(header, len(good)), 40)]
    for at in places:
        with pytest.raises(SignatureError):
            open_as(coalition, batch, flip(good, at, draw.randrange(8)), 0)


def test_every_truncation_makes_the_file_nobodys(
    coalition: Coalition, batch: OrderedBatch, good: bytes
) -> None:
    for length in [*range(300), *range(300, len(good), 37), len(good) - 1]:
        with pytest.raises(SignatureError):
            open_as(coalition, batch, good[:length], 0)
    with pytest.raises(SignatureError):
        open_as(coalition, batch, good + b"\0", 0)


def test_a_file_for_another_place_batch_round_or_sender(
    coalition: Coalition, batch: OrderedBatch, good: bytes, found: VerifierShares
) -> None:
    for other in (replace(batch, seq=4), replace(batch, digest=b"\1" * 32)):
        with pytest.raises(SignatureError):
            open_as(coalition, other, good, 0)
    with pytest.raises(SignatureError):
        open_verify_file(good, coalition.task, batch, 2, 0, coalition.hpke_keys[0])
    stranger = write_verify_file(coalition.task, batch, SENDER, found, coalition.signing_keys[2])
    with pytest.raises(SignatureError):
        open_as(coalition, batch, stranger, 0)
    elsewhere = make_coalition(TINY_PLAN.decode(), NAMES)
    with pytest.raises(SignatureError):
        open_verify_file(good, elsewhere.task, batch, SENDER, 0, elsewhere.hpke_keys[0])
    with pytest.raises(PoolError) as error:
        open_as(coalition, replace(batch, rows=ROWS + 1), good, 0)
    assert error.value.code == "verify.rows"


def test_a_box_is_for_its_recipient_alone(
    coalition: Coalition, batch: OrderedBatch, good: bytes
) -> None:
    with pytest.raises(OpenError):
        open_verify_file(good, coalition.task, batch, SENDER, 0, coalition.hpke_keys[2])
    with pytest.raises(OpenError):
        open_verify_file(good, coalition.task, batch, SENDER, 2, coalition.hpke_keys[0])


def test_two_files_about_the_same_are_encrypted_differently(
    coalition: Coalition, batch: OrderedBatch, good: bytes, found: VerifierShares
) -> None:
    """The nonce is fixed, so the key must be fresh each time."""
    again = write_verify_file(coalition.task, batch, SENDER, found, coalition.signing_keys[SENDER])
    size = header_size(coalition.task)
    assert again[size:] != good[size:]
    same = sum(a == b for a, b in zip(again[size:], good[size:], strict=True))
    assert same < len(good[size:]) / 16


def test_a_sender_that_tells_two_peers_two_things(
    coalition: Coalition, batch: OrderedBatch, found: VerifierShares
) -> None:
    """One body, one digest: whoever got another key reads nothing, and can say who sent it."""
    truth = found.plaintext()
    digest = hashlib.sha256(truth).digest()
    data = forged(coalition, batch, truth, digest=digest, keys={2: bytes(32)})
    assert open_as(coalition, batch, data, 0) == found
    with pytest.raises(PoolError) as error:
        open_as(coalition, batch, data, 2)
    assert error.value.code == "verify.digest"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda p: p[:-1], "verify.rows"),
        (lambda p: p + b"\0", "verify.rows"),
        (lambda p: b"", "verify.rows"),
        (lambda p: bytes([Status.REPLAY]) + p[1:], "verify.status"),
        (lambda p: bytes([Status.PROOF]) + p[1:], "verify.status"),
        (lambda p: bytes([Status.JOINT_RANDOMNESS]) + p[1:], "verify.status"),
        (lambda p: bytes([Status.BATCH + 1]) + p[1:], "verify.status"),
        (lambda p: b"\xff" + p[1:], "verify.status"),
    ],
)
def test_plaintexts_that_cannot_be(
    coalition: Coalition, batch: OrderedBatch, found: VerifierShares, make: Any, code: str
) -> None:
    plaintext = make(found.plaintext())
    digest = hashlib.sha256(plaintext).digest()
    data = forged(coalition, batch, plaintext, digest=digest)
    with pytest.raises(PoolError) as error:
        open_as(coalition, batch, data, 0)
    assert error.value.code == code


def test_signed_headers_that_lie(
    coalition: Coalition, batch: OrderedBatch, found: VerifierShares
) -> None:
    plaintext = found.plaintext()
    digest = hashlib.sha256(plaintext).digest()
    for rows in (0, ROWS - 1, ROWS + 1, 2**32 - 1):
        with pytest.raises(PoolError) as error:
            data = forged(coalition, batch, plaintext, digest=digest, rows=rows)
            open_as(coalition, batch, data, 0)
        assert error.value.code == "verify.rows"
    data = forged(coalition, batch, plaintext, digest=b"\4" * 32)
    with pytest.raises(PoolError) as error:
        open_as(coalition, batch, data, 0)
    assert error.value.code == "verify.digest"


# -- decisions --------------------------------------------------------------------------------

REFUSED = {1: (Status.OPEN, 0), 3: (Status.PROOF, -1)}


@pytest.fixture
def decision(batch: OrderedBatch) -> Decision:
    return Decision(batch.seq, batch.digest, ROWS, REFUSED, b"\5" * 32)


def signed_body(coalition: Coalition, body: dict[str, Any]) -> bytes:
    kept = {key: value for key, value in body.items() if value is not ...}
    return sign_document(DECISION_KIND, kept, coalition.signing_keys[SENDER])


def test_a_decision_reads_back(
    coalition: Coalition, batch: OrderedBatch, decision: Decision
) -> None:
    data = decision.sign(coalition.task, coalition.signing_keys[SENDER])
    assert parse_decision(data, coalition.task, batch, SENDER) == decision
    assert len(data) <= decision_limit(ROWS)
    assert decision.accepted == 3
    with pytest.raises(SignatureError):
        parse_decision(data, coalition.task, batch, 0)


def test_the_largest_decision_fits_its_limit(coalition: Coalition, batch: OrderedBatch) -> None:
    rows = 2_000
    longest = max(Status, key=lambda status: len(status.code))
    all_refused = {row + 98_000: (longest, 254) for row in range(rows)}
    wide = Decision(1, batch.digest, 100_000, all_refused, b"\5" * 32)
    size = len(wide.sign(coalition.task, coalition.signing_keys[SENDER]))
    assert size - 100_000 // 6 < decision_limit(rows)


def test_every_flipped_byte_of_a_decision(
    coalition: Coalition, batch: OrderedBatch, decision: Decision
) -> None:
    data = decision.sign(coalition.task, coalition.signing_keys[SENDER])
    for at in range(len(data)):
        with pytest.raises((CryptoError, GrievanceError)):
            parse_decision(flip(data, at), coalition.task, batch, SENDER)


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "another count": {"accepted": 4},
    "a bit more": {"bits": "Hw=="},
    "a bit less": {"bits": "FA=="},
    "bits beyond the rows": {"bits": "9Q=="},
    "more bits": {"bits": "FQA="},
    "no bits": {"bits": ""},
    "bits that are no base64": {"bits": "!!"},
    "a refusal more": {
        "refused": [[1, "report.open", 0], [2, "report.open", 0], [3, "report.proof", -1]]
    },
    "a refusal twice": {
        "refused": [[1, "report.open", 0], [1, "report.open", 0], [3, "report.proof", -1]]
    },
    "refusals in another order": {"refused": [[3, "report.proof", -1], [1, "report.open", 0]]},
    "a row that is not there": {"refused": [[1, "report.open", 0], [5, "report.proof", -1]]},
    "a negative row": {"refused": [[-1, "report.open", 0], [3, "report.proof", -1]]},
    "an unknown reason": {"refused": [[1, "report.boring", 0], [3, "report.proof", -1]]},
    "a row in words": {"refused": [["1", "report.open", 0], [3, "report.proof", -1]]},
    "a refusal of two parts": {"refused": [[1, "report.open"], [3, "report.proof", -1]]},
    "refusals that are none": {"refused": {}},
    "another round": {"task": "00" * 32},
    "another place": {"seq": 4},
    "another batch": {"batch": "00" * 32},
    "other rows": {"rows": ROWS + 1},
    "no rows": {"rows": 0},
    "rows in words": {"rows": "5"},
    "rows without end": {"rows": 2**53 - 1},
    "rows without end, refused": {"rows": 2**53 - 1, "refused": []},
    "a root that is none": {"root": "zz"},
    "no root": {"root": ...},
    "one field more": {"note": ""},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_decisions_that_contradict_themselves(
    coalition: Coalition, batch: OrderedBatch, decision: Decision, name: str
) -> None:
    body = decision.body(coalition.task) | CONTRADICTIONS[name]
    assert body != decision.body(coalition.task)
    with pytest.raises((PoolError, SignatureError)) as error:
        parse_decision(signed_body(coalition, body), coalition.task, batch, SENDER)
    assert error.value.code in ("decide.syntax", "decide.batch", "decide.elsewhere")


def test_status_codes_are_distinct_and_public() -> None:
    codes = [status.code for status in Status]
    assert len(set(codes)) == len(codes)
    assert {s.code for s in Status if s.local} == {
        "report.accepted",
        "report.open",
        "report.commitment",
        "report.burnt",
        "report.decode",
        "report.test-point",
        "batch.malformed",
    }
