"""Play `examples/round` and say which functions of the library ran on the path of each promise.

Run as a process of its own; and whatever a function remembers of earlier calls (`lru_cache`) is
forgotten whenever a root is entered, so that what it computes once counts on every path:

    python tests/reading/trace_round.py FOLDER

prints {reading: {file: [first line of every function that ran]}} as JSON, the files below
`src/grievance`. A function is on the path of a reading if one of the reading's roots was at work
when it ran, and nothing that only tells people about it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import grievance

SOURCE = Path(grievance.__file__).resolve().parent
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "round" / "run.py"

ROOTS = {
    # What the device does, and what an aggregator does with a report before it is a sum.
    "A": (
        "grievance.task.anchor.load_task",
        "grievance.client.seal.seal",
        "grievance.client.seal.seal_blank",
        "grievance.aggregator.batches.verify_batch",
        "grievance.aggregator.decisions.read_findings",
        "grievance.aggregator.decisions.decide_batch",
    ),
    # What an aggregator does between its sums and a noisy share in the folder.
    "B": (
        "grievance.task.task.parse_task",  # what the terms promise, and what that costs
        "grievance.aggregator.releases.propose",
        "grievance.aggregator.releases.answer",
        "grievance.aggregator.advance.advance_releases",
        "grievance.aggregator.witness.check_not_behind",
        "grievance.aggregator.witness.witness_all",
    ),
    "C": ("grievance.audit.run.audit_pool",),
}
TELLING = (
    # Facts for the audit's page; the audit's result does not hang on them.
    "grievance.audit.telling.round_facts",
    "grievance.audit.telling.campaign_totals",
)
OPTIMIZED = inspect.CO_OPTIMIZED  # functions have it, bodies of classes and modules have not


def function(dotted: str) -> CodeType:
    """The code of a function by its whole name. Raises LookupError when it is gone."""
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise LookupError(
            f"{dotted} is gone: say in ROOTS or TELLING of {__file__} what stands for it now"
        ) from None
    code: CodeType = inspect.unwrap(found).__code__
    return code


def caches() -> list[Any]:
    """Everything in the library that remembers what it returned."""
    modules = [m for name, m in sys.modules.items() if name.partition(".")[0] == "grievance"]
    held = [value for module in modules for value in vars(module).values()]
    held += [v for value in held if isinstance(value, type) for v in vars(value).values()]
    return list({id(value): value for value in held if hasattr(value, "cache_clear")}.values())


class Trace:
    """What ran while roots were at work, by reading."""

    def __init__(self) -> None:
        self.roots = {function(name): key for key, names in ROOTS.items() for name in names}
        self.telling = {function(name) for name in TELLING}
        self.depth = dict.fromkeys(ROOTS, 0)
        self.quiet = 0
        self.ran: dict[str, set[CodeType]] = {key: set() for key in ROOTS}
        self.reached: set[CodeType] = set()
        self.caches = caches()

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """For `sys.setprofile`."""
        code = frame.f_code
        if event not in {"call", "return"}:
            return
        step = 1 if event == "call" else -1
        if code in self.telling:
            self.quiet += step
        reading = self.roots.get(code)
        if reading is not None:
            if step == 1 and not self.depth[reading]:
                for cache in self.caches:
                    cache.cache_clear()
            self.depth[reading] += step
            self.reached.add(code)
        if step == 1 and not self.quiet and code.co_flags & OPTIMIZED:
            for key, depth in self.depth.items():
                if depth:
                    self.ran[key].add(code)

    def found(self) -> dict[str, dict[str, list[int]]]:
        """First lines of functions, by reading and file."""
        result: dict[str, dict[str, list[int]]] = {}
        for key, codes in self.ran.items():
            files: dict[str, set[int]] = {}
            for code in codes:
                path = Path(code.co_filename)
                if path.is_relative_to(SOURCE):
                    name = path.relative_to(SOURCE).as_posix()
                    files.setdefault(name, set()).add(code.co_firstlineno)
            result[key] = {name: sorted(lines) for name, lines in sorted(files.items())}
        return result


def load_example() -> Any:
    """`examples/round/run.py` as a module."""
    spec = importlib.util.spec_from_file_location("example_round", EXAMPLE)
    if spec is None or spec.loader is None:
        raise LookupError(f"there is no {EXAMPLE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def import_everything() -> None:
    """So that no module is loaded, and none of its functions run, while roots are at work."""
    for module in pkgutil.walk_packages([str(SOURCE)], "grievance."):
        if not module.name.startswith("grievance.cli"):
            importlib.import_module(module.name)


def main(folder: str) -> None:
    """Play, trace, print."""
    import_everything()
    example, trace = load_example(), Trace()
    sys.setprofile(trace)
    try:
        _, audited = example.run_round(Path(folder))
    finally:
        sys.setprofile(None)
    if audited.verdict != "pass":
        raise SystemExit(f"the audit says {audited.verdict}")
    idle = [code.co_qualname for code in trace.roots if code not in trace.reached]
    if idle:
        raise SystemExit(f"not reached in the round: {', '.join(idle)}")
    print(json.dumps(trace.found()))


if __name__ == "__main__":
    main(sys.argv[1])
