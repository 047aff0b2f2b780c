"""Batches from hostile relays: every one is refused with a code, alike at every aggregator.

What is signed by its relay is no more trusted than what is not: only size, widths and places
decide how a payload is read.
Source: docs/design.md, section 7; docs/faults.md, faults B12, B13, E1.
"""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arrow_world import open_writer, reports_to_table
from dishonest import TINY_ANSWERS, TINY_PLAN, content_of, flip
from grievance.client import seal
from grievance.client.report import columns, to_row
from grievance.crypto.signing import SigningKey
from grievance.errors import BatchError
from grievance.pool.batch import (
    HEADER_SIZE,
    LABEL,
    MAX_BATCH_ROWS,
    BatchFile,
    _signed_part,
    max_batch_size,
    row_digests,
    row_width,
    write_batch,
)
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from grievance.client import Report
    from grievance.task import Task

ROWS = 3
RELAY = SigningKey.generate()


@pytest.fixture(scope="module")
def task() -> Task:
    return make_coalition(TINY_PLAN.decode()).task


@pytest.fixture(scope="module")
def reports(task: Task) -> list[Report]:
    return [seal(task, TINY_ANSWERS) for _ in range(ROWS)]


@pytest.fixture(scope="module")
def table(task: Task, reports: list[Report]) -> pa.Table:
    return reports_to_table(task, reports)


@pytest.fixture(scope="module")
def good(task: Task, reports: list[Report]) -> bytes:
    return write_batch(task, reports, RELAY)


def signed(
    task: Task,
    payload: bytes,
    rows: int = ROWS,
    *,
    size: int | None = None,
    digest: bytes | None = None,
    task_digest: bytes | None = None,
    key: SigningKey = RELAY,
) -> bytes:
    """Any payload under a header that its relay really signed."""
    part = _signed_part(
        task_digest or task.digest,
        key.public.raw,
        rows,
        len(payload) if size is None else size,
        digest or content_of(task, payload),
    )
    return part + key.sign(LABEL, part) + payload


def read(task: Task, data: bytes, rows: int = 1_000) -> list[tuple[bytes, ...]]:
    """All rows as an aggregator reads them, and their digests held against the header."""
    file = BatchFile(data, task)
    found: list[tuple[bytes, ...]] = []
    for span in file.spans(rows):
        batch = file.rows(span)
        assert (span.start, span.count) == (len(found), batch.num_rows)
        found += zip(*(batch.column(i).to_pylist() for i in range(batch.num_columns)), strict=True)
    file.check_content(row_digests(task, found))
    file.check_rows()
    return found


def refusal(task: Task, data: bytes) -> str:
    with pytest.raises(BatchError) as error:
        read(task, data)
    return error.value.code


@pytest.mark.parametrize("at_once", [1, 2, 3, 1000])
def test_rows_come_back_as_they_went_in(
    task: Task, reports: list[Report], good: bytes, at_once: int
) -> None:
    for data in (good, memoryview(good)):
        assert read(task, data, at_once) == [to_row(report) for report in reports]


def test_writing_is_deterministic_and_says_nothing_else(
    task: Task, reports: list[Report], good: bytes
) -> None:
    assert write_batch(task, reports, RELAY) == good
    footer = pq.ParquetFile(io.BytesIO(good[HEADER_SIZE:])).metadata
    assert not footer.metadata
    assert footer.num_rows == ROWS


def test_every_flipped_byte_is_refused(task: Task, good: bytes) -> None:
    codes = {}
    draw = random.Random(3)
    for at in range(len(good)):
        codes[at] = refusal(task, flip(good, at, draw.randrange(8)))
    assert set(codes.values()) <= {
        "batch.short",
        "batch.version",
        "batch.task",
        "batch.size",
        "batch.signature",
        "batch.digest",
        "batch.malformed",
    }
    assert {codes[at] for at in range(5, 37)} == {"batch.task"}
    assert {codes[at] for at in range(HEADER_SIZE, len(good))} == {
        "batch.digest",
        "batch.malformed",
    }
    width = row_width(task) * ROWS
    digests = sum(codes[at] == "batch.digest" for at in range(HEADER_SIZE, len(good)))
    assert digests >= width  # every byte of a row, and what else the layout leaves open


def test_every_truncation_is_refused(task: Task, good: bytes) -> None:
    for length in range(len(good)):
        expected = "batch.short" if length < HEADER_SIZE else "batch.size"
        assert refusal(task, good[:length]) == expected
    assert refusal(task, good + b"\0") == "batch.size"
    assert refusal(task, good + good) == "batch.size"


