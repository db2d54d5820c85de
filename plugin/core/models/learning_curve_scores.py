"""Scores of a learning curve, and how many stations are enough."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ..rasters.writing import atomic_path
from .heldout import HeldOut

MODELS = ("global", "local", "spiked")
_MISS_COST = 2 / (1 - 0.9)


@dataclass(frozen=True)
class CurveRow:
    """The scores of one model at the test stations of one draw.

    Attributes
    ----------
    design : str
        Empty for the global model, which has no spikes.
    count, draw : int
        Spiking stations; draw from 1.
    model : {"global", "local", "spiked"}
    n, stations : int
        Test rows and stations.
    rmse, me, ubrmse : float
        Over all test rows, m³ m⁻³; `me` is predicted − measured.
    abs_me : float
        Mean over test stations of |mean error|.
    picp90, width90, interval_score90 : float
        Of the calibrated 90 % interval; NaN where there is none.
    weight : float
        Of a local row in the spiked model; NaN for the others.
    spikes : tuple of str
        Stations that spiked.
    """

    design: str
    count: int
    draw: int
    model: str
    n: int
    stations: int
    rmse: float
    me: float
    abs_me: float
    ubrmse: float
    picp90: float
    width90: float
    interval_score90: float
    weight: float
    spikes: tuple[str, ...]


@dataclass(frozen=True)
class Enough:
    """From which count on more stations bring little.

    Attributes
    ----------
    design : str
    best : int
        Count of the smallest median RMSE; 0 = the global model.
    count : int
        Smallest count from which on the median over draws of RMSE / RMSE at `best`, paired by
        draw, stays at or below 1 + tolerance; `best` where there is none.
    stays : bool
        Whether there is one: False where the RMSE rises again with more stations.
    ratios : dict of int to float
        That median for each count, 0 = the global model.
    largest : int
        Largest count tried.
    """

    design: str
    best: int
    count: int
    stays: bool
    ratios: dict[int, float]
    largest: int

    @property
    def open_ended(self) -> bool:
        """Whether only the largest count is enough, so that still more might bring more."""
        return self.count == self.largest


def curve_row(
    held: HeldOut,
    design: str,
    count: int,
    draw: int,
    model: str,
    weight: float,
    spikes: tuple[str, ...],
) -> CurveRow:
    """Score predictions of test stations; `draw` counts from 0.

    The interval score is that of Gneiting & Raftery (2007),
    https://doi.org/10.1198/016214506000001437.
    """
    error = held.mean - held.rows.y
    _, code = np.unique(held.rows.station.astype(str), return_inverse=True)
    by_station = np.bincount(code, error) / np.bincount(code)
    low, high = held.bounds(0.9)
    y = held.rows.y
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    known = held.calibrated is not None
    me = float(error.mean())
    return CurveRow(
        design=design,
        count=count,
        draw=draw + 1,
        model=model,
        n=len(held),
        stations=len(by_station),
        rmse=float(np.sqrt(np.mean(error**2))),
        me=me,
        abs_me=float(np.abs(by_station).mean()),
        ubrmse=float(np.sqrt(np.mean((error - me) ** 2))),
        picp90=float(np.mean((low <= y) & (y <= high))) if known else float("nan"),
        width90=float(np.mean(high - low)),
        interval_score90=float(np.mean(high - low + _MISS_COST * outside)),
        weight=weight if model == "spiked" else float("nan"),
        spikes=spikes,
    )


def values_of(
    rows: Iterable[CurveRow], score: str, model: str, design: str = "", count: int = 0
) -> np.ndarray:
    """Return a score of each draw, (draws,), in the order of draws; NaN where it has none."""
    found = [
        (row.draw, getattr(row, score))
        for row in rows
        if (row.model, row.design, row.count) == (model, design, count)
    ]
    return np.array([value for _, value in sorted(found)], dtype=np.float64)


def count_enough(
    rows: Sequence[CurveRow], design: str, counts: Sequence[int], tolerance: float
) -> Enough:
    """Return the smallest count from which on the RMSE stays near its best.

    Parameters
    ----------
    rows : sequence of CurveRow
    counts : sequence of int
        Ascending.
    tolerance : float
        Share of the best RMSE, 0 or above.
    """
    table = {0: values_of(rows, "rmse", "global")}
    for count in counts:
        table[count] = values_of(rows, "rmse", "spiked", design, count)
    best = min(table, key=lambda count: (float(np.median(table[count])), count))
    ratios = {count: float(np.median(rmse / table[best])) for count, rmse in table.items()}
    enough = best
    for count in sorted(ratios, reverse=True):
        if ratios[count] > 1 + tolerance:
            break
        enough = count
    stays = all(ratio <= 1 + tolerance for count, ratio in ratios.items() if count >= enough)
    return Enough(design, best, enough, stays, ratios, max(counts))


def write_curve(rows: Iterable[CurveRow], path: Path) -> None:
    """Write the scores as a CSV table (UTF-8); a score that could not be computed is empty.

    Raises
    ------
    InputError
        Where the folder does not exist or cannot be written to.
    """
    names = [item.name for item in fields(CurveRow)]
    with (
        atomic_path(Path(path)) as temporary,
        Path(temporary).open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            values = {**asdict(row), "spikes": ";".join(row.spikes)}
            writer.writerow([_text(values[name]) for name in names])


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if not np.isfinite(value) else f"{value:.10g}"
    return str(value)
