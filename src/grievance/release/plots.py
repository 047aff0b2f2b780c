"""Tables as plots: every cell a point, with the interval of its noise. Needs the extra `plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grievance.errors import ReleaseError
from grievance.release.display import NOISE_ONLY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from grievance.release.base import Table

MOST_CELLS = 60


def plot(table: Table, what: Literal["value", "share"], ax: Axes | None) -> Axes:
    """Draw a table; see `Table.plot`."""
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise ReleaseError(
            "Matplotlib is not installed, which draws plots",
            code="release.package",
            hint="pip install 'grievance[plots]'",
        ) from error
    if what not in ("value", "share"):
        raise ReleaseError(
            f"no such figure to draw: {what!r:.40}", code="release.plot", hint="value, or share"
        )
    figures = table.shares() if what == "share" else list(table.cells())
    shown = [figure for figure in figures if figure is not None]
    if not shown:
        raise ReleaseError(f"{table.name} has no shares", code="release.plot", hint='plot("value")')
    if len(shown) > MOST_CELLS:
        raise ReleaseError(
            f"a plot of {len(shown)} cells cannot be read; at most {MOST_CELLS}",
            code="release.plot",
            hint="take to_polars() or to_pandas(), choose rows, and draw those",
        )
    if ax is None:
        ax = Canvas(figsize=(7.5, 1.4 + 0.3 * len(shown)), layout="constrained").add_subplot()
    factor = 100 if what == "share" else 1
    # A $ would start a formula.
    names = [", ".join(figure.labels.values()).replace("$", r"\$") or "all" for figure in shown]
    for at, figure in enumerate(shown):
        if figure.best is None:
            names[at] += f" ({figure.text})"
            continue
        middle = figure.best * factor
        ends = [[middle - figure.low * factor], [figure.high * factor - middle]]
        shape, color = ("none", "#888888") if figure.grey else ("o", "#1f4e79")
        ax.errorbar([middle], [at], xerr=ends, fmt=shape, ecolor=color, color=color, capsize=3)
    ax.set_yticks(range(len(shown)), names)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.axvline(0, color="#888888", linewidth=0.8)
    ax.set_xlabel("share, %" if what == "share" else table.value_name.replace("$", r"\$"))
    ax.set_title(table.title.replace("$", r"\$"), fontsize="medium", wrap=True)
    ax.annotate(
        NOISE_ONLY,
        xy=(1, 0),
        xytext=(0, -34),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize="x-small",
    )
    return ax
