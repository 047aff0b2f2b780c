"""An aggregator at work: its memory, its steps, and `sync`, which does whatever can be done."""

from grievance.aggregator.desk import Desk
from grievance.aggregator.run import SyncResult, sync

__all__ = ["Desk", "SyncResult", "sync"]
