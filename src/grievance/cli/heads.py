"""What a witness types for others: `heads`, to read out, and `compare`, to know whom it hears."""

from __future__ import annotations

from typing import Annotated

import typer

from grievance.cli.output import Json, Yes, counted, emit, emit_json, say
from grievance.cli.places import HomeOption, open_home, vouch


def heads(
    name: Annotated[
        str | None, typer.Argument(help="Whose ledger; all that are watched here, by default.")
    ] = None,
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Print the newest head of each ledger watched here.

    To be read out to an aggregator that lost its memory, and given to whoever audits an older
    folder: `grievance audit --newer-than`.
    """
    from grievance.aggregator import Office
    from grievance.aggregator.heads import stored_heads

    own = open_home(home)
    with Office.open(own) as office:
        found = [head for head in stored_heads(office) if name in (None, head.ledger)]
    if as_json:
        emit_json({"heads": [head.to_json() for head in found]})
        return
    for head in found:
        emit(f"{head.ledger}: {counted(head.size, 'entry', 'entries')}")
        emit(f"    {head.spoken}")
    if not found:
        say(f"{own.name} holds no head of {name or 'any ledger'}; `grievance sync` takes them in.")


def compare(
    partner: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:FINGERPRINT]", help="Who, with the fingerprint they told you."
        ),
    ],
    home: HomeOption = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remember whose fingerprint you compared.

    Do it for the witnesses of your rounds: only whom this organisation has compared can tell it
    how long its ledger was, should it lose its memory.
    """
    own = open_home(home)
    identity = vouch(own, partner, yes=yes)
    if as_json:
        emit_json({"name": identity.name, "fingerprint": identity.fingerprint})
        return
    say(f"{identity.name} is the one you compared; this organisation remembers it.")
