"""Soil texture classes of the United States Department of Agriculture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, RasterError
from ..progress import Progress
from ..rasters.cache import bounded_cache
from ..rasters.grids import Grid, Window
from ..rasters.reading import RasterReader
from .classes import MISSING_CODE, ClassWriter, read_classes
from .inventory_values import sample_windows
from .rows import check_names

UNITS = ("auto", "percent", "g-per-kg", "fraction")
TEXTURES = (
    "sand",
    "loamy sand",
    "sandy loam",
    "silt loam",
    "silt",
    "loam",
    "sandy clay loam",
    "silty clay loam",
    "clay loam",
    "sandy clay",
    "silty clay",
    "clay",
)
_WHOLE = {"percent": 100.0, "g-per-kg": 1000.0, "fraction": 1.0}
_ROUNDING = 4  # decimals of a per cent: rounding of the input must not decide at a boundary
_NEAR = 0.2  # how far sums may lie from 1, 100 or 1000 for the units to be recognised
_BLOCK = 1024


@dataclass(frozen=True)
class TextureBand:
    """A band of a raster that holds sand, silt or clay."""

    path: str
    band: int = 1


def classify_texture(sand: np.ndarray, silt: np.ndarray, clay: np.ndarray) -> np.ndarray:
    """Return the texture class of each composition.

    Parameters
    ----------
    sand, silt, clay : float arrays of one shape
        Per cent of the fine earth, adding up to 100; NaN for missing. Rounded to 0.0001 first.

    Returns
    -------
    uint8 array
        1 (sand) to 12 (clay) in the order of `TEXTURES`, 255 for missing. Every composition has
        exactly one class.

    Notes
    -----
    The limits of the Soil Survey Manual (Soil Science Division Staff 2017, USDA Handbook 18,
    chapter 3), with what lies on a limit as clarified by Benham, Ahrens & Nettleton (2009,
    Clarification of soil texture class boundaries, USDA-NRCS). Clay is finer than 0.002 mm, silt
    than 0.05 mm, sand than 2 mm.
    """
    sand, silt, clay = (np.round(part, _ROUNDING) for part in (sand, silt, clay))
    there = np.isfinite(sand) & np.isfinite(silt) & np.isfinite(clay)
    code = {name: number for number, name in enumerate(TEXTURES, start=1)}
    # Each line holds where none above it does.
    rules = [
        ("silty clay", (clay >= 40) & (silt >= 40)),
        ("sandy clay", (clay >= 35) & (sand > 45)),
        ("clay", clay >= 40),
        ("silty clay loam", (clay >= 27) & (sand <= 20)),
        ("clay loam", (clay >= 27) & (sand <= 45)),
        ("sandy clay loam", clay >= 27),
        ("silt", (silt >= 80) & (clay < 12)),
        ("silt loam", silt >= 50),
        ("sandy clay loam", (clay >= 20) & (sand > 45) & (silt < 28)),
        ("loam", (clay >= 7) & (sand <= 52)),
        ("sand", silt + 1.5 * clay < 15),
        ("loamy sand", silt + 2 * clay < 30),
    ]
    found = np.select(
        [~there, *(holds for _, holds in rules)],
        [MISSING_CODE, *(code[name] for name, _ in rules)],
        code["sandy loam"],
    )
    return found.astype(np.uint8)


def soil_texture(
    sand: TextureBand,
    silt: TextureBand | None,
    clay: TextureBand,
    output: str | Path,
    *,
    units: str = "auto",
    tolerance: float = 5.0,
    name: str = "soil_texture",
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the texture class of each cell from rasters of sand, silt and clay.

    Block by block; the rasters must lie on one grid.

    Parameters
    ----------
    sand, silt, clay : TextureBand
        Without `silt`, it is what sand and clay leave of the whole.
    output : path
        A byte raster of one band, 255 for missing; see `ClassWriter`.
    units : {"auto", "percent", "g-per-kg", "fraction"}
        "auto" tells them by the sums, or without silt by the largest sum of sand and clay.
    tolerance : float
        Per cent that the sum may lie from 100: nearer, the three are scaled to 100; farther, or
        where one is negative, the cell is missing.
    name : str
        The band's description.

    Returns
    -------
    dict of str to int
        Cells of each class, from coarse to fine.

    Raises
    ------
    RasterError
        Where the rasters lie on different grids.
    InputError
        Where the units cannot be told, or most cells do not add up.
    """
    progress = progress or Progress()
    check_names([name])
    if units not in UNITS:
        raise InputError(f"The units '{units}' are unknown.", f"Use one of {', '.join(UNITS)}.")
    bands = [one for one in (sand, silt, clay) if one is not None]
    classes = read_classes("soil_texture.csv")
    cells = np.zeros(256, dtype=np.int64)
    sums = _Sums(tolerance)
    with bounded_cache(), _Rasters(bands, progress) as rasters:
        units = _told_units(rasters, units, progress)
        factor = 100.0 / _WHOLE[units]
        windows = rasters.grid.windows(_BLOCK)
        with ClassWriter(output, rasters.grid, name, classes) as writer:
            for done, window in enumerate(windows):
                progress.step(done / len(windows))
                parts = sums.close([factor * values for values in rasters.read(window)])
                block = classify_texture(*parts)
                cells += np.bincount(block.ravel(), minlength=256)
                writer.write(window, block[None])
            sums.judge(units, progress)
    counts = {one.name: int(cells[one.code]) for one in classes}
    total = sum(counts.values())
    shares = ", ".join(f"{one} {100 * n / total:.1f} %" for one, n in counts.items() if n)
    progress.info(f"{total} cells with a class: {shares}.")
    return counts


