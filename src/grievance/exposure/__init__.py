"""What each party of a pool holds, for how long, and what taking it would give away.

Read from a home's own files and the pool, never from prose: `survey` collects who holds which
keys, `expose` works out what follows from them, for one party and for parties together. The
rules of what follows are in `exposure.reach` alone, and the tests carry every one of them out
on seized copies. Source: docs/design.md, sections 5, 8 and 13.
"""

from grievance.exposure.facts import Held, Key, Party, World
from grievance.exposure.reach import Exposure, Finding, Together, expose
from grievance.exposure.survey import find_party, survey

__all__ = [
    "Exposure",
    "Finding",
    "Held",
    "Key",
    "Party",
    "Together",
    "World",
    "expose",
    "find_party",
    "survey",
]
