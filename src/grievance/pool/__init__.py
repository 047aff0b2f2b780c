"""The pool: the shared folder that is the only network. Signed files, batches, the order."""

from grievance.pool.store import Store, open_store

__all__ = ["Store", "open_store"]
