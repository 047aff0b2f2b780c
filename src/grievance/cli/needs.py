"""Which commands need more than the base installation; held before they read or write anything.

A command that is not in the table runs in the base.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from grievance.cli.places import home_path
from grievance.extras import missing, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import typer

    Given = Mapping[str, Any]
    """What was typed, by the names of the command's parameters."""


def signs_a_round(home: Path | None) -> bool:
    """Whether this organisation is an aggregator of a round that it has not destroyed.

    Its own state says so. Raises StateError when that cannot be read.
    """
    from grievance.aggregator.consent import joined
    from grievance.aggregator.state import open_state
    from grievance.home import Home
    from grievance.task.parties import read_head

    if not (home_path(home) / "organisation.json").exists():
        return False
    own = Home.open(home_path(home))
    if not own.state_path.exists():
        return False
    with own.lock(), open_state(own.state_path) as state:
        heads = map(read_head, state.tasks())
        over = {head.round_id for head in heads if state.is_destroyed(head.digest)}
        return not over.issuperset(joined(own, state))


def _always(_given: Given) -> str:
    return ""


def _with(option: str, name: str) -> Callable[[Given], str | None]:
    return lambda given: f" {option}" if given[name] else None


STEWARD: dict[str, Callable[[Given], str | None]] = {
    "admit": _always,
    "demo": _always,
    "recover": _always,
    "release approve": _always,
    "release export": _always,
    "release propose": _always,
    "round close": _always,
    "round consent": _always,
    "round destroy": _always,
    "round join": _always,
    "round new": _always,
    "round order": _always,
    "round void": _always,
    "seal": _with("--table", "table_"),
    "sync": lambda given: "" if signs_a_round(given["home"]) else None,
}
"""Command -> what of it needs the extra `steward`, as it was typed: "" for all, None for nothing.

Reports are verified and noise is drawn in `sync`, and most commands of an aggregator do one on the
way; whoever makes a card for a round will have to.
"""


def guard(app: typer.Typer) -> None:
    """Have every command of the table look first."""
    for name, info in commands(app):
        if name in STEWARD and info.callback is not None:
            info.callback = _guarded(name, info.callback)


def commands(app: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command, as it is typed, with what Typer knows of it."""
    for info in app.registered_commands:
        name = info.name or getattr(info.callback, "__name__", "").replace("_", "-")
        yield f"{prefix}{name}", info
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{prefix}{group.name} ")


def _guarded(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(**given: Any) -> Any:
        if missing("steward") and (of_it := STEWARD[name](given)) is not None:
            require("steward", f"`grievance {name}{of_it}`")
        return command(**given)

    return run
