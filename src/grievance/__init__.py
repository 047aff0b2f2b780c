"""Pool workplace reports across organisations that do not fully trust each other.

The promise. A worker's answers are split on the worker's own device into shares, one for
each of two or more organisations, and sealed to them. No single organisation, relay or
steward ever sees an answer; the organisations check together that every report is well
formed and add up what they cannot read. Each of them adds the full noise before anything
leaves it, so what is published is differentially private as long as one of them is honest.
What a round may ask, publish and reveal is fixed in a task that all of them signed and that
is bound into every sealed report; every release is charged to a signed ledger.

What is not promised. All organisations together could read what they hold. One dishonest
organisation can shift totals. README and docs say more.

    import grievance

    task = grievance.load_task("round.json", trust=["FTSE-7MTQ-3G5N-9G1F-H72P-8W4K-0ZRT-Y5CQ"])
    report = grievance.seal(task, {"region": "London", "problems": ["targets"]})
    Path("my.report").write_bytes(report.to_bytes())

Names are loaded when they are first used: `import grievance` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grievance.aggregator import Office, sync
    from grievance.client import Report, seal, seal_blank
    from grievance.errors import GrievanceError
    from grievance.home import Home
    from grievance.plan import Plan, load_plan
    from grievance.planner import Forecast
    from grievance.planner.forecast import forecast
    from grievance.pool import open_store
    from grievance.release.collect import collect
    from grievance.release.export import export
    from grievance.release.release import Release
    from grievance.tables import SealedTable, load_mapping, seal_many
    from grievance.task import Task, TrustAnchor, load_task

_HOMES = {
    "Office": "aggregator",
    "Forecast": "planner",
    "GrievanceError": "errors",
    "Home": "home",
    "Plan": "plan",
    "Release": "release",
    "Report": "client",
    "SealedTable": "tables",
    "Task": "task",
    "TrustAnchor": "task",
    "collect": "release",
    "export": "release",
    "forecast": "planner",
    "load_mapping": "tables",
    "load_plan": "plan",
    "load_task": "task",
    "open_store": "pool",
    "seal": "client",
    "seal_blank": "client",
    "seal_many": "tables",
    "sync": "aggregator",
}

__all__ = [
    "Forecast",
    "GrievanceError",
    "Home",
    "Office",
    "Plan",
    "Release",
    "Report",
    "SealedTable",
    "Task",
    "TrustAnchor",
    "collect",
    "export",
    "forecast",
    "load_mapping",
    "load_plan",
    "load_task",
    "open_store",
    "seal",
    "seal_blank",
    "seal_many",
    "sync",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"grievance.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grievance' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