class _Rasters:
    """The open rasters of sand, (silt,) and clay, on one grid."""

    def __init__(self, bands: list[TextureBand], progress: Progress) -> None:
        self._bands = bands
        self._readers: list[RasterReader] = []
        self._progress = progress

    def __enter__(self) -> _Rasters:
        try:
            for one in self._bands:
                reader = RasterReader(one.path, progress=self._progress, count_all=False)
                self._readers.append(reader)
            self._check_grids()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *details: object) -> None:
        while self._readers:
            self._readers.pop().__exit__(None, None, None)

    @property
    def grid(self) -> Grid:
        return self._readers[0].grid

    def read(self, window: Window) -> list[np.ndarray]:
        return [
            reader.read([one.band], window)[0] for reader, one in zip(self._readers, self._bands)
        ]

    def _check_grids(self) -> None:
        first = self._readers[0]
        for reader in self._readers[1:]:
            if not reader.grid.matches(first.grid):
                raise RasterError(
                    f"Sand, silt and clay are not on one grid: '{first.path.name}' has "
                    f"{first.grid.describe()}, '{reader.path.name}' has "
                    f"{reader.grid.describe()}.",
                    "Bring them to one grid first (Align to grid).",
                )


class _Sums:
    """Brings compositions to 100 % and counts those that are too far from it."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._cells = 0
        self._off = 0
        self._example = ""

    def close(self, parts: list[np.ndarray]) -> list[np.ndarray]:
        """Return sand, silt and clay that add up to 100 %, NaN where they cannot."""
        if len(parts) == 2:
            sand, clay = parts
            parts = [sand, np.maximum(100.0 - sand - clay, 0.0), clay]
        total = parts[0] + parts[1] + parts[2]
        there = np.isfinite(total)
        negative = np.minimum(np.minimum(parts[0], parts[1]), parts[2]) < 0
        off = there & (negative | (np.abs(total - 100.0) > self._tolerance))
        self._cells += int(there.sum())
        self._off += int(off.sum())
        if off.any() and not self._example:
            shown = " + ".join(f"{part[off][0]:g}" for part in parts)
            self._example = f"{shown} = {total[off][0]:g}"
        scale = np.full(total.shape, np.nan)
        np.divide(100.0, total, out=scale, where=there & ~off)
        return [part * scale for part in parts]

    def judge(self, units: str, progress: Progress) -> None:
        """Warn of the compositions left out; raise where they are most of them."""
        if not self._cells:
            progress.warn("No cell has sand, silt and clay: every class is missing.")
        if not self._off:
            return
        text = (
            f"Sand, silt and clay of {self._off} of {self._cells} cells do not add up to 100 % "
            f"within {self._tolerance:g} %, such as {self._example} (sand + silt + clay, %)"
        )
        if 2 * self._off > self._cells:
            raise InputError(
                f"{text}.",
                f"Check UNITS (taken as {units}), bands and fractions: fine earth without organic "
                "matter and stones. Or raise SUM_TOLERANCE.",
            )
        progress.warn(f"{text}: they are missing.")


def _told_units(rasters: _Rasters, units: str, progress: Progress) -> str:
    """Return the units, told from some of the cells where they are not given."""
    if units != "auto":
        return units
    sums = []
    for window in sample_windows(rasters.grid):
        progress.check()
        parts = rasters.read(window)
        total = np.sum(parts, axis=0)
        sums.append(total[np.isfinite(total)])
    known = np.concatenate(sums)
    if not known.size:
        return "percent"
    if len(parts) == 3:
        shown = float(np.median(known))
        fits = [name for name, whole in _WHOLE.items() if abs(shown / whole - 1) <= _NEAR]
        what = f"sand, silt and clay add up to {shown:.4g}"
    else:
        shown = float(known.max())
        wholes = sorted(_WHOLE.items(), key=lambda item: item[1])
        fits = [name for name, whole in wholes if 0 < shown <= whole * (1 + _NEAR)][:1]
        what = f"sand and clay add up to {shown:.4g} at most"
    if not fits:
        raise InputError(
            f"The units cannot be told: {what}.",
            "Choose UNITS, and check that the bands hold sand, silt and clay.",
        )
    progress.info(f"Units: {fits[0]} ({what}).")
    return fits[0]
