"""One history of a round, read by all: bytes in, a state out, and one table of steps.

`state` holds the signed documents of a round, `steps` says who may do what when, `walk` reads the
one by the other. Nothing here writes, draws, signs or looks at a clock.
"""

from grievance.history.opening import Opening
from grievance.history.state import Entry, History, Memory
from grievance.history.steps import STEPS, Step
from grievance.history.walk import Lack, Turn, awaited, lacks, turns

__all__ = [
    "STEPS",
    "Entry",
    "History",
    "Lack",
    "Memory",
    "Opening",
    "Step",
    "Turn",
    "awaited",
    "lacks",
    "turns",
]
