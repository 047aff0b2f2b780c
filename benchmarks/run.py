"""Run benchmarks: `python -m benchmarks [NAME ...] [--json FILE] [--quick]`.

Each prints a table; the JSON file has every figure, absolute and as a ratio in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# A module of this name has a function of this name, and `table`.
BENCHMARKS = ("proof", "sealing", "checking", "scale", "start", "accuracy", "coverage", "margins")


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure how long things take."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="few rows: a test that all of it runs")
    parser.add_argument("--million", action="store_true", help="`scale` with 1,000,000 reports too")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    results: dict[str, Any] = {"machine": machine()}
    for name in options.names or BENCHMARKS:
        module = import_module(f"benchmarks.{name}")
        more = {"million": options.million} if name == "scale" else {}
        results[name] = getattr(module, name)(quick=options.quick, **more)
        print(f"== {name}")
        print("\n".join(module.table(results[name])), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
