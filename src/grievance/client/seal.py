"""Answers to a sealed report. Run on the worker's device.

Nothing here needs Numba, Arrow, NumPy or OpenDP, so that a small device can seal. The answers
are checked before anything is drawn, intermediate values live as long as the call, and nothing is
logged or kept. What a device may store, and send again, are the report's bytes; sealing the same
answers again draws another nonce.
Source: docs/design.md, section 6; VDAF draft-20, 7.2.1 "Sharding"; docs/threats.md, section 2.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grievance.client.commitment import SALT_SIZE, commitment_of, nonce_of, openings
from grievance.client.input_share import input_share_info
from grievance.client.report import Report
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.task import Task

_ENTROPY_SIZE = 64
# HKDF-SHA256 gives at most 255 blocks of 32 bytes for one `info`.
_HKDF_PIECE = 255 * 32
_calls = itertools.count()


def seal(task: Task, answers: Mapping[str, object] | None) -> Report:
    """Check answers, split them, seal one input share to each aggregator.

    `answers` maps a field's name to a label, a list of labels or a number; a field that is
    missing or None is not answered, and None or {} seals a blank report. The task must have
    been loaded against a trust anchor: whoever chose its keys can read what is sealed here.

    Raises AnswerError naming the field and the rule, never the value.
    """
    drawn = draw(task, answers)
    public_share, input_shares = task.vdaf._shard_with_rand(
        task.ctx, drawn.bits, nonce_of(drawn.commitment), drawn.rand
    )
    encoded = [task.vdaf.encode_input_share(share) for share in input_shares]
    return seal_shares(task, drawn, task.vdaf.encode_public_share(public_share), encoded)


@dataclass(frozen=True, repr=False)
class Drawn:
    """What one report is made of besides its shares: block bits, sharding randomness, salts.

    `openings` has what opens the commitment (32 bytes) for each aggregator, in the task's order.
    """

    bits: list[int]
    rand: bytes
    commitment: bytes
    openings: list[bytes]


def draw(task: Task, answers: Mapping[str, object] | None) -> Drawn:
    """Check answers and draw what sharding and sealing need.

    Every salt is an output of its own of the generator: what an aggregator is sealed tells it
    nothing about another one's. Raises AnswerError naming the field and the rule, never the
    value.
    """
    bits = task.layout.encode(task.layout.answers({} if answers is None else answers))
    salts = [
        _hedged(b"grievance/2 report salt %d" % index, task.digest, bits, SALT_SIZE)
        for index in range(len(task.aggregators))
    ]
    rand = _hedged(b"grievance/2 shard randomness", task.digest, bits, task.vdaf.RAND_SIZE)
    opened, hashes = openings(salts)
    return Drawn(bits, rand, commitment_of(task.digest, hashes), opened)


def seal_shares(
    task: Task, drawn: Drawn, public_share: bytes, input_shares: Sequence[bytes]
) -> Report:
    """Seal encoded input shares, one to each aggregator in the task's order."""
    commitment = drawn.commitment
    ciphertexts = tuple(
        aggregator.hpke.seal(
            opening + share, input_share_info(task.digest, index, commitment, public_share)
        )
        for index, (aggregator, opening, share) in enumerate(
            zip(task.aggregators, drawn.openings, input_shares, strict=True)
        )
    )
    return Report(task.digest, commitment, public_share, ciphertexts)


def seal_blank(task: Task) -> Report:
    """Seal a report in which nothing is answered: valid, all zero, good as cover."""
    return seal(task, None)


def _hedged(label: bytes, task_digest: bytes, bits: list[int], size: int) -> bytes:
    """Draw `size` bytes that stay different for different answers even if the system repeats.

    A system generator that repeats itself (a cloned machine, a broken device) would otherwise
    split two answers with the same masks, and their difference would be in the open. Clock
    and counter keep equal answers apart as well, where the machine still has those.
    """
    entropy = length_prefixed(
        os.urandom(_ENTROPY_SIZE),
        task_digest,
        bytes(bits),
        time.time_ns().to_bytes(12, "big", signed=True),
        next(_calls).to_bytes(8, "big"),
    )
    pieces = []
    for number in range(-(-size // _HKDF_PIECE)):
        info = length_prefixed(label, number.to_bytes(4, "big"))
        hkdf = HKDF(hashes.SHA256(), min(size, _HKDF_PIECE), salt=None, info=info)
        pieces.append(hkdf.derive(entropy))
    return b"".join(pieces)[:size]
