"""Plots of training sets. They need matplotlib.

hitherto.plot.freshness(training_set)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._arrow import imported
from ._errors import InvalidError
from ._leakage import ages
from ._split import to_micros
from ._training_set import TrainingSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ._arrow import Matrix

__all__ = ["freshness", "null_rates"]

MICROS_AN_HOUR = 3_600_000_000


def freshness(
    training_set: TrainingSet | Mapping[str, Any],
    features: Sequence[str] | None = None,
    *,
    bins: int = 40,
) -> Figure:
    """Draws how often features are null, and how old facts are that answer.

    On the left the null rate of each feature over the rows' time; on the right
    for each view the age of its facts, in hours: half of them are not older
    than the mark, 19 of 20 not older than the end of the line.

    Args:
        training_set: is read and kept if it is not yet. A report will do, for
            which the left shows one rate for each feature, as it has no times.
        features: names of columns; of a report ``view:feature``. All features
            if left out.
        bins: periods of equal length into which the rows' time is cut.

    Returns:
        A figure with two axes.

    Raises:
        InvalidError: there is no such feature, or no row has a time.
    """
    pyplot = imported("matplotlib.pyplot", "plot.freshness()")
    figure: Figure
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4), layout="constrained")
    if isinstance(training_set, TrainingSet):
        middles, rates = null_rates(training_set, features, bins=bins)
        for name, rate in rates.items():
            left.plot(middles, rate, label=name)
        left.legend(fontsize="small")
        report = training_set.report()
    else:
        report = dict(training_set)
        shares = _report_rates(report, features)
        left.bar(list(shares), list(shares.values()))
        left.tick_params(axis="x", rotation=90)
    left.set_ylim(-0.02, 1.02)
    left.set_ylabel("share of rows in which it is null")
    for place, (view, age) in enumerate(ages(report).items()):
        p50, p95 = (age[name].total_seconds() / 3_600 for name in ("p50", "p95"))
        right.plot([0, p95], [place, place], color="0.6")
        right.plot([p50], [place], "o", label=view)
    right.set_yticks(range(len(ages(report))), list(ages(report)))
    right.set_xlabel("age of the fact that answers, hours: median, 95 %")
    return figure


def null_rates(
    training_set: TrainingSet, features: Sequence[str] | None = None, *, bins: int = 40
) -> tuple[Matrix, dict[str, Matrix]]:
    """How often features are null in each of ``bins`` periods of equal length.

    Returns:
        The middles of the periods (datetime64, UTC), and for each feature the
        share of the period's rows in which it is null; NaN without rows.

    Raises:
        InvalidError: there is no such feature, or no row has a time.
    """
    numpy = imported("numpy", "plot.null_rates()")
    table = training_set.to_arrow()
    names = training_set.feature_names if features is None else features
    missing = [name for name in names if name not in table.column_names]
    if missing:
        there = ", ".join(training_set.feature_names)
        raise InvalidError(f"there is no column {missing[0]!r}; there are {there}")
    times = table.column(training_set.timestamp)
    if bins < 1 or times.null_count == len(times):
        raise InvalidError(f"rows with times and at least one bin are needed; found {bins=}")
    has_time = times.is_valid().to_numpy()
    micros = to_micros(times)[has_time]
    # Of one moment a period of an hour.
    first, last = int(micros.min()), max(int(micros.max()), int(micros.min()) + MICROS_AN_HOUR)
    edges = numpy.linspace(first, last, bins + 1)
    period = numpy.clip(numpy.searchsorted(edges, micros, side="right") - 1, 0, bins - 1)
    rows = numpy.bincount(period, minlength=bins)
    rates: dict[str, Matrix] = {}
    for name in names:
        nulls = table.column(name).is_null().to_numpy()[has_time]
        counts = numpy.bincount(period, weights=nulls, minlength=bins)
        rates[name] = numpy.divide(counts, rows, out=numpy.full(bins, numpy.nan), where=rows > 0)
    middles: Matrix = ((edges[:-1] + edges[1:]) / 2).astype("datetime64[us]")
    return middles, rates


def _report_rates(report: Mapping[str, Any], features: Sequence[str] | None) -> dict[str, float]:
    found = {
        f"{view['view']}:{null['feature']}": null["rows"] / max(report["rows"], 1)
        for view in report["views"]
        for null in view["nulls"]
    }
    names = list(found) if features is None else features
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidError(f"there is no feature {missing[0]!r}; there are {', '.join(found)}")
    return {name: found[name] for name in names}
