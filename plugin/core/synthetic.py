"""A landscape with a known law: the demo, the documentation and the tests live on it.

A field of 80 ha at 10 m lies in a region of 60 km at 400 m. Both are cut from one land
(`synthetic_land`), which a daily water balance wets and dries (`synthetic_water`), and which radar,
a coarse radiometer, regional stations and the field's probes observe (`synthetic_sensors`); the
equations stand in these modules and in ``docs/landscape.md``. Station networks and the field's
probes have biases of their own: a model of the stations alone is wrong in the field by about the
difference, which is what spiking mends. No covariate is the truth: soil maps are coarser than the
soil and in error, radar speckles, and the coarse series sees 36 km cells.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from .errors import InputError
from .progress import Progress
from .rasters.grids import transform_points
from .synthetic_land import POINT_CELL, Area, Land, Soil
from .synthetic_sensors import (
    EASE_CRS,
    Coarse,
    CoarseCells,
    Radar,
    Readings,
    coarse_days,
    make_radar,
    observe_coarse,
    read_sensors,
)
from .synthetic_water import (
    SPIN_UP_DAYS,
    Ground,
    Weather,
    day_of_year,
    make_weather,
    run_balance,
)

CRS = "EPSG:32633"
_LEFT, _TOP = 510_000.0, 5_380_000.0
_NETWORK_BIAS = 0.012
_STATION_BIAS = 0.010
_STATION_NOISE = 0.008
_PROBE_BIAS = 0.006
_PROBE_NOISE = 0.010
_REGION_LOOKS = 400.0
_FIELD_LOOKS = 60.0


@dataclass(frozen=True)
class LandscapeSettings:
    """Size and seed of a landscape; lengths in metres, intervals in days.

    The field is `field_columns` × `field_rows` cells with `margin` cells around it.
    """

    seed: int = 42
    region_size: float = 60_000.0
    region_cell: float = 400.0
    field_columns: int = 100
    field_rows: int = 80
    field_cell: float = 10.0
    margin: int = 10
    start: date = date(2021, 3, 1)
    end: date = date(2021, 10, 1)
    map_day: date = date(2021, 7, 23)
    stations: int = 120
    networks: int = 6
    probes: int = 60
    reading_every: int = 3
    radar_every: int = 12
    vegetation_every: int = 12

    def __post_init__(self) -> None:
        if not self.start <= self.map_day <= self.end:
            raise InputError(
                f"The mapping day {self.map_day} lies outside {self.start} to {self.end}.",
                "Choose a day of the season.",
            )
        if self.networks < 1 or self.stations < self.networks or self.probes < 1:
            raise InputError(
                f"{self.stations} stations in {self.networks} networks and {self.probes} probes "
                "make no landscape.",
                "Give at least one station a network, and one probe.",
            )


@dataclass(frozen=True)
class Scene:
    """One grid of the landscape and what is known of it, arrays of shape (rows, columns).

    Attributes
    ----------
    area : Area
    elevation : ndarray
        Metres.
    soil_map : Soil
        The soil as mapped.
    vegetation : dict of datetime64[D] to ndarray
        NDVI.
    radar : dict of datetime64[D] to dict
        VV and VH in dB, angle in degrees; NaN where the pass missed.
    """

    area: Area
    elevation: np.ndarray
    soil_map: Soil
    vegetation: dict[np.datetime64, np.ndarray]
    radar: dict[np.datetime64, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Landscape:
    """A landscape, what is observed of it, and its truth."""

    settings: LandscapeSettings
    crs: str
    region: Scene
    field: Scene
    coarse: Coarse
    stations: Readings
    probes: Readings
    weather: Weather
    _world: _World = dataclasses.field(repr=False)

    @property
    def boundary(self) -> tuple[float, float, float, float]:
        """Edges of the field without its margin: left, bottom, right, top."""
        inner = self.field.area.grown(-self.settings.margin)
        right = inner.left + inner.columns * inner.cell
        return inner.left, inner.top - inner.rows * inner.cell, right, inner.top

    def truth(self, day: date) -> np.ndarray:
        """True moisture of the field's cells on a day of the season, shape (rows, columns)."""
        wanted = np.datetime64(day, "D")
        for now, moisture in self._world.follow_field():
            if now == wanted:
                return moisture
        raise InputError(
            f"The landscape has no day {day}.",
            f"Choose one from {self.settings.start} to {self.settings.end}.",
        )


