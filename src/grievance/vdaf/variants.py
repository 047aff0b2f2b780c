"""The variants of Prio3: each names an algorithm ID, a field, a circuit and a number of proofs.

Source: VDAF draft-20, 7.4 "Variants", and 10 "IANA Considerations" for the IDs. The
identifiers from 0xFFFF0000 on are for private use; BlockCountVec has one of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.vdaf.block_count_vec import Block, BlockCountVec
from grievance.vdaf.circuits import Count, Histogram, MultihotCountVec, Sum, SumVec
from grievance.vdaf.field import FIELD64, FIELD128, Field
from grievance.vdaf.prio3 import Prio3

if TYPE_CHECKING:
    from collections.abc import Sequence


class Prio3Count(Prio3[int, int]):
    """Counts ones among zeros and ones."""

    ID = 0x00000001

    def __init__(self, shares: int) -> None:
        super().__init__(shares, Count(FIELD64))


class Prio3Sum(Prio3[int, int]):
    """Sums integers in [0, max_measurement]."""

    ID = 0x00000002

    def __init__(self, shares: int, max_measurement: int) -> None:
        super().__init__(shares, Sum(FIELD64, max_measurement))


class Prio3SumVec(Prio3["Sequence[int]", "list[int]"]):
    """Sums vectors of `length` integers in [0, max_measurement]."""

    ID = 0x00000003

    def __init__(self, shares: int, length: int, max_measurement: int, chunk_length: int) -> None:
        super().__init__(shares, SumVec(FIELD128, length, max_measurement, chunk_length))


class Prio3Histogram(Prio3[int, "list[int]"]):
    """Counts measurements in each of `length` buckets."""

    ID = 0x00000004

    def __init__(self, shares: int, length: int, chunk_length: int) -> None:
        super().__init__(shares, Histogram(FIELD128, length, chunk_length))


class Prio3MultihotCountVec(Prio3["Sequence[int]", "list[int]"]):
    """Sums vectors of `length` bits with at most `max_weight` ones."""

    ID = 0x00000005

    def __init__(self, shares: int, length: int, max_weight: int, chunk_length: int) -> None:
        super().__init__(shares, MultihotCountVec(FIELD128, length, max_weight, chunk_length))


class Prio3SumVecWithMultiproof(Prio3["Sequence[int]", "list[int]"]):
    """As Prio3SumVec, over Field64 with several proofs. The ID is the draft's for tests."""

    ID = 0xFFFFFFFF

    def __init__(
        self,
        shares: int,
        length: int,
        max_measurement: int,
        chunk_length: int,
        num_proofs: int = 3,
        field: Field = FIELD64,
    ) -> None:
        circuit = SumVec(field, length, max_measurement, chunk_length)
        super().__init__(shares, circuit, num_proofs)


class Prio3BlockCountVec(Prio3["Sequence[int]", "list[int]"]):
    """Sums the bits of `blocks`, as `grievance.vdaf.block_count_vec` describes them."""

    ID = 0xFFFF4742

    def __init__(self, shares: int, blocks: Sequence[Block], chunk_length: int) -> None:
        super().__init__(shares, BlockCountVec(FIELD128, blocks, chunk_length))
