"""The worker's device: answers in, a sealed report out.

This and what it imports is all that a worker's device has to run, so it stays small: no
table intake (that is `grievance.tables`), and neither Arrow, NumPy, Numba nor OpenDP.
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
from grievance.client.report import (
    Report,
    columns,
    report_size,
)
from grievance.client.seal import seal, seal_blank

__all__ = [
    "Question",
    "Report",
    "columns",
    "input_share_info",
    "open_input_share",
    "parse_replies",
    "questions",
    "read_report",
    "read_reports",
    "report_schema",
    "report_size",
    "seal",
    "seal_blank",
    "write_report",
    "write_reports",
]
