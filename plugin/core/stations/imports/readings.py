"""Single readings of soil moisture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, eq=False)
class Readings:
    """Readings in any order, one an element.

    Parameters
    ----------
    station, network : object (n,)
        Texts; '' for missing.
    time : datetime64[s] (n,)
        UTC; NaT for missing.
    value : float64 (n,)
        Soil moisture; NaN for missing.
    depth_from, depth_to : float64 (n,)
        The sensor's range, m, positive down; NaN where unknown.
    x, y : float64 (n,)
        Position; NaN where unknown.
    temperature : float64 (n,), optional
        Soil temperature, °C; NaN where unknown, and everywhere when left out.
    series : int64 (n,), optional
        Number of the column, or file, that a reading comes from.
    count : float64 (n,), optional
        Of how many readings the value is the mean; 1 when left out.
    """

    station: np.ndarray
    network: np.ndarray
    time: np.ndarray
    value: np.ndarray
    depth_from: np.ndarray
    depth_to: np.ndarray
    x: np.ndarray
    y: np.ndarray
    temperature: np.ndarray = None  # type: ignore[assignment]
    series: np.ndarray = None  # type: ignore[assignment]
    count: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.value)
        if self.temperature is None:
            object.__setattr__(self, "temperature", np.full(n, np.nan))
        if self.series is None:
            object.__setattr__(self, "series", np.zeros(n, dtype=np.int64))
        if self.count is None:
            object.__setattr__(self, "count", np.ones(n))

    def __len__(self) -> int:
        return len(self.value)

    @property
    def day(self) -> np.ndarray:
        """UTC day, datetime64[D] (n,)."""
        return self.time.astype("datetime64[D]")

    def take(self, rows: np.ndarray) -> Readings:
        """Return the readings of a mask or of an index array."""
        return Readings(*(getattr(self, item.name)[rows] for item in fields(self)))


def join_readings(parts: Sequence[Readings]) -> Readings:
    """Return the readings of all parts."""
    return Readings(
        *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Readings))
    )


def text_codes(texts: np.ndarray) -> np.ndarray:
    """Return the rank of each text among the different ones, int64 (n,)."""
    rank = {text: index for index, text in enumerate(sorted(set(texts)))}
    return np.array([rank[text] for text in texts], dtype=np.int64)


def group_codes(*keys: np.ndarray) -> np.ndarray:
    """Return for each row the number of its group of equal keys, int64 (n,); NaN equals NaN."""
    code = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        if key.dtype == object:
            part = text_codes(key)
        else:
            _, part = np.unique(key, return_inverse=True)
        _, code = np.unique(code * (int(part.max(initial=0)) + 1) + part, return_inverse=True)
    return code
