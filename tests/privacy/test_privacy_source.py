"""What the source may hold: no floating point in the accounting, OpenDP in one file, lazily."""

from __future__ import annotations

import ast
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

import grievance.privacy
from grievance.cost import Cost
from grievance.privacy import Allocation, StatisticShape, count_moved, rho_for, split

pytestmark = pytest.mark.lint

FOLDER = Path(grievance.privacy.__file__).parent
ACCOUNTING = ["sensitivity.py", "zcdp.py", "mechanisms.py", "filter.py"]
EXACT_MATH = {"isqrt", "lcm", "gcd", "comb"}
ALLOWED_ROOTS = {"grievance.errors", "grievance.cost", "grievance.privacy"}


def tree(name: str) -> ast.Module:
    return ast.parse((FOLDER / name).read_text(encoding="utf-8"))


def floats_in(module: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"{node.lineno}: literal {node.value}")
        elif isinstance(node, ast.Name) and node.id in {"float", "complex", "round"}:
            found.append(f"{node.lineno}: {node.id}")
        elif isinstance(node, ast.Import):
            found += [f"{node.lineno}: {a.name}" for a in node.names if a.name in BANNED]
        elif isinstance(node, ast.ImportFrom):
            if node.module == "math":
                names = {alias.name for alias in node.names} - EXACT_MATH
                found += [f"{node.lineno}: math.{name}" for name in names]
            elif node.module in BANNED:
                found.append(f"{node.lineno}: {node.module}")
        elif (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and isinstance(node.left, ast.Constant)
            and isinstance(node.right, ast.Constant)
        ):
            found.append(f"{node.lineno}: division of two literals")
    return found


BANNED = {"math", "cmath", "numpy", "random", "statistics", "scipy"}


@pytest.mark.parametrize("name", ACCOUNTING)
def test_no_floating_point_in_the_accounting(name: str) -> None:
    assert floats_in(tree(name)) == []


@pytest.mark.parametrize(
    "code",
    [
        "x = 0.5",
        "x = float(y)",
        "import math",
        "from math import sqrt",
        "import numpy",
        "x = 1 / 2",
    ],
)
def test_the_search_for_floats_finds_them(code: str) -> None:
    assert floats_in(ast.parse(code))


def test_results_are_exact_types() -> None:
    assert type(rho_for(Fraction(1), Fraction(1, 1000))) is Fraction
    assert type(count_moved(3)) is int
    for kind in ("zcdp", "pure"):
        budget = Cost(kind, Fraction(1, 7))
        for allocation in split([StatisticShape("x", 2, 3, l1=2)], budget, 2).values():
            assert type(allocation) is Allocation
            assert type(allocation.scale) is Fraction
            assert type(allocation.cost.amount) is Fraction


def imports(module: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_only_noise_knows_opendp() -> None:
    source = FOLDER.parent
    users = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(
            name.split(".")[0] == "opendp" for name in imports(ast.parse(path.read_text("utf-8")))
        )
    }
    assert users == {"privacy/noise.py"}


def test_privacy_imports_only_what_lies_left_of_it() -> None:
    for path in FOLDER.glob("*.py"):
        for name in imports(tree(path.name)):
            if name.startswith("grievance"):
                assert ".".join(name.split(".")[:2]) in ALLOWED_ROOTS, (path.name, name)


def test_importing_and_accounting_load_nothing_heavy() -> None:
    code = (
        "import sys; from fractions import Fraction as F; from grievance import privacy as p;"
        "p.split([p.StatisticShape('x', 2, 3, l1=2)], p.budget_for('gaussian', F(1), F(1, 9)), 1);"
        "p.NoiseLaw('laplace', F(3), 2).sd;"
        "print([m for m in ('opendp', 'numpy', 'pyarrow', 'numba', 'rich') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_everything_promised_is_there() -> None:
    for name in grievance.privacy.__all__:
        assert getattr(grievance.privacy, name) is not None
