"""The worker's side: answers in, a sealed report out, and tables of answers likewise.

`seal` and what it needs run on a small device: importing this package pulls neither Arrow,
NumPy, Numba nor OpenDP. The functions for whole tables and files load Arrow when called.
"""

from grievance.client.ask import Question, parse_replies, questions
from grievance.client.files import (
    read_report,
    read_reports,
    report_schema,
    write_report,
    write_reports,
)
from grievance.client.input_share import input_share_info, open_input_share
from grievance.client.mapping import TableMapping, load_mapping
from grievance.client.mapping_fields import FieldMapping
from grievance.client.memory import SealMemory
from grievance.client.reading import FieldTally, TableReading, check_table
from grievance.client.refusals import Cause, RefusedRow, RowsRefusedError
from grievance.client.report import (
    Report,
    columns,
    report_size,
)
from grievance.client.seal import seal, seal_blank
from grievance.client.sealing import seal_into
from grievance.client.table import (
    SealedRow,
    SealedTable,
    open_table,
    read_table,
    seal_many,
    seal_rows,
)
from grievance.client.template import mapping_template

__all__ = [
    "Cause",
    "FieldMapping",
    "FieldTally",
    "Question",
    "RefusedRow",
    "Report",
    "RowsRefusedError",
    "SealMemory",
    "SealedRow",
    "SealedTable",
    "TableMapping",
    "TableReading",
    "check_table",
    "columns",
    "input_share_info",
    "load_mapping",
    "mapping_template",
    "open_input_share",
    "open_table",
    "parse_replies",
    "questions",
    "read_report",
    "read_reports",
    "read_table",
    "report_schema",
    "report_size",
    "seal",
    "seal_blank",
    "seal_into",
    "seal_many",
    "seal_rows",
    "write_report",
    "write_reports",
]
