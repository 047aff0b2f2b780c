"""How much noise is left in a table: all one- and two-way tables of six fields, equal cost.

One population, one guarantee for everybody: rho-zCDP for one person's answers replaced by any
others. The figure is the root mean square error over all cells of all 21 tables, beside that of
independent equal noise (21 tables, each with a 21st of rho, read as they are).

    this library    15 two-way tables, split as a task does, one-way tables read off, reconciled
    optimum         the least that unbiased Gaussian noise can do (ResidualPlanner)
    OpenDP          its Polars context: 21 counts by group, a 21st of the loss each; and again
                    with the 15 two-way tables alone, whose sums are the one-way tables
    Private-PGM     given the same 15 noisy tables as this library's; its estimates are never
                    negative, hence biased, which helps most where cells are nearly empty

All are one curator's noise. Two aggregators who each add all of it pay a factor of sqrt 2 for not
having to trust either: a row of its own.

The other libraries run in a Python that the variable GRIEVANCE_PEERS names, since OpenDP's
context needs another polars than the tests here do; without it they are skipped, and it says so.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.cost import Cost
from grievance.plan import Layout, Plan
from grievance.privacy import split
from grievance.privacy.laws import NoiseLaw
from grievance.release.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIZES = {"a": 12, "b": 10, "c": 8, "d": 15, "e": 5, "f": 4}
RHO = Fraction(1, 50)
PEOPLE = 5000
REPEATS = 40
PEER_SECONDS = 900
TARGET, REACHABLE = 0.76, 0.745

Names = tuple[str, ...]
PAIRS = tuple(itertools.combinations(SIZES, 2))
TABLES: tuple[Names, ...] = (*((name,) for name in SIZES), *PAIRS)
INSTALL = (
    "python -m venv PEERS && PEERS/bin/pip install 'opendp[polars]==0.16.0' mbi==2.0.0, "
    "then set GRIEVANCE_PEERS=PEERS/bin/python"
)


class NoPeerError(Exception):
    """Another library cannot be asked; says why."""


def _layout() -> Layout:
    lines = ['title = "Accuracy"', 'campaign = "accuracy"', "opens = 2026-10-01"]
    lines += ["closes = 2026-12-20", "[privacy]", "epsilon = 1"]
    lines += ["delta = 1e-6", "lifetime_epsilon = 10"]
    for name, size in SIZES.items():
        labels = json.dumps([f"{name}{at}" for at in range(size)])
        lines += [f"[fields.{name}]", f'question = "{name}?"', f"choices = {labels}"]
        lines += ["required = true"]
    for names in TABLES:
        lines += [f"[statistics.{'_'.join(names)}]", f"count = {json.dumps(names)}"]
    return Layout(Plan.from_toml("\n".join(lines)))


def _people() -> dict[str, np.ndarray]:
    """Answers of a made-up population: uneven, and with fields that go together."""
    draw = np.random.default_rng(20262)  # noqa: TID251 - made-up people, no noise
    first = draw.random(PEOPLE)
    columns = {}
    for name, size in SIZES.items():
        mixed = np.where(draw.random(PEOPLE) < 0.5, first, draw.random(PEOPLE))
        columns[name] = np.minimum(size - 1, (mixed**1.7 * size).astype(int))
    return columns


def _count(columns: Mapping[str, np.ndarray], names: Names) -> np.ndarray:
    sizes = [SIZES[name] for name in names]
    cells = np.ravel_multi_index([columns[name] for name in names], sizes)
    return np.bincount(cells, minlength=math.prod(sizes))


def _rmse(found: Sequence[np.ndarray], exact: Sequence[np.ndarray]) -> float:
    errors = np.concatenate([a - b for a, b in zip(found, exact, strict=True)])
    return float(np.sqrt((errors**2).mean()))


def optimum() -> float:
    """The least root mean square error, in units of independent equal noise.

    Every residual S costs p(S) / (2 v(S)) for one row added or removed, p(S) being the product
    of 1 - 1/n over its axes, and adds v(S) e(S) to the squared error; the least sum of v e is
    the squared sum of sqrt(p e). Twice the cost, for a row replaced, is a factor for all alike.
    Source: Xiao, He, Zhang and Kifer, ResidualPlanner, section 6.
    """
    subsets: list[Names] = [(), *TABLES]
    total = 0.0
    for subset in subsets:
        p = math.prod(1 - 1 / SIZES[name] for name in subset)
        freedom = math.prod(SIZES[name] - 1 for name in subset)
        over = sum(
            1 / math.prod(SIZES[name] for name in names if name not in subset)
            for names in TABLES
            if set(subset) <= set(names)
        )
        total += math.sqrt(p * freedom * over)
    cells = sum(math.prod(SIZES[name] for name in names) for names in TABLES)
    return total / math.sqrt(len(TABLES) * cells)


class _Ours:
    """The 15 charged tables of the plan, and noise for them."""

    def __init__(self, columns: Mapping[str, np.ndarray]) -> None:
        self.layout = _layout()
        self.scales = {
            name: given.scale
            for name, given in split(self.layout.shapes(), Cost("zcdp", RHO), 1).items()
        }
        self.exact = {name: _count(columns, tuple(name.split("_"))) for name in self.scales}

    def laws(self, aggregators: int) -> dict[str, NoiseLaw]:
        return {n: NoiseLaw("gaussian", scale, aggregators) for n, scale in self.scales.items()}

    def draw(self, run: int, aggregators: int) -> dict[str, list[int]]:
        """Return released integers, every aggregator's noise drawn by itself."""
        found = {}
        for name, exact in self.exact.items():
            law, noisy = NoiseLaw("gaussian", self.scales[name], 1), exact
            for at in range(aggregators):
                noisy = noisy + law.sample(len(exact), f"{name} {run} {at}".encode())
            found[name] = noisy.tolist()
        return found

    def tables(self, values: Mapping[str, list[int]], aggregators: int) -> dict[Names, Any]:
        made = make_tables(self.layout, values, laws=self.laws(aggregators), hide_below=0)
        return {names: made["_".join(names)] for names in TABLES}


