"""What the engine has to reach, with what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from . import peers
from .comparison import RANDOM
from .table import REFERENCE, Result, Target


def of_peers(results: Sequence[Result]) -> list[Target]:
    """Return the targets on speed, on random pixels, the worst case."""
    rates = {(r.peer, r.rows): r.rate for r in results if r.pixels == RANDOM}
    rows = sorted({r.rows for r in results})

    def times(peer: str, n: int, other: str, m: int) -> float | None:
        rate, against = rates.get((peer, n)), rates.get((other, m))
        return None if rate is None or against is None else rate / against

    engine, numpy = peers.ENGINE, peers.NUMPY
    shares = [times(engine, n, peers.MEAN, n) for n in rows]
    known = [share for share in shares if share is not None]
    return [
        Target("engine against quantile-forest, 50 000 rows", 15,
               times(engine, 50_000, REFERENCE, 50_000), stretch=30),
        Target("engine against quantile-forest, 200 000 rows", 40,
               times(engine, 200_000, REFERENCE, 200_000), stretch=80),
        Target("engine against scikit-learn's mean-only predict, the worst of all rows", 0.6,
               min(known, default=None), stretch=1),
        Target("NumPy path against quantile-forest, 50 000 rows", 4,
               times(numpy, 50_000, REFERENCE, 50_000)),
        Target("engine's time per pixel, 400 000 rows against 50 000", 1.5,
               times(engine, 50_000, engine, 400_000), most=True),
    ]  # fmt: skip


def of_map(share: float) -> Target:
    """Return the target on `predict` end to end."""
    return Target("predict end to end against the engine alone", 0.75, share)


def of_memory(small: float, large: float) -> list[Target]:
    """Return the targets on peak memory in MB with 5 and with 20 million pixels."""
    what = "peak memory of predict, 20 Mpixel"
    return [
        Target(f"{what} against 5 Mpixel", 1.1, large / small, most=True),
        Target(f"{what}, in all", 900, large, most=True, unit="MB"),
    ]
