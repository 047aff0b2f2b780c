"""A relay at work: reports taken from files, passed on once and never again under fresh cover."""

from grievance.relay.files import Refused, Taken, read_files
from grievance.relay.memory import KEEP_DAYS, Memory, own_batches, recall, tidy, tidy_destroyed
from grievance.relay.passing import Passed, pass_on
from grievance.relay.spool import Left, Look, Rule, look
from grievance.relay.standing import Standing, standing

__all__ = [
    "KEEP_DAYS",
    "Left",
    "Look",
    "Memory",
    "Passed",
    "Refused",
    "Rule",
    "Standing",
    "Taken",
    "look",
    "own_batches",
    "pass_on",
    "read_files",
    "recall",
    "standing",
    "tidy",
    "tidy_destroyed",
]
