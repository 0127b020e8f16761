"""Sums, means, variances and deviations by Python's own arithmetic.

    python benches/judges/exact.py > fixtures/aggregates/exact.txt

``math.fsum`` adds floats without rounding before the end; ``statistics`` computes
with fractions and rounds once. The bits that they answer are in the file, and a
test of ``hitherto-core`` compares its own with them: 1e300, 1e-300, subnormals,
NaN and infinities among the values. Nothing is shared with Hitherto.

Where Python raises an error instead of an answer, or says another thing than the
documents of Hitherto, the rule stands here in words:

- a sum or mean of which the exact value is beyond float64 is an infinity;
- NaN among the values, or infinities of both signs, make NaN of sum and mean;
- NaN or an infinity among them makes NaN of variances;
- a sum of zeros is 0.0, whatever their signs.

A line is the values, and after a colon sum, mean, variance and deviation of a
sample, variance and deviation of a population; all as the 16 digits of float64's
bits. Of one value there is no variance of a sample: a dash.
"""

from __future__ import annotations

import math
import random
import statistics
import struct
from fractions import Fraction

SEED = 20261130
LARGEST = 1.7976931348623157e308
SMALLEST = 5e-324


def bits(number: float | None) -> str:
    return "-" if number is None else struct.pack(">d", number).hex()


def nearest(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def judge(values: list[float]) -> list[float | None]:
    if not all(map(math.isfinite, values)):
        infinities = {value for value in values if math.isinf(value)}
        is_one = not any(map(math.isnan, values)) and len(infinities) == 1
        total = infinities.pop() if is_one else math.nan
        sample = math.nan if len(values) > 1 else None
        return [total, total, sample, sample, math.nan, math.nan]
    exact = list(map(Fraction, values))
    try:
        total = math.fsum(values) + 0.0
    except OverflowError:
        total = nearest(sum(exact))
    return [
        total,
        nearest(statistics.mean(exact)),
        nearest(statistics.variance(exact)) if len(values) > 1 else None,
        deviation(statistics.stdev, values) if len(values) > 1 else None,
        nearest(statistics.pvariance(exact)),
        deviation(statistics.pstdev, values),
    ]


def deviation(function, values: list[float]) -> float:
    """Of fractions ``statistics`` would round the variance first; of floats it does not."""
    try:
        return function(values)
    except OverflowError:
        return math.inf


def columns(chance: random.Random):
    """Values of like and unlike size, a column each."""
    yield "amounts", lambda: round(chance.lognormvariate(3, 1.5), 2)
    yield "coordinates", lambda: chance.uniform(-180, 180)
    yield "normal", lambda: chance.gauss(0, 1)
    yield "far mean", lambda: 1e9 + chance.gauss(0, 1e-3)
    yield "whole", lambda: float(chance.randrange(-10**9, 10**9))
    yield "wide", lambda: math.ldexp(chance.uniform(-1, 1), chance.randrange(-1000, 1000))
    yield "cancelling", lambda: chance.choice([1e300, -1e300, 1e-300, -1e-300, 1.0, -1.0, 3e-300])
    yield "subnormal", lambda: chance.choice([-1, 1]) * chance.randrange(1, 2**54) * SMALLEST
    yield "ties", lambda: chance.choice([1.0, 2**-53, -(2**-53), 2**-54, 3 * 2**-53, 2.0**53])
    yield "largest", lambda: chance.choice([LARGEST, -LARGEST, LARGEST / 2, 1e292, -1e292, 1.0])
    yield "zeros", lambda: chance.choice([0.0, -0.0])
    yield "special", lambda: chance.choice([math.nan, math.inf, -math.inf, 1.0, 2.0, 3.0])
    yield "one infinity", lambda: chance.choice([math.inf, 1.0, -1e300])


def main() -> None:
    chance = random.Random(SEED)
    for name, draw in columns(chance):
        for count in [1, 2, 3, *(chance.randrange(2, 30) for _ in range(15))]:
            values = [draw() for _ in range(count)]
            answers = " ".join(map(bits, judge(values)))
            print(f"{name}: {' '.join(map(bits, values))}: {answers}")


if __name__ == "__main__":
    main()
