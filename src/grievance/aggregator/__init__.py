"""An aggregator at work: its memory, its steps, and `sync`, which does whatever can be done.

The names load when they are first used: an audit reads what an organisation signed from its
`state`, and needs no NumPy for that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grievance.aggregator.office import Office
    from grievance.aggregator.run import SyncResult, sync

__all__ = ["Office", "SyncResult", "sync"]

_HOMES = {"Office": "office", "SyncResult": "run", "sync": "run"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"grievance.aggregator.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grievance.aggregator' has no attribute {name!r}")
