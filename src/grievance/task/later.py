"""Parts of a task that have only one value yet: issuers, translations, centred ticks.

They are written, signed and read strictly from the start, each with the value that stands for
what this version does. A task that says anything else asks for what this version cannot do,
and is refused.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from grievance.crypto.documents import canonical
from grievance.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.crypto.strict import StrictObject
    from grievance.plan import Layout, StatisticLayout

TICKS: Mapping[str, int] = MappingProxyType({"a": 0, "t": 64})
"""For a count of ticks: it releases 64 ticks - a answered, with t/64 of its noise's scale."""


def later_fields() -> dict[str, Any]:
    """The fields of a task itself that have one value yet: no issuer, no other language."""
    return {"issuers": [], "translations": {}}


def ticks_of(statistic: StatisticLayout) -> dict[str, Any]:
    """What a task says of a charged statistic's ticks; nothing where it counts none."""
    counts_ticks = statistic.kind == "count" and statistic.multi is not None
    return {"ticks": dict(TICKS)} if counts_ticks else {}


def check_later(fields: StrictObject, layout: Layout) -> None:
    """Refuse a task with another value in one of these parts. Raises TaskError `task.field`."""
    why = {
        "issuers": "names issuers of tokens, which this version does not know: it must be []",
        "translations": "has translations, which this version does not know: it must be {}",
    }
    for key, value in later_fields().items():
        if canonical(fields.raw(key)) != canonical(value):
            fields.refuse(why[key], key)
    stated = fields.mapping("privacy").get("statistics")
    for statistic in layout.charged:
        item = stated.get(statistic.name) if isinstance(stated, dict) else None
        # Whether it has to be there follows from the plan, and is compared with all the rest.
        if isinstance(item, dict) and "ticks" in item:
            given = canonical(item["ticks"])
            if given != canonical(dict(TICKS)):
                where = f"task.privacy.statistics.{statistic.name}.ticks"
                raise TaskError(
                    f'{where} is not {{"a": 0, "t": 64}}, the only ticks this version counts',
                    code="task.field",
                )
