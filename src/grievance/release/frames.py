"""Tables as data frames: tidy rows for Arrow, polars and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    import pyarrow as pa

    from grievance.release.base import Table

NUMBER_COLUMNS = (
    "estimate",
    "margin_95",
    "low_95",
    "high_95",
    "share",
    "share_low_95",
    "share_high_95",
    "people",
    "sd",
    "total",
    "total_low_95",
    "total_high_95",
)
LEADING_COLUMNS = ("statistic", "kind")
TRAILING_COLUMNS = ("grey", "note")


def to_arrow(tables: Iterable[Table]) -> pa.Table:
    """Return the rows of all tables: labels as strings, numbers as float64.

    One column for every field that is an axis of any of them; null where it is not.
    """
    import pyarrow as pa

    given = list(tables)
    axes = dict.fromkeys(column for table in given for column in table.columns.values())
    schema = pa.schema(
        [
            *((name, pa.string()) for name in LEADING_COLUMNS),
            *((name, pa.string()) for name in axes),
            *((name, pa.float64()) for name in NUMBER_COLUMNS),
            ("grey", pa.bool_()),
            ("note", pa.string()),
        ]
    )
    rows = [dict.fromkeys(axes) | row for table in given for row in table.to_rows()]
    return pa.Table.from_pylist(rows, schema=schema)


def to_polars(tables: Iterable[Table]) -> pl.DataFrame:
    """Return the rows of all tables as a polars DataFrame. Raises ReleaseError without polars."""
    try:
        import polars as pl
    except ImportError as error:
        raise _missing("polars") from error
    frame = pl.from_arrow(to_arrow(tables))
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def to_pandas(tables: Iterable[Table]) -> pd.DataFrame:
    """Return the rows of all tables as a pandas DataFrame. Raises ReleaseError without pandas."""
    try:
        import pandas as pd
    except ImportError as error:
        raise _missing("pandas") from error
    frame = to_arrow(tables).to_pandas()
    return frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame)


def _missing(package: str) -> ReleaseError:
    return ReleaseError(
        f"{package} is not installed",
        code="release.package",
        hint=f"pip install {package}, or use to_arrow() or to_rows()",
    )
