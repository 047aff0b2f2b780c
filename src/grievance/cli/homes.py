"""What a steward types about the organisation's own folder itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grievance.cli.output import Json, emit_json, say
from grievance.cli.places import HomeOption, open_home

if TYPE_CHECKING:
    from grievance.home import Home


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Look after the organisation's own folder.", no_args_is_help=True)
    group.callback()(_group)  # so that one command of a group keeps its name
    group.command("move-pool")(move_pool)
    app.add_typer(group, name="home")


def _group() -> None:
    """Look after the organisation's own folder."""


def move_pool(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Where it is now: folder or URL.")],
    home: HomeOption = None,
    as_json: Json = False,
) -> None:
    """Say where the pool is now.

    For a folder that was moved or renamed, or a server with another name. It must be the same
    pool: with this organisation's own file in it, and every round that it signed.
    """
    from grievance.aggregator.moving import move_pool as point_to

    own = open_home(home)
    moved = point_to(own, pool)
    if as_json:
        emit_json({"pool": moved.pool, "was": own.pool, "warnings": warnings(moved)})
        return
    say(f"{moved.name} now works in {moved.pool}.")
    for warning in warnings(moved):
        say(f"warning: {warning}")


def warnings(own: Home) -> list[str]:
    """What is to be said about where an organisation's folder and pool lie."""
    from grievance.pool.places import homes_inside, synced_warning

    found = [warning] if (warning := synced_warning(own.root)) else []
    return found + [
        f"{folder} in the pool is an organisation's own folder: everybody who can read the pool "
        "can read its keys. Tell its owner; the keys must be treated as stolen"
        for folder in homes_inside(own.pool)
    ]
