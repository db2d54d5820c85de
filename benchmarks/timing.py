"""Pixels per second, as medians over runs in which the peers take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

Run = Callable[[np.ndarray], object]
_WARM = 512  # pixels of the first run, which compiles and fills caches
_PILOT = 4096  # pixels of the run that finds how many a peer can do
_LEAST = 4096
_WHOLE = 128  # the block loop reads whole lines of a raster so wide


@dataclass(frozen=True)
class Plan:
    """How long to measure: seconds a run, number of runs."""

    seconds: float
    runs: int


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Return the median time of some work."""
    return median(seconds_of(work) for _ in range(runs))


def measure(peers: Mapping[str, Run], pixels: np.ndarray, plan: Plan) -> dict[str, float]:
    """Return the median pixels per second of each peer.

    The peers take turns within each round, so that whatever else the machine does meets them
    alike. Each gets as many pixels (from the front) as it can do in the planned seconds.
    """
    counts = {}
    for name, run in peers.items():
        run(pixels[:_WARM])
        taken = seconds_of(lambda run=run: run(pixels[:_PILOT]))
        count = int(np.clip(_PILOT * plan.seconds / taken, _LEAST, len(pixels)))
        counts[name] = count // _WHOLE * _WHOLE
    rates: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(plan.runs):
        for name, run in peers.items():
            part = pixels[: counts[name]]
            rates[name].append(len(part) / seconds_of(lambda run=run, part=part: run(part)))
    return {name: median(values) for name, values in rates.items()}
