"""Reports in files: whole, of one round, or refused before Arrow looks at a page."""

from __future__ import annotations

import contextlib
import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.client import (
    columns,
    flat_parquet,
    read_report,
    read_reports,
    report_schema,
    seal,
    write_report,
    write_reports,
)
from grievance.client.thrift import CompactReader
from grievance.errors import GrievanceError, ReportError, UsageError, WireError


@pytest.fixture(scope="module")
def reports(small):
    return [seal(small.task, {"region": region}) for region in ["North", "Wales"] * 6]


@pytest.fixture
def written(small, reports, tmp_path):
    path = tmp_path / "some.reports"
    assert write_reports(path, small.task, iter(reports)) == len(reports)
    return path


def code_of(path, task):
    with pytest.raises(GrievanceError) as caught:
        list(read_reports(path, task))
    return caught.value.code


def test_one_report(small, reports, tmp_path):
    path = tmp_path / "one.report"
    write_report(path, reports[0])
    assert path.read_bytes() == reports[0].to_bytes()
    assert read_report(path, small.task) == reports[0]
    with pytest.raises(UsageError) as caught:
        write_report(path, reports[1])
    assert caught.value.code == "usage.exists"
    assert path.read_bytes() == reports[0].to_bytes()


def test_one_report_of_another_size_or_kind(small, reports, tmp_path):
    path = tmp_path / "one.report"
    for data in (b"", reports[0].to_bytes() + b"\x00", reports[0].to_bytes()[:-1]):
        path.write_bytes(data)
        with pytest.raises(ReportError) as caught:
            read_report(path, small.task)
        assert caught.value.code == "report.file"
    path.write_bytes(bytes(len(reports[0].to_bytes())))
    with pytest.raises(WireError):
        read_report(path, small.task)
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ReportError):
            read_report(place, small.task)


def test_a_pipe_is_no_file(small, tmp_path):
    os.mkfifo(tmp_path / "pipe.report")
    with pytest.raises(ReportError):
        read_report(tmp_path / "pipe.report", small.task)
    with pytest.raises(ReportError):
        read_reports(tmp_path / "pipe.report", small.task)


def test_many_reports_come_back_in_order(small, reports, written):
    assert list(read_reports(written, small.task)) == reports
    assert [path.name for path in written.parent.iterdir()] == ["some.reports"]


def test_other_tools_can_read_the_file(small, reports, written):
    table = pq.read_table(written)
    assert table.schema.equals(report_schema(small.task))
    metadata = pq.read_metadata(written).metadata
    assert metadata == {b"grievance.task": small.task.digest.hex().encode()}
    assert table.column("commitment").to_pylist() == [report.commitment for report in reports]
    width = sum(width for _, width in columns(small.task))
    assert written.stat().st_size < len(reports) * width + 4096


def test_row_groups_are_bounded(small, reports, tmp_path, monkeypatch):
    monkeypatch.setattr(flat_parquet, "MAX_GROUP_ROWS", 5)
    path = tmp_path / "groups.reports"
    write_reports(path, small.task, reports)
    meta = pq.read_metadata(path)
    assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [5, 5, 2]
    assert list(read_reports(path, small.task)) == reports


def test_a_full_row_group_is_one_page(small, reports, tmp_path):
    # What the reader's arithmetic rests on, at the largest number of rows.
    path = tmp_path / "large.reports"
    many = [reports[i % 12] for i in range(10_007)]
    assert write_reports(path, small.task, many) == len(many)
    assert list(read_reports(path, small.task)) == many


def test_no_reports(small, tmp_path):
    path = tmp_path / "none.reports"
    assert write_reports(path, small.task, []) == 0
    assert list(read_reports(path, small.task)) == []


def test_nothing_is_left_when_writing_fails(small, full, reports, tmp_path):
    other = seal(full.task, {"region": "North"})
    with pytest.raises(ReportError) as caught:
        write_reports(tmp_path / "x.reports", small.task, [*reports, other])
    assert caught.value.code == "report.task"
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError):
        write_reports(tmp_path / "no" / "x.reports", small.task, reports)


def test_existing_files_are_kept(small, reports, written):
    before = written.read_bytes()
    with pytest.raises(UsageError):
        write_reports(written, small.task, reports)
    assert written.read_bytes() == before


def test_reports_of_another_round(small, full, make_round, small_text, written):
    other = make_round(small_text, 2, "two")
    assert code_of(written, other.task) == "report.task"
    assert code_of(written, full.task) == "report.task"


def test_truncated_at_many_lengths(small, written):
    data = written.read_bytes()
    for length in [*range(20), *range(20, len(data), 97), len(data) - 1]:
        written.write_bytes(data[:length])
        assert code_of(written, small.task) in {"report.file", "report.task"}


