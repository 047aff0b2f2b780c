"""Reports as Arrow tables, and Arrow's own writer of the flat layout, to hold ours against."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from grievance.client.files import report_schema
from grievance.client.flat_parquet import MAX_GROUP_ROWS, MAX_GROUP_SIZE
from grievance.client.report import columns, to_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grievance.client import Report
    from grievance.task import Task


def reports_to_table(task: Task, reports: Sequence[Report]) -> pa.Table:
    """Lay reports out in columns."""
    rows = [to_row(report) for report in reports]
    arrays = [
        pa.array([row[i] for row in rows], type=pa.binary(width))
        for i, (_, width) in enumerate(columns(task))
    ]
    return pa.Table.from_arrays(arrays, schema=report_schema(task))


def open_writer(file: BinaryIO | Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Arrow's writer, told to write the flat layout."""
    return pq.ParquetWriter(
        file,
        schema,
        compression="none",
        use_dictionary=False,
        column_encoding="PLAIN",
        write_statistics=False,
        store_schema=False,
        data_page_size=2 * MAX_GROUP_SIZE,
        max_rows_per_page=MAX_GROUP_ROWS,
    )
