"""Bytes in, a trusted history or findings out: the independent recomputation of a pool.

It needs no secret, no home and no server, and shares no accounting code with the parts that
release: neither `privacy` nor `release` nor `aggregator` is used here.
"""

from grievance.audit.inclusion import Inclusion, find_report
from grievance.audit.once import Statements
from grievance.audit.result import AuditResult, Counts, Finding
from grievance.audit.rules import RULES, Rule
from grievance.audit.run import audit_pool

__all__ = [
    "RULES",
    "AuditResult",
    "Counts",
    "Finding",
    "Inclusion",
    "Rule",
    "Statements",
    "audit_pool",
    "find_report",
]
