"""The water of the synthetic landscape: rain, evaporation and a daily bucket.

The law of the top layer (depth 100 mm, moisture θ in m³ m⁻³), day by day::

    θ ← θ + R / 100                                    rain R in mm, all of it enters
    θ ← min(θ, porosity)                               the rest runs off
    θ ← θ − 0.6 max(0, θ − capacity)                   fast drainage
    θ ← θ − 0.45 E (0.55 + 0.6 NDVI) b(θ) / 100        evaporation, E in mm
    θ ← θ + 0.013 W (θ − wilting)                       water moves to wet positions
    θ ← max(θ, 0.6 wilting)

with b(θ) = clip((θ − 0.6 wilting) / (0.8 capacity − 0.6 wilting), 0, 1) and the wetness position
W = clip((TWI − mean) / sd, −2, 2.5), mean and sd over 10 m patches around the stations; coarse
cells take half of their own standardised index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .synthetic_land import Noise, Soil

LAYER_MM = 100.0
SPIN_UP_DAYS = 60


@dataclass(frozen=True)
class Weather:
    """Rain and evaporation of every day, spin-up included.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
    rain : ndarray, shape (n,)
        Regional rain in mm; a day's rain has a pattern in space.
    evaporation : ndarray, shape (n,)
        Potential evaporation in mm.
    """

    days: np.ndarray
    rain: np.ndarray
    evaporation: np.ndarray
    _shift: np.ndarray
    _noise: Noise
    _climate: Noise

    def rain_at(self, number: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Rain in mm on day `number` at x, y: wetter and drier lands, and the day's showers."""
        if self.rain[number] == 0.0:
            return np.zeros(np.shape(x))
        east, north = self._shift[number]
        shower = np.exp(0.5 * self._noise(x + east, y + north))
        fallen: np.ndarray = self.rain[number] * shower * (1.0 + 0.12 * self._climate(x, y))
        return fallen


def make_weather(seed: int, start: np.datetime64, end: np.datetime64) -> Weather:
    """Draw wet and dry spells: a Markov chain of wet days with gamma amounts."""
    generator = np.random.default_rng([seed, 2])
    days = np.arange(start - SPIN_UP_DAYS, end + 1, dtype="datetime64[D]")
    rain = np.zeros(len(days))
    wet = True
    for number in range(len(days)):
        wet = bool(generator.random() < (0.55 if wet else 0.17))
        amount = generator.gamma(0.9, 7.5)
        rain[number] = round(amount, 1) if wet else 0.0
    day_of_year = (days - days.astype("datetime64[Y]")).astype(int) + 1
    season = np.sin(np.pi * np.clip((day_of_year - 30) / 300.0, 0.0, 1.0))
    evaporation = (0.6 + 4.6 * season**1.3) * np.where(rain > 0, 0.7, 1.05)
    return Weather(
        days,
        rain,
        evaporation,
        generator.uniform(-1e6, 1e6, size=(len(days), 2)),
        Noise(generator, 14_000.0),
        Noise(generator, 40_000.0),
    )


def day_of_year(day: np.datetime64) -> int:
    """Number of the day in its year, from 1."""
    return int((day - day.astype("datetime64[Y]")).astype(int)) + 1


def step_moisture(
    moisture: np.ndarray,
    soil: Soil,
    wetness: np.ndarray,
    rain: np.ndarray,
    evaporation: float,
    vegetation: np.ndarray,
) -> np.ndarray:
    """Moisture one day on, by the law in this module's docstring."""
    wilting, capacity = soil.wilting, soil.capacity
    driest = 0.6 * wilting
    moisture = np.minimum(moisture + rain / LAYER_MM, soil.porosity)
    moisture = moisture - 0.6 * np.maximum(0.0, moisture - capacity)
    stress = np.clip((moisture - driest) / (0.8 * capacity - driest), 0.0, 1.0)
    demand = 0.45 * evaporation * (0.55 + 0.6 * vegetation)
    moisture = moisture - demand * stress / LAYER_MM
    moisture = moisture + 0.013 * wetness * (moisture - wilting)
    return np.clip(moisture, driest, soil.porosity)


@dataclass(frozen=True)
class Ground:
    """Places whose water is followed: coordinates, soil and wetness position, of one shape."""

    x: np.ndarray
    y: np.ndarray
    soil: Soil
    wetness: np.ndarray


def run_balance(
    ground: Ground, weather: Weather, vegetation: Callable[[np.datetime64], np.ndarray]
) -> Iterator[tuple[np.datetime64, np.ndarray]]:
    """Yield each day after the spin-up with the moisture of every place, from field capacity on.

    `vegetation` gives NDVI of the places for a day; it is asked every eighth day.
    """
    moisture = ground.soil.capacity.copy()
    for number, day in enumerate(weather.days):
        if number % 8 == 0:
            ndvi = vegetation(day)
        rain = weather.rain_at(number, ground.x, ground.y)
        evaporation = float(weather.evaporation[number])
        moisture = step_moisture(moisture, ground.soil, ground.wetness, rain, evaporation, ndvi)
        if number >= SPIN_UP_DAYS:
            yield day, moisture
