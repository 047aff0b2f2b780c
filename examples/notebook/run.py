"""The steward's notebook, executed: a copy with all outputs, and the same as one HTML page.

    python examples/notebook/run.py OUT [--sample N] [--workers N] [--data PATH] [--plain]

Needs Jupyter's kernel and client (the extra `notebooks`) and Matplotlib (`plots`); with --plain
the cells run in this process, without Jupyter.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import copy
import io
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NOTEBOOK = HERE / "steward.ipynb"
TIMEOUT = 1800

Notebook = dict[str, Any]

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
pre { white-space: pre-wrap; padding: .6rem .8rem; background: #f4f4f4; overflow-x: auto; }
pre.out { background: none; border-left: .2rem solid #bbb; }
table { border-collapse: collapse; } td, th { padding: .1rem .6rem; text-align: left; }
img { max-width: 100%; }
"""


def read_notebook(parameters: dict[str, Any]) -> Notebook:
    """Read the notebook, with a cell after the one tagged `parameters` that sets some anew."""
    notebook: Notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    lines = [f"{name} = {value!r}" for name, value in parameters.items() if value is not None]
    if lines:
        cells = notebook["cells"]
        place = [c["metadata"].get("tags") for c in cells].index(["parameters"])
        cell = {**cells[place], "id": "given", "metadata": {}, "source": "\n".join(lines)}
        cells.insert(place + 1, cell)
    return notebook


def execute(notebook: Notebook) -> Notebook:
    """Return the notebook as Jupyter executes it. Raises nbclient's error where a cell raises."""
    import nbformat
    from nbclient import NotebookClient

    made = nbformat.reads(json.dumps(notebook), as_version=4)
    where = {"metadata": {"path": str(HERE)}}
    client = NotebookClient(made, timeout=TIMEOUT, kernel_name="python3", resources=where)
    client.execute()
    executed: Notebook = json.loads(nbformat.writes(made))
    return executed


def execute_plain(notebook: Notebook) -> tuple[Notebook, dict[str, Any]]:
    """Run the code cells in this process, in order, in one fresh namespace; no Jupyter.

    Returns the notebook with the outputs that a browser shows, and the namespace.
    """
    made, space = copy.deepcopy(notebook), {"__name__": "__notebook__"}
    code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    with contextlib.chdir(HERE):
        for number, cell in enumerate(code, start=1):
            tree = ast.parse("".join(cell["source"]), f"cell {number}")
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            said, value = io.StringIO(), None
            with contextlib.redirect_stdout(said):
                exec(compile(tree, f"cell {number}", "exec"), space)
                if isinstance(last, ast.Expr):
                    tail = ast.Expression(last.value)
                    value = eval(compile(tail, f"cell {number}", "eval"), space)
            cell["execution_count"], cell["outputs"] = number, []
            if said.getvalue():
                stream = {"output_type": "stream", "name": "stdout", "text": said.getvalue()}
                cell["outputs"].append(stream)
            if value is not None:
                shown = {"data": data_of(value), "execution_count": number, "metadata": {}}
                cell["outputs"].append({"output_type": "execute_result", **shown})
    return made, space


def data_of(value: object) -> dict[str, str]:
    """Return a value as a notebook shows it: text, and HTML or a picture where it has one."""
    data = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_()
    if hasattr(value, "_repr_png_"):
        data["image/png"] = base64.b64encode(value._repr_png_()).decode()
    return data


def to_html(notebook: Notebook) -> str:
    """Return an executed notebook as one page, for people without Jupyter."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts += [_paragraph(text) for text in source.split("\n\n")]
            continue
        parts.append(f"<pre>{escape(source)}</pre>")
        parts += [_output(output) for output in cell["outputs"]]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>A data steward's notebook</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _paragraph(text: str) -> str:
    words = re.sub("`([^`]+)`", r"<code>\1</code>", escape(text.lstrip("# "), quote=False))
    level = len(text) - len(text.lstrip("#"))
    return f"<h{level}>{words}</h{level}>" if level else f"<p>{words}</p>"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return f'<p><img alt="a plot" src="data:image/png;base64,{"".join(data["image/png"])}"></p>'
    if "text/html" in data:
        return "".join(data["text/html"])
    return f'<pre class="out">{escape("".join(data["text/plain"]))}</pre>'


def main(words: Sequence[str] | None = None) -> int:
    """Run the example as typed; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="a new folder for the notebook and everything else")
    parser.add_argument("--sample", type=int, help="only N rows, seeded")
    parser.add_argument("--workers", type=int, help="sealing processes (default 2)")
    parser.add_argument("--data", type=Path, help="another place of osmi_2014.csv")
    parser.add_argument("--plain", action="store_true", help="run the cells without Jupyter")
    typed = parser.parse_args(words)
    if typed.out.exists() and any(typed.out.iterdir()):
        raise SystemExit(f"{typed.out} is not empty: name a new folder")
    if typed.data is not None and not typed.data.exists():
        raise SystemExit(f"there is no table {typed.data}")
    typed.out.mkdir(parents=True, exist_ok=True)
    out = typed.out.resolve()
    data = None if typed.data is None else str(typed.data.resolve())
    (out / "files").mkdir()
    given = {"SAMPLE": typed.sample, "WORKERS": typed.workers, "DATA": data}
    notebook = read_notebook({**given, "FOLDER": str(out / "files")})
    try:
        made = execute_plain(notebook)[0] if typed.plain else execute(notebook)
    except ModuleNotFoundError as error:
        what = f"{error.name} is not installed"
        raise SystemExit(f"{what}: pip install '.[notebooks,plots]', or add --plain") from None
    executed, page = out / NOTEBOOK.name, out / "steward.html"
    executed.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    page.write_text(to_html(made), "utf-8")
    print(f"{executed}: with all outputs\n{page}: the same, for any browser")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
