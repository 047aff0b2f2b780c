"""The one thing derived from answers that may leave an aggregator: a noisy aggregate share.

Everything here only reads it: what can be signed is made by `aggregator.noise`, where making
it draws the noise. The file is a signed document with one vector of field elements per
statistic (16-byte little-endian elements, base64url). Source: docs/design.md, sections 9 and 10.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.crypto.documents import b64decode, b64encode, parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.crypto.signing import SigningKey, VerifyingKey
    from grievance.task import RoundTerms

KIND = "grievance/2 noisy share"
LIMIT = 8 << 20


@dataclass(frozen=True, repr=False)
class PublishedNoisyShare:
    """A noisy share as somebody signed it: for each charged statistic its noisy coordinates.

    The values are field elements; one share alone is uniform noise.
    """

    release: str
    aggregator: str
    values: Mapping[str, tuple[int, ...]]


def digest_of(data: bytes) -> bytes:
    """What the ledger entry says of a noisy share's file."""
    return hashlib.sha256(data).digest()


def parse_noisy_share(data: bytes, task: RoundTerms, aggregator: int) -> PublishedNoisyShare:
    """Read a noisy share. Raises SignatureError, WireError, or ReleaseError `noisy.share`."""
    party = task.aggregators[aggregator]
    document = parse_document(data, kind=KIND, signer=party.identity, limit=LIMIT)
    body = StrictObject(
        document.body,
        {"task", "release", "aggregator", "statistics"},
        where=f"the noisy share of {party.name}",
        error=ReleaseError,
        code="noisy.share",
    )
    if body.digest("task") != task.digest or body.text("aggregator") != party.name:
        body.refuse("belongs to another round or aggregator")
    values = {}
    for name, text in body.mapping("statistics").items():
        if name not in task.allocations or not isinstance(text, str):
            body.refuse("names a statistic that is not charged")
        vector = task.vdaf.field.decode_vec(b64decode(text))
        if len(vector) != task.layout.statistics[name].num_released:
            body.refuse("has a statistic of the wrong length")
        values[name] = tuple(vector)
    return PublishedNoisyShare(body.text("release"), party.name, values)


OWN_KIND = "grievance/2 own noisy share"


def sign_own_share(task: RoundTerms, release: str, box: bytes, key: SigningKey) -> bytes:
    """Write down a noisy share that an aggregator sealed to itself, against losing its state."""
    body = {"task": task.digest.hex(), "release": release, "box": b64encode(box)}
    return sign_document(OWN_KIND, body, key)


def parse_own_share(data: bytes, task: RoundTerms, release: str, key: VerifyingKey) -> bytes:
    """Read the sealed share back. Raises SignatureError, WireError, ReleaseError `noisy.share`."""
    document = parse_document(data, kind=OWN_KIND, signer=key, limit=LIMIT)
    where = "a noisy share that was put by"
    body = StrictObject(
        document.body,
        {"task", "release", "box"},
        where=where,
        error=ReleaseError,
        code="noisy.share",
    )
    if body.digest("task") != task.digest or body.text("release") != release:
        body.refuse("belongs to another release")
    return body.blob("box")
