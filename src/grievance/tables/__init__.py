"""Tables of answers: a survey tool's export is read whole or refused, then every row is sealed.

A partner's side, not a worker's device: rows are sealed many at once, and a table may come as
Parquet or Arrow. Those libraries are loaded when they are used.
"""

from grievance.tables.mapping import TableMapping, load_mapping
from grievance.tables.mapping_fields import FieldMapping
from grievance.tables.memory import SealMemory
from grievance.tables.reading import FieldTally, TableReading, check_table
from grievance.tables.refusals import Cause, RefusedRow, RowsRefusedError
from grievance.tables.sealing import seal_into
from grievance.tables.table import (
    SealedRow,
    SealedTable,
    open_table,
    read_table,
    seal_many,
    seal_rows,
)
from grievance.tables.template import mapping_template

__all__ = [
    "Cause",
    "FieldMapping",
    "FieldTally",
    "RefusedRow",
    "RowsRefusedError",
    "SealMemory",
    "SealedRow",
    "SealedTable",
    "TableMapping",
    "TableReading",
    "check_table",
    "load_mapping",
    "mapping_template",
    "open_table",
    "read_table",
    "seal_into",
    "seal_many",
    "seal_rows",
]
