"""What every table has in common: names, rows, Arrow, polars, pandas, text and HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from grievance.errors import ReleaseError
from grievance.release.display import html_table, text_table
from grievance.release.intervals import half_width, noise_sd, ratio_variance

if TYPE_CHECKING:
    from fractions import Fraction

    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    import pyarrow as pa

    from grievance.release.cube import Axis, NoisySum
    from grievance.release.figures import Figure

NUMBER_COLUMNS = (
    "estimate",
    "margin_95",
    "low_95",
    "high_95",
    "share",
    "share_low_95",
    "share_high_95",
    "people",
    "sd",
)
LEADING_COLUMNS = ("statistic", "kind")
TRAILING_COLUMNS = ("hidden", "note")


@dataclass(frozen=True)
class Noise:
    """The noise of one statistic: each of `aggregators` added draws of scale `sigma` per cell."""

    sigma: Fraction
    aggregators: int

    def sd(self, draws: int) -> float:
        """Return the sd of a sum over `draws` cells, all aggregators together."""
        return noise_sd(self.sigma, draws * self.aggregators)

    def margin(self, draws: int) -> int:
        """Return the half width of the 95 % interval of such a sum."""
        return half_width(self.sigma, draws * self.aggregators)

    def variance(self, draws: int, factor: int = 1) -> float:
        """Return the variance for ratios of such a sum, drawn at `factor` times sigma."""
        return ratio_variance(self.sigma, draws * self.aggregators, factor)


@dataclass(frozen=True)
class Beside:
    """What a row shows beside its figure: the share, the people it is of, the noise's sd."""

    share: Figure | None = None
    people: int | None = None
    sd: float | None = None


class Table(ABC):
    """The published result of one statistic, as figures with 95 % intervals of the noise.

    `hide_below`: what rests on a noisy number of people below it is marked hidden and not
    printed; 0 hides nothing.
    """

    kind: ClassVar[str]
    value_name: str

    def __init__(
        self, *, name: str, title: str, axes: tuple[Axis, ...], noise: Noise, hide_below: int
    ) -> None:
        self.name, self.title, self.axes = name, title, axes
        self.noise, self.hide_below = noise, hide_below

    @abstractmethod
    def cells(self) -> list[Figure]:
        """Return one figure per cell, in row-major order of the axes."""

    @abstractmethod
    def _beside(self) -> list[Beside]:
        """Return per cell what its row shows beside the figure."""

    def _few(self, *people: NoisySum) -> bool:
        return self.hide_below > 0 and any(some.value < self.hide_below for some in people)

    def _hidden_note(self) -> str:
        return f"withheld: a noisy number of people below {self.hide_below}"

    def cell(self, **labels: str) -> Figure:
        """Return the figure of one cell. Raises ReleaseError unless every axis gets a label."""
        for figure in self.cells():
            if dict(figure.labels) == labels:
                return figure
        spelled = ", ".join(f"{axis.name}=..." for axis in self.axes)
        raise ReleaseError(
            f"{self.name} has no such cell", code="release.label", hint=f"cell({spelled})"
        )

    @property
    def columns(self) -> dict[str, str]:
        """Return the column name of every axis: its field's, unless a number has that name."""
        taken = {*LEADING_COLUMNS, *NUMBER_COLUMNS, *TRAILING_COLUMNS}
        names = {axis.name for axis in self.axes}
        found = {}
        for axis in self.axes:
            column = axis.name
            while column in taken or (column != axis.name and column in names):
                column = f"field_{column}"
            found[axis.name] = column
        return found

    def to_rows(self) -> list[dict[str, object]]:
        """Return tidy rows, one per cell. What is hidden is None.

        Columns: statistic, kind, one per axis, estimate, margin_95, low_95, high_95, share and
        its interval (where the statistic has shares), people (the noisy number the figure is
        about), sd (of a count's noise), hidden, note.
        """
        rows = []
        for figure, beside in zip(self.cells(), self._beside(), strict=True):
            row: dict[str, object] = {"statistic": self.name, "kind": self.kind}
            row |= {self.columns[axis]: label for axis, label in figure.labels.items()}
            row |= dict.fromkeys(NUMBER_COLUMNS)
            if not figure.hidden:
                row |= {"estimate": figure.estimate, "margin_95": figure.margin}
                row |= {"low_95": figure.low, "high_95": figure.high}
            share = beside.share
            if share is not None and not share.hidden:
                row |= {"share": share.estimate}
                row |= {"share_low_95": share.low, "share_high_95": share.high}
            row |= {"people": beside.people, "sd": beside.sd}
            row |= {"hidden": figure.hidden, "note": figure.note}
            rows.append(row)
        return rows

    def to_arrow(self) -> pa.Table:
        """Return the tidy rows as an Arrow table: labels as strings, numbers as float64."""
        import pyarrow as pa

        return pa.Table.from_pylist(
            self.to_rows(),
            schema=pa.schema(
                [
                    *((name, pa.string()) for name in LEADING_COLUMNS),
                    *((self.columns[axis.name], pa.string()) for axis in self.axes),
                    *((name, pa.float64()) for name in NUMBER_COLUMNS),
                    ("hidden", pa.bool_()),
                    ("note", pa.string()),
                ]
            ),
        )

    def to_polars(self) -> pl.DataFrame:
        """Return the tidy rows as a polars DataFrame. Raises ReleaseError without polars."""
        try:
            import polars as pl
        except ImportError as error:
            raise _missing("polars") from error
        frame = pl.from_arrow(self.to_arrow())
        return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()

    def to_pandas(self) -> pd.DataFrame:
        """Return the tidy rows as a pandas DataFrame. Raises ReleaseError without pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise _missing("pandas") from error
        frame = self.to_arrow().to_pandas()
        return frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame)

    def _grid(self) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of text, as `repr` and HTML show them; hidden is withheld."""
        besides = self._beside()
        with_share = any(beside.share for beside in besides)
        header = [axis.name for axis in self.axes] + [self.value_name]
        header += ["share"] if with_share else []
        rows = []
        for figure, beside in zip(self.cells(), besides, strict=True):
            row = [figure.labels[axis.name] for axis in self.axes] + [figure.text]
            if with_share:
                row.append(beside.share.text if beside.share else "")
            rows.append(row)
        return header, rows

    def plain(self, limit: int | None = None) -> str:
        """Return the table as aligned text, at most `limit` rows of it."""
        header, rows = self._grid()
        return text_table(f"{self.name}: {self.title}", header, rows, limit=limit)

    def __repr__(self) -> str:
        return self.plain(limit=60)

    def _repr_html_(self) -> str:
        header, rows = self._grid()
        return html_table(f"{self.name}: {self.title}", header, rows)


def _missing(package: str) -> ReleaseError:
    return ReleaseError(
        f"{package} is not installed",
        code="release.package",
        hint=f"pip install {package}, or use to_arrow() or to_rows()",
    )
