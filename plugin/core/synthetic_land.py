"""The land of the synthetic landscape: elevation, wetness position, soil and vegetation.

Every property is a function of place: sums of smooth gradient noise (Perlin 2002) of several
wavelengths, so that a coarse region and a fine field within it see one land. A grid or point of
cell size c holds the wavelengths of at least 2 c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .covariates.relief.flow import wetness_index
from .covariates.relief.surface import derivatives, slope_tangent, smooth

POINT_CELL = 10.0
PATCH_CELLS = 61
SPREAD_CELLS = 1.5
MAPPED_SOIL_CELL = 80.0
_VALLEYS = ((6000.0, 90.0), (2400.0, 40.0), (900.0, 16.0))
_BASE = ((24_000.0, 180.0), (10_000.0, 60.0), (350.0, 1.6), (140.0, 0.4))
_CLAY = ((15_000.0, 12.0), (4000.0, 9.0), (1200.0, 7.0), (400.0, 8.0), (120.0, 4.0))
_SAND = ((8000.0, 9.0), (1500.0, 4.0), (300.0, 3.0))
_CARBON = ((5000.0, 0.5), (700.0, 0.25), (200.0, 0.2))
_DENSITY = ((3000.0, 0.05), (500.0, 0.03))
_CROPS = ((12_000.0, 0.5), (3500.0, 0.6), (1200.0, 0.6))
_VIGOUR = ((2000.0, 0.6), (350.0, 0.4), (90.0, 0.3))


@dataclass(frozen=True)
class Area:
    """A north-up grid of square cells: left and top edge, cell size in metres, size in cells."""

    left: float
    top: float
    cell: float
    columns: int
    rows: int

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of the cell centres, each of shape (rows, columns)."""
        x = self.left + (np.arange(self.columns) + 0.5) * self.cell
        y = self.top - (np.arange(self.rows) + 0.5) * self.cell
        grid_x, grid_y = np.meshgrid(x, y)
        return grid_x, grid_y

    def grown(self, cells: int) -> Area:
        """Return the area with `cells` more on each side."""
        return Area(
            self.left - cells * self.cell,
            self.top + cells * self.cell,
            self.cell,
            self.columns + 2 * cells,
            self.rows + 2 * cells,
        )


