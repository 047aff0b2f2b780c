"""The steward's notebook: stripped as it lies here, and every cell runs."""

from __future__ import annotations

import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "notebook"
SAMPLE = 150


@pytest.fixture(scope="module")
def script(load_example: Any) -> Any:
    return load_example("notebook")


def stripped_problems(notebook: dict[str, Any]) -> list[str]:
    """What a notebook still holds of a run of it, by cell id."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"]):
            found.append(cell["id"])
        if set(cell["metadata"]) - {"tags"} or "attachments" in cell:
            found.append(cell["id"])
    if set(notebook["metadata"]) != {"kernelspec", "language_info"}:
        found.append("metadata")
    return found


def test_the_notebook_is_stripped(script: Any) -> None:
    notebook = json.loads(script.NOTEBOOK.read_text("utf-8"))
    assert stripped_problems(notebook) == []
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert notebook["metadata"]["language_info"] == {"name": "python"}


def test_what_stripped_means(script: Any) -> None:
    notebook = script.read_notebook({})
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code["execution_count"] = 1
    notebook["metadata"]["widgets"] = {}
    assert stripped_problems(notebook) == [code["id"], "metadata"]


def test_parameters_come_after_the_ones_that_are_there(script: Any) -> None:
    cells = script.read_notebook({"SAMPLE": 7, "DATA": None, "FOLDER": "a'b"})["cells"]
    place = [cell["id"] for cell in cells].index("given")
    assert cells[place]["source"] == 'SAMPLE = 7\nFOLDER = "a\'b"'
    assert cells[place - 1]["metadata"] == {"tags": ["parameters"]}
    assert len(cells) == len(script.read_notebook({})["cells"]) + 1


def shown(cell: dict[str, Any]) -> dict[str, str]:
    """All that a cell shows, by kind."""
    found: dict[str, str] = {}
    for output in cell["outputs"]:
        for kind, text in output.get("data", {"text/plain": output.get("text", "")}).items():
            found[kind] = found.get(kind, "") + "".join(text)
    return found


def check_outputs(notebook: dict[str, Any]) -> None:
    """Hold an executed notebook to what it must show."""
    by_source = {"".join(cell["source"]): cell for cell in notebook["cells"]}

    def output(part: str) -> dict[str, str]:
        (found,) = (c for s, c in by_source.items() if part in s and c["cell_type"] == "code")
        return shown(found)

    assert "would drown in the noise" in output("expected.warnings")["text/plain"]
    played = output("example.run(")["text/plain"]
    assert "commands were typed" in played
    assert played.rstrip().endswith("$ grievance release export ./results")
    assert "<table" in output("grievance.collect(")["text/html"]
    assert "<Figure" in output("fear.share(")["text/plain"]
    assert "<Difference" in output("fear.compare(")["text/plain"]
    assert "<Figure employer_size=" in output(".total(")["text/plain"]
    assert "<Quantile 0.5:" in output(".quantile(")["text/plain"]
    picture = base64.b64decode(output('.plot("share")')["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert "margin_95" in output(".to_arrow()")["text/plain"]
    assert "release.json" in output("grievance.export(")["text/plain"]
    assert "hold the exact one" in output("inside = ")["text/plain"]
    assert output("audit_pool(")["text/plain"].startswith("pass - Everything in this pool is")


@pytest.mark.slow
def test_every_cell_runs(script: Any, load_example: Any, tmp_path: Path) -> None:
    """In this process, without Jupyter; the real table where it is at hand."""
    before, here = list(sys.path), Path.cwd()
    given = {"SAMPLE": SAMPLE, "WORKERS": 1, "FOLDER": str(tmp_path)}
    try:
        made, space = script.execute_plain(script.read_notebook(given))
    finally:
        sys.path[:] = before
    assert Path.cwd() == here
    check_outputs(made)
    assert stripped_problems(made)
    assert space["report"].verdict == "pass"
    assert space["release"].accepted in (200, 300)
    assert space["release"].to_bytes() == space["outcome"].release.to_bytes()
    assert len(space["checks"]) > 100
    page = script.to_html(made)
    assert "<h1>A data steward's notebook</h1>" in page
    assert page.count("<img ") == 1
    assert "<script" not in page


def test_made_up_people_where_the_table_is_not_at_hand(script: Any, tmp_path: Path) -> None:
    """The cells before and at the choice of rows, with the round itself left out."""
    given = {"SAMPLE": 5, "DATA": str(tmp_path / "no.csv"), "FOLDER": str(tmp_path)}
    notebook = script.read_notebook(given)
    kept = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if "example.run(" in source:
            kept.append({**cell, "source": source.partition("\ntyped = ")[0]})
            break
        kept.append(cell)
    before = list(sys.path)
    try:
        made, space = script.execute_plain({**notebook, "cells": kept})
    finally:
        sys.path[:] = before
    assert "no.csv is not here: 5 made-up people answer" in shown(made["cells"][-1])["text/plain"]
    assert len(space["rows"]) == 5


def test_what_commands_write_stays_text_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Rich would draw tables into the notebook; the cell with the round wants text."""
    from rich import console

    from grievance.cli.forecasts import show_forecast
    from grievance.plan import load_plan
    from grievance.planner import forecast

    monkeypatch.setattr(console, "_is_jupyter", lambda: True)
    show_forecast(forecast(load_plan(EXAMPLE.parent / "osmi" / "plan.toml"), 300))
    assert "fear_by_size" in capsys.readouterr().out


def test_a_cell_that_fails_ends_it(script: Any) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": ["1 / 0"], "outputs": []}
    with pytest.raises(ZeroDivisionError):
        script.execute_plain({"cells": [cell]})


def test_text_is_text_in_the_page(script: Any) -> None:
    cells = [
        {"cell_type": "markdown", "source": "# One <b>\n\ntwo `<i>`"},
        {
            "cell_type": "code",
            "source": "'<u>'",
            "outputs": [{"output_type": "stream", "text": "<s>"}],
        },
    ]
    page = script.to_html({"cells": cells})
    for part in ("<h1>One &lt;b&gt;</h1>", "<p>two <code>&lt;i&gt;</code></p>", "&lt;u&gt;"):
        assert part in page
    assert "<s>" not in page


def test_the_folder_must_be_new(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    ran = _run(str(tmp_path), "--plain")
    assert ran.returncode == 1
    assert "is not empty: name a new folder" in ran.stderr


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_one_command_without_jupyter(tmp_path: Path) -> None:
    ran = _run(str(tmp_path / "out"), "--sample", str(SAMPLE), "--workers", "1", "--plain")
    assert ran.returncode == 0, ran.stderr
    check_outputs(json.loads((tmp_path / "out" / "steward.ipynb").read_text("utf-8")))


@pytest.mark.slow
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("nbclient", "nbformat", "ipykernel")),
    reason="Jupyter's kernel and client are not installed: pip install '.[notebooks]'",
)
def test_the_one_command_in_jupyter(tmp_path: Path) -> None:
    ran = _run(str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    notebook = json.loads((tmp_path / "out" / "steward.ipynb").read_text("utf-8"))
    check_outputs(notebook)
    kinds = {o["output_type"] for c in notebook["cells"] for o in c.get("outputs", ())}
    assert kinds == {"stream", "execute_result"}
    assert "<h1>" in (tmp_path / "out" / "steward.html").read_text("utf-8")
