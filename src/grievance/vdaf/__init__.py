"""Prio3 on plain integers, to be read beside VDAF draft-20 (wire version 18).

The standard's variants, and `Prio3BlockCountVec`, which proves many blocks of bits at once.
This is the reference: it depends on nothing but a TurboSHAKE128, knows nothing of plans or
privacy budgets, and any faster path must give the same bytes.
`python -m grievance.vdaf.check DIR` replays test vectors.
"""

from grievance.vdaf.block_count_vec import Block, BlockCountVec, best_chunk_length
from grievance.vdaf.circuits import Count, Histogram, MultihotCountVec, Sum, SumVec, Valid
from grievance.vdaf.field import FIELD64, FIELD128, Field
from grievance.vdaf.flp import Flp
from grievance.vdaf.messages import (
    HelperShare,
    InputShare,
    LeaderShare,
    PublicShare,
    VerifierMessage,
    VerifierShare,
    VerifyState,
)
from grievance.vdaf.prio3 import Prio3
from grievance.vdaf.variants import (
    Prio3BlockCountVec,
    Prio3Count,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    Prio3SumVecWithMultiproof,
)
from grievance.vdaf.xof import XofTurboShake128

__all__ = [
    "FIELD64",
    "FIELD128",
    "Block",
    "BlockCountVec",
    "Count",
    "Field",
    "Flp",
    "HelperShare",
    "Histogram",
    "InputShare",
    "LeaderShare",
    "MultihotCountVec",
    "Prio3",
    "Prio3BlockCountVec",
    "Prio3Count",
    "Prio3Histogram",
    "Prio3MultihotCountVec",
    "Prio3Sum",
    "Prio3SumVec",
    "Prio3SumVecWithMultiproof",
    "PublicShare",
    "Sum",
    "SumVec",
    "Valid",
    "VerifierMessage",
    "VerifierShare",
    "VerifyState",
    "XofTurboShake128",
    "best_chunk_length",
]
