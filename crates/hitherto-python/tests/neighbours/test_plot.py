"""Plots: the numbers that are drawn, and that they are drawn."""

from __future__ import annotations

import hitherto
import numpy as np
import pyarrow as pa
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture
def rows(embedded: hitherto.Store, spine: pa.Table) -> hitherto.TrainingSet:
    return embedded.training_set(spine, ["lactate:*", "creatinine:*"])


def test_null_rates_are_those_of_the_rows(rows: hitherto.TrainingSet) -> None:
    middles, rates = hitherto.plot.null_rates(rows, bins=7)
    assert list(rates) == ["lactate_mmol_l", "creatinine_mg_dl"] and len(middles) == 7
    table = rows.to_arrow()
    times = table["event_timestamp"].to_numpy()
    edges = np.linspace(times.min().astype("int64"), times.max().astype("int64"), 8)
    for place in range(7):
        upto = np.inf if place == 6 else edges[place + 1]
        inside = (times.astype("int64") >= edges[place]) & (times.astype("int64") < upto)
        for name, rate in rates.items():
            nulls = table[name].is_null().to_numpy()[inside]
            assert rate[place] == pytest.approx(nulls.mean(), nan_ok=True), (name, place)
        assert edges[place] < middles[place].astype("int64") < edges[place + 1]


def test_freshness_draws_rates_and_ages(rows: hitherto.TrainingSet) -> None:
    figure = hitherto.plot.freshness(rows, bins=5)
    left, right = figure.axes
    _, rates = hitherto.plot.null_rates(rows, bins=5)
    assert [line.get_label() for line in left.lines] == list(rates)
    for line, rate in zip(left.lines, rates.values(), strict=True):
        assert np.array_equal(line.get_ydata(), rate, equal_nan=True)
    assert [label.get_text() for label in right.get_yticklabels()] == ["lactate", "creatinine"]
    p95 = [view["age"]["p95_micros"] / 3.6e9 for view in rows.report()["views"]]
    ends = [max(line.get_xdata()) for line in right.lines if len(line.get_xdata()) == 2]
    assert ends == pytest.approx(p95)


def test_of_a_report_it_draws_one_rate_a_feature(rows: hitherto.TrainingSet) -> None:
    rows.to_arrow()
    figure = hitherto.plot.freshness(rows.report(), ["lactate:lactate_mmol_l"])
    [bar] = figure.axes[0].patches
    assert bar.get_height() == pytest.approx(7284 / 8139)


def test_wrong_features_are_named(rows: hitherto.TrainingSet) -> None:
    with pytest.raises(hitherto.InvalidError, match="no column 'lactate'"):
        hitherto.plot.freshness(rows, ["lactate"])
    with pytest.raises(hitherto.InvalidError, match="no feature 'lactate'"):
        hitherto.plot.freshness(rows.report(), ["lactate"])
    with pytest.raises(hitherto.InvalidError, match="bins=0"):
        hitherto.plot.null_rates(rows, bins=0)


def test_one_moment_is_a_period_too(embedded: hitherto.Store, spine: pa.Table) -> None:
    rows = embedded.training_set(spine.slice(0, 1), ["lactate:*"])
    _, rates = hitherto.plot.null_rates(rows, bins=3)
    assert np.nansum(np.isfinite(rates["lactate_mmol_l"])) == 1