def _estimates(tables: Mapping[Names, Any], *, raw: bool = False) -> list[np.ndarray]:
    return [
        np.array([cell.estimate for cell in (table.raw if raw else table).cells()])
        for table in tables.values()
    ]


def _stated(tables: Mapping[Names, Any]) -> float:
    """The root mean square error that the tables themselves state, from their covariance."""
    sds = [row["sd"] for table in tables.values() for row in table.to_rows()]
    return math.sqrt(sum(sd * sd for sd in sds) / len(sds))


def accuracy(*, quick: bool = False) -> dict[str, Any]:
    """Measure all; return figures for the table and the JSON."""
    columns, repeats = _people(), 5 if quick else REPEATS
    exact = [_count(columns, names) for names in TABLES]
    equal = math.sqrt(len(TABLES) / RHO)  # the sd of 21 tables with rho/21 each, Delta^2 = 2
    ours, rows = _Ours(columns), []

    def row(name: str, rmse: float, **more: Any) -> None:
        rows.append({"name": name, "rmse": rmse, "ratio": rmse / equal, **more})

    row("independent equal noise, 21 tables", equal, stated=True)
    first = ours.draw(0, 1)
    for aggregators in (1, 2):
        errors: list[float] = []
        raw_errors: list[float] = []
        for run in range(repeats):
            tables = ours.tables(ours.draw(run, aggregators), aggregators)
            errors.append(_rmse(_estimates(tables), exact))
            raw_errors.append(_rmse(_estimates(tables, raw=True), exact))
        suffix = "" if aggregators == 1 else ", two aggregators"
        squared = [math.sqrt(np.mean(np.square(some))) for some in (errors, raw_errors)]
        if aggregators == 1:
            row("this library, not reconciled", squared[1], repeats=repeats)
        row(f"this library{suffix}", squared[0], repeats=repeats, states=_stated(tables))
    row("optimum for unbiased Gaussian noise", optimum() * equal, stated=True)
    skipped = {}
    for peer in ("opendp", "mbi"):
        try:
            for name, found in _peer(peer, columns, ours, first, quick=quick):
                row(name, _rmse(found, exact), repeats=1)
        except NoPeerError as reason:
            skipped[peer] = str(reason)
    return {
        "rho": str(RHO), "people": PEOPLE, "cells": sum(map(len, exact)),
        "neighbours": "one person's answers replaced by any others",
        "target": TARGET, "reachable": REACHABLE, "rows": rows, "skipped": skipped,
    }  # fmt: skip