class Noise:
    """Smooth gradient noise of one wavelength, about −1…1, turned so that no lattice shows."""

    def __init__(self, generator: np.random.Generator, wavelength: float) -> None:
        self.wavelength = wavelength
        angle = generator.uniform(0.0, 2.0 * np.pi)
        self._turn = np.cos(angle) / wavelength, np.sin(angle) / wavelength
        self._shift = generator.uniform(0.0, 4096.0, size=2)
        directions = generator.uniform(0.0, 2.0 * np.pi, size=256)
        self._east, self._north = np.cos(directions), np.sin(directions)
        self._shuffle = np.concatenate([generator.permutation(256)] * 2)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the noise at x, y (metres), of their shape."""
        cosine, sine = self._turn
        u = cosine * x - sine * y + self._shift[0]
        v = sine * x + cosine * y + self._shift[1]
        column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        u, v = u - column, v - row
        corners = [
            self._corner(column + right, row + up, u - right, v - up)
            for up in (0, 1)
            for right in (0, 1)
        ]
        a, b = u**3 * (u * (6.0 * u - 15.0) + 10.0), v**3 * (v * (6.0 * v - 15.0) + 10.0)
        south = corners[0] + a * (corners[1] - corners[0])
        north = corners[2] + a * (corners[3] - corners[2])
        noise: np.ndarray = 1.6 * (south + b * (north - south))
        return noise

    def _corner(
        self, column: np.ndarray, row: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        pick = self._shuffle[self._shuffle[column & 255] + (row & 255)]
        corner: np.ndarray = self._east[pick] * u + self._north[pick] * v
        return corner


class Waves:
    """A sum of noises, each with its wavelength and amplitude."""

    def __init__(
        self, generator: np.random.Generator, parts: tuple[tuple[float, float], ...]
    ) -> None:
        self._parts = [(Noise(generator, wavelength), size) for wavelength, size in parts]

    def __call__(self, x: np.ndarray, y: np.ndarray, cell: float) -> np.ndarray:
        """Return the sum of the wavelengths that cells of size `cell` can show."""
        total = np.zeros(np.shape(x))
        for noise, size in self._parts:
            if noise.wavelength >= 2.0 * cell:
                total = total + size * noise(x, y)
        return total

    def valleys(self, x: np.ndarray, y: np.ndarray, cell: float) -> np.ndarray:
        """Return the sum of size·√(noise² + 0.01): ridges cut by rounded valleys."""
        total = np.zeros(np.shape(x))
        for noise, size in self._parts:
            if noise.wavelength >= 2.0 * cell:
                total = total + size * np.sqrt(noise(x, y) ** 2 + 0.01)
        return total


@dataclass(frozen=True)
class Soil:
    """Texture in %, organic carbon in %, bulk density in g/cm³, and the water they hold."""

    clay: np.ndarray
    sand: np.ndarray
    carbon: np.ndarray
    density: np.ndarray

    @property
    def wilting(self) -> np.ndarray:
        """Moisture at the wilting point, m³ m⁻³: 0.02 + 0.0040 clay + 0.005 carbon."""
        point: np.ndarray = 0.02 + 0.0040 * self.clay + 0.005 * self.carbon
        return point

    @property
    def capacity(self) -> np.ndarray:
        """Moisture at field capacity: wilting point + 0.09 + 0.0012 (100 − sand)."""
        capacity: np.ndarray = self.wilting + 0.09 + 0.0012 * (100.0 - self.sand)
        return capacity

    @property
    def porosity(self) -> np.ndarray:
        """Moisture at saturation: 1 − density / 2.65, at least capacity + 0.03."""
        return np.maximum(1.0 - self.density / 2.65, self.capacity + 0.03)


class Land:
    """The land that one seed makes.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng([seed, 1])
        self._base = Waves(generator, _BASE)
        self._valleys = Waves(generator, _VALLEYS)
        self._clay = Waves(generator, _CLAY)
        self._sand = Waves(generator, _SAND)
        self._carbon = Waves(generator, _CARBON)
        self._density = Waves(generator, _DENSITY)
        self._crops = Waves(generator, _CROPS)
        self._vigour = Waves(generator, _VIGOUR)
        self._map_error = Waves(generator, ((3000.0, 2.0), (250.0, 3.0)))

    def elevation(self, x: np.ndarray, y: np.ndarray, cell: float) -> np.ndarray:
        """Elevation in metres: broad waves, valleys of three sizes, and small hills."""
        return 250.0 + self._base(x, y, cell) + self._valleys.valleys(x, y, cell)

    def soil(self, x: np.ndarray, y: np.ndarray, cell: float) -> Soil:
        """True soil at places seen by cells of size `cell`."""
        clay = np.clip(25.0 + self._clay(x, y, cell), 4.0, 60.0)
        sand = 42.0 - 0.9 * (clay - 25.0) + self._sand(x, y, cell)
        sand = np.clip(sand, 4.0, 94.0 - clay)
        carbon = np.clip(1.6 + 0.02 * (clay - 25.0) + self._carbon(x, y, cell), 0.4, 6.0)
        density = 1.42 - 0.09 * (carbon - 1.6) + self._density(x, y, cell)
        return Soil(clay, sand, carbon, np.clip(density, 1.0, 1.7))

    def soil_map(self, x: np.ndarray, y: np.ndarray, cell: float) -> Soil:
        """Soil as a map shows it: cells of 80 m or more, and in error by some per cent."""
        seen = self.soil(x, y, max(cell, MAPPED_SOIL_CELL))
        error = self._map_error(x, y, cell)
        return Soil(
            np.clip(seen.clay + error, 2.0, 65.0),
            np.clip(seen.sand - error, 2.0, 90.0),
            np.clip(seen.carbon + 0.05 * error, 0.2, 7.0),
            seen.density + 0.01 * error,
        )

    def vegetation(self, x: np.ndarray, y: np.ndarray, cell: float, day_of_year: int) -> np.ndarray:
        """NDVI: winter cereal, summer crop or grass, as the crop waves say, times vigour."""
        return self._stand(x, y, cell, self._crops(x, y, cell), day_of_year)

    def field_vegetation(
        self, x: np.ndarray, y: np.ndarray, cell: float, day_of_year: int
    ) -> np.ndarray:
        """NDVI of a field under winter cereal."""
        return self._stand(x, y, cell, np.zeros(np.shape(x)), day_of_year)

    def _stand(
        self, x: np.ndarray, y: np.ndarray, cell: float, kind: np.ndarray, day_of_year: int
    ) -> np.ndarray:
        vigour = np.clip(1.0 + 0.15 * self._vigour(x, y, cell), 0.6, 1.4)
        return np.clip(vigour * phenology(kind, day_of_year), 0.05, 0.92)

    def wetness(self, area: Area, margin: int) -> np.ndarray:
        """Topographic wetness index, spread by a Gaussian of 1.5 cells (sd).

        Water from `margin` cells around the area is included.
        """
        wide = area.grown(margin + 1)
        z = self.elevation(*wide.centres(), area.cell)
        tangent = slope_tangent(derivatives(z, area.cell, area.cell))
        index = wetness_index(z, tangent, area.cell, area.cell, open_edge=False)
        index = smooth(index, SPREAD_CELLS)
        return index[margin + 1 : -margin - 1, margin + 1 : -margin - 1]

    def wetness_patches(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Wetness index on a patch of 10 m cells around each point, shape (n, 61, 61)."""
        half = PATCH_CELLS * POINT_CELL / 2.0
        patches = [
            self.wetness(Area(px - half, py + half, POINT_CELL, PATCH_CELLS, PATCH_CELLS), 0)
            for px, py in zip(x, y)
        ]
        return np.stack(patches)


def phenology(kind: np.ndarray, day_of_year: int) -> np.ndarray:
    """NDVI of a stand of mean vigour; summer crop below −0.15, grass above 0.35, else cereal."""
    cereal = 0.25 + 0.5 * np.exp(-(((day_of_year - 145.0) / 38.0) ** 2))
    summer = 0.17 + 0.62 * np.exp(-(((day_of_year - 215.0) / 42.0) ** 2))
    grass = 0.5 + 0.15 * np.sin(2.0 * np.pi * (day_of_year - 80.0) / 365.0)
    return np.where(kind < -0.15, summer, np.where(kind > 0.35, grass, cereal))
