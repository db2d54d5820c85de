"""What the instruments of the synthetic landscape see: radar, coarse radiometer, probes.

Radar, a water cloud (Attema & Ulaby 1978) over a bare soil, for VV and VH::

    V  = 4.5 NDVI²                                     plant water in kg/m²
    σ_soil = 10^((C + D θ − 0.12 (i − 38) + h) / 10)   C = −18, −25 dB; D = 26, 18 dB per m³ m⁻³
    T² = exp(−2 B V / cos i)                           B = 0.09, 0.11
    σ = A V cos i (1 − T²) + T² σ_soil                 A = 0.006, 0.0018

with incidence angle i in degrees (rising from west to east, and with slope towards the east),
roughness h in dB (fixed in space, plus 0.2 dB a pass), and speckle: σ is multiplied by a gamma
variate of mean 1 and as many looks as were averaged. What leaves 10 log10 σ is stored in 0.01 dB.

Coarse radiometer: mean moisture of the cell, less 0.02, with normal noise of 0.025; a day is seen
two or three days after the last. Stations and probes: truth at the point plus the sensor's bias
plus normal noise; the numbers are in `make_landscape`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .synthetic_land import Area, Waves

EASE_CRS = "EPSG:6933"
EASE_CELL = 36032.220840584
EASE_LEFT = -17367530.445161516
EASE_TOP = 7314540.830638633
COARSE_BIAS = -0.02
COARSE_NOISE = 0.025
_INTERCEPT = {"VV": -18.0, "VH": -25.0}
_RESPONSE = {"VV": 26.0, "VH": 18.0}
_CANOPY = {"VV": 0.006, "VH": 0.0018}
_ATTENUATION = {"VV": 0.09, "VH": 0.11}


@dataclass(frozen=True)
class Radar:
    """How a grid is seen from orbit: incidence angle, roughness and looks.

    Attributes
    ----------
    angle : ndarray, shape (h, w)
        Incidence angle in degrees.
    roughness : ndarray, shape (h, w)
        Effect of roughness in dB.
    looks : float
        Equivalent number of looks of one cell.
    """

    angle: np.ndarray
    roughness: np.ndarray
    looks: float

    def observe(
        self, moisture: np.ndarray, ndvi: np.ndarray, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return VV and VH in dB and the incidence angle in degrees, each of shape (h, w)."""
        shift = generator.normal(0.0, 0.2)
        angle = self.angle + generator.normal(0.0, 0.05)
        seen = {}
        for band in ("VV", "VH"):
            power = backscatter(band, moisture, ndvi, angle, self.roughness + shift)
            power = power * generator.gamma(self.looks, 1.0 / self.looks, size=power.shape)
            seen[band] = 10.0 * np.log10(power)
        return {**seen, "angle": angle}


def backscatter(
    band: str, moisture: np.ndarray, ndvi: np.ndarray, angle: np.ndarray, roughness: np.ndarray
) -> np.ndarray:
    """Backscatter of `band` (VV or VH) as linear power, by the law in this module's docstring."""
    plants = 4.5 * ndvi**2
    cosine = np.cos(np.radians(angle))
    decibel = _INTERCEPT[band] + _RESPONSE[band] * moisture - 0.12 * (angle - 38.0) + roughness
    through = np.exp(-2.0 * _ATTENUATION[band] * plants / cosine)
    canopy = _CANOPY[band] * plants * cosine * (1.0 - through)
    power: np.ndarray = canopy + through * 10.0 ** (decibel / 10.0)
    return power


def make_radar(seed: int, area: Area, region: Area, elevation: np.ndarray, looks: float) -> Radar:
    """Set up the radar's view of `area`: 31° at the region's west edge, 44° at its east edge."""
    generator = np.random.default_rng([seed, 3])
    roughness = Waves(generator, ((1500.0, 0.8), (300.0, 0.7), (60.0, 0.5)))
    x, y = area.centres()
    across = (x - region.left) / (region.columns * region.cell)
    east_slope = np.degrees(np.arctan(np.gradient(elevation, area.cell, axis=1)))
    angle = 31.0 + 13.0 * across + 0.5 * np.clip(east_slope, -10.0, 10.0)
    return Radar(angle, roughness(x, y, area.cell), looks)


@dataclass(frozen=True)
class Coarse:
    """A coarse moisture series on cells of the 36 km EASE-Grid 2.0.

    Attributes
    ----------
    left, top : float
        Edges in metres of EPSG:6933.
    series : dict of datetime64[D] to ndarray, shape (rows, columns)
        Moisture in m³ m⁻³; NaN where the pass missed the cell.
    """

    left: float
    top: float
    series: dict[np.datetime64, np.ndarray]


class CoarseCells:
    """Averages a fine grid to the coarse cells it touches.

    Parameters
    ----------
    x, y : ndarray
        Centres of the fine cells in metres of EPSG:6933.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        columns = np.floor((x - EASE_LEFT) / EASE_CELL).astype(int).ravel()
        rows = np.floor((EASE_TOP - y) / EASE_CELL).astype(int).ravel()
        self.left = EASE_LEFT + columns.min() * EASE_CELL
        self.top = EASE_TOP - rows.min() * EASE_CELL
        rows, columns = rows - rows.min(), columns - columns.min()
        self.shape = (int(rows.max()) + 1, int(columns.max()) + 1)
        self._cell = rows * self.shape[1] + columns
        self._count = np.bincount(self._cell, minlength=self.shape[0] * self.shape[1])

    def average(self, fine: np.ndarray) -> np.ndarray:
        """Return the mean of `fine` over each coarse cell, shape (rows, columns)."""
        total = np.bincount(self._cell, weights=fine.ravel(), minlength=self._count.size)
        mean = np.divide(total, self._count, out=np.full(total.shape, np.nan), where=total > 0)
        return mean.reshape(self.shape)


def coarse_days(days: np.ndarray, generator: np.random.Generator) -> set[np.datetime64]:
    """Pick the days that the radiometer sees: gaps of two or three days."""
    seen, number = set(), 0
    while number < len(days):
        seen.add(days[number])
        number += int(generator.integers(2, 4))
    return seen


def observe_coarse(mean: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return what the radiometer reports of true cell means; now and then a cell is missed."""
    seen = mean + COARSE_BIAS + generator.normal(0.0, COARSE_NOISE, size=mean.shape)
    missed = generator.random(mean.shape) < 0.04
    return np.where(missed, np.nan, np.clip(seen, 0.02, 0.6))


@dataclass(frozen=True)
class Readings:
    """A network of sensors and what they read.

    Attributes
    ----------
    station, network : ndarray of str, shape (n,)
    x, y : ndarray, shape (n,)
        Position in the landscape's coordinate reference system.
    days : ndarray of datetime64[D], shape (d,)
    truth : ndarray, shape (d, n)
        True moisture at the sensors.
    moisture : ndarray, shape (d, n)
        Readings in m³ m⁻³; NaN where a reading failed.
    """

    station: np.ndarray
    network: np.ndarray
    x: np.ndarray
    y: np.ndarray
    days: np.ndarray
    truth: np.ndarray
    moisture: np.ndarray


def read_sensors(
    truth: np.ndarray, bias: np.ndarray, noise: float, generator: np.random.Generator
) -> np.ndarray:
    """Return readings of shape (days, sensors): truth + bias + noise, 3 % of them failed."""
    seen = truth + bias + generator.normal(0.0, noise, size=truth.shape)
    failed = generator.random(truth.shape) < 0.03
    return np.where(failed, np.nan, np.clip(seen, 0.005, 0.65))
