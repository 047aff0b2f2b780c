"""What every table has in common: names, rows, Arrow, polars, pandas, text and HTML."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from grievance.errors import ReleaseError
from grievance.release import frames, plots
from grievance.release.display import html_table, text_table
from grievance.release.figures import Figure, is_grey, of_total
from grievance.release.frames import LEADING_COLUMNS, NUMBER_COLUMNS, TRAILING_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    import pyarrow as pa
    from matplotlib.axes import Axes

    from grievance.release.cube import Axis, Total


@dataclass(frozen=True)
class Beside:
    """What a row shows beside its figure.

    A count has its share and the sd of its noise; a mean the sum (`total`) of what people gave;
    both the people that share or mean is of.
    """

    share: Figure | None = None
    people: float | None = None
    sd: float | None = None
    total: Figure | None = None


class Table(ABC):
    """The published result of one statistic, as figures with 95 % intervals of the noise.

    Attributes:
        name: The statistic's name.
        title: What it is about, in words.
        axes: Its axes, with their labels.
        hide_below: A noisy number of people below it, or below its own margin, is grey: printed
            as "under" the upper end of its range.
        most: As many reports as there were; no number of people in it can be larger.
        reconciled_with: The statistics this table was reconciled with, by weighted least
            squares; empty where the estimates are the released integers, or sums of them.
        remark: What to know about the whole table; empty when there is nothing.
    """

    kind: ClassVar[str]
    value_name: str
    share_name: str = "share"

    def __init__(
        self,
        *,
        name: str,
        title: str,
        axes: tuple[Axis, ...],
        hide_below: int,
        most: float = math.inf,
    ) -> None:
        self.name, self.title, self.axes = name, title, axes
        self.hide_below, self.most = hide_below, most
        self.reconciled_with: tuple[str, ...] = ()
        self.remark = ""
        self._raw: Table | None = None

    def reconcile(self, raw: Table, names: Sequence[str]) -> None:
        """Say that the estimates were reconciled with tables `names`; `raw` is without that."""
        self._raw, self.reconciled_with = raw, tuple(names)

    @property
    def raw(self) -> Table:
        """The same table from its own released integers alone, as release.json has them."""
        return self if self._raw is None else self._raw

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know about the whole table, in words."""
        said = [self.remark] if self.remark else []
        if self.reconciled_with:
            said.append(f"reconciled with {', '.join(self.reconciled_with)}")
        if any(figure.known and figure.grey for figure in self.cells()):
            least = f"{self.hide_below} or its margin" if self.hide_below else "its margin"
            said.append(f"no best number: a noisy number of people below {least}")
        return tuple(said)

    @abstractmethod
    def cells(self) -> list[Figure]:
        """Return one figure per cell, in row-major order of the axes."""

    def shares(self) -> list[Figure | None]:
        """Return per cell its share of those who answered in its group; None where it has none."""
        return [beside.share for beside in self._beside()]

    @abstractmethod
    def _beside(self) -> list[Beside]:
        """Return per cell what its row shows beside the figure."""

    def _people(self, total: Total, labels: Mapping[str, str], note: str = "") -> Figure:
        """Return a number of people as a figure."""
        return of_total(
            Figure,
            total,
            labels=labels,
            possible=(0, self.most),
            grey=self._is_grey(total),
            note=note,
        )

    def _is_grey(self, people: Total) -> bool:
        return is_grey(people, self.hide_below)

    @abstractmethod
    def _cell(self, labels: Mapping[str, str]) -> Figure:
        """Return the figure of one cell, whose labels have been looked up."""

    def cell(self, **labels: str) -> Figure:
        """Return the figure of one cell. Raises ReleaseError unless every axis gets a label."""
        known = {axis.name: axis.labels for axis in self.axes}
        if set(labels) == set(known) and all(labels[name] in known[name] for name in known):
            return self._cell({name: labels[name] for name in known})
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
        """Return tidy rows, one per cell.

        Columns: statistic, kind, one per axis, estimate, margin_95, low_95, high_95, share and
        its interval (where the statistic has shares), people (the noisy number the figure is
        about), sd (of a count's noise), total and its interval (of means: the sum over those
        people), grey, note. Ranges hold only what is possible; estimates of numbers of people
        and of totals are not cut, so that they can be added up. What the noise hides has its
        range, and None for the estimate, its margin, the share, the people or the total.
        """
        rows = []
        for figure, beside in zip(self.cells(), self._beside(), strict=True):
            row: dict[str, object] = {"statistic": self.name, "kind": self.kind}
            row |= {self.columns[axis]: label for axis, label in figure.labels.items()}
            row |= dict.fromkeys(NUMBER_COLUMNS)
            row |= {"low_95": figure.low, "high_95": figure.high}
            if figure.point is not None:
                row |= {"estimate": figure.point, "margin_95": figure.margin}
            for name, one in (("share", beside.share), ("total", beside.total)):
                if one is not None:
                    row |= {name: one.point, f"{name}_low_95": one.low, f"{name}_high_95": one.high}
            row |= {"people": beside.people, "sd": beside.sd}
            row |= {"grey": figure.grey, "note": figure.note}
            rows.append(row)
        return rows

    def to_arrow(self) -> pa.Table:
        """Return the tidy rows as an Arrow table: labels as strings, numbers as float64."""
        return frames.to_arrow([self])

    def to_polars(self) -> pl.DataFrame:
        """Return the tidy rows as a polars DataFrame. Raises ReleaseError without polars."""
        return frames.to_polars([self])

    def to_pandas(self) -> pd.DataFrame:
        """Return the tidy rows as a pandas DataFrame. Raises ReleaseError without pandas."""
        return frames.to_pandas([self])

    def plot(self, what: Literal["value", "share"] = "value", *, ax: Axes | None = None) -> Axes:
        """Draw every cell with its interval, as a Matplotlib plot; grey ones without a point.

        `what`: the figure itself (people, or a mean) or its share. Raises ReleaseError without
        Matplotlib (the extra `plots`), for shares of a table that has none, and for more cells
        than can be read.
        """
        return plots.plot(self, what, ax)

    def _group(self, choice: Mapping[str, object] | str) -> Mapping[str, object]:
        """Return a choice of labels; a label alone stands for its axis, if only one has it."""
        if not isinstance(choice, str):
            return choice
        found = [axis.name for axis in self.axes if choice in axis.labels]
        if len(found) != 1:
            raise ReleaseError(
                f"{'several axes have' if found else 'no axis has'} a label {choice!r:.60}",
                code="release.label",
                hint="name the axis: {"
                + ", ".join(f"{axis.name!r}: ..." for axis in self.axes)
                + "}",
            )
        return {found[0]: choice}

    def _grid(self) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of text, as `repr` and HTML show them."""
        besides = self._beside()
        with_share = any(beside.share for beside in besides)
        header = [axis.name for axis in self.axes] + [self.value_name]
        header += [self.share_name] if with_share else []
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
        return text_table(
            f"{self.name}: {self.title}", header, rows, remarks=self.remarks, limit=limit
        )

    def __repr__(self) -> str:
        return self.plain(limit=60)

    def _repr_html_(self) -> str:
        header, rows = self._grid()
        return html_table(f"{self.name}: {self.title}", header, rows, self.remarks)
