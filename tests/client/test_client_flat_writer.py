"""Our writer of the flat layout, byte for byte beside Arrow's."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrow_world import open_writer
from grievance.client import flat_parquet
from grievance.client.flat_parquet import FlatWriter, locate
from grievance.errors import ShapeError

Columns = list[tuple[str, int]]
Groups = list[list[tuple[bytes, ...]]]


def ours(columns: Columns, groups: Groups, metadata: dict[bytes, bytes]) -> bytes:
    sink = io.BytesIO()
    writer = FlatWriter(sink, columns)
    for rows in groups:
        writer.write(rows)
    writer.finish(metadata)
    return sink.getvalue()


def arrows(columns: Columns, groups: Groups, metadata: dict[bytes, bytes]) -> bytes:
    schema = pa.schema([pa.field(n, pa.binary(w), nullable=False) for n, w in columns])
    sink = io.BytesIO()
    with open_writer(sink, schema) as writer:
        for rows in groups:
            arrays = [
                pa.array([row[place] for row in rows], field.type)
                for place, field in enumerate(schema)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
        if metadata:
            writer.add_key_value_metadata(metadata)
    return sink.getvalue()


@given(
    widths=st.lists(st.integers(1, 300), min_size=1, max_size=18),
    rows=st.lists(st.sampled_from([1, 2, 63, 64, 200]), max_size=17),
    metadata=st.dictionaries(
        st.binary(min_size=1, max_size=9), st.binary(max_size=200), max_size=1
    ),
)
def test_the_bytes_are_arrows_but_for_the_name_of_the_writer(
    widths: list[int], rows: list[int], metadata: dict[bytes, bytes]
) -> None:
    columns = [(f"column_{place}", width) for place, width in enumerate(widths)]
    groups = [[tuple(bytes([k % 251]) * w for w in widths) for k in range(n)] for n in rows]
    name = f"parquet-cpp-arrow version {pa.__version__}".encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat_parquet, "CREATED_BY", name)
        data = ours(columns, groups, metadata)
    assert data == arrows(columns, groups, metadata)


def test_long_columns_read_as_they_were_written() -> None:
    columns = [("small", 2), ("wide", 5_000)]
    groups = [[(bytes(2), b"w" * 5_000)] * 9_000, [(b"ab", b"x" * 5_000)]]
    data = ours(columns, groups, {})
    found = locate(io.BytesIO(data), len(data))
    assert (found.columns, found.num_rows) == (tuple(columns), 9_001)
    table = pq.read_table(io.BytesIO(data))
    assert table.num_rows == 9_001
    assert table["small"][9_000].as_py() == b"ab"
    assert pq.ParquetFile(io.BytesIO(data)).metadata.created_by == "grievance"


@pytest.mark.parametrize("row", [(b"a", b"bbbb"), (b"aa", b"bbb"), (b"aa",), (b"aa", b"bbb", b"c")])
def test_cells_of_another_width_are_refused(row: tuple[bytes, ...]) -> None:
    writer = FlatWriter(io.BytesIO(), [("a", 2), ("b", 4)])
    with pytest.raises(ShapeError):
        writer.write([(b"aa", b"bbbb"), row])


def test_a_row_group_has_some_rows_and_not_too_many() -> None:
    writer = FlatWriter(io.BytesIO(), [("a", 1)])
    for rows in ([], [(b"a",)] * 10_001):
        with pytest.raises(ShapeError):
            writer.write(rows)
