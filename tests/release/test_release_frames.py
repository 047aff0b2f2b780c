"""A whole release as one frame, short ways to compare, and plots."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest

from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.release import Release


@pytest.fixture(scope="module")
def release(
    make_task: Callable,
    exact_values: Callable,
    noisy: Callable,
    make_release: Callable,
    population: Callable,
) -> Release:
    task = make_task(hide_below=20)
    return make_release(task, noisy(task, exact_values(task, population(400, 3)), 4))


def test_a_release_is_one_tidy_frame(release: Release) -> None:
    arrow = release.to_arrow()
    assert arrow.num_rows == sum(len(table.cells()) for table in release)
    assert arrow.column_names.count("region") == 1
    polars, pandas = release.to_polars(), release.to_pandas()
    assert arrow.column_names == polars.columns == list(pandas.columns)
    assert polars["statistic"].unique(maintain_order=True).to_list() == list(release.names)
    for table in release:
        mine = polars.filter(polars["statistic"] == table.name).to_dicts()
        for row, expected in zip(mine, table.to_rows(), strict=True):
            assert {key: row[key] for key in expected} == expected
            assert all(row[key] is None for key in set(row) - set(expected))


def test_shares_stand_beside_cells(release: Release) -> None:
    for table in release:
        shares = table.shares()
        assert len(shares) == len(table.cells())
        for share, figure, row in zip(shares, table.cells(), table.to_rows(), strict=True):
            assert row["share"] == (None if share is None else share.point)
            assert figure.grey == row["grey"]


def test_labels_alone_name_their_axis(release: Release) -> None:
    for name in ("contracts", "problems_by_region", "hours_mean"):
        table: Any = release[name]
        short = table.compare("London", "Wales")
        assert short == table.compare({"region": "London"}, {"region": "Wales"})
    with pytest.raises(ReleaseError, match="no axis has a label 'Lundon'") as caught:
        release["contracts"].compare("London", "Lundon")
    assert "{'contract': ..., 'region': ...}" in str(caught.value.hint)


def test_grey_figures_are_explained_once_below(release: Release) -> None:
    table = release["contracts"]
    page = table._repr_html_()
    assert page.count("a noisy number of people below 20 or its margin") == 1
    assert "reconciled with" in page
    for figure in table.cells():
        if figure.grey and figure.known:
            assert f"under {figure.under}" in page


def test_plots_name_the_extra_when_it_is_missing(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ReleaseError) as caught:
        release["contracts"].plot()
    assert "grievance[plots]" in str(caught.value.hint)


def test_plots_show_intervals_and_no_best_number_of_what_is_grey(release: Release) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    table = release["contracts"]
    ax = table.plot()
    drawn = [container for container in ax.containers if hasattr(container, "has_xerr")]
    shown = [figure for figure in table.cells() if figure.known]
    assert len(drawn) == len(shown)
    assert [bar.lines[0] is None for bar in drawn] == [figure.grey for figure in shown]
    assert any(figure.grey for figure in shown) and any(figure.dark for figure in shown)
    for bar, figure in zip(drawn, shown, strict=True):
        (segment,) = bar.lines[2][0].get_segments()
        assert sorted(segment[:, 0]) == pytest.approx([figure.low, figure.high])
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert sum(label.endswith("(unknown)") for label in labels) == len(labels) - len(shown)
    assert release["problems"].plot("share").get_xlabel() == "share, %"
    with pytest.raises(ReleaseError, match="no shares"):
        release["hours_mean"].plot("share")
    with pytest.raises(ReleaseError, match="no such figure"):
        table.plot("people")  # type: ignore[arg-type]
