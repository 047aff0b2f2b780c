"""Cold starts: what a worker waits before `grievance seal` asks, and `import grievance`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAM = str(Path(sys.executable).with_name("grievance"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import grievance": [sys.executable, "-c", "import grievance"],
    "import grievance; grievance.seal": [sys.executable, "-c", "import grievance; grievance.seal"],
    "grievance --version": [PROGRAM, "--version"],
    "grievance seal --help": [PROGRAM, "seal", "--help"],
}


def start(*, quick: bool = False) -> dict[str, Any]:
    """Start each a few times, in turns. Milliseconds; the ratio is to an empty program."""
    turns = 1 if quick else 7
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(turns + 1):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if turn:  # the first time the files come from the disk
                times[name].append((time.perf_counter() - began) * 1e3)
    medians = {name: statistics.median(found) for name, found in times.items()}
    empty = medians["python -c pass"]
    return {
        "results": [
            {
                "what": name,
                "median_ms": round(median, 1),
                "least_ms": round(min(times[name]), 1),
                "times_empty": round(median / empty, 2),
            }
            for name, median in medians.items()
        ]
    }


def table(found: dict[str, Any]) -> list[str]:
    """Lay the figures out."""
    return [
        f"{r['what']:<34} {r['median_ms']:>8.1f} ms  {r['times_empty']:>6.2f} x an empty program"
        for r in found["results"]
    ]