class _World:
    """The land, its weather and where things lie on it."""

    def __init__(self, settings: LandscapeSettings) -> None:
        self.settings = settings
        self.land = Land(settings.seed)
        self.weather = make_weather(
            settings.seed, np.datetime64(settings.start), np.datetime64(settings.end)
        )
        cells = round(settings.region_size / settings.region_cell)
        self.days = self.weather.days[SPIN_UP_DAYS:]
        self.region = Area(_LEFT, _TOP, settings.region_cell, cells, cells)
        self.field = self._find_field()
        self.station_x, self.station_y, self.network = self._place_stations()
        patches = self.land.wetness_patches(self.station_x, self.station_y)
        middle = patches.shape[1] // 2
        self._centre, self._spread = float(patches.mean()), float(patches.std())
        self._station_wetness = self._position(patches[:, middle, middle])
        self._field_ground = self._ground_of_field()

    def _find_field(self) -> Area:
        """Choose the place, of 300, with about 40 % clay and about 6 m relief (sd)."""
        settings = self.settings
        columns = settings.field_columns + 2 * settings.margin
        rows = settings.field_rows + 2 * settings.margin
        generator = np.random.default_rng([settings.seed, 4])
        spots = generator.uniform(0.2, 0.8, size=(300, 2)) * settings.region_size
        offsets = np.linspace(-500.0, 500.0, 9)
        x = _LEFT + spots[:, :1] + np.tile(offsets, 9)
        y = _TOP - spots[:, 1:] + np.repeat(offsets, 9)
        clay = self.land.soil(x, y, POINT_CELL).clay.mean(axis=1)
        relief = self.land.elevation(x, y, POINT_CELL).std(axis=1)
        best = int(np.argmin(np.abs(clay - 40.0) / 4.0 + np.abs(relief - 6.0) / 3.0))
        cell = settings.field_cell
        left = _LEFT + spots[best, 0] - columns * cell / 2.0
        top = _TOP - spots[best, 1] + rows * cell / 2.0
        return Area(round(left / cell) * cell, round(top / cell) * cell, cell, columns, rows)

    def _place_stations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        settings = self.settings
        generator = np.random.default_rng([settings.seed, 5])
        network = np.arange(settings.stations) % settings.networks
        size = settings.region_size
        around = _spread_points(settings.networks, generator) * size
        place = around[network] + generator.normal(0.0, 0.11 * size, (settings.stations, 2))
        low, high = 0.02 * size, 0.98 * size
        place = np.where(place < low, 2.0 * low - place, place)
        place = np.where(place > high, 2.0 * high - place, place)
        return _LEFT + place[:, 0], _TOP - place[:, 1], network

    def _position(self, index: np.ndarray) -> np.ndarray:
        return np.clip((index - self._centre) / self._spread, -2.0, 2.5)

    def _ground_of_field(self) -> Ground:
        x, y = self.field.centres()
        wetness = self._position(self.land.wetness(self.field, 30))
        return Ground(x, y, self.land.soil(x, y, self.field.cell), wetness)

    def ground_of_region(self) -> Ground:
        x, y = self.region.centres()
        index = self.land.wetness(self.region, 10)
        wetness = 0.5 * np.clip((index - index.mean()) / index.std(), -2.0, 2.5)
        return Ground(x, y, self.land.soil(x, y, self.region.cell), wetness)

    def ground_of_stations(self) -> Ground:
        x, y = self.station_x, self.station_y
        return Ground(x, y, self.land.soil(x, y, POINT_CELL), self._station_wetness)

    def vegetation_of(self, x: np.ndarray, y: np.ndarray, cell: float, day: Any) -> np.ndarray:
        return self.land.vegetation(x, y, cell, day_of_year(day))

    def vegetation_of_field(self, day: Any) -> np.ndarray:
        x, y = self._field_ground.x, self._field_ground.y
        return self.land.field_vegetation(x, y, self.field.cell, day_of_year(day))

    def follow_field(self) -> Any:
        return run_balance(self._field_ground, self.weather, self.vegetation_of_field)


