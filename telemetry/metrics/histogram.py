"""Durations by logarithmic buckets: small, added up by adding counts, and quantiles within one per cent.

Bucket b holds durations in (GAMMA**(b-1), GAMMA**b] milliseconds. Source: DDSketch (Masson, Rim and Lee, VLDB 2019).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

GAMMA = 1.02
# What a bucket stands for is at most this much off what it holds.
RELATIVE_ERROR = (GAMMA - 1) / (GAMMA + 1)


def bucket_of(duration_us: int) -> int:
    """The bucket of a duration; nothing took less than a microsecond. telemetry/metrics/rollup_sql.py says the same."""
    return math.ceil(math.log(max(duration_us, 1) / 1000) / math.log(GAMMA))


def middle_s(bucket: int) -> float:
    """Seconds that a bucket stands for: as far from its least as from its most, in proportion."""
    return 2 * GAMMA**bucket / (GAMMA + 1) / 1000


def add(histogram: dict[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """The first holds what the other holds too; it is returned."""
    for bucket, spans in other.items():
        histogram[bucket] = histogram.get(bucket, 0) + spans
    return histogram


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """Seconds that `share` of the durations do not exceed (nearest rank); None of an empty histogram."""
    total = sum(histogram.values())
    if not total:
        return None
    rank, seen = max(math.ceil(share * total), 1), 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            return middle_s(bucket)
    raise AssertionError


def not_over(histogram: Mapping[int, int], bounds_s: Sequence[float]) -> list[int]:
    """How many durations do not exceed each bound, by what their buckets stand for. Bounds grow."""
    counts = [0] * (len(bounds_s) + 1)
    for bucket, spans in histogram.items():
        counts[bisect_left(bounds_s, middle_s(bucket))] += spans
    return list(accumulate(counts[:-1]))
