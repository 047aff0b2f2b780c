"""What tests of faults share: a refusal in full, and proof that it changed nothing.

A refusal has three sides: the stable code for programs, what a person reads, and the next
step for that person, in the hint or in the message itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from arrow_world import reports_to_table
from cli.cli_shell import type_words
from grievance.crypto.documents import canonical, sign_document
from grievance.errors import GrievanceError
from grievance.pipelines.rows import Seat, decide_rows, open_rows, verify_rows
from grievance.plan import Plan
from grievance.task.signatures import KIND as SIGNATURE_KIND
from grievance.testing import EXAMPLE_PLAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from federation import Federation
    from grievance.client import Report
    from grievance.testing import Coalition

_SIDE_FILES = ("-wal", "-shm", "lock")


@contextlib.contextmanager
def refused(code: str, *words: str, step: str | None) -> Iterator[None]:
    """Assert that what happens inside is refused with this code, these words and this next step.

    `step` is None where no person meets the error itself: aggregators turn it into a public
    code, and what whoever handed the report in reads about that is asserted beside it.
    """
    with pytest.raises(GrievanceError) as caught:
        yield
    tells(caught.value, code, *words, step=step)


def tells(error: GrievanceError, code: str, *words: str, step: str | None) -> None:
    """Assert what an error says, to programs and to people."""
    assert error.code == code, (error.code, error.message)
    for word in words:
        assert word in error.message, (word, error.message)
    if step is not None:
        assert step in f"{error.message}\n{error.hint or ''}", (error.message, error.hint)


def tree(*folders: Path) -> dict[str, str]:
    """Every file below these folders with the hash of its bytes."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith(_SIDE_FILES)
    }


@contextlib.contextmanager
def nothing_changes(*folders: Path) -> Iterator[None]:
    """Assert that what happens inside leaves every file below these folders as it was."""
    before = tree(*folders)
    yield
    after = tree(*folders)
    assert after == before, sorted(set(before.items()) ^ set(after.items()))


def body_of(coalition: Coalition) -> dict[str, Any]:
    """A task's file as JSON, to be bent."""
    found: dict[str, Any] = json.loads(coalition.task.data)
    return found


def signed_by_all(coalition: Coalition, body: dict[str, Any]) -> tuple[bytes, list[bytes]]:
    """A bent task that every aggregator signed unread."""
    data = canonical(body)
    digest = hashlib.sha256(data).hexdigest()
    return data, [
        sign_document(SIGNATURE_KIND, {"aggregator": name, "task": digest}, key)
        for name, key in zip(coalition.names, coalition.signing_keys, strict=True)
    ]


def judge(coalition: Coalition, reports: Sequence[Report]) -> list[str]:
    """The public code of every report, as all aggregators of a coalition find together."""
    task = coalition.task
    (rows,) = reports_to_table(task, reports).to_batches()
    seats = [
        Seat(task, index, key, coalition.verify_key)
        for index, key in enumerate(coalition.hpke_keys)
    ]
    opened = [open_rows(seat, rows) for seat in seats]
    found = [verify_rows(seat, o).found for seat, o in zip(seats, opened, strict=True)]
    return [status.code for status, _ in decide_rows(task, opened[0].publics, found, 0)]


def worker_reads(federation: Federation, report: Report) -> str:
    """What whoever handed a report in reads about it: `grievance counted`."""
    ran = type_words(
        *("counted", report.digest.hex(), "--pool", federation.pool),
        *("--trust", federation.task.digest.hex()),
    )
    assert "Traceback" not in ran.err
    return ran.out


def changed(old: str, new: str) -> str:
    """The example plan with one thing in it changed."""
    assert old in EXAMPLE_PLAN
    return EXAMPLE_PLAN.replace(old, new, 1)


def plan_refused(text: str, code: str, *words: str, step: str) -> None:
    with refused(code, "plan.toml", *words, step=step):
        Plan.from_toml(text)
