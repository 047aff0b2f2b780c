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
from grievance.client.mapping import FieldMapping, TableMapping, load_mapping
from grievance.client.report import (
    Report,
    columns,
    report_size,
)
from grievance.client.seal import seal, seal_blank
from grievance.client.table import (
    RefusedRow,
    SealedRow,
    SealedTable,
    read_table,
    seal_many,
    seal_rows,
)
from grievance.client.template import mapping_template

__all__ = [
    "FieldMapping",
    "Question",
    "RefusedRow",
    "Report",
    "SealedRow",
    "SealedTable",
    "TableMapping",
    "columns",
    "input_share_info",
    "load_mapping",
    "mapping_template",
    "open_input_share",
    "parse_replies",
    "questions",
    "read_report",
    "read_reports",
    "read_table",
    "report_schema",
    "report_size",
    "seal",
    "seal_blank",
    "seal_many",
    "seal_rows",
    "write_report",
    "write_reports",
]