HEADERS: dict[str, tuple[str, dict[str, object]]] = {
    "another round": ("batch.task", {"task_digest": b"\1" * 32}),
    "another digest": ("batch.digest", {"digest": b"\2" * 32}),
    "no rows": ("batch.size", {"rows": 0}),
    "fewer rows": ("batch.malformed", {"rows": ROWS - 1}),
    "more rows": ("batch.size", {"rows": ROWS + 1}),
    "too many rows": ("batch.size", {"rows": MAX_BATCH_ROWS + 1}),
    "all rows there can be": ("batch.size", {"rows": 2**32 - 1}),
    "a shorter payload": ("batch.size", {"size": 5}),
    "a huge payload": ("batch.size", {"size": 2**64 - 1}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie_under_a_good_signature(task: Task, good: bytes, name: str) -> None:
    code, changes = HEADERS[name]
    assert refusal(task, signed(task, good[HEADER_SIZE:], **changes)) == code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw", [bytes(32), b"\1" + bytes(31), b"\xff" * 32, bytes(31) + b"\x80", b"\2" + bytes(31)]
)
def test_a_relay_key_that_is_none(task: Task, good: bytes, raw: bytes) -> None:
    assert refusal(task, good[:37] + raw + good[69:]) == "batch.signature"


def test_no_parser_sees_bytes_that_are_not_signed(
    task: Task, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grievance.pool.batch.locate", lambda *_: pytest.fail("parsed"))
    for at in (0, 40, 120, HEADER_SIZE - 1):
        refusal(task, flip(good, at))


# -- Parquet files that their relay did sign ------------------------------------------------


def written(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    plain = {
        "compression": "none",
        "use_dictionary": False,
        "write_statistics": False,
        "store_schema": False,
        "column_encoding": "PLAIN",
    }
    pq.write_table(table, sink, **(plain | options))
    return sink.getvalue()


OPTIONS: dict[str, dict[str, object]] = {
    "dictionary": {"use_dictionary": True, "column_encoding": None},
    "snappy": {"compression": "snappy"},
    "gzip": {"compression": "gzip"},
    "zstd": {"compression": "zstd"},
    "statistics": {"write_statistics": True},
    "arrow schema": {"store_schema": True},
    "data page 2": {"data_page_version": "2.0"},
    "byte stream split": {"column_encoding": "BYTE_STREAM_SPLIT"},
    "delta": {"column_encoding": "DELTA_BYTE_ARRAY"},
    "page index": {"write_page_index": True},
    "checksums": {"write_page_checksum": True},
    "many pages": {"max_rows_per_page": 1},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_parquet_written_with_other_options(task: Task, table: pa.Table, name: str) -> None:
    payload = written(table, **OPTIONS[name])
    assert pq.read_table(io.BytesIO(payload)).num_rows == ROWS  # an honest file, only another one
    assert refusal(task, signed(task, payload)) in ("batch.malformed", "batch.size")


def test_statistics_schema_and_groups_of_our_own_kind_read(
    task: Task, reports: list[Report], table: pa.Table
) -> None:
    """Smaller row groups are the same layout; other aggregators' relays may choose them."""
    payload = written(table, row_group_size=1, max_rows_per_page=10_000)
    assert read(task, signed(task, payload)) == [to_row(report) for report in reports]


def changed_table(task: Task, table: pa.Table, how: str) -> pa.Table:
    names, field = table.column_names, table.schema.field(0)
    if how == "an extra column":
        return table.append_column(
            pa.field("more", pa.binary(1), nullable=False), pa.array([b"x"] * ROWS, pa.binary(1))
        )
    if how == "a column missing":
        return table.drop_columns(names[-1])
    if how == "columns in another order":
        return table.select([names[1], names[0], *names[2:]])
    if how == "another name":
        return table.rename_columns(["Commitment", *names[1:]])
    if how == "nullable":
        return table.cast(pa.schema([field.with_nullable(True), *list(table.schema)[1:]]))
    if how == "a null":
        cells = pa.array([None, *table.column(0).to_pylist()[1:]], pa.binary(32))
        return table.set_column(0, field.with_nullable(True), cells)
    if how == "of variable width":
        return table.set_column(
            0, pa.field("commitment", pa.binary(), nullable=False), table[0].cast(pa.binary())
        )
    if how == "wider":
        cells = pa.array([c + b"\0" for c in table.column(0).to_pylist()], pa.binary(33))
        return table.set_column(0, pa.field("commitment", pa.binary(33), nullable=False), cells)
    if how == "narrower":
        cells = pa.array([c[:-1] for c in table.column(0).to_pylist()], pa.binary(31))
        return table.set_column(0, pa.field("commitment", pa.binary(31), nullable=False), cells)
    if how == "nested":
        return pa.table({"all": table.to_struct_array()})
    return table.slice(0, 0)


@pytest.mark.parametrize(
    "how",
    [
        "an extra column",
        "a column missing",
        "columns in another order",
        "another name",
        "nullable",
        "a null",
        "of variable width",
        "wider",
        "narrower",
        "nested",
        "empty",
    ],
)
def test_parquet_with_other_columns(task: Task, table: pa.Table, how: str) -> None:
    payload = written(changed_table(task, table, how))
    assert refusal(task, signed(task, payload)) in ("batch.malformed", "batch.size")


@pytest.mark.parametrize("count", [0, MAX_BATCH_ROWS + 1])
def test_a_batch_has_some_reports_and_not_too_many(
    task: Task, reports: list[Report], count: int
) -> None:
    with pytest.raises(BatchError) as error:
        write_batch(task, [reports[0]] * count, RELAY)
    assert error.value.code == "batch.rows"


def test_metadata_does_not_get_in(task: Task, table: pa.Table) -> None:
    sink = io.BytesIO()
    with open_writer(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"when": "last night"})
    assert refusal(task, signed(task, sink.getvalue())) == "batch.malformed"


@pytest.mark.slow
def test_every_flipped_byte_signed_again_reads_as_the_rows_or_not_at_all(
    task: Task, good: bytes
) -> None:
    """A lying page header, num_values, offset, width: refused, or it changes no place."""
    payload, draw = good[HEADER_SIZE:], random.Random(4)
    total = row_width(task) * ROWS
    honest = read(task, good)
    cells = b"".join(b"".join(row[i] for row in honest) for i in range(len(columns(task))))
    differing = refused = 0
    for at in range(len(payload)):
        data = signed(task, flip(payload, at, draw.randrange(8)))
        try:
            rows = read(task, data)
        except BatchError:
            assert refusal(task, data) in ("batch.malformed", "batch.size")
            refused += 1
            continue
        seen = b"".join(b"".join(row[i] for row in rows) for i in range(len(columns(task))))
        changes = sum(a != b for a, b in zip(seen, cells, strict=True))
        assert changes <= 1  # the flipped byte was in a row, which is sealed: nothing to refuse
        differing += changes
    assert differing == total
    assert refused > (len(payload) - total) // 2


@pytest.mark.parametrize("length", [0, 4, 8, 11, 12, 100])
def test_payloads_that_are_no_parquet(task: Task, length: int) -> None:
    size = row_width(task) * ROWS + length
    for payload in (os.urandom(size), b"PAR1" + bytes(size - 8) + b"PAR1", b"PAR1" * (size // 4)):
        code = refusal(task, signed(task, payload))
        assert code in ("batch.malformed", "batch.size")
    assert refusal(task, signed(task, b"")) == "batch.size"


def bombs(task: Task) -> dict[str, bytes]:
    """Small files that a Parquet reader unfolds into gigabytes."""
    fields = [pa.field(n, pa.binary(w), nullable=False) for n, w in columns(task)]
    one = [pa.array([bytes(w)], pa.binary(w)) for _, w in columns(task)]
    index = pa.array([0] * MAX_BATCH_ROWS, pa.int32())
    folded = pa.table(
        [pa.DictionaryArray.from_arrays(index, cell).dictionary_decode() for cell in one],
        schema=pa.schema(fields),
    )
    small = written(folded, use_dictionary=True, column_encoding=None)
    padded = small[:4] + bytes(row_width(task)) + small[4:]
    zipped = written(folded, compression="zstd")
    return {
        "as large as it must be": signed(task, small, MAX_BATCH_ROWS),
        "one row claimed": signed(task, small, 1),
        "padded to look like one row": signed(task, padded, 1),
        "compressed": signed(task, zipped, 1),
    }


BOMB_READER = """
import resource, sys
from pathlib import Path
import pyarrow, grievance.client.files
from grievance.errors import BatchError, WireError
from grievance.pool.batch import BatchFile
from grievance.task import parse_task
task = parse_task(Path(sys.argv[1]).read_bytes())
task.vdaf
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
for path in sys.argv[2:]:
    data = Path(path).read_bytes()
    try:
        BatchFile(data, task)
        raise SystemExit("rows would be read")
    except BatchError as error:
        print(error.code)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory limits differ elsewhere")
def test_bombs_are_refused_in_little_memory(
    task: Task, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "task").write_bytes(task.data)
    paths = []
    for number, data in enumerate(bombs(task).values()):
        assert len(data) <= max_batch_size(task)
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
    said = subprocess.run(
        [sys.executable, "-c", BOMB_READER, folder / "task", *paths],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert said.returncode == 0, said.stderr
    assert len(said.stdout.split()) == len(paths)
    assert set(said.stdout.split()) <= {"batch.size", "batch.malformed"}
