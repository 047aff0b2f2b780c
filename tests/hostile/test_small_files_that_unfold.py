"""Small Parquet files that read into gigabytes, made by hand: refused in little memory and time.

Every reader of a stranger's Parquet runs in a process that may have 1 GiB and ten seconds of a
processor. Source: docs/faults.md, fault E1.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from hostile_world import ROWS, HostileCoalition, approve, finish
from thrift_bytes import DATA, PLAIN, catalogue, folded, page, parquet

from dishonest import TINY_PLAN
from grievance.client.report import columns
from grievance.crypto.signing import SigningKey
from grievance.pool.batch import HEADER_SIZE, row_width
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from grievance.task import Task

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory limits differ elsewhere"
)
LIMITS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
"""
RELAY = """
from pathlib import Path
from grievance.client.files import read_reports
from grievance.errors import GrievanceError
from grievance.task import parse_task
task = parse_task(Path(sys.argv[1]).read_bytes())
for path in sys.argv[2:]:
    try:
        number = sum(1 for _ in read_reports(path, task))
        print("read", number)
    except GrievanceError as error:
        print("refused", error.code)
"""
NAIVE = """
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
print("read", table.num_rows, table.nbytes)
"""


def limited(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITS + code, *map(str, words)],
        # Each thread of numpy's arithmetic would take memory for itself: many, where cores are.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def task() -> Task:
    return make_coalition(TINY_PLAN.decode()).task


@pytest.fixture(scope="module")
def files(task: Task, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("unfold")
    (folder / "task").write_bytes(task.data)
    found = {"task": folder / "task"}
    for number, (what, data) in enumerate(catalogue(columns(task)).items()):
        found[what] = folder / f"{number}.reports"
        found[what].write_bytes(data)
    return found


def test_the_writer_by_hand_writes_parquet(task: Task, tmp_path: Path) -> None:
    """The control: another library reads these files, so the lies are where they are meant."""
    wanted = columns(task)
    pages = [page(DATA, PLAIN, 3, bytes([7]) * width * 3) for _, width in wanted]
    (tmp_path / "plain").write_bytes(parquet(wanted, 3, pages))
    table = pq.read_table(tmp_path / "plain")
    assert table.num_rows == 3 and table.column(0)[2].as_py() == bytes([7]) * wanted[0][1]
    (tmp_path / "folded").write_bytes(folded(wanted, 1000))
    assert pq.read_table(tmp_path / "folded").num_rows == 1000


def test_the_bomb_is_one(files: dict[str, Path]) -> None:
    """The control: a few kilobytes, and a reader that trusts them does not come back from them."""
    bomb = files["a dictionary and one long run"]
    assert bomb.stat().st_size < 10_000
    ran = limited(NAIVE, bomb)
    assert ran.returncode != 0 and "read" not in ran.stdout


def test_a_relay_is_not_blown_up_by_a_workers_file(files: dict[str, Path]) -> None:
    listed = [path for what, path in files.items() if what != "task"]
    ran = limited(RELAY, files["task"], *listed)
    assert ran.returncode == 0, ran.stderr[-500:]
    said = ran.stdout.splitlines()
    assert len(said) == len(listed)
    assert {line.split()[0] for line in said} == {"refused"}, dict(zip(files, said, strict=False))


@pytest.mark.slow
def test_payloads_as_large_as_their_rows_are_refused_too(task: Task, tmp_path: Path) -> None:
    """Padded so that size and rows fit together: what is inside still decides."""
    wanted, width = columns(task), row_width(task)
    (tmp_path / "task").write_bytes(task.data)
    paths = []
    for number, data in enumerate(catalogue(wanted).values()):
        padded = data[:4] + bytes(max(0, width * 3 - len(data))) + data[4:]
        paths.append(tmp_path / f"{number}.reports")
        paths[-1].write_bytes(padded)
    ran = limited(RELAY, tmp_path / "task", *paths)
    assert ran.returncode == 0, ran.stderr[-500:]
    assert {line.split()[0] for line in ran.stdout.splitlines()} == {"refused"}


def test_a_relays_batch_is_refused_by_every_aggregator(opened: HostileCoalition) -> None:
    """The same bytes, signed by an admitted relay as its batch: nothing of it counts."""
    task, key = opened.task, opened.homes["nurses"].key
    for data in catalogue(columns(task)).values():
        batch = signed_batch(opened, key, data)
        name = hashlib.sha256(batch[:HEADER_SIZE]).digest()
        opened.hostile.files[opened.paths.batch("nurses", name)] = batch
    opened.settle()
    opened.relay("nurses", opened.seal(ROWS))
    opened.settle()
    opened.order_close()
    opened.settle()
    finish(opened, approve(opened), audited=False)
    assert not opened.audit().faults


def signed_batch(coalition: HostileCoalition, key: SigningKey, payload: bytes) -> bytes:
    """What a relay would write around a payload, whatever that is."""
    from grievance.pool import batch

    honest = batch.write_batch(
        coalition.task,
        coalition.seal(1),
        key,
    )
    head = honest[: batch.HEADER_SIZE]
    place = len(batch.MAGIC) + 1 + 32 + 32 + 4
    digest = hashlib.sha256(payload).digest()
    part = head[:place] + len(payload).to_bytes(8, "big") + digest
    part += head[len(part) : -64]
    return part + key.sign(batch.LABEL, part) + payload
