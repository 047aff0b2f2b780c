"""Who watches the ledgers of a round from outside: organisations that add nothing up.

A plan names them by identity key, under `witnesses`, with the number of them that has to cosign
before a noisy share leaves, `witness_quorum`. A plan that names nobody leaves that to whoever
opens the round: `grievance round new` writes out all organisations of the pool.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from grievance.crypto.documents import b64decode, b64encode
from grievance.crypto.signing import VerifyingKey
from grievance.errors import GrievanceError
from grievance.names import is_name
from grievance.plan.labels import shown
from grievance.plan.problems import problem

if TYPE_CHECKING:
    from grievance.plan.model import Plan

MAX_WITNESSES = 40


def usual_quorum(witnesses: int) -> int:
    """What a plan that says nothing else wants of so many witnesses: two, and more than half.

    Two quorums of more than half share a witness, who then saw both of two ledgers. Of fewer than
    two it wants all.
    """
    return min(witnesses, max(2, witnesses // 2 + 1))


def _organisation(value: str) -> str:
    if not is_name(value):
        raise problem("plan.name", f"{shown(value)} is not the name of an organisation")
    return value


def _key(value: str) -> str:
    try:
        if b64encode(VerifyingKey(b64decode(value)).raw) == value:
            return value
    except GrievanceError:
        pass
    raise problem(
        "plan.witnesses",
        f"{shown(value)} is not an identity key; take it from the organisation's file in "
        "partners/, or leave out `witnesses`: `grievance round new` then writes them",
    )


Organisation = Annotated[str, AfterValidator(_organisation)]
IdentityKey = Annotated[str, AfterValidator(_key)]


def with_default_quorum(value: object) -> object:
    """Spell out the quorum of a plan that leaves it out; anything else as it is."""
    if not isinstance(value, Mapping) or "witness_quorum" in value:
        return value
    named = value.get("witnesses")
    number = len(named) if isinstance(named, Mapping) else 0
    return {**value, "witness_quorum": usual_quorum(number)}


def check_witnesses(witnesses: Mapping[str, str], quorum: int) -> None:
    """Raise a plan's problem for witnesses that cannot be, or a quorum that they cannot reach."""
    if len(witnesses) > MAX_WITNESSES:
        raise problem("plan.witnesses", f"must be at most {MAX_WITNESSES}", "witnesses")
    if len(set(witnesses.values())) < len(witnesses):
        raise problem("plan.witnesses", "names one key twice", "witnesses")
    # Who names none leaves them to `round new`; a task has them all.
    most = len(witnesses) or MAX_WITNESSES
    if not 0 <= quorum <= most:
        raise problem("plan.witnesses", f"must be 0 to {most}", "witness_quorum")


def witness_keys(plan: Plan) -> dict[str, VerifyingKey]:
    """A plan's witnesses with their identity keys."""
    return {name: VerifyingKey(b64decode(text)) for name, text in plan.witnesses.items()}


def says_who_watches(text: str) -> bool:
    """Whether a plan file names witnesses, or says that none are wanted."""
    raw = tomllib.loads(text.removeprefix("\ufeff"))
    return "witnesses" in raw or raw.get("witness_quorum") == 0


def write_out(text: str, organisations: Mapping[str, VerifyingKey]) -> str:
    """A plan file with these organisations as its witnesses, unless it says who they are.

    The lines come first, where no table has begun yet. A quorum that the file states stays.
    """
    if says_who_watches(text):
        return text
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    named = sorted(organisations.items())[:MAX_WITNESSES]
    listed = ", ".join(f'{name} = "{b64encode(key.raw)}"' for name, key in named)
    lines = [
        "# Written by `grievance round new`: who watches the ledgers, by identity key.",
        f"witnesses = {{ {listed} }}" if listed else "witnesses = {}",
    ]
    if "witness_quorum" not in tomllib.loads(text.removeprefix(mark)):
        lines.append(f"witness_quorum = {usual_quorum(len(named))}")
    return mark + "\n".join([*lines, "", text.removeprefix(mark)])


def witnesses_in_words(plan: Plan) -> str:
    """Say who watches the ledgers, and what nobody prevents where nobody does."""
    names, quorum = list(plan.witnesses), plan.witness_quorum
    if quorum == 0:
        return (
            "No organisation outside has to watch what is charged: if one of those who count "
            "loses its memory, whoever shows it an older copy of the shared folder can have "
            "a result's noise drawn a second time, and two results say more than one."
        )
    if not names:
        return (
            f"No result leaves before {quorum} organisations that add nothing up signed what it "
            "costs; whoever opens the round names them."
        )
    which = "" if len(names) == 1 else f"{quorum} of "
    return (
        f"No result leaves before {which}{', '.join(names)} signed what it costs. Witnesses add "
        "nothing up. They remember what was charged, lest somebody show an older copy of the "
        "shared folder and have the noise of a result drawn a second time."
    )