def test_every_flipped_byte_is_refused_or_changes_one_row(small, reports, written):
    data = written.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    with written.open("rb") as file:
        found = flat_parquet.locate(file, len(data))
    headers = {place for _, starts in found.groups for at in starts for place in range(at - 30, at)}
    refusals = 0
    for place in range(len(data)):
        for mask in (0x01, 0x80) if place >= footer or place in headers or place % 37 == 0 else ():
            broken = bytearray(data)
            broken[place] ^= mask
            written.write_bytes(broken)
            try:
                found = list(read_reports(written, small.task))
            except ReportError:
                refusals += 1
                continue
            # Sealed bytes, which are refused when they are opened, or words nobody reads.
            assert len(found) == len(reports)
            changed = sum(a != b for a, b in zip(found, reports, strict=True))
            assert changed == 0 if place >= footer else changed <= 1
    assert refusals > 400


def rewrite(path, task, table, *, task_key=b"grievance.task", **options):
    """Write a table as some other writer might, by default just as ours does."""
    settings = {
        "compression": "none",
        "use_dictionary": False,
        "column_encoding": None if options.get("use_dictionary") else "PLAIN",
        "write_statistics": False,
        "store_schema": False,
    }
    path.unlink(missing_ok=True)
    with pq.ParquetWriter(path, table.schema, **(settings | options)) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({task_key: task.digest.hex().encode()})


def test_the_same_layout_from_another_hand_is_read(small, reports, written):
    rewrite(written, small.task, pq.read_table(written))
    assert list(read_reports(written, small.task)) == reports


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"use_dictionary": True},
        {"data_page_size": 64, "write_batch_size": 1},
        {"write_statistics": True},
        {"column_encoding": "BYTE_STREAM_SPLIT"},
        {"column_encoding": "DELTA_BYTE_ARRAY"},
        {"write_page_index": True, "write_statistics": True},
        {"data_page_version": "2.0", "compression": "snappy"},
        {"store_schema": True, "compression": "gzip"},
    ],
)
def test_other_layouts_are_refused(small, written, options):
    rewrite(written, small.task, pq.read_table(written), **options)
    assert code_of(written, small.task) == "report.file"


def test_other_columns_are_refused(small, written):
    table = pq.read_table(written)
    names = table.column_names
    nullable = pa.schema([pa.field(f.name, f.type) for f in table.schema])
    for other in [
        table.append_column("extra", pa.array([0] * table.num_rows)),
        table.select(names[:-1]),
        table.select(names[::-1]),
        table.rename_columns([*names[:-1], "ciphertext_9"]),
        pa.Table.from_arrays(table.columns, schema=nullable),
    ]:
        rewrite(written, small.task, other)
        assert code_of(written, small.task) == "report.file"
    rewrite(written, small.task, table, task_key=b"something.else")
    assert code_of(written, small.task) == "report.file"


def test_a_footer_cannot_ask_for_memory(small, tmp_path):
    # A footer that promises a million row groups, and one longer than its file.
    path = tmp_path / "bomb.reports"
    thrift = b"\x15\x02\x19\xfc" + b"\xff\xff\xff\xff\x07" + b"\x00" * 64
    for footer, length in [(thrift, len(thrift)), (b"\x00" * 32, 1 << 31), (b"", 0)]:
        path.write_bytes(b"PAR1" + footer + length.to_bytes(4, "little") + b"PAR1")
        assert code_of(path, small.task) == "report.file"


def test_a_file_that_changes_while_it_is_read(small, written):
    iterator = read_reports(written, small.task)
    written.write_bytes(b"gone")
    with pytest.raises(ReportError):
        next(iterator)


def test_row_groups_that_would_not_fit_memory_are_refused(small, written, monkeypatch):
    monkeypatch.setattr(flat_parquet, "MAX_GROUP_ROWS", 11)
    assert code_of(written, small.task) == "report.file"


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_any_footer_is_read_or_refused(data):
    with contextlib.suppress(WireError):
        CompactReader(data).struct()
    file = b"PAR1" + data + len(data).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(WireError):
        flat_parquet.locate(io.BytesIO(file), len(file))


@pytest.mark.parametrize(
    "data",
    [
        b"\x1c" * 100,  # structs in structs
        b"\x19" * 100,  # lists in lists
        b"\x19\xf5\xff\xff\xff\xff\x0f",  # a list of four thousand million integers
        b"\x18\xff\xff\xff\xff\x0f",  # a string as long
        b"\x15" + b"\xff" * 11,  # an endless number
        b"\x15\x02\x05\x02\x02\x00",  # field 1 twice
        b"\x17" + bytes(8),  # a double
    ],
)
def test_footers_that_bite_are_refused(data):
    with pytest.raises(WireError):
        CompactReader(data).struct()
