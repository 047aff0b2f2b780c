"""READING.md against what ran: its tables read, checked, and their figures written anew.

    python tests/reading/held.py

writes every figure and every generated table of READING.md. The order, the sections and the
sentences are written by hand.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from code_lines import Source

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
HOW = "python tests/reading/held.py writes it anew; then look at what it says"
_ROW = re.compile(r"\| \[([^]]+)\]\(src/grievance/\1\) \| *([0-9,]+) \|")
_BUDGET = re.compile(r"^## ([ABC])\. .*\n\nAt most ([0-9,]+) lines\.", re.MULTILINE)

Trace = dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class Reading:
    """One reading as READING.md has it. Figures by file; names of functions by file."""

    key: str
    budget: int
    listed: dict[str, int]
    rest: dict[str, tuple[int, tuple[str, ...]]]
    total: int
    imported: frozenset[str]


def run_trace(project: Path = PROJECT) -> Trace:
    """Play the round of a checkout in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [sys.executable, str(project / "tests/reading/trace_round.py"), f"{folder}/round"],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(project / "src"), "PATH": "", "HOME": folder},
        )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    found: Trace = json.loads(ran.stdout)
    return found


def read_page(text: str) -> dict[str, Reading]:
    """Read the tables of READING.md."""
    result = {}
    for match in _BUDGET.finditer(text):
        key, section = match[1], text[match.end() :].split("\n## ", maxsplit=1)[0]
        by_hand, _, generated = section.partition(f"<!-- functions {key} -->")
        listed = {name: _number(figure) for name, figure in _ROW.findall(by_hand)}
        rest = {
            name: (_number(figure), tuple(functions.replace("`", "").split(", ")))
            for name, figure, functions in re.findall(
                r"^\| ([a-z0-9_/]+\.py) \| *([0-9,]+) \| (.*) \|$", generated, re.MULTILINE
            )
        }
        said = re.search(r"<!-- sum . -->\n.*?= \*\*([0-9,]+)\*\*", section, re.DOTALL)
        others = re.search(r"^Imported .*?: (.*)$", generated, re.MULTILINE)
        names = frozenset(re.findall(r"`([^`]+)`", others[1])) if others else frozenset()
        total = _number(said[1]) if said else 0
        result[key] = Reading(key, _number(match[2]), listed, rest, total, names)
    return result


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def complaints(page: str, trace: Trace, source: Path) -> list[str]:
    """What READING.md says that is not so, and what it does not say."""
    found = []
    for key, reading in read_page(page).items():
        ran = trace[key]
        total = 0
        for name, figure in reading.listed.items():
            if not (source / name).exists():
                found.append(f"{key}: {name} is gone")
                continue
            size = len(Source.read(source / name).code)
            total += size
            if name not in ran:
                found.append(f"{key}: nothing of {name} runs on the path")
            if size > figure:
                found.append(f"{key}: {name} has {size} lines of code, not {figure}")
        for name, lines in ran.items():
            if name in reading.listed:
                continue
            text = Source.read(source / name)
            size = text.lines_of(lines)
            total += size
            figure, known = reading.rest.get(name, (0, ()))
            new = [function for function in text.names_of(lines) if function not in known]
            if new:
                found.append(f"{key}: {', '.join(new)} of {name} is on the path, and not listed")
            if size > figure:
                found.append(f"{key}: {size} lines of {name} run, not {figure}")
        if total > reading.total:
            found.append(f"{key}: {total} lines in all, not {reading.total}")
        if total < reading.total * 0.95:
            found.append(f"{key}: only {total} lines in all, not {reading.total}")
        figures = sum(reading.listed.values()) + sum(size for size, _ in reading.rest.values())
        if figures != reading.total:
            found.append(f"{key}: the figures add up to {figures}, not {reading.total}")
        borrowed = imported_functions(reading.listed, ran, source) - reading.imported
        found += [f"{key}: {name} is imported, and not said" for name in sorted(borrowed)]
    return found


def imported_functions(
    listed: dict[str, int], ran: dict[str, list[int]], source: Path
) -> frozenset[str]:
    """Functions that listed files import from others and that do not run in the round.

    All else that they import from outside the list is a type, an error, a constant or a module,
    or runs and so stands among the functions.
    """
    found = set()
    for name in listed:
        if not (source / name).exists():
            continue
        tree = Source.read(source / name).tree
        for_types = {
            id(child)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for child in ast.walk(node)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or id(node) in for_types:
                continue
            if (node.module or "").partition(".")[0] != "grievance":
                continue
            for alias in node.names:
                home = _home(node.module or "", alias.name, source)
                if home is None or home[0] in listed:
                    continue
                path, line = home
                functions = Source.read(source / path).functions
                at = [f for f in functions if f[0] <= line <= f[1]]
                if not any(f[0] <= ran_line <= f[1] for f in at for ran_line in ran.get(path, ())):
                    found.add(f"{path.removesuffix('.py').replace('/', '.')}.{alias.name}")
    return frozenset(found)


def _home(module: str, name: str, source: Path) -> tuple[str, int] | None:
    """File and line of a function of the library; None for everything else."""
    stem = module.removeprefix("grievance").removeprefix(".").replace(".", "/")
    for file in (f"{stem}.py", f"{stem}/__init__.py"):
        if not stem or not (source / file).is_file():
            continue
        for node in Source.read(source / file).tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return file, node.lineno
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return _home(node.module or "", alias.name, source)
    return None


def written(page: str, trace: Trace, source: Path) -> str:
    """READING.md with the figures and generated tables of now."""
    for key, reading in read_page(page).items():
        head, mark, rest = page.partition(f"\n## {key}. ")
        section, end, tail = rest.partition("\n## ")
        ran = trace[key]
        figures = {n: len(Source.read(source / n).code) for n in reading.listed}
        for name, size in figures.items():
            section = re.sub(
                rf"(\| \[{re.escape(name)}\]\([^)]*\) \|) *[0-9,]+ \|", rf"\1 {size} |", section
            )
        rows, functions = ["| file | code | functions |", "|---|---|---|"], 0
        for name, lines in sorted(ran.items()):
            if name not in reading.listed:
                text = Source.read(source / name)
                names = ", ".join(f"`{n}`" for n in text.names_of(lines))
                rows.append(f"| {name} | {text.lines_of(lines)} | {names} |")
                functions += text.lines_of(lines)
        others = sorted(imported_functions(reading.listed, ran, source))
        if others:
            names = ", ".join(f"`{n}`" for n in others)
            rows += ["", f"Imported by the files above, and not run in this round: {names}"]
        table = "\n".join(rows)
        section = re.sub(
            rf"<!-- functions {key} -->\n.*?<!-- end -->",
            lambda _, k=key, t=table: f"<!-- functions {k} -->\n{t}\n<!-- end -->",  # type: ignore[misc]
            section,
            flags=re.DOTALL,
        )
        total, budget = sum(figures.values()) + functions, reading.budget
        over = f"{total - budget:,} more than the budget" if total > budget else "within the budget"
        line = f"{sum(figures.values()):,} lines to read whole, {functions:,} in single functions"
        section = re.sub(
            rf"<!-- sum {key} -->\n[^\n]*",
            f"<!-- sum {key} -->\n{line}: together = **{total:,}**, {over}.",
            section,
        )
        page = head + mark + section + end + tail
    return page


def main() -> None:
    """Write READING.md anew."""
    path = PROJECT / "READING.md"
    path.write_text(
        written(path.read_text("utf-8"), run_trace(), PROJECT / "src/grievance"), "utf-8"
    )


if __name__ == "__main__":
    main()
