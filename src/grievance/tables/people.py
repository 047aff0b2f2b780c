"""Whose row is it, and was it sealed before? One look at a table, before anything is read.

A worker may hand in `reports_per_worker` reports, and every number about privacy rests on it.
So where the mapping names a `person`, more rows of one id than that are refused, all of them:
which of them counts is not ours to guess. Rows of people whom the sealer's memory knows are
left out, so that a later, longer export adds only who is new.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grievance.tables.refusals import PERSON_EMPTY, PERSON_TWICE

if TYPE_CHECKING:
    from collections.abc import Collection

    from grievance.tables.cells import RowReader
    from grievance.tables.memory import SealMemory, Tags
    from grievance.tables.rows import RowTable


@dataclass(repr=False)
class Standing:
    """What is known of rows beforehand, by their number: refused (with a code), sealed before.

    `tags` are the hashes to remember of each; empty without a memory.
    """

    refused: dict[int, str] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    tags: dict[int, Tags] = field(default_factory=dict)


def look(
    table: RowTable,
    reader: RowReader,
    *,
    limit: int,
    memory: SealMemory | None = None,
    rows: Collection[int] | None = None,
    again: bool = False,
) -> Standing:
    """Look at every row once. `limit`: reports one worker may hand in. `rows`: those alone.

    `again` takes everybody as new, whatever the memory says.
    """
    standing = Standing()
    people: dict[str, list[int]] = {}
    needed = reader.columns
    if memory is None and not reader.tells_people:
        return standing
    others = () if memory is None else table.readable
    for number, cells in table.rows([*needed, *others]):
        if isinstance(cells, str) or (rows is not None and number not in rows):
            continue
        if not reader.is_wanted(cells):
            continue
        person = reader.person(cells)
        if memory is not None:
            tag = memory.person_tag(person) if person else None
            standing.tags[number] = (tag, memory.row_tag(cells[len(needed) :]))
        if person == "":
            standing.refused[number] = PERSON_EMPTY
        elif person is not None:
            people.setdefault(person, []).append(number)
    before = memory.people() if memory is not None and not again else {}
    for person, numbers in people.items():
        sealed = before.get(memory.person_tag(person)) if memory is not None else None
        _judge(standing, numbers, sealed or Counter(), limit)
    return standing


def _judge(standing: Standing, numbers: list[int], sealed: Counter[bytes], limit: int) -> None:
    """Tell one person's rows apart: sealed before, new, or too many."""
    left = limit - sealed.total()
    seen = Counter(sealed)
    new = []
    for number in numbers:
        cells = standing.tags[number][1] if sealed else b""
        if seen[cells] > 0:
            seen[cells] -= 1
            standing.known.add(number)
        else:
            new.append(number)
    if sealed and left <= 0:
        # Also a row that was changed since: a person who was sealed is not sealed again.
        standing.known.update(new)
    elif len(new) > left:
        standing.refused.update(dict.fromkeys(new, PERSON_TWICE))
