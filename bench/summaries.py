"""Medians, ranges and ratios of rounds."""

from collections.abc import Sequence
from statistics import median, quantiles

from msgspec import Struct


class Summary(Struct, frozen=True):
    """The median of some rounds, their quartiles, and their least and greatest."""

    median: float
    low: float
    high: float
    least: float
    greatest: float


def summary(values: Sequence[float]) -> Summary:
    """Return the summary. Raises `ValueError` if there are no values."""
    if not values:
        raise ValueError("no rounds to sum up")
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Summary(median(values), low, high, min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-share * len(ordered) // 1)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]


def paired(values: Sequence[float], base: Sequence[float]) -> Summary:
    """Sum up the ratio of each round to the round of the base that was run next to it."""
    return summary([value / other for value, other in zip(values, base, strict=True)])