def _peer(
    peer: str, columns: Mapping[str, np.ndarray], ours: _Ours, first: Mapping[str, list[int]],
    *, quick: bool,
) -> list[tuple[str, list[np.ndarray]]]:  # fmt: skip
    """Ask one other library; return its estimates of all 21 tables, by way."""
    if peer == "mbi":
        asked = {
            "sizes": SIZES, "wanted": TABLES, "iterations": 50 if quick else 1000,
            "tables": PAIRS, "values": [first["_".join(pair)] for pair in PAIRS],
            "sds": [float(ours.scales["_".join(pair)]) for pair in PAIRS],
        }  # fmt: skip
        answer = _ask(peer, asked)
        values = [np.array(some) for some in answer["values"]]
        return [(f"Private-PGM, {answer['version']}, the same 15 tables", values)]
    found = []
    given = {name: column.tolist() for name, column in columns.items()}
    for tables in (TABLES,) if quick else (TABLES, PAIRS):
        asked = {"columns": given, "sizes": SIZES, "rho": float(RHO), "tables": tables}
        answer = _ask(peer, asked)
        values = dict(zip(tables, map(np.array, answer["values"]), strict=True))
        for name in SIZES:
            if (name,) not in values:
                # The least noisy of the sums: over the field with the fewest answers.
                pair = min(
                    (pair for pair in PAIRS if name in pair),
                    key=lambda pair: math.prod(SIZES[one] for one in pair),
                )
                table = values[pair].reshape([SIZES[one] for one in pair])
                values[(name,)] = table.sum(axis=1 - pair.index(name))
        label = f"OpenDP, {answer['version']}, {len(tables)} tables"
        found.append((label, [values[names] for names in TABLES]))
    return found


def _ask(peer: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    python = os.environ.get("GRIEVANCE_PEERS", sys.executable)
    command = [python, str(Path(__file__).with_name("accuracy_peers.py"))]
    try:
        done = subprocess.run(
            command, input=json.dumps({"peer": peer, **asked}), capture_output=True, text=True,
            timeout=PEER_SECONDS, check=True, env={**os.environ, "POLARS_MAX_THREADS": "1"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise NoPeerError(f"{python} is not there; {INSTALL}") from error
    except subprocess.TimeoutExpired as error:
        raise NoPeerError(f"no answer in {PEER_SECONDS} seconds") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "no reason given").strip().splitlines()[-1]
        raise NoPeerError(f"{last[:120]}; {INSTALL}") from error
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def table(found: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [
        f"all one- and two-way tables of six fields, {found['cells']} cells, rho {found['rho']}",
        f"neighbours: {found['neighbours']}",
        f"{'':48}{'RMSE a cell':>12}{'of equal noise':>16}{'states':>9}",
    ]
    for row in found["rows"]:
        states = f"{row['states']:>9.2f}" if "states" in row else ""
        lines.append(f"{row['name']:48}{row['rmse']:>12.2f}{row['ratio']:>16.3f}{states}")
    lines += [f"SKIPPED {name}: {reason}" for name, reason in found["skipped"].items()]
    return lines
