"""Who a task is by: read before anything that costs work.

A task file may be anybody's, and laying its plan out takes time and memory. So its digest, its
round and its aggregators' keys are read first; signatures and what the reader knows from outside
are held against those, and only then is the plan laid out (`task.parse_task`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from grievance.crypto.documents import parse_canonical
from grievance.crypto.strict import StrictObject
from grievance.errors import TaskError
from grievance.task.identity import (
    MAX_AGGREGATORS,
    check_members,
    check_round_id,
    read_identity_fields,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import VerifyingKey

LIMIT = 1 << 20
"""Bytes of a task file."""


class Party(Protocol):
    """An aggregator of a task, as far as signatures go."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def identity(self) -> VerifyingKey:
        """The key it signs with."""


class Signable(Protocol):
    """What signatures and anchors are held against: a `Task`, or its `TaskHead`."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the task file."""

    @property
    def round_id(self) -> str:
        """The round."""

    @property
    def aggregators(self) -> Sequence[Party]:
        """The aggregators, the leader first."""


@dataclass(frozen=True)
class HeadParty:
    """Name and key of an aggregator."""

    name: str
    identity: VerifyingKey


@dataclass(frozen=True)
class TaskHead:
    """What a task file says of itself, before its plan is looked at."""

    digest: bytes
    round_id: str
    aggregators: tuple[HeadParty, ...]


def read_head(data: bytes) -> TaskHead:
    """Read who a task is by. Lays nothing out; checks no signature and no term.

    Raises WireError for bytes that are no canonical JSON, TaskError for no task.
    """
    return _read_head(bytes(data))


@lru_cache(maxsize=32)
def _read_head(data: bytes) -> TaskHead:
    """Every step reads tasks again; the same bytes say the same."""
    fields = _some(parse_canonical(data, LIMIT), ("aggregators", "round"), "task")
    listed = fields.items("aggregators")
    if len(listed) > MAX_AGGREGATORS:
        fields.refuse(f"names more than {MAX_AGGREGATORS} organisations", "aggregators")
    keys = ("display_name", "identity", "name")
    members = [read_identity_fields(_some(item, keys, "task.aggregators")) for item in listed]
    check_members(members)
    parties = tuple(HeadParty(member.name, member.key) for member in members)
    round_id = check_round_id(fields.text("round"))
    return TaskHead(hashlib.sha256(data).digest(), round_id, parties)


def _some(value: object, keys: Sequence[str], where: str) -> StrictObject:
    """Read these keys alone; that nothing else stands there is for `parse_task` to say."""
    if isinstance(value, dict):
        value = {key: value[key] for key in keys if key in value}
    return StrictObject(value, keys, where=where, error=TaskError, code="task.field")