def _spread_points(count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw points in the middle of the unit square, each far from those before it."""
    points = generator.uniform(0.15, 0.85, size=(1, 2))
    for _ in range(count - 1):
        drawn = generator.uniform(0.15, 0.85, size=(20, 2))
        apart = np.linalg.norm(drawn[:, None] - points[None], axis=2).min(axis=1)
        points = np.vstack([points, drawn[[np.argmax(apart)]]])
    return points


def make_landscape(
    settings: LandscapeSettings | None = None, progress: Progress | None = None
) -> Landscape:
    """Make the landscape that `settings` describe; the same settings make the same landscape.

    Station networks are biased by normal 0.012, each station by a further 0.010, a reading by
    noise of 0.008. A probe of the field reads 0.050 + 0.002 (clay − 40) too much, as in heavy clay
    under a factory calibration, with a bias of 0.006 of its own and noise of 0.010.
    """
    settings = settings or LandscapeSettings()
    progress = progress or Progress()
    world = _World(settings)
    progress.step(0.1)
    region, coarse = _observe_region(world, progress.part(0.1, 0.7))
    stations = _read_stations(world)
    progress.step(0.8)
    scene, probes = _observe_field(world, progress.part(0.8, 1.0))
    return Landscape(settings, CRS, region, scene, coarse, stations, probes, world.weather, world)


def _scene(
    world: _World, area: Area, vegetation: Any, radar: dict[np.datetime64, dict[str, np.ndarray]]
) -> Scene:
    settings = world.settings
    x, y = area.centres()
    days = world.days[:: settings.vegetation_every]
    return Scene(
        area,
        world.land.elevation(x, y, area.cell),
        world.land.soil_map(x, y, area.cell),
        {day: vegetation(day) for day in days},
        radar,
    )


def _observe_region(world: _World, progress: Progress) -> tuple[Scene, Coarse]:
    settings, area = world.settings, world.region
    ground = world.ground_of_region()
    generator = np.random.default_rng([settings.seed, 6])
    radar = _radar(world, area, _REGION_LOOKS)
    cells = CoarseCells(
        *transform_points(CRS, EASE_CRS, ground.x.ravel().tolist(), ground.y.ravel().tolist())
    )
    seen = coarse_days(world.days, generator)
    passes = set(world.days[:: settings.radar_every])
    images: dict[np.datetime64, dict[str, np.ndarray]] = {}
    series: dict[np.datetime64, np.ndarray] = {}

    def vegetation(day: Any) -> np.ndarray:
        return world.vegetation_of(ground.x, ground.y, area.cell, day)

    for number, (day, moisture) in enumerate(run_balance(ground, world.weather, vegetation)):
        if day in seen:
            series[day] = observe_coarse(cells.average(moisture), generator)
        if day in passes:
            image = radar.observe(moisture, vegetation(day), generator)
            images[day] = _cut_swath(image, len(images), area)
        progress.step(number / len(world.days))
    return _scene(world, area, vegetation, images), Coarse(cells.left, cells.top, series)


def _cut_swath(image: dict[str, np.ndarray], number: int, area: Area) -> dict[str, np.ndarray]:
    """Every fourth pass misses a corner in the south-east of the region."""
    if number % 4 != 3:
        return image
    rows, columns = np.indices((area.rows, area.columns))
    missed = rows / area.rows + columns / area.columns > 1.75
    return {band: np.where(missed, np.nan, values) for band, values in image.items()}


def _radar(world: _World, area: Area, looks: float) -> Radar:
    elevation = world.land.elevation(*area.centres(), area.cell)
    return make_radar(world.settings.seed, area, world.region, elevation, looks)


def _read_stations(world: _World) -> Readings:
    settings = world.settings
    ground = world.ground_of_stations()
    truth = np.stack(
        [
            moisture
            for _, moisture in run_balance(
                ground,
                world.weather,
                lambda day: world.vegetation_of(ground.x, ground.y, POINT_CELL, day),
            )
        ]
    )[:: settings.reading_every]
    generator = np.random.default_rng([settings.seed, 7])
    network_bias = generator.normal(0.0, _NETWORK_BIAS, size=settings.networks)
    network_bias -= network_bias.mean()
    bias = network_bias[world.network] + generator.normal(0.0, _STATION_BIAS, len(ground.x))
    letters = np.array([_network_name(number) for number in range(settings.networks)])
    within = np.arange(settings.stations) // settings.networks + 1
    names = np.array([f"{letters[n]}{w:02d}" for n, w in zip(world.network, within)])
    readings = read_sensors(truth, bias, _STATION_NOISE, generator)
    return Readings(
        names, letters[world.network], ground.x, ground.y,
        world.days[:: settings.reading_every], truth, readings,
    )  # fmt: skip


def _network_name(number: int) -> str:
    names = ("ALDER", "BIRCH", "CEDAR", "DROVE", "ELDER", "FENLAND", "GORSE", "HEATH")
    return names[number] if number < len(names) else f"NET{number + 1}_"


def _observe_field(world: _World, progress: Progress) -> tuple[Scene, Readings]:
    settings, area = world.settings, world.field
    generator = np.random.default_rng([settings.seed, 8])
    radar = _radar(world, area, _FIELD_LOOKS)
    rows, columns = _place_probes(world, generator)
    passes = set(world.days[:: settings.radar_every])
    images, truth = {}, []
    for number, (day, moisture) in enumerate(world.follow_field()):
        truth.append(moisture[rows, columns])
        if day in passes:
            images[day] = radar.observe(moisture, world.vegetation_of_field(day), generator)
        progress.step(number / len(world.days))
    at_probes = np.stack(truth)[:: settings.reading_every]
    x, y = area.centres()
    clay = world.land.soil(x[rows, columns], y[rows, columns], area.cell).clay
    bias = 0.050 + 0.002 * (clay - 40.0) + generator.normal(0.0, _PROBE_BIAS, len(rows))
    shift = generator.uniform(-0.45, 0.45, size=(2, len(rows))) * area.cell
    names = np.array([f"P{number + 1:02d}" for number in range(len(rows))])
    place = x[rows, columns] + shift[0], y[rows, columns] + shift[1]
    probes = Readings(
        names, np.full(len(rows), "FIELD"), *place,
        world.days[:: settings.reading_every], at_probes,
        read_sensors(at_probes, bias, _PROBE_NOISE, generator),
    )  # fmt: skip
    return _scene(world, area, world.vegetation_of_field, images), probes


def _place_probes(world: _World, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Put probes into different cells of the field, within its boundary."""
    settings = world.settings
    cells = generator.choice(
        settings.field_rows * settings.field_columns, size=settings.probes, replace=False
    )
    rows, columns = np.divmod(np.sort(cells), settings.field_columns)
    return rows + settings.margin, columns + settings.margin
