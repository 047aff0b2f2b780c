"""What a round has collected, in words and as a table, for whoever is about to close it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from grievance.cli.output import counted, say, table

if TYPE_CHECKING:
    from grievance.aggregator.collected import Collected


def show_collected(came: Collected) -> None:
    """Say who has passed on how much, who nothing, and whether it is enough for a release."""
    rows = [
        [
            f"{line.partner} (expelled)" if line.expelled else line.partner,
            f"{line.batches:,}",
            f"{line.rows:,}",
            f"{datetime.fromisoformat(line.last).astimezone():%Y-%m-%d %H:%M}"
            if line.last
            else "-",
        ]
        for line in came.relays
    ]
    if rows:
        say(table(["partner", "batches", "reports", "last"], rows, right=(1, 2)))
        say("Blank reports that relays add as cover are among these.")
    if came.silent:
        has = "has" if len(came.silent) == 1 else "have"
        say(f"{', '.join(came.silent)} {has} passed nothing on. Call them first.")
    if not rows:
        say("No partner is admitted.")
    accepted = counted(came.accepted, "sealed report")
    waits = f", and {came.waiting:,} wait to be checked" if came.waiting else ""
    asks = f"the plan asks for {came.minimum:,} before anything is released"
    if came.is_met:
        say(f"{accepted} accepted{waits}; {asks}: that is enough.")
    elif came.can_be_met:
        say(f"{accepted} accepted{waits}; {asks}: enough only if they count.")
    else:
        say(f"{accepted} accepted{waits}; {asks}. Closed now, it can never be released.")
