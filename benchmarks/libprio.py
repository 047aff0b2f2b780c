"""libprio-rs, built by cargo outside the tree, on the same reports in the same run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.plans import CTX
from benchmarks.timing import Times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.plans import Case, Reports

PROJECT = Path(__file__).parent / "libprio"
BUILD_SECONDS = 600


class NotBuiltError(Exception):
    """libprio-rs cannot be built here; says why."""


def build(target: Path) -> Path:
    """Build the program for this machine's processor. Raises NotBuiltError."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NotBuiltError("cargo is not installed")
    # Cargo writes its lock file beside the manifest, which is not to change here.
    source = target / "source"
    shutil.copytree(PROJECT, source)
    manifest = str(source / "Cargo.toml")
    command = [cargo, "build", "--release", "--quiet", "--manifest-path", manifest]
    environment = {**os.environ, "RUSTFLAGS": "-C target-cpu=native"}
    try:
        subprocess.run(
            [*command, "--target-dir", str(target)],
            check=True, capture_output=True, text=True, timeout=BUILD_SECONDS, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NotBuiltError("cargo did not finish in time") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "no reason given").strip().splitlines()[-1]
        raise NotBuiltError(f"cargo could not build it: {reason}") from error
    return target / "release" / "libprio-benchmark"


def run(
    program: Path, case: Case, reports: Reports, repeats: int
) -> tuple[Times, Times, Times, list[NDArray[np.uint8]]]:
    """Verify the reports; return times of leader, helper and decision, and the verifier shares."""
    leader_size = reports.inputs[0].shape[1]
    header = reports.key.reveal() + leader_size.to_bytes(4, "little") + bytes([len(CTX)]) + CTX
    rows = np.hstack([reports.nonces, reports.public, *reports.inputs])
    length, limit, chunk = case.numbers
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "reports", Path(folder) / "shares"
        given.write_bytes(header + rows.tobytes())
        numbers = [str(number) for number in (length, limit, chunk, repeats)]
        printed = subprocess.run(
            [str(program), str(case.kind), *numbers, str(given), str(made)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        shares = np.frombuffer(made.read_bytes(), np.uint8).reshape(2, len(rows), -1)
    figures = json.loads(printed)
    leader, helper, decide = (
        Times(tuple(nanoseconds / 1e3 / len(rows) for nanoseconds in figures[phase]))
        for phase in ("leader", "helper", "decide")
    )
    return leader, helper, decide, list(shares)
