"""The fits behind spiking: a station left out, local readings alone, and their margins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..progress import Progress
from ..stations.rows import TrainingRows, concat
from .calibration import Margins, combine, local_margins
from .forest import Forest
from .heldout import ForestSettings, HeldOut, join_heldout, predict_rows
from .record import Model
from .training import margins


@dataclass(frozen=True, eq=False)
class SpikeTask:
    """The rows and settings that every fit shares.

    Attributes
    ----------
    base : Model
    globe, spikes : TrainingRows
        The model's rows and the local ones.
    settings : ForestSettings
    before : Forest
        What predicted before spiking.
    """

    base: Model
    globe: TrainingRows
    spikes: TrainingRows
    settings: ForestSettings
    before: Forest

    def joined(self, spikes: TrainingRows, weight: float) -> TrainingRows:
        return concat(self.globe, replace(spikes, weight=spikes.weight * weight))

    def weight_of(self, share: float, spikes: TrainingRows) -> float:
        """Return the weight at which local rows hold `share` of the training weight, at least 1."""
        if share <= 0:
            return 1.0
        total = float(self.globe.weight.sum()) / float(spikes.weight.sum())
        return max(1.0, share / (1 - share) * total)

    def share_of(self, weight: float) -> float:
        local = weight * float(self.spikes.weight.sum())
        return local / (local + float(self.globe.weight.sum()))

    def local_settings(self, spikes: TrainingRows) -> ForestSettings:
        leaf = max(1, min(self.settings.min_leaf, len(spikes) // 8))
        return replace(self.settings, min_leaf=leaf)


def leave_out(
    task: SpikeTask, weight_of: Callable[[TrainingRows], float], progress: Progress
) -> HeldOut:
    """Predict each spike station by a forest on the global rows and the other spike stations."""

    def fit(rest: TrainingRows, part: Progress) -> Forest:
        return task.settings.grow(task.joined(rest, weight_of(rest)), part)

    return _each_station(task.spikes, fit, progress)


def leave_out_local(task: SpikeTask, progress: Progress) -> HeldOut:
    """Predict each spike station by a forest on the other spike stations alone."""

    def fit(rest: TrainingRows, part: Progress) -> Forest:
        return task.local_settings(rest).grow(rest, part)

    return _each_station(task.spikes, fit, progress)


def _each_station(
    spikes: TrainingRows, fit: Callable[[TrainingRows, Progress], Forest], progress: Progress
) -> HeldOut:
    names = station_names(spikes)
    station = spikes.station.astype(str)
    parts = []
    for i, name in enumerate(names):
        part = progress.part(i / len(names), (i + 1) / len(names))
        forest = fit(spikes.take(station != name), part)
        parts.append(predict_rows(forest, spikes.take(station == name)))
    return join_heldout(parts)


def spiked_margins(spread: HeldOut, spikes: HeldOut) -> Margins:
    """Return the margins of a spiked model: the larger of those of all and of local stations."""
    everywhere = _margins_of_stations([spread, spikes])
    return combine(everywhere, local_margins(*spikes.margin_input()))


def _margins_of_stations(parts: list[HeldOut]) -> Margins:
    """Return margins by station; a local station never shares its mass with a global one."""
    joined = join_heldout(parts)
    side = np.repeat([str(i) for i in range(len(parts))], [len(part) for part in parts])
    station = np.char.add(np.char.add(side, "/"), joined.rows.station.astype(str))
    return margins(replace(joined, rows=replace(joined.rows, station=station.astype(object))))


def cross_calibrate_spikes(spread: HeldOut, spikes: HeldOut) -> HeldOut:
    """Calibrate each spike station with the margins of all others."""
    station = spikes.rows.station.astype(str)
    parts = []
    for name in station_names(spikes.rows):
        out = station == name
        parts.append(spikes.take(out).with_margins(spiked_margins(spread, spikes.take(~out))))
    return join_heldout(parts)


def station_names(rows: TrainingRows) -> list[str]:
    """Return the stations of `rows`, sorted."""
    return [str(name) for name in np.unique(rows.station.astype(str))]
