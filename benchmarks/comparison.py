"""The peers side by side on forests of one size: exact or not, pixels per second, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import data, exactness, forests, memory, outside, peers, timing
from .exactness import Check
from .forests import Files, Pair
from .table import Result
from .timing import Plan

RANDOM, FIELD = "random", "a field"
_CHECKED = 4096
_RANGER_PIXELS = 16_384

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much is measured: pixels at hand, time, and which of the slower peers join.

    Once `late` is true, memory and smooth pixels are left out.
    """

    pixels: int
    plan: Plan
    outside: tuple[str, ...] = (outside.RANGER, outside.OTB)
    blocks: bool = True
    late: Callable[[], bool] = lambda: False


def check_exact(pair: Pair) -> list[Check]:
    """Compare our quantiles with quantile-forest's and our mean with scikit-learn's."""
    checks = []
    for kind, make in ((RANDOM, data.random_pixels), (FIELD, data.field_pixels)):
        X = make(_CHECKED)
        quantiles = peers.quantile_forest(pair.theirs)(X)
        mean = peers.mean_only(pair.theirs)(X)
        for peer in peers.our_paths():
            found = peers.held(peer, peers.ours(pair.ours))(X)
            label = f"{peer}, {len(pair.rows.y)} rows, pixels {kind}"
            checks.append(exactness.compare(f"{label}, quantiles", found.quantiles, quantiles))
            checks.append(exactness.compare(f"{label}, mean", found.mean, mean))
    return checks


def compare(pair: Pair, files: Files, sizes: Sizes, folder: Path, say: Say) -> list[Result]:
    """Measure every peer on random and on smooth pixels; memory on random ones."""
    n = len(pair.rows.y)
    names = [*peers.our_paths(), peers.QUANTILE_FOREST, peers.MEAN]
    if sizes.blocks:
        names.insert(-1, peers.BLOCKS)
    else:
        say(f"{peers.BLOCKS}: left out of this run at {n} rows")
    both = {"ours": pair.ours, "theirs": pair.theirs}
    results: list[Result] = []
    peaks: dict[str, float] = {}
    for kind, make in ((RANDOM, data.random_pixels), (FIELD, data.field_pixels)):
        if kind == FIELD and sizes.late():
            say(f"{n} rows: time is short: pixels of a field left out")
            break
        X = make(sizes.pixels)
        peers.write_strip(X, folder)
        say(f"{n} rows: timing, pixels {kind}")
        runs = {name: peers.run_of(name, both, folder) for name in names}
        rates = timing.measure(runs, X, sizes.plan)
        if kind == RANDOM and sizes.late():
            say(f"{n} rows: time is short: memory left out")
        elif kind == RANDOM:
            say(f"{n} rows: memory")
            peers.write_strip(X[: memory.PIXELS], folder)
            peaks = {name: memory.peak_of(name, files, folder) for name in names}
        results += [
            Result(name, n, kind, rates[name], peaks.get(name) if kind == RANDOM else None)
            for name in names
        ]
        if kind == RANDOM:
            results += _outside(pair, X, sizes, folder, say)
    return results


def _outside(pair: Pair, X: np.ndarray, sizes: Sizes, folder: Path, say: Say) -> list[Result]:
    """Measure programs outside Python; OTB with all pixels, as it reads its model in every run."""
    n, results = len(pair.rows.y), []
    for peer in (outside.RANGER, outside.OTB):
        absent = outside.missing(peer)
        if absent or peer not in sizes.outside:
            reason = f"{absent} not installed" if absent else f"left out of this run at {n} rows"
            say(f"{peer}: skipped, {reason}")
            continue
        say(f"{n} rows: {peer}")
        part = X[:_RANGER_PIXELS] if peer == outside.RANGER else X
        raster = peers.write_strip(part, folder)
        found = outside.measure(peer, pair.rows, raster, sizes.plan.runs, folder)
        results.append(Result(peer, n, RANDOM, len(part) / found.seconds, found.peak))
    return results


def grow(n: int, twice: bool, say: Say) -> Pair:
    """Grow the forests of `n` rows."""
    say(f"{n} rows: growing the forest{' twice' if twice else ''}")
    return forests.grow_pair(data.training_rows(n), twice)
