"""Make everything in pools/ and cases/ anew: `python conformance/make.py [--check | --all]`.

Bases are finished pools of small coalitions (tests/audit/audit_world.py), defects come from the
catalogue of the audit's own tests (tests/audit/defects_*.py). What is expected of a defect is
written in the catalogue: its rule, and no other fault. The program's own audit must agree before
a case is written; it adds the paths, and whatever waits or is noted beside the fault.

All dice are fixed (fixed.py), so the same program makes the same bytes. `--check` makes
everything elsewhere, compares, and changes nothing. `--all` also writes the seeds of the fuzz
targets anew: all that lies in the project and follows from the formats.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
sys.path[:0] = [str(HERE), str(TESTS), str(TESTS / "audit")]

from audit_defects import all_defects
from audit_world import BASES, Pool
from fixed import fixed_dice

from grievance.audit import AuditResult, audit_pool
from grievance.audit.bundling import make_bundle

EXIT = {"pass": 0, "fail": 1, "untrusted": 1, "incomplete": 3}
GROWN = 1 << 20
"""A file larger than this is written as the base's, made longer with zeros."""


@dataclass(frozen=True)
class Golden:
    """A pool in which nothing is wrong, and the verdict it deserves."""

    name: str
    base: str
    verdict: str
    change: Callable[[Pool], object] = lambda _pool: None
    vouched: bool = True


GOLDEN = (
    Golden("a-finished-round", "round", "pass"),
    Golden("three-aggregators", "three", "pass"),
    Golden("a-campaign-of-two-rounds", "campaign", "pass"),
    Golden("closed-and-not-released", "few", "pass"),
    Golden("one-statistic-released", "partial", "pass"),
    Golden("an-expulsion-a-void-and-a-refusal", "quarrel", "pass"),
    Golden("still-open", "round", "pass", Pool.without_close),
    Golden("ordered-and-not-charged", "round", "incomplete", Pool.without_ledger),
    Golden("nobody-vouched", "round", "untrusted", vouched=False),
)


def _recipe(base: Pool, spoilt: Pool, folder: Path) -> dict[str, object]:
    """Write the files that differ into `folder`; return what else `case.json` says."""
    before, after = set(base.files()), set(spoilt.files())
    grow, links = {}, {}
    for path in sorted(after):
        full = spoilt.file(path)
        if full.is_symlink():
            links[path] = str(full.readlink())
        elif path in before and full.stat().st_size > GROWN:
            grow[path] = full.stat().st_size
        elif path not in before or base.read(path) != spoilt.read(path):
            place = folder / "files" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(spoilt.read(path))
    return {"remove": sorted(before - after), "grow": grow, "links": links}


def _expected(report: AuditResult) -> dict[str, object]:
    keep = ("severity", "rule", "file")
    return {
        "verdict": report.verdict,
        "exit": EXIT[report.verdict],
        "findings": [{key: f.to_json()[key] for key in keep} for f in report.findings],
    }


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _write_case(
    folder: Path, base: str, pools: tuple[Pool, Pool], trust: list[str], words: dict[str, str]
) -> AuditResult:
    folder.mkdir(parents=True)
    report = audit_pool(pools[1].folder, trust=trust)
    recipe = _recipe(*pools, folder)
    _write(folder / "case.json", {**words, "base": base, "trust": trust, **recipe})
    _write(folder / "expected.json", _expected(report))
    return report


def _must(holds: bool, name: str, report: AuditResult) -> None:
    if not holds:
        found = sorted({(f.severity, f.rule) for f in report.findings})
        sys.exit(f"{name}: the audit says {report.verdict} {found}; nothing was written")


def make(target: Path, work: Path) -> int:
    """Make pools and cases below `target`; returns how many cases."""
    bases: dict[str, Pool] = {}
    (target / "pools").mkdir(parents=True)
    for name, maker in BASES.items():
        with fixed_dice(f"base {name}"):
            bases[name] = maker(work / "bases" / name)
        make_bundle(bases[name].folder, target / "pools" / f"{name}.zip")
    number = 0
    for golden in GOLDEN:
        base = bases[golden.base]
        pool = base.copy(work / golden.name)
        golden.change(pool)
        folder = target / "cases" / f"golden-{golden.name}"
        trust = base.trust if golden.vouched else []
        report = _write_case(folder, golden.base, (base, pool), trust, {"holds": "everything"})
        _must(report.verdict == golden.verdict and not report.faults, golden.name, report)
        number += 1
    for defect in all_defects():
        base = bases[defect.base]
        pool = base.copy(work / defect.name)
        with fixed_dice(f"defect {defect.name}"):
            anchors = defect.spoil(pool)
        folder = target / "cases" / f"{defect.rule}-{defect.name}"
        trust = base.trust if anchors is None else anchors
        words = {"rule": defect.rule, "severity": defect.severity}
        report = _write_case(folder, defect.base, (base, pool), trust, words)
        faults = {finding.rule for finding in report.faults}
        wanted = {defect.rule} if defect.severity == "fault" else faults
        seen = (defect.severity, defect.rule) in {(f.severity, f.rule) for f in report.findings}
        _must(faults == wanted and seen, defect.name, report)
        number += 1
    return number


def _tree(folder: Path) -> dict[str, bytes]:
    found = (path for part in ("pools", "cases") for path in (folder / part).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}


def main() -> int:
    """Make everything, or compare."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of names must come in one order too.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "made"
        number = make(made, Path(temporary) / "work")
        new, old = _tree(made), _tree(HERE)
        changed = sorted(path for path in new.keys() | old.keys() if new.get(path) != old.get(path))
        if "--check" in sys.argv[1:]:
            for path in changed:
                print(f"differs: {path}")
        else:
            for part in ("pools", "cases"):
                shutil.rmtree(HERE / part, ignore_errors=True)
                shutil.copytree(made / part, HERE / part)
        size = sum(map(len, new.values()))
        print(f"{number} cases, {len(new)} files, {size:,} bytes; {len(changed)} files differ")
    if "--all" in sys.argv[1:]:
        subprocess.run([sys.executable, "-m", "fuzz.seeds"], cwd=HERE.parent, check=True)
    return 1 if changed and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
